# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Budgets for the recovery time of a drill and the age of its set. Both are measured, and evaluated if a budget is set."""

from __future__ import annotations

import dataclasses
import typing as t

from .check import FAIL, PASS, UNPROVEN, Check
from .text import duration

RTO_CHECK = "drill.rto"
RPO_CHECK = "drill.rpo"
TAIL_CHECK = "audit.tail"
EXPOSED = "a holder of the audit key can change, remove or replace newer rows undetected"


class BudgetsResult(t.TypedDict):
    """The budgets as the report of a drill contains them."""

    rto_seconds: float | None
    rpo_seconds: float | None
    tail_seconds: float | None


@dataclasses.dataclass(frozen=True)
class Budgets:
    """Budgets in seconds, or None if not set."""

    rto: float | None = None
    rpo: float | None = None
    tail: float | None = None

    def to_result(self) -> BudgetsResult:
        return {"rto_seconds": self.rto, "rpo_seconds": self.rpo, "tail_seconds": self.tail}


NO_BUDGETS = Budgets()


def judge(budgets: Budgets, rto: float | None, rpo: float | None, tail: float | None) -> list[Check]:
    """Return a check for each budget. A time that was not measured is `unproven`: only a successful recovery has a recovery time.

    `tail` is the age of the newest set or checkpoint, which covers the audit rows up to it.
    """
    checks = []
    if budgets.rto is not None:
        checks.append(_judge(RTO_CHECK, "recovery took", rto, budgets.rto, "the set was not restored, so no recovery time was measured"))
    if budgets.rpo is not None:
        checks.append(_judge(RPO_CHECK, "the age of the snapshot is", rpo, budgets.rpo, "the time of the set's snapshot is unknown"))
    if budgets.tail is not None:
        check = _judge(
            TAIL_CHECK, "the age of the newest set or checkpoint is", tail, budgets.tail, "no set or checkpoint covers any audit row"
        )
        checks.append(dataclasses.replace(check, message=f"{check.message}; {EXPOSED}"))
    return checks


def _judge(check_id: str, what: str, measured: float | None, budget: float, unknown: str) -> Check:
    if measured is None:
        return Check(check_id, UNPROVEN, unknown)
    details: dict[str, object] = {"seconds": measured, "budget_seconds": budget}
    if measured > budget:
        return Check(check_id, FAIL, f"{what} {duration(measured)}, over its budget of {duration(budget)}", details=details)
    return Check(check_id, PASS, f"{what} {duration(measured)}, within its budget of {duration(budget)}", details=details)
