# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: verify a set, and check everything that its restore will change."""

from __future__ import annotations

import dataclasses
import typing as t

from .._ansible.boundary import Invocation
from .._assets.databases import pg_encrypted_restore, readiness
from .._errors import BackupError, VerificationFailed
from .._options import declared
from .._options.declared import Is, Path
from .._options.shared import PostgresOptions, RepositoryOptions, StoredSetOptions
from .._sets import backup_set_verify
from .._sets.rehearsal import Inspection, UseCase, before, refuse, rehearse
from . import server_passwords, services_running

WHAT = "the restore cannot run"
OUTSIDE = ("sandbox",)
# Kind of a file in a bundle → the option for its location.
TARGETS = {"environment": "environment_file", "extra": "extra_directory", "retired": "retired_directory"}


def _secrets() -> UseCase:
    from .._assets.secrets import secrets_restore

    return secrets_restore


def _redis() -> UseCase:
    from .._assets.streams import redis_stream_restore

    return redis_stream_restore


def _replay() -> UseCase:
    from .._assets.replay import replay_volume_restore

    return replay_volume_restore


# In the order of a restore.
LOOKS = {
    "services": Inspection(lambda: services_running, {}),
    # The identities for the secrets may differ from those for the databases.
    "secrets": Inspection(
        _secrets,
        {"secrets": "key_ids", "safety_copy": "safety_copy", "not_restored": "not_restored", "other_secrets": "replaced"},
        optional=True,
        apart=("identity_files",),
        never=OUTSIDE,
    ),
    "dumps": Inspection(lambda: readiness, {"doubts": "checks"}),
    "databases": Inspection(
        lambda: pg_encrypted_restore,
        {"databases": "databases", "replaced": "replaced", "doubts": "checks"},
        found_by=("login_host", "login_unix_socket"),
    ),
    "redis": Inspection(_redis, {"redis": "streams"}, optional=True, never=OUTSIDE),
    "replay": Inspection(_replay, {"replay": "volumes"}, optional=True, never=OUTSIDE),
}
# Service of a platform that does not run yet → the part that cannot be checked before it runs.
WAITING = {"postgres": "databases", "redis": "redis", "replayVolumeInit": "replay"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    access: RepositoryOptions
    stored: StoredSetOptions = dataclasses.field(default_factory=StoredSetOptions)
    postgres: PostgresOptions = dataclasses.field(default_factory=PostgresOptions)
    signing_key: Path
    identity_files: tuple[Path, ...]
    release: str | None = None
    confirm: tuple[str, ...] = ()
    jobs: int = 2
    accept_vulnerable_clients: tuple[str, ...] = ()
    secrets: t.Annotated[t.Mapping[str, object], Is(no_log=False)] | None = None
    replay: t.Mapping[str, object] | None = None
    redis: t.Mapping[str, object] | None = None
    earlier: t.Mapping[str, object] = dataclasses.field(default_factory=dict)
    running: tuple[str, ...] = ()
    stopped: tuple[t.Literal["postgres", "redis", "replayVolumeInit"], ...] = ()


def run(invocation: Invocation[Options]) -> dict[str, object]:
    """Return what a restore would do. Raises VerificationFailed if the set does not match its signature, otherwise as `rehearse` does."""
    try:
        verified = _verified(invocation)
    except BackupError as exc:
        refuse([*before(invocation.options.earlier), ("repository", exc)], WHAT)
        raise
    # From here on, exactly this set is used, regardless of its age and of newer sets.
    given = invocation.options
    shared = {**given.flat(), "set_id": verified["set_id"], "max_age": None}
    nothing: dict[str, t.Any] = {
        "secrets": {},
        "safety_copy": None,
        "not_restored": [],
        "databases": [],
        "replaced": [],
        "replay": [],
        "redis": [],
    }
    waiting = [WAITING[one] for one in given.stopped]
    looks = {name: look for name, look in LOOKS.items() if name not in (waiting if "databases" in waiting else [*waiting, "dumps"])}
    found = {**nothing, **rehearse(invocation, shared, looks, WHAT)}
    server_passwords.refuse_others(given.secrets or {}, _passwords(given), found.pop("other_secrets", []), waiting)
    for kind, option in TARGETS.items():
        if names := [name for name in found["not_restored"] if name.startswith(f"{kind}/")]:
            invocation.warn(
                f"{', '.join(names)} of the set will not be restored; to restore them, set {option} in the options of the secrets"
            )
    checks = [*verified["checks"], *found.pop("doubts")]
    named = {"set_id": verified["set_id"], "set_facts": verified["set_facts"], "journal_head": verified["journal_head"]}
    return {"changed": False, **named, **found, "waiting": waiting, "checks": checks}


def _passwords(given: Options) -> dict[str, str | None]:
    """Return the password file of each server, by asset."""
    redis = given.redis or {}
    password_file = redis.get("redis_password_file")
    return {"databases": given.postgres.login_password_file, "redis": None if password_file is None else str(password_file)}


def _verified(invocation: Invocation[Options]) -> backup_set_verify.SetVerifyResult:
    """Verify the set. An unproven set is still restored if there is no better one; its checks report this."""
    given = invocation.options
    asked = backup_set_verify.Options(access=given.access, stored=given.stored, require_valid=False)
    found = backup_set_verify.run(invocation.asking(asked))
    if backup_set_verify.is_broken(found):
        raise VerificationFailed(found["msg"], set_id=found["set_id"], checks=found["checks"])
    return found
