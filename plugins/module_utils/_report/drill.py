# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A restore drill as it was: who, what, when, and what came of it. The report is made of it."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from . import waiver
from .budget import NO_BUDGETS, RPO_CHECK, RTO_CHECK, TAIL_CHECK, Budgets
from .check import PASS, Check, overall
from .diagnosis import Diagnosis
from .extent import RollbackCategory
from .waiver import Waiver

# Recovery time counts from the step whose name begins so,
RESTORE = "restore"
# to the end of the last one whose name begins so: then the copy has served a request. Without one, to the end of the drill.
CANARY = "canary"


class RecipientsResult(t.TypedDict):
    """A class of artifacts: who can open all of it, and which identities of this host do; None if none was tried."""

    assets: str
    sealed_to: list[str]
    opened_by: list[str] | None


class StepResult(t.TypedDict):
    """A step as the report of a drill contains it."""

    name: str
    start_seconds: float
    seconds: float
    bytes: int | None
    mb_per_second: float | None


@dataclasses.dataclass(frozen=True)
class Who:
    """Who signed, with which key (`SHA256:…`), and on which machine."""

    principal: str
    fingerprint: str
    machine: str


@dataclasses.dataclass(frozen=True)
class RestoredSet:
    """What the drill restored. `sequence` is the number of its journal entry, `artifacts` counts its objects, `bytes` is their size.

    Of a set whose manifest cannot be believed only the journal entry is known; the rest is None, and the maker's fingerprint empty.
    `recipients` {classes of artifacts, whom they are sealed to, who opened them} is None when it is not known.
    """

    id: str
    sequence: int
    release: str | None
    family: str | None
    snapshot_time: datetime.datetime | None
    artifacts: int | None
    bytes: int | None
    maker: Who
    assets: t.Sequence[str] | None = None
    left_out: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    recipients: t.Sequence[RecipientsResult] | None = None


@dataclasses.dataclass(frozen=True)
class Step:
    """One step of the drill, in the order in which they ran. Without `started` it began when the one before ended."""

    name: str
    seconds: float
    bytes: int | None = None
    started: datetime.datetime | None = None

    def to_result(self, start: float) -> StepResult:
        rate = round(self.bytes / self.seconds / 1e6, 1) if self.bytes is not None and self.seconds > 0 else None
        return {
            "name": self.name,
            "start_seconds": round(start, 3),
            "seconds": round(self.seconds, 3),
            "bytes": self.bytes,
            "mb_per_second": rate,
        }


@dataclasses.dataclass(frozen=True)
class Drill:
    """All that a report is made of. `freshness` is `fresh` or `unproven`, `journal_head` the head that the drill believed.

    `rollback` is as rollback_info returns it, None when nobody asked; under `salt` identifiers are hashed.
    `covered` is the time of the newest snapshot that a set or checkpoint binds.
    """

    id: str
    deployment: str
    repository: str
    journal_head: str
    freshness: str
    started: datetime.datetime
    finished: datetime.datetime
    signer: Who
    tools: t.Mapping[str, str | None]
    restored: RestoredSet
    sandbox: t.Mapping[str, object]
    steps: t.Sequence[Step]
    checks: t.Sequence[Check]
    waivers: t.Sequence[Waiver] = ()
    diagnosis: t.Sequence[Diagnosis] = ()
    budgets: Budgets = NO_BUDGETS
    rollback: t.Sequence[RollbackCategory] | None = None
    salt: bytes = b""
    covered: datetime.datetime | None = None

    @property
    def verdict(self) -> str:
        return overall(waiver.apply(self.checks, self.waivers))

    @property
    def seconds(self) -> float:
        return (self.finished - self.started).total_seconds()

    @property
    def starts(self) -> list[float]:
        """When each step began, in seconds from the start of the drill."""
        found, end = [], 0.0
        for step in self.steps:
            found.append(max(0.0, (step.started - self.started).total_seconds()) if step.started else end)
            end = found[-1] + step.seconds
        return found

    @property
    def rto_seconds(self) -> float | None:
        """What ran between the steps counts too, so it is rather too much than too little. None unless the copy is what it should be."""
        others = [check for check in self.checks if check.id not in (RTO_CHECK, RPO_CHECK, TAIL_CHECK)]
        begins = [start for step, start in zip(self.steps, self.starts, strict=True) if step.name.startswith(RESTORE)]
        if not begins or overall(waiver.apply(others, self.waivers)) != PASS:
            return None
        served = [start + step.seconds for step, start in zip(self.steps, self.starts, strict=True) if step.name.startswith(CANARY)]
        return round(max(0.0, max(served, default=self.seconds) - begins[0]), 3)

    @property
    def rpo_seconds(self) -> float | None:
        when = self.restored.snapshot_time
        return round((self.started - when).total_seconds(), 3) if when else None

    @property
    def tail_seconds(self) -> float | None:
        return round(max(0.0, (self.started - self.covered).total_seconds()), 3) if self.covered else None
