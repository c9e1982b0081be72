# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Create signed evidence from the findings of a drill's steps."""

from __future__ import annotations

import dataclasses
import datetime
import io
import json
import os
import typing as t

from .._caracal.inventory import inventory, since_previous
from .._crypto import recipients as age
from .._crypto import strict_json
from .._crypto.recipients import Recipient
from .._crypto.sealing import Sealed, Sealer
from .._crypto.signing import Signer
from .._errors import OptionError
from .._evidence import access, drill_set, history, metrics
from .._evidence.access import Opened
from .._evidence.drill_set import DrilledSet
from .._report import document, junit, page, prometheus, summary
from .._report.budget import BudgetsResult
from .._report.check import PASS
from .._report.diagnosis import DiagnosisResult
from .._report.document import DrillReport, SeparationResult
from .._report.drill import Drill
from .._repository import entry as entries
from .._repository import journal as journals
from .._repository import layout
from .._repository.findings import Recorded
from .._storage.local import LocalStore
from . import drill_facts
from .drill_facts import Findings
from .drill_options import DrillOptions

# A text that is signed only to test the signing key.
PROBE = b"preflight of a report: this signature means nothing\n"


class ReportPlace(t.TypedDict):
    """The files of a drill's report."""

    files: list[str]
    html: str
    sha256: str


class _Reported(t.TypedDict):
    changed: bool
    drill_id: str
    set_id: str
    verdict: str
    counts: dict[str, int]
    diagnosis: list[DiagnosisResult]
    separation: SeparationResult
    freshness: str
    seconds: float
    rto_seconds: float | None
    rpo_seconds: float | None
    budgets: BudgetsResult
    report: ReportPlace
    countersigned: bool
    journal_head: str
    summary_lines: list[str]


class DrillReportResult(_Reported, total=False):
    """The report of a drill as the module returns it."""

    failed: bool
    msg: str


class ReportedDrill(DrillReportResult):
    """The report with the token of the drill."""

    drill: str


@dataclasses.dataclass(frozen=True)
class Case:
    """A drill, and everything that is needed to publish its report."""

    opened: Opened
    drilled: DrilledSet
    signer: Signer
    recipients: t.Sequence[Recipient]
    drill: Drill
    found: tuple[Recorded, ...]


@dataclasses.dataclass(frozen=True)
class Report:
    """A report. `files` are by key in the repository, in the order in which they are written. The signature is not among them."""

    document: DrillReport
    files: dict[str, bytes]

    @property
    def main(self) -> bytes:
        return self.files[layout.drill_report_key(self.document["drill_id"])]


def run(opened: Opened, given: DrillOptions, findings: Findings, *, check_mode: bool, warn: t.Callable[[str], None]) -> DrillReportResult:
    """Check the prerequisites, then write report files, signatures, journal entry, local copy and metrics. Check mode writes nothing."""
    case = _prepare(opened, given, findings, access.now())
    opened.store.check_writable(probe=not check_mode)
    opened.mark.check_writable()
    local = LocalStore(os.path.abspath(given.report.report_dir)) if given.report.report_dir else None
    if local:
        local.check_writable(probe=False)
    if given.metrics_file:
        prometheus.check_place(given.metrics_file)
    report = _report(case)
    if not check_mode:
        signature = _publish(case, report)
        if local:
            _copy(local, report, signature)
        if given.metrics_file:
            metrics.write(given.metrics_file, lambda: metrics.of_drill(report.document, opened.journal, case.drill.finished), warn)
    return _result(case, report, local, check_mode)


def _prepare(opened: Opened, given: DrillOptions, findings: Findings, now: datetime.datetime) -> Case:
    """Read settings, keys and the set, so that any error in them is raised before the first write."""
    if not given.signing_key:
        raise OptionError("signing_key is missing; set it to the key of drill@<deployment>")
    signer = Signer(given.signing_key, layout.principal(layout.DRILL, opened.repository.deployment))
    recipients = age.load(given.recipients.recipients, given.recipients.recipients_files)
    age.refuse_signing_key(recipients, signer.fingerprint)
    drilled = drill_set.read(opened, findings.set_id)
    drill = drill_facts.gather(given, findings, opened, drilled, signer, now)
    _try_key(opened, signer, drill)
    return Case(opened, drilled, signer, recipients, drill, _found_in_set(drill))


def _try_key(opened: Opened, signer: Signer, drill: Drill) -> None:
    """Sign a text without meaning for each purpose, and verify that readers would accept the signatures."""
    purposes = [layout.NAMESPACE_DRILL, layout.NAMESPACE_JOURNAL]
    for namespace in purposes + ([layout.NAMESPACE_SET] if drill.verdict == PASS else []):
        opened.verifier.verify(PROBE, signer.sign(PROBE, namespace), namespace, signer.principal, name="the trial signature of signing_key")


def _report(case: Case) -> Report:
    drill = case.drill
    details, sealed = _seal(document.details(drill), case.recipients)
    key = layout.drill_details_key(drill.id)
    found = document.build(drill, {"path": key, "size": sealed.size, "sha256": sealed.sha256})
    files = {
        key: details,
        layout.drill_report_key(drill.id): strict_json.dumps(found),
        layout.drill_html_key(drill.id): page.render(found).encode(),
        layout.drill_junit_key(drill.id): junit.render(found).encode(),
    }
    return Report(found, files)


def _seal(content: t.Mapping[str, object], recipients: t.Sequence[Recipient]) -> tuple[bytes, Sealed]:
    sink = io.BytesIO()
    sealer = Sealer(sink, recipients)
    try:
        sealer.write(json.dumps(content, sort_keys=True, indent=1).encode("ascii") + b"\n")
        sealed = sealer.finish()
    finally:
        sealer.close()
    return sink.getvalue(), sealed


def _publish(case: Case, report: Report) -> bytes:
    """Write all files and return the signature of the report. The journal entry is last, and makes the report valid."""
    store, drill, drilled = case.opened.store, case.drill, case.drilled
    for key, data in report.files.items():
        store.put(key, data)
    signature = case.signer.sign(report.main, layout.NAMESPACE_DRILL)
    store.put(layout.drill_report_signature_key(drill.id), signature)
    if drilled.open_set and _countersigns(case):
        countersignature = case.signer.sign(drilled.open_set.manifest_bytes, layout.NAMESPACE_SET)
        store.put(layout.countersignature_key(drilled.record.set_id, drill.id), countersignature)
    _record(case, report)
    return signature


def _countersigns(case: Case) -> bool:
    return case.drill.verdict == PASS and case.drilled.open_set is not None


def _record(case: Case, report: Report) -> None:
    """Write the journal entry. It contains the digest of every file, so that the page cannot be replaced either."""
    drill, record, found = case.drill, case.drilled.record, report.document
    subjects = [entries.subject(key, entries.sha256(data)) for key, data in report.files.items()]
    subjects.append(entries.subject(layout.manifest_key(record.set_id), record.manifest_sha256))
    body = {
        "drill": drill.id,
        "set": record.set_id,
        "verdict": found["verdict"],
        "counts": found["counts"],
        "waived": [waiver.check for waiver in drill.waivers],
        "seconds": found["seconds"],
        "separation": found["separation"]["verdict"],
    }
    opened = case.opened
    history.record(opened, case.signer, record.set_id, case.found)
    when = access.times()
    journals.append(opened.repository, opened.journal, case.signer, entries.DRILL, subjects, body, time=when, machine=access.machine())
    opened.mark.advance(opened.journal)


def _found_in_set(drill: Drill) -> tuple[Recorded, ...]:
    """Return the findings about the set.

    Findings about its audit rows count only if the restored rows match the set. Otherwise the restore may have caused them.
    The inventories of both sets show the losses since the previous set.
    """
    checks = {check.id: check for check in drill.checks}
    restored = checks.get(inventory.BLOCKS_CHECK)
    proved = restored is not None and restored.verdict == PASS
    return history.of_checks(check.to_result() for check in checks.values() if proved or check.id == since_previous.CHECK_ID)


def _copy(local: LocalStore, report: Report, signature: bytes) -> None:
    """Write the same files to a local directory of the drill."""
    signed = {layout.drill_report_signature_key(report.document["drill_id"]): signature}
    for key, data in {**report.files, **signed}.items():
        local.put(key.removeprefix(f"{layout.DRILLS}/"), data)


def _result(case: Case, report: Report, local: LocalStore | None, check_mode: bool) -> DrillReportResult:
    found, drill_id = report.document, case.drill.id
    page = layout.drill_html_key(drill_id)
    where = f"{local.location}/{page.removeprefix(layout.DRILLS + '/')}" if local else f"{case.opened.store.location}/{page}"
    result: DrillReportResult = {
        "changed": True,
        "drill_id": drill_id,
        "set_id": case.drill.restored.id,
        "verdict": found["verdict"],
        "counts": found["counts"],
        "diagnosis": found["diagnosis"],
        "separation": found["separation"],
        "freshness": found["freshness"],
        "seconds": found["seconds"],
        "rto_seconds": found["rto_seconds"],
        "rpo_seconds": found["rpo_seconds"],
        "budgets": found["budgets"],
        "report": {
            "files": [*report.files, layout.drill_report_signature_key(drill_id)],
            "html": where,
            "sha256": entries.sha256(report.main),
        },
        "countersigned": _countersigns(case) and not check_mode,
        "journal_head": case.opened.head,
        "summary_lines": summary.render(found, where),
    }
    if check_mode:
        result["summary_lines"][-1] += " (check mode: nothing was written or signed)"
    if found["verdict"] != PASS:
        check = document.deciding_check(found)
        why = f"{check['id']}: {check['message']}" if check else "no required check was run"
        result["failed"] = True
        result["msg"] = f"verdict {found['verdict']}: {why}"
    return result
