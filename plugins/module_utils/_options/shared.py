# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options that several modules share: one class for each documentation fragment, which its docstring names."""

from __future__ import annotations

import dataclasses
import typing as t

from .declared import Options, Path, Rules, Suboptions

SslMode = t.Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class BucketOptions(Options):
    """How to reach a bucket, and how long it locks what is written there (`lock_days` by kind of object)."""

    s3_endpoint: str | None = None
    s3_region: str | None = None
    s3_path_style: bool = False
    s3_plain_http: bool = False
    s3_ca_bundle: Path | None = None
    s3_profile: str | None = None
    s3_credentials_file: Path | None = None
    s3_role_arn: str | None = None
    lock_mode: t.Literal["none", "GOVERNANCE", "COMPLIANCE"] = "none"
    lock_days: t.Mapping[str, object] = dataclasses.field(default_factory=dict)
    lock_days_max: int = 400
    lock_probe: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class RepositoryOptions(Options):
    """Fragment `_repository`: where sets are stored, and which signers this host trusts."""

    repository: str
    deployment: str
    allowed_signers: Path
    revoked_keys: Path | None = None
    high_water_mark: Path
    bucket: BucketOptions = dataclasses.field(default_factory=BucketOptions)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportSourceOptions(Options):
    """Fragment `_export_source`: where the audit service writes its exports, with a login of its own."""

    source: str
    source_s3_endpoint: str | None = None
    source_s3_region: str | None = None
    source_s3_path_style: bool = False
    source_s3_plain_http: bool = False
    source_s3_ca_bundle: Path | None = None
    source_s3_profile: str | None = None
    source_s3_credentials_file: Path | None = None
    source_s3_role_arn: str | None = None

    @property
    def bucket(self) -> BucketOptions:
        values = vars(self).items()
        return BucketOptions(**{name.removeprefix("source_"): value for name, value in values if name.startswith("source_s3_")})


@dataclasses.dataclass(frozen=True, kw_only=True)
class OpenSetOptions(Options):
    """Fragment `_open_set`: the set to which a module adds artifacts."""

    set_id: str
    create_repository: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoredSetOptions(Options):
    """Fragment `_stored_set`: the committed set that a module reads. `max_age` in hours."""

    set_id: str = "latest"
    max_age: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class PostgresOptions(Options):
    """Fragment `_postgres`: a server, under the names of community.postgresql."""

    RULES = Rules(mutually_exclusive=(("login_host", "login_unix_socket"),))

    login_host: str = ""
    login_port: int = 5432
    login_user: str = "caracal"
    login_password_file: Path | None = None
    login_unix_socket: str = ""
    ssl_mode: SslMode = "prefer"
    ca_cert: Path | None = None
    ssl_cert: Path | None = None
    ssl_key: Path | None = None
    pg_bin: Path | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class CopyOptions(Options):
    """Fragments `_postgres` and `_sandbox`: the copy of a drill in a sandbox, or one on a server."""

    RULES = Rules(mutually_exclusive=(("sandbox", "login_host"), ("sandbox", "login_unix_socket")))

    postgres: PostgresOptions = dataclasses.field(default_factory=PostgresOptions)
    sandbox: Path | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class DumpOptions(Options):
    """Fragment `_dump`: which databases, and limits in seconds."""

    databases: tuple[str, ...] = ()
    jobs: int = 2
    lock_hold_max: int = 60
    max_duration: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class RedisOptions(Options):
    """Fragment `_redis`: a Redis and a login."""

    redis_host: str = "127.0.0.1"
    redis_port: int = 6379
    redis_unix_socket: Path | None = None
    redis_username: str | None = None
    redis_password_file: Path | None = None
    redis_tls: bool = False
    redis_ca_cert: Path | None = None
    redis_client_cert: Path | None = None
    redis_client_key: Path | None = None
    redis_db: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecipientOptions(Options):
    """Fragment `_recipients`: public keys to which artifacts are sealed."""

    recipients: tuple[str, ...] = ()
    recipients_files: tuple[Path, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordedOptions(Options):
    """Fragment `_recorded`: a restore that is entered into the journal, or goes into a sandbox."""

    RULES = Rules(required_one_of=(("sandbox", "signing_key"),))

    signing_key: Path | None = None
    sandbox: Path | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServiceOptions(Suboptions):
    """One service of a deployment, as `deployment_info` finds it."""

    service: str
    replica: str
    image: str
    digest: str
    image_id: str
    command: tuple[str, ...] = ()
    working_directory: str = "/"


@dataclasses.dataclass(frozen=True, kw_only=True)
class AuditChainOptions(Options):
    """Fragment `_audit_chains`: how audit chains are verified. `lock_hold_max` in seconds."""

    audit_hmac_key_files: tuple[Path, ...] = ()
    lock_hold_max: int = 60


@dataclasses.dataclass(frozen=True, kw_only=True)
class WaiverOptions(Suboptions):
    """One waiver: the id of a check, why it may fail, and until when."""

    check: str
    reason: str
    expires: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportOptions(Options):
    """Fragment `_judged_report`: waivers of a report, its directory on this host, and whether its verdict fails the task."""

    waivers: tuple[WaiverOptions, ...] = ()
    report_dir: Path | None = None
    require_valid: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageOptions(Options):
    """Fragment `_images`: where images come from, and where they are kept unpacked."""

    engine: str | None = None
    image_archives: tuple[Path, ...] = ()
    images_directory: Path = "/var/cache/caracal_backup/images"
