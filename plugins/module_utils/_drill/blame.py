# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decide whether an error is the fault of the set, because a comparison found a difference, or of this host."""

from __future__ import annotations

import typing as t

from .._errors import BackupError, KeyProblem, ObjectMissing, OptionError, StageFailed, TamperedData, VerificationFailed, WrongIdentity
from .._reasons import HOST_FAILED, NO_IDENTITY, NO_ISOLATION, NO_ROOM, REDIS_UNREACHABLE, SHARED_FILE_SYSTEM, UNKNOWN_RELATION, Reason
from .._report.check import FAIL, UNPROVEN, CheckResult

# Prefixes of checks that depend on answers of services.
_ASKS = ("services.", "canary.", "settled.")
# Errors that only the bytes, signatures or rows of a set can cause.
_OF_THE_SET = (TamperedData, KeyProblem, ObjectMissing, VerificationFailed)
# SQLSTATE classes about the server itself: connection, resources, an operator's intervention, the system, an internal error.
_OF_THE_SERVER = ("08", "53", "57", "58", "XX")
# Specific reasons why a host could not run a step.
_OF_THE_HOST = (NO_IDENTITY, NO_ISOLATION, NO_ROOM, REDIS_UNREACHABLE, SHARED_FILE_SYSTEM)
# A table or a column does not exist.
_UNKNOWN_RELATION = ("42P01", "42703")
# The same classes in messages of tools that do not report an SQLSTATE. They are in English, the language of the sandbox.
_WORDS_OF_THE_SERVER = (
    *("No space", "Disk quota", "File too large", "out of memory", "could not resize shared memory"),
    *("could not fork", "too many clients", "terminating connection", "server closed the connection", "connection to server"),
    *("could not connect", "the database system is"),
)


def of_set(exc: BackupError, restored: str) -> bool:
    """Return True if the error is a finding about the set. A failed attempt is not.

    `restored` is the directory of the set's secrets. An option with a path in it contains a secret of the set.
    """
    if isinstance(exc, StageFailed):
        return _refused(exc)
    if isinstance(exc, OptionError):
        return f"{restored}/" in exc.msg
    return isinstance(exc, _OF_THE_SET) and not isinstance(exc, WrongIdentity)


def reason(exc: BackupError, fails: bool) -> Reason | None:
    """Return the reason for the check of a step that failed with this error, or None if it is unknown.

    `fails` means that the set is at fault.
    """
    if fails:
        return UNKNOWN_RELATION if exc.details.get("sqlstate") in _UNKNOWN_RELATION else exc.reason
    return exc.reason if exc.reason in _OF_THE_HOST else HOST_FAILED


def without_services(checks: t.Sequence[CheckResult], before: t.Sequence[CheckResult]) -> list[CheckResult]:
    """Make failed checks unproven if a service did not start or never listened.

    Then a failed answer of another service, a failed canary and missing events are not findings about the set. `checks` are
    from a step that queries services, `before` from earlier steps.
    """
    known = [*before, *checks]
    missing = [one["id"].split(".")[1] for one in known if _is_ready_check(one["id"]) and one["required"] and one["verdict"] == UNPROVEN]
    if not missing:
        return list(checks)
    because = f"{' and '.join(missing)} did not run, so this is not a finding about the set: "
    return [{**one, "verdict": UNPROVEN, "message": because + one["message"]} if _asks_and_fails(one) else one for one in checks]


def _asks_and_fails(one: CheckResult) -> bool:
    return one["verdict"] == FAIL and str(one["id"]).startswith(_ASKS)


def _is_ready_check(check_id: str) -> bool:
    return check_id.startswith("services.") and check_id.endswith(".ready")


def _refused(exc: StageFailed) -> bool:
    """Return True if a working server refused content of the set."""
    state = exc.details.get("sqlstate")
    if state:
        return not str(state).startswith(_OF_THE_SERVER)
    output = "\n".join([exc.msg, *_lines(exc.details.get("stderr", ""))])
    return "error:" in output.lower() and not any(words in output for words in _WORDS_OF_THE_SERVER)


def _lines(stderr: t.Any) -> list[str]:
    return [str(one) for one in stderr] if isinstance(stderr, list | tuple) else [str(stderr)]
