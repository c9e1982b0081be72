# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The report of a drill as data, format 1. The pages and the summary are drawn from it and add nothing.

Every field is always there; null says that it is not known. Times are UTC, durations seconds, sizes bytes.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime
import typing as t

from . import waiver
from .check import FAIL, PASS, UNPROVEN, VERDICTS, WARN, Check, overall
from .text import clean, utc
from .waiver import Waiver

FORMAT = 1
TYPE = "drill-report"
DETAILS_TYPE = "drill-details"
SANDBOX_FIELDS = ("isolation", "protection", "server_version")
# The step from which recovery time counts, and all after it.
RESTORE = "restore"


@dataclasses.dataclass(frozen=True)
class Who:
    """Who signed, with which key (`SHA256:…`), and on which machine."""

    principal: str
    fingerprint: str
    machine: str


@dataclasses.dataclass(frozen=True)
class RestoredSet:
    """What the drill restored. `sequence` is the number of its journal entry, `artifacts` counts its objects, `bytes` is their size."""

    id: str
    sequence: int
    release: str | None
    family: str | None
    snapshot_time: datetime.datetime
    artifacts: int
    bytes: int
    maker: Who


@dataclasses.dataclass(frozen=True)
class Step:
    """One step of the drill, in the order in which they ran."""

    name: str
    seconds: float
    bytes: int | None = None

    def to_result(self) -> dict[str, t.Any]:
        rate = round(self.bytes / self.seconds / 1e6, 1) if self.bytes is not None and self.seconds > 0 else None
        return {"name": self.name, "seconds": round(self.seconds, 3), "bytes": self.bytes, "mb_per_second": rate}


@dataclasses.dataclass(frozen=True)
class Drill:
    """All that a report is made of. `freshness` is `fresh` or `unproven`, `journal_head` the head that the drill believed."""

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
    sandbox: t.Mapping[str, t.Any]
    steps: t.Sequence[Step]
    checks: t.Sequence[Check]
    waivers: t.Sequence[Waiver] = ()

    @property
    def verdict(self) -> str:
        return overall(waiver.apply(self.checks, self.waivers))

    @property
    def seconds(self) -> float:
        return (self.finished - self.started).total_seconds()


def build(drill: Drill, sealed_details: t.Mapping[str, t.Any] | None = None) -> dict[str, t.Any]:
    """The report. Details of checks are not in it; `sealed_details` {path, size, sha256} says where they lie sealed."""
    restored = drill.restored
    return {
        "format": FORMAT,
        "type": TYPE,
        "drill_id": drill.id,
        "deployment": drill.deployment,
        "repository": drill.repository,
        "verdict": drill.verdict,
        "set": {
            "id": restored.id,
            "sequence": restored.sequence,
            "release": restored.release,
            "family": restored.family,
            "snapshot_time": utc(restored.snapshot_time),
            "age_seconds": round((drill.finished - restored.snapshot_time).total_seconds(), 3),
            "artifacts": restored.artifacts,
            "bytes": restored.bytes,
        },
        "journal_head": drill.journal_head,
        "started": utc(drill.started),
        "finished": utc(drill.finished),
        "seconds": round(drill.seconds, 3),
        "rto_seconds": _recovery_seconds(drill) if drill.verdict == PASS else None,
        "rpo_seconds": round((drill.started - restored.snapshot_time).total_seconds(), 3),
        "machine": drill.signer.machine,
        "principal": drill.signer.principal,
        "tools": dict(drill.tools),
        "sandbox": {name: _known(drill.sandbox.get(name)) for name in SANDBOX_FIELDS},
        "separation": separation(restored.maker, drill.signer),
        "freshness": drill.freshness,
        "steps": [step.to_result() for step in drill.steps],
        "checks": _checks(drill),
        "counts": _counts(drill.checks),
        "waivers": [waived.to_result() for waived in drill.waivers],
        "details": dict(sealed_details) if sealed_details else None,
    }


def details(drill: Drill) -> dict[str, t.Any]:
    """What checks found, word for word, and the whole sandbox. To be sealed: it may say how much a customer does."""
    return {
        "format": FORMAT,
        "type": DETAILS_TYPE,
        "drill_id": drill.id,
        "set_id": drill.restored.id,
        "sandbox": dict(drill.sandbox),
        "checks": [{"id": check.id, "verdict": check.verdict, "details": check.details} for check in drill.checks],
    }


def separation(maker: Who, signer: Who) -> dict[str, str]:
    """`warn` when who made the set also judged it: then one stolen host could do both."""
    shared = []
    if maker.fingerprint == signer.fingerprint:
        shared.append("signed by the set's own signer")
    if maker.machine == signer.machine:
        shared.append(f"run on {signer.machine}, the machine that made the set")
    if shared:
        return {"verdict": WARN, "message": f"{' and '.join(shared)}; drill on a machine and with a key of their own"}
    return {"verdict": PASS, "message": f"set made on {maker.machine} by {maker.principal}, drilled elsewhere with another key"}


def deciding_check(document: t.Mapping[str, t.Any]) -> dict[str, t.Any] | None:
    """The first check that kept the verdict from being `pass`; None if it is, or if nothing was checked at all."""
    verdict = document["verdict"]
    deciding = (check for check in document["checks"] if check["required"] and not check["waived"] and check["verdict"] == verdict)
    return next(deciding, None) if verdict in (FAIL, UNPROVEN) else None


def attention(document: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    """Checks that a reader must look at, the worst first."""
    return [check for verdict in (FAIL, UNPROVEN, WARN) for check in document["checks"] if check["verdict"] == verdict]


def _known(value: t.Any) -> str | None:
    return None if value is None or value == "" else clean(str(value))


def _checks(drill: Drill) -> list[dict[str, t.Any]]:
    waived = {entry.check for entry in drill.waivers}
    return [
        {"id": check.id, "verdict": check.verdict, "message": check.message, "required": check.required, "waived": check.id in waived}
        for check in drill.checks
    ]


def _counts(checks: t.Iterable[Check]) -> dict[str, int]:
    found = collections.Counter(check.verdict for check in checks)
    return {verdict: found[verdict] for verdict in VERDICTS}


def _recovery_seconds(drill: Drill) -> float | None:
    """From the start of the restore to the end. What ran between the steps counts too, so it is rather too much than too little."""
    before = 0.0
    for step in drill.steps:
        if step.name.startswith(RESTORE):
            return round(max(0.0, drill.seconds - before), 3)
        before += step.seconds
    return None
