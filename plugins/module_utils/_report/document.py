# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a drill as data, format 1. The pages and the summary are rendered from it and add no information.

Every field is always present. Null means unknown. Times are UTC, durations seconds, sizes bytes.
"""

from __future__ import annotations

import collections
import typing as t

from . import extent
from .budget import BudgetsResult
from .check import FAIL, PASS, UNPROVEN, VERDICTS, WARN, Check
from .diagnosis import Diagnosis, DiagnosisResult
from .drill import Drill, RecipientsResult, StepResult, Who
from .extent import Control, CoverageResult, RollbackCategory
from .redaction import Redactor
from .text import clean, utc
from .waiver import WaiverResult

FORMAT = 1
TYPE = "drill-report"
DETAILS_TYPE = "drill-details"


class ReportedCheck(t.TypedDict):
    """A check as reports contain it."""

    id: str
    verdict: str
    message: str
    required: bool
    waived: bool


class Report(t.TypedDict):
    """Fields that the reports of a drill and of retention share."""

    format: int
    type: str
    deployment: str
    repository: str
    verdict: str
    journal_head: str
    freshness: str
    started: str
    finished: str
    seconds: float
    machine: str
    counts: dict[str, int]
    waivers: list[WaiverResult]


class ReportedSet(t.TypedDict):
    """The set that a drill restored."""

    id: str
    sequence: int
    release: str | None
    family: str | None
    snapshot_time: str | None
    age_seconds: float | None
    artifacts: int | None
    bytes: int | None


class ReportedSandbox(t.TypedDict):
    """The sandbox in the report."""

    isolation: str | None
    protection: str | None
    server_version: str | None


class SeparationResult(t.TypedDict):
    """The result whether another machine and key created the set."""

    verdict: str
    message: str


class SealedDetails(t.TypedDict):
    """The location of the encrypted details."""

    path: str
    size: int
    sha256: str


@t.final
class DrillReport(Report):
    """The report of a drill."""

    drill_id: str
    checks: list[ReportedCheck]
    diagnosis: list[DiagnosisResult]
    set: ReportedSet
    rto_seconds: float | None
    rpo_seconds: float | None
    budgets: BudgetsResult
    principal: str
    tools: dict[str, str | None]
    sandbox: ReportedSandbox
    separation: SeparationResult
    recipients: list[RecipientsResult] | None
    steps: list[StepResult]
    coverage: CoverageResult
    rolls_back: list[RollbackCategory] | None
    controls: list[Control]
    details: SealedDetails | None


class DetailedCheck(t.TypedDict):
    """A check as the encrypted details contain it."""

    id: str
    verdict: str
    message: str
    details: t.Mapping[str, object]


class DrillDetails(t.TypedDict):
    """The details of a drill, before they are encrypted."""

    format: int
    type: str
    drill_id: str
    set_id: str
    sandbox: dict[str, object]
    salt: str
    identifiers: dict[str, str]
    checks: list[DetailedCheck]


def build(drill: Drill, sealed_details: SealedDetails | None = None) -> DrillReport:
    """Return the report without the details of checks. `sealed_details` {path, size, sha256} is the location of the encrypted details."""
    restored, redactor = drill.restored, Redactor(drill.salt)
    return {
        "format": FORMAT,
        "type": TYPE,
        "drill_id": drill.id,
        "deployment": drill.deployment,
        "repository": drill.repository,
        "verdict": drill.verdict,
        "diagnosis": [_redacted(one, redactor) for one in drill.diagnosis],
        "set": _set(drill),
        "journal_head": drill.journal_head,
        "started": utc(drill.started),
        "finished": utc(drill.finished),
        "seconds": round(drill.seconds, 3),
        "rto_seconds": drill.rto_seconds,
        "rpo_seconds": drill.rpo_seconds,
        "budgets": drill.budgets.to_result(),
        "machine": drill.signer.machine,
        "principal": drill.signer.principal,
        "tools": dict(drill.tools),
        "sandbox": _sandbox(drill.sandbox),
        "separation": separation(restored.maker, drill.signer),
        "freshness": drill.freshness,
        "recipients": None if restored.recipients is None else list(restored.recipients),
        "steps": [step.to_result(start) for step, start in zip(drill.steps, drill.starts, strict=True)],
        "checks": _checks(drill, redactor),
        "counts": _counts(drill.checks),
        "waivers": [waived.to_result() for waived in drill.waivers],
        "coverage": extent.coverage(drill.checks, restored.assets, restored.left_out, redactor),
        "rolls_back": extent.rolls_back(drill.rollback, redactor),
        "controls": extent.controls(),
        "details": sealed_details or None,
    }


def _sandbox(found: t.Mapping[str, object]) -> ReportedSandbox:
    return {
        "isolation": _known(found.get("isolation")),
        "protection": _known(found.get("protection")),
        "server_version": _known(found.get("server_version")),
    }


def _set(drill: Drill) -> ReportedSet:
    restored = drill.restored
    when = restored.snapshot_time
    return {
        "id": restored.id,
        "sequence": restored.sequence,
        "release": restored.release,
        "family": restored.family,
        "snapshot_time": utc(when) if when else None,
        "age_seconds": round((drill.finished - when).total_seconds(), 3) if when else None,
        "artifacts": restored.artifacts,
        "bytes": restored.bytes,
    }


def details(drill: Drill) -> DrillDetails:
    """Return the full results of checks and the whole sandbox.

    They must be encrypted, since they can contain identifiers and activity of customers.
    """
    redactor = Redactor(drill.salt)
    for text in (*(check.message for check in drill.checks), *(str(item) for one in drill.rollback or () for item in one["examples"])):
        redactor.text(text)
    return {
        "format": FORMAT,
        "type": DETAILS_TYPE,
        "drill_id": drill.id,
        "set_id": drill.restored.id,
        "sandbox": dict(drill.sandbox),
        "salt": drill.salt.hex(),
        "identifiers": redactor.known,
        "checks": [{"id": one.id, "verdict": one.verdict, "message": one.message, "details": one.details} for one in drill.checks],
    }


def separation(maker: Who, signer: Who) -> SeparationResult:
    """Return `warn` if the creator of the set also evaluated it, since one compromised host could then do both.

    The verdict is `unproven` if the signer of the set is unknown.
    """
    shared = []
    if maker.fingerprint == signer.fingerprint:
        shared.append("the report is signed with the set's signing key")
    if maker.machine == signer.machine:
        shared.append(f"the drill ran on {signer.machine}, which created the set")
    if shared:
        return {"verdict": WARN, "message": f"{' and '.join(shared)}; drill on a separate host with a separate key"}
    if not maker.fingerprint:
        return {"verdict": UNPROVEN, "message": f"set created on {maker.machine} by {maker.principal}, but its signature cannot be read"}
    return {"verdict": PASS, "message": f"set created on {maker.machine} by {maker.principal}, drilled on another host with another key"}


def deciding_check(document: DrillReport) -> ReportedCheck | None:
    """Return the first check that prevented the verdict `pass`, or None if the verdict is `pass` or there are no checks."""
    verdict = document["verdict"]
    deciding = (check for check in document["checks"] if check["required"] and not check["waived"] and check["verdict"] == verdict)
    return next(deciding, None) if verdict in (FAIL, UNPROVEN) else None


def attention(checks: t.Iterable[ReportedCheck]) -> list[ReportedCheck]:
    """Return checks that need attention, the worst verdict first. Within a verdict, required checks come first."""
    worst = (FAIL, UNPROVEN, WARN)
    found = (check for check in checks if check["verdict"] in worst)
    return sorted(found, key=lambda check: (worst.index(check["verdict"]), not check["required"]))


def _known(value: object) -> str | None:
    return None if value is None or value == "" else clean(str(value))


def _redacted(found: Diagnosis, redactor: Redactor) -> DiagnosisResult:
    return {**found.to_result(), "cause": redactor.text(found.cause), "remedy": redactor.text(found.remedy)}


def _checks(drill: Drill, redactor: Redactor) -> list[ReportedCheck]:
    waived = {entry.check for entry in drill.waivers}
    return [
        {
            "id": check.id,
            "verdict": check.verdict,
            "message": redactor.text(check.message),
            "required": check.required,
            "waived": check.id in waived,
        }
        for check in drill.checks
    ]


def _counts(checks: t.Iterable[Check]) -> dict[str, int]:
    found = collections.Counter(check.verdict for check in checks)
    return {verdict: found[verdict] for verdict in VERDICTS}
