# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of all steps of a drill, so that a play sets them once."""

from __future__ import annotations

import dataclasses
import typing as t

from .._caracal.inventory import since_previous
from .._options import declared
from .._options.declared import Path, Word
from .._options.shared import ImageOptions, RecipientOptions, ReportOptions, RepositoryOptions
from .service_option import ServiceStart

StepName = t.Literal[
    "preflight",
    "verify",
    "sandbox",
    "restore",
    "migrations",
    "state",
    "secrets",
    "evidence",
    "keys",
    "prepare",
    "services",
    "canary",
    "settle",
    "report",
    "destroy",
    "verdict",
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DrillOptions(declared.Options):
    """Options of `restore_drill`. Budgets and `max_age` are in hours, timeouts in seconds."""

    access: RepositoryOptions
    step: StepName
    drill: Word | None = None
    set_id: str = "latest"
    max_age: float | None = None
    signing_key: Path | None = None
    recipients: RecipientOptions = dataclasses.field(default_factory=RecipientOptions)
    identity_files: tuple[Path, ...] | None = None
    secrets_identity_files: tuple[Path, ...] = ()
    audit_hmac_key_files: tuple[Path, ...] = ()
    sandbox_directory: Path = "/var/tmp/caracal-drill"
    superuser: str = "caracal"
    pg_bin: Path | None = None
    minimum_free_mb: int | None = None
    isolation: t.Literal["auto", "required"] = "required"
    unisolated_reason: str = ""
    source_data_directory: Path | None = None
    allow_shared_filesystem: bool = False
    jobs: int = 2
    release_table: Path | None = None
    schema_additions: tuple[str, ...] = ()
    audit_retention_days: int | None = None
    audit_clock_skew_seconds: int = 300
    redis_server: Path | None = None
    services: tuple[ServiceStart, ...] = ()
    images: ImageOptions = dataclasses.field(default_factory=ImageOptions)
    production: tuple[str, ...] = ()
    ready_timeout: int = 90
    application: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    settle_timeout: int = 90
    rto_budget: float | None = None
    rpo_budget: float | None = None
    tail_budget: float = 26.0
    shrink_budget: int = since_previous.BUDGET
    report: ReportOptions = dataclasses.field(default_factory=ReportOptions)
    metrics_file: Path | None = None

    @property
    def identities(self) -> tuple[str, ...]:
        """Identities of this host for everything except the product's secrets."""
        return self.identity_files or ()

    @property
    def secrets_identities(self) -> tuple[str, ...]:
        """Identities for the secrets, which are encrypted for their own recipients and so may need another identity."""
        return self.secrets_identity_files or self.identities

    @property
    def all_identities(self) -> tuple[str, ...]:
        """All identities. The report names the public keys of those that decrypted something."""
        return tuple(dict.fromkeys([*self.identities, *self.secrets_identity_files]))
