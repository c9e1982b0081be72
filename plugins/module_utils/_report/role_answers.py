# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Types for `roles`: the fields that it reads from the results of a role's modules, and its own results."""

from __future__ import annotations

import typing as t

from .check import CheckResult
from .extent import RollbackCategory


class Verified(t.TypedDict):
    """Result of a module with a verdict."""

    verdict: str
    checks: list[CheckResult]


class MaybeVerified(t.TypedDict, total=False):
    """The same for a module that may not have run."""

    verdict: str
    checks: list[CheckResult]


class Summarized(t.TypedDict, total=False):
    """Result of a module with a line for the console."""

    summary: str


class FoundAnswers(t.TypedDict, total=False):
    """Results of the tasks before the role's own work."""

    located: Summarized
    programs: Summarized


class NamedDatabase(t.TypedDict):
    """A database, by name."""

    database: str


class Timestamp(t.TypedDict, total=False):
    """The answer of a timestamp authority."""

    verdict: str
    message: str


class BackupPreflight(t.TypedDict):
    """Result of a backup's preflight."""

    set_id: str
    databases: list[NamedDatabase]
    secrets: t.Mapping[str, object]
    replay: list[t.Mapping[str, object]]
    redis: list[object]


class Dumped(MaybeVerified, total=False):
    """Result of the dump."""

    partitions: list[t.Mapping[str, str]]
    bytes: int
    seconds: float


class Committed(MaybeVerified, total=False):
    """Result of the commit."""

    artifacts: int
    bytes: int


class SecretsAnswer(t.TypedDict, total=False):
    """Result of reading or writing secrets."""

    key_ids: t.Mapping[str, object]


class StreamsAnswer(t.TypedDict, total=False):
    """Result of reading Redis streams."""

    streams: list[object]


class BackupAnswers(FoundAnswers):
    """Results for the role that runs backups."""

    deployment: str
    looked: BackupPreflight
    dumped: Dumped
    committed: Committed
    verified: MaybeVerified
    secrets: SecretsAnswer
    replay: object
    redis: StreamsAnswer
    archived: t.Mapping[str, object]
    left_out: t.Mapping[str, str]
    timestamp: Timestamp
    timestamp_url: str
    seen_elsewhere: list[t.Mapping[str, object]]
    assets: list[str]
    with_images: bool


class BackupResult(t.TypedDict):
    """Result of the role that runs backups."""

    set_id: str
    committed: bool
    databases: list[NamedDatabase]
    secrets: t.Mapping[str, object]
    pairing: object
    replay: object
    redis: list[object]
    images: list[object]
    left_out: t.Mapping[str, str]
    artifacts: int
    bytes: int
    bytes_written: int
    seconds: float
    mb_per_second: float
    journal_head: str
    checks: list[CheckResult]
    timestamp: Timestamp


class SnapshotFacts(t.TypedDict):
    """The facts of a set that the role needs."""

    snapshot_time: str


class RestorePreflight(t.TypedDict):
    """Result of a restore's preflight."""

    set_id: str
    set_facts: SnapshotFacts
    checks: list[CheckResult]
    secrets: t.Mapping[str, object]
    replay: list[object]
    waiting: list[str]


class VolumesAnswer(t.TypedDict, total=False):
    """Result of restoring replay files."""

    volumes: list[object]


class RollbackAnswer(t.TypedDict, total=False):
    """Changes lost by the restore."""

    rollback: list[RollbackCategory]
    complete: bool


class RestoreAnswers(FoundAnswers):
    """Results for the role that restores."""

    deployment: str
    check_mode: bool
    looked: RestorePreflight
    databases: MaybeVerified
    secrets: SecretsAnswer
    replay: VolumesAnswer
    verified: MaybeVerified
    rollback: RollbackAnswer
    start_services: bool
    has_application: bool


class RestoreResult(t.TypedDict):
    """Result of the role that restores."""

    set_id: str
    snapshot_time: str
    databases: list[NamedDatabase]
    replaced: list[object]
    secrets: t.Mapping[str, object]
    safety_copy: str | None
    replay: list[object]
    checks: list[CheckResult]
    rollback: list[RollbackCategory]
    rollback_complete: bool


class CheckpointAnswer(Verified):
    """Result of a checkpoint."""

    checkpoint: str | None
    rows: int
    blocks: int
    seconds: float
    journal_head: str


class DrillCause(t.TypedDict):
    """A likely cause of a failure."""

    id: str


class DrillSeparation(t.TypedDict):
    """The result whether the drill host is separate from its source."""

    verdict: str


class DrillPage(t.TypedDict):
    """The page of a report, and its digest."""

    html: str
    sha256: str


class DrillAnswer(t.TypedDict):
    """The report of a drill."""

    drill_id: str
    set_id: str
    verdict: str
    counts: dict[str, int]
    diagnosis: list[DrillCause]
    separation: DrillSeparation
    freshness: str
    seconds: float
    rto_seconds: float | None
    rpo_seconds: float | None
    report: DrillPage
    countersigned: bool
    journal_head: str
    summary_lines: list[str]


class DrillAnswers(t.TypedDict):
    """Results for the role that drills."""

    deployment: str
    drill: DrillAnswer


class CheckpointAnswers(t.TypedDict):
    """Results for the role that creates checkpoints."""

    deployment: str
    check_mode: bool
    checkpoint: CheckpointAnswer


class CountedRows(t.TypedDict):
    """The number of rows of a chain, and of their zones."""

    rows: int
    zones: int


class CountedChains(t.TypedDict):
    """The chains that were read."""

    audit: CountedRows


class ChainCoverage(t.TypedDict):
    """The scope of the verification, and how much was read."""

    asked: str
    chains: CountedChains


class AuditAnswer(Verified):
    """Result of verifying the audit log."""

    coverage: ChainCoverage
    seconds: float
    journal_head: str


class AuditAnswers(t.TypedDict):
    """Results for the role that verifies audit chains."""

    deployment: str
    audit: AuditAnswer


class RetentionAnswer(Verified):
    """Result of a retention verification."""

    counts: dict[str, int]
    report: list[str]
    seconds: float
    journal_head: str
    summary_lines: list[str]


class RetentionAnswers(FoundAnswers):
    """Results for the role that verifies retention."""

    deployment: str
    retention: RetentionAnswer


class Filled(t.TypedDict):
    """Result of archiving."""

    archived: list[object]
    extended: list[object]
    unchanged: int
    days: list[object]
    last_hour: str | None
    journal_head: str


class VerifiedArchive(MaybeVerified, total=False):
    """Result of verifying the archive."""

    coverage: t.Mapping[str, object]


class ArchiveAnswers(t.TypedDict):
    """Results for the role that archives."""

    deployment: str
    check_mode: bool
    filled: Filled
    verified: VerifiedArchive


class ArchiveResult(Filled):
    """Result of the role that archives."""

    verdict: str | None
    checks: list[CheckResult]
    coverage: t.Mapping[str, object]


class VerificationAnswer(Verified):
    """Result of verifying a repository."""

    sets: int
    failed_sets: list[str]
    part: int
    parts: int
    objects: int
    bytes: int
    journal_head: str


class VerificationAnswers(t.TypedDict):
    """Results for the role that verifies repositories."""

    deployment: str
    verification: VerificationAnswer
