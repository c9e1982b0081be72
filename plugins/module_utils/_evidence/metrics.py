# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Which metrics a backup, a drill and a look at retention leave for node_exporter."""

from __future__ import annotations

import datetime
import typing as t

from .._ansible.argspec import ArgumentSpec
from .._errors import BackupError
from .._report import prometheus
from .._report.check import FAIL, PASS, UNPROVEN, VERDICTS, Check
from .._report.prometheus import Sample
from .._repository import catalog
from .._repository.entry import Entry
from .._repository.journal import Head
from .._repository.manifest import Manifest

PREFIX = "caracal_backup"
# In a manifest's timings, before the name of a database.
LOCK_WAIT = "lock_wait."


def own_options() -> ArgumentSpec:
    return ArgumentSpec({"metrics_file": {"type": "path"}})


def of_set(manifest: Manifest, entry: Entry, head: Head) -> list[Sample]:
    """The newest set. Its recovery point is the database whose snapshot is oldest, as in the report of a drill."""
    made = _Table(manifest.deployment)
    snapshot = catalog.recovery_point(manifest, entry).timestamp()
    made.add("last_snapshot_timestamp_seconds", "When the oldest snapshot of the newest set was taken.", snapshot)
    made.add("last_commit_timestamp_seconds", "When the newest set was entered into the journal.", entry.judged.timestamp())
    made.add("last_size_bytes", "Sealed size of the newest set, shared objects included.", manifest.size)
    made.add("last_artifacts", "Artifacts and objects of the newest set.", len(manifest.artifacts))
    waits = [seconds for name, seconds in manifest.timings.items() if name.startswith(LOCK_WAIT)]
    if waits:
        made.add("longest_lock_wait_seconds", "Longest that another session was seen waiting for the newest backup.", max(waits))
    made.add("journal_entries", "Number of the newest entry of the journal.", head.sequence)
    made.add("journal_head_info", "Number and first digits of the newest entry, against a rolled-back repository.", 1, head=str(head))
    return made.samples


def of_drill(report: t.Mapping[str, t.Any], head: str, finished: datetime.datetime) -> list[Sample]:
    """A drill, from the document of its report."""
    made = _Table(report["deployment"])
    for verdict in (PASS, FAIL, UNPROVEN):
        made.add("drill_verdict", "1 at the verdict of the newest drill.", int(report["verdict"] == verdict), verdict=verdict)
    made.add("drill_finished_timestamp_seconds", "When the newest drill ended.", finished.timestamp())
    made.add("drill_duration_seconds", "How long the newest drill took.", report["seconds"])
    if report["rto_seconds"] is not None:
        made.add("drill_recovery_time_seconds", "Upper bound of the recovery time that the newest drill measured.", report["rto_seconds"])
    if report["rpo_seconds"] is not None:
        made.add("drill_recovery_point_seconds", "Age of the snapshot when the newest drill began.", report["rpo_seconds"])
        made.add("drill_set_age_seconds", "Age of the snapshot when the newest drill ended.", report["set"]["age_seconds"])
    for name, words in (("rto", "recovery time"), ("rpo", "recovery point")):
        if report["budgets"][f"{name}_seconds"] is not None:
            made.add(f"drill_{name}_budget_seconds", f"Budget of the {words}.", report["budgets"][f"{name}_seconds"])
    for one in report["diagnosis"]:
        made.add("drill_diagnosis_info", "1 for each cause that the newest drill found.", 1, cause=one["id"])
    for verdict in VERDICTS:
        made.add("drill_checks", "Checks of the newest drill by verdict.", report["counts"][verdict], verdict=verdict)
    made.add("drill_journal_head_info", "Number and first digits of the drill's entry, against a rolled-back repository.", 1, head=head)
    return made.samples


# Of the details of a check: the metric's name, the field that it shows, and what it says.
_RETENTION = {
    "retention.backups.newest": ("set_age_seconds", "age_seconds", "Age of the newest set's oldest snapshot."),
    "retention.backups.drill": ("drill_age_seconds", "age_seconds", "How long ago the last drill passed."),
    "retention.backups.archive": ("archive_age_seconds", "age_seconds", "How long ago the last archived hour ended."),
    "retention.audit.exports_current": ("export_age_seconds", "age_seconds", "How long ago the last exported hour ended."),
    "retention.streams.pending": ("pending_oldest_seconds", "oldest_seconds", "Age of the oldest entry without acknowledgement."),
}


def of_retention(deployment: str, verdict: str, checks: t.Sequence[Check], finished: datetime.datetime) -> list[Sample]:
    """A look at retention. A number that was not measured has no sample: a dashboard must not draw it as zero."""
    made = _Table(deployment)
    for one in (PASS, FAIL, UNPROVEN):
        made.add("retention_verdict", "1 at the verdict of the newest look at retention.", int(verdict == one), verdict=one)
    made.add("retention_finished_timestamp_seconds", "When that was.", finished.timestamp())
    for one in VERDICTS:
        number = sum(check.verdict == one for check in checks)
        made.add("retention_checks", "Checks of the newest look at retention by verdict.", number, verdict=one)
    for check in checks:
        name, field, words = _RETENTION.get(check.id, ("", "", ""))
        if field in check.details:
            made.add(f"retention_{name}", words, check.details[field])
    return made.samples


class _Table:
    """Samples of one deployment, each a gauge."""

    def __init__(self, deployment: str) -> None:
        self._deployment = deployment
        self.samples: list[Sample] = []

    def add(self, name: str, words: str, value: float, **labels: str) -> None:
        self.samples.append(Sample(f"{PREFIX}_{name}", words, "gauge", {"deployment": self._deployment, **labels}, value))


def look(path: str, warn: t.Callable[[str], None]) -> None:
    """What `write` would warn of, without writing."""
    try:
        prometheus.check_place(path)
    except BackupError as exc:
        warn(exc.msg)


def write(path: str, samples: t.Iterable[Sample], warn: t.Callable[[str], None]) -> None:
    """What was done stands whatever becomes of its metrics, so an error is a warning: somebody will see that they grow old."""
    try:
        prometheus.write(path, prometheus.render(samples))
    except BackupError as exc:
        warn(exc.msg)
