# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks with a verdict each, and the overall verdict of several checks."""

from __future__ import annotations

import dataclasses
import typing as t

PASS = "pass"
FAIL = "fail"
WARN = "warn"
UNPROVEN = "unproven"
NOT_APPLICABLE = "not_applicable"

VERDICTS = (PASS, FAIL, WARN, UNPROVEN, NOT_APPLICABLE)


class CheckResult(t.TypedDict):
    """A check as modules return it and as documents contain it."""

    id: str
    verdict: str
    message: str
    required: bool
    details: t.Mapping[str, t.Any]


class _Verdict(t.TypedDict):
    changed: bool
    verdict: str
    checks: list[CheckResult]


class VerdictResult(_Verdict, total=False):
    """The verdict of a module and its checks. `msg` is set for a verdict other than pass, `failed` if the module fails because of it."""

    msg: str
    failed: bool


@dataclasses.dataclass(frozen=True)
class Check:
    """A check: a stable dotted ID, its verdict, and a message.

    `required` means that the overall verdict depends on it. `details` is JSON-safe and contains no secrets.
    """

    id: str
    verdict: str
    message: str
    required: bool = True
    details: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise ValueError(f"{self.verdict!r} is not a verdict")

    def to_result(self) -> CheckResult:
        return t.cast("CheckResult", dataclasses.asdict(self))


def overall(checks: t.Iterable[Check]) -> str:
    """Return `fail` if a required check failed, else `unproven` if one is unproven or there is none, else `pass`."""
    required = [check.verdict for check in checks if check.required]
    if FAIL in required:
        return FAIL
    proved = [verdict for verdict in required if verdict in (PASS, WARN)]
    if UNPROVEN in required or not proved:
        return UNPROVEN
    return PASS


def judged(checks: t.Sequence[Check], require_valid: bool) -> VerdictResult:
    """Return `verdict` and `checks` of a result, and `msg` for a verdict other than pass. With `require_valid` the module then fails."""
    verdict = overall(checks)
    result: VerdictResult = {"changed": False, "verdict": verdict, "checks": [check.to_result() for check in checks]}
    if verdict != PASS:
        first = next((check for check in checks if check.required and check.verdict == (FAIL if verdict == FAIL else UNPROVEN)), None)
        result["msg"] = f"verdict {verdict}: {first.id}: {first.message}" if first else f"verdict {verdict}: no check was run"
        if require_valid:
            result["failed"] = True
    return result
