# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Types of what `roles` reports: what it needs of the results of a role's modules, and what it makes of them."""

from __future__ import annotations

import typing as t

from .check import CheckResult
from .extent import RollbackCategory


class Verified(t.TypedDict):
    """Of a module that judges."""

    verdict: str
    checks: list[CheckResult]


class MaybeVerified(t.TypedDict, total=False):
    """The same of one that may not have run."""

    verdict: str
    checks: list[CheckResult]


class Summarized(t.TypedDict, total=False):
    """Of a module that has a line for the console."""

    summary: str


class FoundAnswers(t.TypedDict, total=False):
    """What was found before the role's own work."""

    located: Summarized
    programs: Summarized


class NamedDatabase(t.TypedDict):
    """A database, by name."""

    database: str


class Timestamp(t.TypedDict, total=False):
    """What an authority answered."""

    verdict: str
    message: str


class BackupLook(t.TypedDict):
    """What the preflight of a backup saw."""

    set_id: str
    databases: list[NamedDatabase]
    secrets: t.Mapping[str, object]
    replay: list[t.Mapping[str, object]]
    redis: list[object]


class Dumped(MaybeVerified, total=False):
    """What was dumped."""

    bytes: int
    seconds: float


class Committed(MaybeVerified, total=False):
    """What was committed."""

    artifacts: int
    bytes: int


class SecretsAnswer(t.TypedDict, total=False):
    """What was read or written of secrets."""

    key_ids: t.Mapping[str, object]


class StreamsAnswer(t.TypedDict, total=False):
    """What was read of Redis."""

    streams: list[object]


class BackupAnswers(FoundAnswers):
    """Of the role that backs up."""

    deployment: str
    looked: BackupLook
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
    """What the role that backs up returns."""

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
    """What the role needs of the facts of a set."""

    snapshot_time: str


class RestoreLook(t.TypedDict):
    """What the preflight of a restore saw."""

    set_id: str
    set_facts: SnapshotFacts
    checks: list[CheckResult]
    secrets: t.Mapping[str, object]
    replay: list[object]
    waiting: list[str]


class VolumesAnswer(t.TypedDict, total=False):
    """What was restored of replay."""

    volumes: list[object]


class RollbackAnswer(t.TypedDict, total=False):
    """What the restore took back."""

    rollback: list[RollbackCategory]
    complete: bool


class RestoreAnswers(FoundAnswers):
    """Of the role that restores."""

    deployment: str
    check_mode: bool
    looked: RestoreLook
    databases: MaybeVerified
    secrets: SecretsAnswer
    replay: VolumesAnswer
    verified: MaybeVerified
    rollback: RollbackAnswer
    start_services: bool
    has_application: bool


class RestoreResult(t.TypedDict):
    """What the role that restores returns."""

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
    """What was entered."""

    checkpoint: str | None
    rows: int
    blocks: int
    seconds: float
    journal_head: str


class DrillCause(t.TypedDict):
    """A likely cause of a failure."""

    id: str


class DrillSeparation(t.TypedDict):
    """Whether the drill host is separate from its source."""

    verdict: str


class DrillPage(t.TypedDict):
    """The page of a report, and its digest."""

    html: str
    sha256: str


class DrillAnswer(t.TypedDict):
    """What a drill reported."""

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
    """Of the role that drills."""

    deployment: str
    drill: DrillAnswer


class CheckpointAnswers(t.TypedDict):
    """Of the role that enters checkpoints."""

    deployment: str
    check_mode: bool
    checkpoint: CheckpointAnswer


class CountedRows(t.TypedDict):
    """Rows of a chain, and of how many zones."""

    rows: int
    zones: int


class CountedChains(t.TypedDict):
    """The chains that were read."""

    audit: CountedRows


class ChainCoverage(t.TypedDict):
    """What was asked, and how much was read."""

    asked: str
    chains: CountedChains


class AuditAnswer(Verified):
    """What was verified of the audit log."""

    coverage: ChainCoverage
    seconds: float
    journal_head: str


class AuditAnswers(t.TypedDict):
    """Of the role that verifies audit chains."""

    deployment: str
    audit: AuditAnswer


class RetentionAnswer(Verified):
    """A look at retention."""

    counts: dict[str, int]
    report: list[str]
    seconds: float
    journal_head: str
    summary_lines: list[str]


class RetentionAnswers(FoundAnswers):
    """Of the role that looks at retention."""

    deployment: str
    retention: RetentionAnswer


class Filled(t.TypedDict):
    """What was archived."""

    archived: list[object]
    extended: list[object]
    unchanged: int
    days: list[object]
    last_hour: str | None
    journal_head: str


class VerifiedArchive(MaybeVerified, total=False):
    """What was verified of the archive."""

    coverage: t.Mapping[str, object]


class ArchiveAnswers(t.TypedDict):
    """Of the role that archives."""

    deployment: str
    check_mode: bool
    filled: Filled
    verified: VerifiedArchive


class ArchiveResult(Filled):
    """What the role that archives returns."""

    verdict: str | None
    checks: list[CheckResult]
    coverage: t.Mapping[str, object]


class VerificationAnswer(Verified):
    """What was verified of a repository."""

    sets: int
    failed_sets: list[str]
    part: int
    parts: int
    objects: int
    bytes: int
    journal_head: str


class VerificationAnswers(t.TypedDict):
    """Of the role that verifies repositories."""

    deployment: str
    verification: VerificationAnswer
