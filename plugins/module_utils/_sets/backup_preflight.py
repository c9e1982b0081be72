# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: check everything that a backup reads and writes, and report all problems at once."""

from __future__ import annotations

import dataclasses
import functools
import os
import typing as t

from .._ansible.boundary import Invocation
from .._assets.databases import pg_encrypted_dump
from .._crypto import recipients as age
from .._crypto.signing import Signer
from .._evidence import access
from .._options import declared
from .._options.declared import Is, Path
from .._options.shared import DumpOptions, PostgresOptions, RecipientOptions, RepositoryOptions
from .._repository import layout as keys
from . import backup_set, backup_sources
from .rehearsal import Inspection, Problem, Result, UseCase, collect, rehearse

if t.TYPE_CHECKING:
    from .._assets.secrets import secrets_bundle

RECIPIENTS = ("recipients", "recipients_files")
FIRST = {"reading": 1}
KEYS = "keys"


def _secrets() -> UseCase:
    from .._assets.secrets import secrets_bundle

    return secrets_bundle


def _replay() -> UseCase:
    from .._assets.replay import replay_volume_archive

    return replay_volume_archive


def _redis() -> UseCase:
    from .._assets.streams import redis_stream_snapshot

    return redis_stream_snapshot


def _images() -> UseCase:
    from .._assets.images import image_archive

    return image_archive


SECRETS = Inspection(
    _secrets,
    {"secrets": "key_ids"},
    FIRST,
    optional=True,
    # The recipients of secrets are set separately from the recipients of databases.
    apart=RECIPIENTS,
    shared_as={one: f"database_{one}" for one in RECIPIENTS},
    never=("set_id",),
    found_by=("directory", "files"),
    alone=backup_sources.secrets,
)
DATABASES = Inspection(
    lambda: pg_encrypted_dump,
    {one: one for one in ("databases", "left_out", "checks")},
    found_by=("login_host", "login_unix_socket"),
    alone=backup_sources.databases,
)
# In the order in which a backup uses them.
LOOKS = {
    "repository": Inspection(lambda: backup_set, {"journal_head": "journal_head"}, {"state": "open"}),
    "databases": DATABASES,
    "secrets": SECRETS,
    "replay": Inspection(
        _replay, {"replay": "volumes"}, FIRST, optional=True, never=("set_id", "stage"), alone=backup_sources.replay_volumes
    ),
    "redis": Inspection(_redis, {"redis": "streams"}, FIRST, optional=True, never=("set_id",), alone=backup_sources.redis),
    "images": Inspection(_images, {"images": "images"}, optional=True, never=("set_id",), found_by=("services",)),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    access: RepositoryOptions
    postgres: PostgresOptions = dataclasses.field(default_factory=PostgresOptions)
    dump: DumpOptions = dataclasses.field(default_factory=DumpOptions)
    recipients: RecipientOptions = dataclasses.field(default_factory=RecipientOptions)
    signing_key: Path
    metrics_file: Path | None = None
    create_repository: bool = False
    earlier: t.Mapping[str, object] = dataclasses.field(default_factory=dict)
    secrets: t.Annotated[t.Mapping[str, object], Is(no_log=False)] | None = None
    replay: t.Mapping[str, object] | None = None
    redis: t.Mapping[str, object] | None = None
    images: t.Mapping[str, object] | None = None


def run(invocation: Invocation[Options]) -> t.Mapping[str, object]:
    """Return what a backup would find, with the ID of a set that is not open yet. Raises as `rehearse` does, and KeyProblem."""
    given = invocation.options
    shared = {**given.flat(), "set_id": keys.new_set_id(access.now(), os.urandom(5))}
    nothing: Result = {"journal_head": "", "secrets": {}, "pairing": None, "replay": [], "redis": [], "images": []}
    found = rehearse(invocation, shared, LOOKS, "the backup cannot run", _keys(given))
    if given.secrets is not None:
        found["pairing"] = _paired(t.cast("secrets_bundle.Options", SECRETS.options("secrets", given.spec(), shared)))
    return {"changed": False, "set_id": shared["set_id"], **nothing, **found}


def _keys(given: Options) -> list[Problem]:
    """Return the problems of keys. If there is no repository, the use cases fail before they read the keys."""
    of_secrets: t.Mapping[str, t.Any] = given.secrets or {}
    named = [(given.recipients.recipients, given.recipients.recipients_files), tuple(of_secrets.get(name) or () for name in RECIPIENTS)]
    looks: list[t.Callable[[], object]] = [lambda: Signer(given.signing_key, keys.principal(keys.BACKUP, given.access.deployment))]
    looks += [functools.partial(age.load, texts, files) for texts, files in named if texts or files]
    return collect((KEYS, look) for look in looks)


def _paired(named: secrets_bundle.Options) -> dict[str, str]:
    """Check that the secrets decrypt the database's content. Raises KeyProblem.

    In a backup, the second pass over the secrets checks this, but only after the dump.
    """
    from .._assets.secrets import pairing, secrets_sources

    found = secrets_sources.collect(named.sources)
    return pairing.beforehand(named.postgres, found.family, found.keys, found.backend)
