# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options that several modules share: one class for each documentation fragment, named in its docstring."""

from __future__ import annotations

import dataclasses
import typing as t

from .declared import Options, Path, Rules, Suboptions

SslMode = t.Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class BucketOptions(Options):
    """Access to a bucket, and the duration of the locks on new objects (`lock_days` by type of object)."""

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
    """Fragment `_repository`: the location of the sets, and the signers that this host trusts."""

    repository: str
    deployment: str
    allowed_signers: Path
    revoked_keys: Path | None = None
    high_water_mark: Path
    bucket: BucketOptions = dataclasses.field(default_factory=BucketOptions)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportSourceOptions(Options):
    """Fragment `_export_source`: the location of the audit service's exports, with separate credentials."""

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
    """Fragment `_stored_set`: the committed set that a module reads. `max_age` is in hours."""

    set_id: str = "latest"
    max_age: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class PostgresOptions(Options):
    """Fragment `_postgres`: a server, with the option names of community.postgresql."""

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
    """Fragments `_postgres` and `_sandbox`: the copy of a drill in a sandbox, or a copy on a server."""

    RULES = Rules(mutually_exclusive=(("sandbox", "login_host"), ("sandbox", "login_unix_socket")))

    postgres: PostgresOptions = dataclasses.field(default_factory=PostgresOptions)
    sandbox: Path | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class DumpOptions(Options):
    """Fragment `_dump`: the databases, and limits in seconds."""

    databases: tuple[str, ...] = ()
    jobs: int = 2
    lock_hold_max: int = 60
    max_duration: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class RedisOptions(Options):
    """Fragment `_redis`: a Redis server and a login."""

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
    """Fragment `_recipients`: public keys for which artifacts are encrypted."""

    recipients: tuple[str, ...] = ()
    recipients_files: tuple[Path, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordedOptions(Options):
    """Fragment `_recorded`: a restore that is recorded in the journal, or runs in a sandbox."""

    RULES = Rules(required_one_of=(("sandbox", "signing_key"),))

    signing_key: Path | None = None
    sandbox: Path | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServiceOptions(Suboptions):
    """One service of a deployment, as returned by `deployment_info`."""

    service: str
    replica: str
    image: str
    digest: str
    image_id: str
    command: tuple[str, ...] = ()
    working_directory: str = "/"


@dataclasses.dataclass(frozen=True, kw_only=True)
class AuditChainOptions(Options):
    """Fragment `_audit_chains`: the verification of audit chains. `lock_hold_max` is in seconds."""

    audit_hmac_key_files: tuple[Path, ...] = ()
    lock_hold_max: int = 60


@dataclasses.dataclass(frozen=True, kw_only=True)
class WaiverOptions(Suboptions):
    """One waiver: the ID of a check, the reason for its failure, and an expiry date."""

    check: str
    reason: str
    expires: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportOptions(Options):
    """Fragment `_report_verdict`: waivers of a report, its directory on this host, and whether its verdict fails the task."""

    waivers: tuple[WaiverOptions, ...] = ()
    report_dir: Path | None = None
    require_valid: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageOptions(Options):
    """Fragment `_images`: the sources of images, and the directory for unpacked images."""

    engine: str | None = None
    image_archives: tuple[Path, ...] = ()
    images_directory: Path = "/var/cache/caracal_backup/images"
