# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The metrics that jobs write for node_exporter.

Each metric belongs to one job, so the files of several jobs never contradict each other.
"""

from __future__ import annotations

import datetime
import typing as t

from .._ansible.boundary import Invocation
from .._errors import BackupError
from .._report import prometheus
from .._report.check import FAIL, PASS, UNPROVEN, VERDICTS, WARN, Check, VerdictResult
from .._report.prometheus import Sample
from .._repository import catalog, decisions, findings, selection
from .._repository import entry as entries
from .._repository.entry import Entry
from .._repository.journal import Journal
from .._repository.manifest import Manifest
from . import access
from .access import Opened

if t.TYPE_CHECKING:
    from .._repository.retention.plan import Plan

PREFIX = "caracal_backup"
# The prefix of a database name in a manifest's timings.
LOCK_WAIT = "lock_wait."

# All metrics, by name without the prefix. The monitoring guide has the same names.
MEANINGS = {
    "last_snapshot_timestamp_seconds": "When the oldest snapshot of the newest set was taken.",
    "last_commit_timestamp_seconds": "When the newest set was entered into the journal.",
    "last_size_bytes": "Encrypted size of the newest set, including shared objects.",
    "last_artifacts": "Number of artifacts of the newest set, including shared objects.",
    "longest_lock_wait_seconds": "Longest observed wait of another session for a lock of the newest backup.",
    "findings": "Findings about audit rows in the journal, by state (open or acknowledged).",
    "sets": "Number of sets in the repository.",
    "repository_free_bytes": "Free space of a repository in a directory.",
    "identity_proved_timestamp_seconds": "When the identity of each recipient of the newest set was last tested, or 0 if it never was.",
    "journal_entries": "Number of the newest entry of the journal.",
    "journal_head_info": "Number of the newest entry and first digits of its SHA-256, to detect a rolled-back repository.",
    "checkpoint_finished_timestamp_seconds": "When the newest scan of new audit rows ended.",
    "checkpoint_duration_seconds": "Duration of the newest scan of new audit rows.",
    "checkpoint_verdict": "1 for the verdict of the newest scan on the audit rows that the journal already covers.",
    "checkpoint_rows": "Number of new audit rows in the newest scan.",
    "archive_finished_timestamp_seconds": "When the newest run of the archive ended.",
    "archive_duration_seconds": "Duration of the newest run of the archive.",
    "archive_last_hour_timestamp_seconds": "When the newest archived hour ended.",
    "archive_exports": "Number of hours in the archive.",
    "archive_copied_exports": "Number of hours that the newest run copied.",
    "archive_faults": "Number of archived hours with a fault.",
    "drill_verdict": "1 for the verdict of the newest drill.",
    "drill_finished_timestamp_seconds": "When the newest drill ended.",
    "drill_passed_timestamp_seconds": "When the newest drill that passed was entered into the journal.",
    "drill_duration_seconds": "How long the newest drill took.",
    "drill_recovery_time_seconds": "Upper bound of the recovery time that the newest drill measured.",
    "drill_recovery_point_seconds": "Age of the snapshot when the newest drill began.",
    "drill_set_age_seconds": "Age of the snapshot when the newest drill ended.",
    "drill_rto_budget_seconds": "Budget of the recovery time.",
    "drill_rpo_budget_seconds": "Budget of the recovery point.",
    "drill_diagnosis_info": "1 for each cause that the newest drill found.",
    "drill_checks": "Number of checks in the newest drill, by verdict.",
    "drill_journal_head_info": "Number of the drill's entry and first digits of its SHA-256, to detect a rolled-back repository.",
    "retention_verdict": "1 for the verdict of the newest retention verification.",
    "retention_finished_timestamp_seconds": "When the newest retention verification ended.",
    "retention_checks": "Number of checks in the newest retention verification, by verdict.",
    "retention_set_age_seconds": "Age of the newest set's oldest snapshot.",
    "retention_drill_age_seconds": "How long ago the last drill passed.",
    "retention_archive_age_seconds": "How long ago the last archived hour ended.",
    "retention_export_age_seconds": "How long ago the last exported hour ended.",
    "retention_pending_oldest_seconds": "Age of the oldest Redis stream entry without an acknowledgement.",
    "verification_verdict": "1 for the verdict of the newest verification of the repository.",
    "verification_finished_timestamp_seconds": "When the newest verification of the repository ended.",
    "verification_checks": "Number of checks in the newest verification, by verdict.",
    "verification_read_bytes": "Bytes of objects that the newest verification read.",
    "verification_failed_sets": "Number of sets with a fault.",
    "prune_finished_timestamp_seconds": "When the newest prune ended.",
    "prune_stopped": "1 if a safety check stopped the newest prune, so it deleted nothing.",
    "prune_pruned_sets": "Number of sets that the newest prune removed.",
    "prune_kept_sets": "Number of sets that the newest prune kept.",
    "prune_freed_bytes": "Bytes that the newest prune freed.",
    "prune_locked_objects": "Number of objects that the store still protects from deletion.",
    "copy_finished_timestamp_seconds": "When the newest copy of the repository ended.",
    "copy_copied_objects": "Number of objects that the newest copy run copied.",
    "copy_copied_bytes": "Bytes that the newest copy run copied.",
    "copy_kept_objects": "Number of objects that the copy already contained.",
    "copy_faults": "Number of objects that could not be copied.",
}


class MeasuredVerification(VerdictResult):
    """The fields of a verification's result that its metrics use."""

    bytes: int
    failed_sets: list[str]


class MeasuredCopy(t.TypedDict):
    """The fields of a copy's result that its metrics use."""

    copied: int
    kept: int
    bytes: int
    faults: list[str]


def of_set(opened: Opened, manifest: Manifest, entry: Entry) -> list[Sample]:
    """Return the metrics of the newest set. Its recovery point is the oldest snapshot of its databases, as in the report of a drill."""
    made = _Table(manifest.deployment)
    made.add("last_snapshot_timestamp_seconds", catalog.recovery_point(manifest, entry).timestamp())
    made.add("last_commit_timestamp_seconds", entry.judged.timestamp())
    made.add("last_size_bytes", manifest.size)
    made.add("last_artifacts", len(manifest.artifacts))
    waits = [seconds for name, seconds in manifest.timings.items() if name.startswith(LOCK_WAIT)]
    if waits:
        made.add("longest_lock_wait_seconds", max(waits))
    standing = [one for one in findings.standing(opened.journal, access.now()) if one.finding.lasts]
    acknowledged = sum(one.acknowledged is not None for one in standing)
    made.add("findings", len(standing) - acknowledged, state="open")
    made.add("findings", acknowledged, state="acknowledged")
    made.add("sets", len(opened.catalog.sets()))
    free = opened.store.free_bytes()
    if free is not None:
        made.add("repository_free_bytes", free)
    proofs = decisions.escrows(opened.journal.of_kind(entries.ESCROW))
    for one in sorted({recipient for artifact in manifest.artifacts for recipient in artifact.recipients}):
        when = proofs[one].judged.timestamp() if one in proofs else 0
        made.add("identity_proved_timestamp_seconds", when, recipient=one)
    made.add("journal_entries", opened.journal.head.sequence)
    made.add("journal_head_info", 1, head=opened.head)
    return made.samples


def of_checkpoint(deployment: str, verdict: str, seconds: float, rows: int, finished: datetime.datetime) -> list[Sample]:
    """Return the metrics of a scan of new audit rows. A scan without new rows counts too, although the journal has no entry for it."""
    made = _Table(deployment)
    made.add("checkpoint_finished_timestamp_seconds", finished.timestamp())
    made.add("checkpoint_duration_seconds", seconds)
    made.add_verdict("checkpoint_verdict", verdict, (PASS, WARN, FAIL, UNPROVEN))
    made.add("checkpoint_rows", rows)
    return made.samples


def of_archive(
    deployment: str, seconds: float, copied: int, hours: t.Collection[int], faults: int, finished: datetime.datetime
) -> list[Sample]:
    """Return the metrics of a run of the archive.

    `copied` is the number of hours that it copied. `hours` are all hours in the archive, as numbers since 1970.
    """
    made = _Table(deployment)
    made.add("archive_finished_timestamp_seconds", finished.timestamp())
    made.add("archive_duration_seconds", seconds)
    if hours:
        # Not a datetime, since a user with write access to the source can create an hour of the year 9999.
        made.add("archive_last_hour_timestamp_seconds", 3600 * (max(hours) + 1))
    made.add("archive_exports", len(hours))
    made.add("archive_copied_exports", copied)
    made.add("archive_faults", faults)
    return made.samples


def of_drill(report: t.Mapping[str, t.Any], journal: Journal, finished: datetime.datetime) -> list[Sample]:
    """Return the metrics of a drill from its report and from the journal with its entry."""
    made = _Table(report["deployment"])
    made.add_verdict("drill_verdict", report["verdict"], (PASS, FAIL, UNPROVEN))
    made.add("drill_finished_timestamp_seconds", finished.timestamp())
    newest_first = (selection.drills([one])[0] for one in reversed(journal.of_kind(entries.DRILL)))
    passed = next((one for one in newest_first if one.verdict == PASS), None)
    if passed:
        made.add("drill_passed_timestamp_seconds", passed.entry.judged.timestamp())
    made.add("drill_duration_seconds", report["seconds"])
    if report["rto_seconds"] is not None:
        made.add("drill_recovery_time_seconds", report["rto_seconds"])
    if report["rpo_seconds"] is not None:
        made.add("drill_recovery_point_seconds", report["rpo_seconds"])
        made.add("drill_set_age_seconds", report["set"]["age_seconds"])
    for name in ("rto", "rpo"):
        if report["budgets"][f"{name}_seconds"] is not None:
            made.add(f"drill_{name}_budget_seconds", report["budgets"][f"{name}_seconds"])
    for one in report["diagnosis"]:
        made.add("drill_diagnosis_info", 1, cause=one["id"])
    for verdict in VERDICTS:
        made.add("drill_checks", report["counts"][verdict], verdict=verdict)
    made.add("drill_journal_head_info", 1, head=str(journal.head))
    return made.samples


# Check ID → the metric's name, and the field of the check's details with its value.
_RETENTION = {
    "retention.backups.newest": ("retention_set_age_seconds", "age_seconds"),
    "retention.backups.drill": ("retention_drill_age_seconds", "age_seconds"),
    "retention.backups.archive": ("retention_archive_age_seconds", "age_seconds"),
    "retention.audit.exports_current": ("retention_export_age_seconds", "age_seconds"),
    "retention.streams.pending": ("retention_pending_oldest_seconds", "oldest_seconds"),
}


def of_retention(deployment: str, verdict: str, checks: t.Sequence[Check], finished: datetime.datetime) -> list[Sample]:
    """Return the metrics of a retention verification. A value that was not measured has no sample, since a dashboard would show zero."""
    made = _Table(deployment)
    made.add_verdict("retention_verdict", verdict, (PASS, FAIL, UNPROVEN))
    made.add("retention_finished_timestamp_seconds", finished.timestamp())
    made.add_checks("retention_checks", [check.verdict for check in checks])
    for check in checks:
        name, field = _RETENTION.get(check.id, ("", ""))
        if field in check.details:
            made.add(name, check.details[field])
    return made.samples


def of_verification(deployment: str, result: MeasuredVerification, finished: datetime.datetime) -> list[Sample]:
    """Return the metrics of a repository verification."""
    made = _Table(deployment)
    made.add_verdict("verification_verdict", result["verdict"], (PASS, FAIL, UNPROVEN))
    made.add("verification_finished_timestamp_seconds", finished.timestamp())
    made.add_checks("verification_checks", [check["verdict"] for check in result["checks"]])
    made.add("verification_read_bytes", result["bytes"])
    made.add("verification_failed_sets", len(result["failed_sets"]))
    return made.samples


def of_prune(deployment: str, plan: Plan, finished: datetime.datetime) -> list[Sample]:
    """Return the metrics of a prune from its plan. A stopped prune has freed nothing."""
    made = _Table(deployment)
    made.add("prune_finished_timestamp_seconds", finished.timestamp())
    made.add("prune_stopped", int(bool(plan.stopped)))
    made.add("prune_pruned_sets", len(plan.ends))
    made.add("prune_kept_sets", len(plan.decisions) - len(plan.ends))
    made.add("prune_freed_bytes", plan.bytes)
    made.add("prune_locked_objects", len(plan.retained))
    return made.samples


def of_copy(deployment: str, result: MeasuredCopy, finished: datetime.datetime) -> list[Sample]:
    """Return the metrics of a repository copy."""
    made = _Table(deployment)
    made.add("copy_finished_timestamp_seconds", finished.timestamp())
    made.add("copy_copied_objects", result["copied"])
    made.add("copy_copied_bytes", result["bytes"])
    made.add("copy_kept_objects", result["kept"])
    made.add("copy_faults", len(result["faults"]))
    return made.samples


class _Table:
    """Samples of one deployment. All are gauges."""

    def __init__(self, deployment: str) -> None:
        self._deployment = deployment
        self.samples: list[Sample] = []

    def add(self, name: str, value: float, **labels: str) -> None:
        self.samples.append(Sample(f"{PREFIX}_{name}", MEANINGS[name], "gauge", {"deployment": self._deployment, **labels}, value))

    def add_verdict(self, name: str, found: str, possible: t.Sequence[str]) -> None:
        """Add 1 for the verdict that was found and 0 for the others, so that no series ends."""
        for one in possible:
            self.add(name, int(found == one), verdict=one)

    def add_checks(self, name: str, found: t.Sequence[str]) -> None:
        for one in VERDICTS:
            self.add(name, found.count(one), verdict=one)


def look(path: str, warn: t.Callable[[str], None]) -> None:
    """Warn about an unusable path as `write` does, without writing."""
    try:
        prometheus.check_place(path)
    except BackupError as exc:
        warn(exc.msg)


def write(path: str, measure: t.Callable[[], t.Iterable[Sample]], warn: t.Callable[[str], None]) -> None:
    """Write metrics. An error is only a warning, since the job itself succeeded. Monitoring notices that the metrics are old."""
    try:
        prometheus.write(path, prometheus.render(measure()))
    except BackupError as exc:
        warn(exc.msg)


def leave(path: str | None, invocation: Invocation[t.Any], measure: t.Callable[[], t.Iterable[Sample]]) -> None:
    """Write the metrics from `measure` if the option is set. In check mode, only check the path."""
    if path and invocation.check_mode:
        look(path, invocation.warn)
    elif path:
        write(path, measure, invocation.warn)
