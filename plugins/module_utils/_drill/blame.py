# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose fault an error is: the set's, when something was compared and is different, or else this host's."""

from __future__ import annotations

import typing as t

from .._errors import BackupError, KeyProblem, ObjectMissing, OptionError, StageFailed, TamperedData, VerificationFailed, WrongIdentity
from .._reasons import HOST_FAILED, NO_IDENTITY, NO_ISOLATION, NO_ROOM, REDIS_UNREACHABLE, SHARED_FILE_SYSTEM, UNKNOWN_RELATION, Reason
from .._report.check import FAIL, UNPROVEN, CheckResult

# Checks whose answers come from services.
_ASKS = ("services.", "canary.", "settled.")
# What only bytes, signatures or rows of a set can raise.
_OF_THE_SET = (TamperedData, KeyProblem, ObjectMissing, VerificationFailed)
# Classes of SQLSTATE by which a server speaks of itself: connection, resources, an operator, the system, itself.
_OF_THE_SERVER = ("08", "53", "57", "58", "XX")
# Why a host could not run a step, more precisely than that it could not.
_OF_THE_HOST = (NO_IDENTITY, NO_ISOLATION, NO_ROOM, REDIS_UNREACHABLE, SHARED_FILE_SYSTEM)
# A table or a column does not exist.
_UNKNOWN_RELATION = ("42P01", "42703")
# The same in the words of tools that tell no SQLSTATE, in English, as the sandbox speaks.
_WORDS_OF_THE_SERVER = (
    *("No space", "Disk quota", "File too large", "out of memory", "could not resize shared memory"),
    *("could not fork", "too many clients", "terminating connection", "server closed the connection", "connection to server"),
    *("could not connect", "the database system is"),
)


def of_set(exc: BackupError, restored: str) -> bool:
    """Whether the error says something about the set. What could not be tried says nothing.

    `restored` is the folder of the set's secrets: an option that names one of them holds what the set does.
    """
    if isinstance(exc, StageFailed):
        return _refused(exc)
    if isinstance(exc, OptionError):
        return f"{restored}/" in exc.msg
    return isinstance(exc, _OF_THE_SET) and not isinstance(exc, WrongIdentity)


def reason(exc: BackupError, fails: bool) -> Reason | None:
    """The reason of the check of a step that failed with this error, or None if it is not known. `fails` is whether the set is at fault."""
    if fails:
        return UNKNOWN_RELATION if exc.details.get("sqlstate") in _UNKNOWN_RELATION else exc.reason
    return exc.reason if exc.reason in _OF_THE_HOST else HOST_FAILED


def without_services(checks: t.Sequence[CheckResult], before: t.Sequence[CheckResult]) -> list[CheckResult]:
    """Checks of a step that asks services. If a service was not started, or never listened, a failed answer of another service, a failed
    canary and events that did not arrive say nothing about the set. `before` are the checks of earlier steps."""
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
    """Whether a server that was well refused what the set holds."""
    state = exc.details.get("sqlstate")
    if state:
        return not str(state).startswith(_OF_THE_SERVER)
    said = "\n".join([exc.msg, *_lines(exc.details.get("stderr", ""))])
    return "error:" in said.lower() and not any(words in said for words in _WORDS_OF_THE_SERVER)


def _lines(said: t.Any) -> list[str]:
    return [str(one) for one in said] if isinstance(said, list | tuple) else [str(said)]
