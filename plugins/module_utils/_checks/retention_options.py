# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of `retention_verify`."""

from __future__ import annotations

import dataclasses
import typing as t

from .._options import declared
from .._options.declared import Path, Rules, Suboptions
from .._options.shared import PostgresOptions, RedisOptions, ReportOptions, RepositoryOptions


@dataclasses.dataclass(frozen=True, kw_only=True)
class RepositoryCopyOptions(Suboptions):
    """A copy of the repository, and the time of its last verification."""

    name: str
    verified: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class LegalOptions(Suboptions):
    """The number of days that the law requires or allows."""

    audit_at_least: int | None = None
    audit_at_most: int | None = None
    backups_at_least: int | None = None
    backups_at_most: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class EffectiveEnvironmentOptions(Suboptions):
    """Variables of the running services."""

    AUDIT_RETENTION_DAYS: int | None = None
    DELEGATION_RETENTION_DAYS: int | None = None
    OUTBOX_RETENTION_DAYS: int | None = None
    SESSION_RETENTION_DAYS: int | None = None
    AUDIT_EXPORT_S3_BUCKET: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class RetentionOptions(declared.Options):
    """Options of `retention_verify`. Budgets are in hours."""

    RULES = Rules(mutually_exclusive=(("effective_environment", "effective_environment_file"),))

    access: RepositoryOptions
    postgres: PostgresOptions = dataclasses.field(default_factory=PostgresOptions)
    redis: RedisOptions = dataclasses.field(default_factory=RedisOptions)
    report: ReportOptions = dataclasses.field(default_factory=ReportOptions)
    database: str = "caracal"
    effective_environment: EffectiveEnvironmentOptions | None = None
    effective_environment_file: Path | None = None
    left_out: t.Mapping[str, object] = dataclasses.field(default_factory=dict)
    set_budget: float = 26.0
    tail_budget: float = 26.0
    drill_budget: float = 192.0
    export_budget: float = 6.0
    pending_budget: float = 1.0
    copy_budget: float = 744.0
    archive_budget: float | None = None
    legal: LegalOptions | None = None
    break_glass_files: tuple[Path, ...] = ()
    copies: tuple[RepositoryCopyOptions, ...] = ()
    copies_at_least: int = 0
    metrics_file: Path | None = None
