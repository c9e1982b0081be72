# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The data of a restore drill: participants, times and results. The report is created from it."""

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

# Recovery time starts at the first step whose name has this prefix.
RESTORE = "restore"
# It ends with the last step whose name has this prefix, when the copy has served a request, or else with the drill.
CANARY = "canary"


class RecipientsResult(t.TypedDict):
    """A class of artifacts: the recipients of all of it, and the identities of this host that decrypt it, or None if none was tried."""

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
    """A signer: the principal, the fingerprint of the key (`SHA256:…`), and the machine."""

    principal: str
    fingerprint: str
    machine: str


@dataclasses.dataclass(frozen=True)
class RestoredSet:
    """The set that the drill restored.

    `sequence` is the number of its journal entry. `artifacts` is the number of its objects, `bytes` their size. If the manifest
    is not trusted, only the journal entry is known. Then the other fields are None, and the maker's fingerprint is empty.
    `recipients` is None if it is unknown.
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
    """One step of the drill. Without `started`, it began when the previous step ended."""

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
    """The input of a report.

    `freshness` is `fresh` or `unproven`. `journal_head` is the head that the drill accepted. `rollback` is the result of
    rollback_info, or None if it did not run. Identifiers are hashed with `salt`. `covered` is the time of the newest snapshot
    that a set or checkpoint covers.
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
        """The start of each step, in seconds from the start of the drill."""
        found, end = [], 0.0
        for step in self.steps:
            found.append(max(0.0, (step.started - self.started).total_seconds()) if step.started else end)
            end = found[-1] + step.seconds
        return found

    @property
    def rto_seconds(self) -> float | None:
        """An upper bound of the recovery time, including pauses between steps. None unless the copy passed all other checks."""
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
