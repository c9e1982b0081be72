# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: all that a backup will read and write is looked at, and all that is wrong is said at once."""

from __future__ import annotations

import dataclasses
import functools
import os
import typing as t

from .._ansible import argspec
from .._ansible.boundary import Invocation
from .._assets.databases import pg_encrypted_dump
from .._crypto import recipients as age
from .._crypto.signing import Signer
from .._evidence import metrics, options
from .._repository import layout as keys
from . import backup_set, backup_sources
from .rehearsal import Look, Problem, Result, UseCase, collect, earlier, rehearse

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


SECRETS = Look(
    _secrets,
    {"secrets": "key_ids"},
    FIRST,
    optional=True,
    # Who opens them is named apart from who opens the databases.
    apart=RECIPIENTS,
    shared_as={one: f"database_{one}" for one in RECIPIENTS},
    never=("set_id",),
    found_by=("directory", "files"),
    alone=backup_sources.secrets,
)
DATABASES = Look(
    lambda: pg_encrypted_dump,
    {one: one for one in ("databases", "left_out", "checks")},
    found_by=("login_host", "login_unix_socket"),
    alone=backup_sources.databases,
)
# In the order in which a backup comes to them.
LOOKS = {
    "repository": Look(lambda: backup_set, {"journal_head": "journal_head"}, {"state": "open"}),
    "databases": DATABASES,
    "secrets": SECRETS,
    "replay": Look(_replay, {"replay": "volumes"}, FIRST, optional=True, never=("set_id", "stage"), alone=backup_sources.replay_volumes),
    "redis": Look(_redis, {"redis": "streams"}, FIRST, optional=True, never=("set_id",), alone=backup_sources.redis),
    "images": Look(_images, {"images": "images"}, optional=True, never=("set_id",), found_by=("services",)),
}


def argument_spec() -> argspec.ArgumentSpec:
    own = argspec.ArgumentSpec(
        {
            "create_repository": {"type": "bool", "default": False},
            "earlier": earlier(),
            "secrets": {"type": "dict", "no_log": False},
            "replay": {"type": "dict"},
            "redis": {"type": "dict"},
            "images": {"type": "dict"},
        }
    )
    shared = (argspec.recipients(), argspec.postgres(), argspec.dump(), metrics.own_options())
    return argspec.repository().merge(argspec.signing(required=True), *shared, own)


def run(invocation: Invocation) -> Result:
    """What a backup would find, under the id of a set that is not open yet. Raises as `rehearse` does, and KeyProblem."""
    given = {**invocation.options, "set_id": keys.new_set_id(options.now(), os.urandom(5))}
    nothing: Result = {"journal_head": "", "secrets": {}, "pairing": None, "replay": [], "redis": [], "images": []}
    found = rehearse(dataclasses.replace(invocation, options=given), argument_spec(), LOOKS, "no backup can be made", _keys(given))
    if given["secrets"] is not None:
        found["pairing"] = _paired(given)
    return {"changed": False, "set_id": given["set_id"], **nothing, **found}


def _keys(given: t.Mapping[str, t.Any]) -> list[Problem]:
    """What is wrong with keys, which without a repository nobody comes to ask for."""
    of_secrets = given["secrets"] or {}
    looks: list[t.Callable[[], object]] = [lambda: Signer(given["signing_key"], keys.principal(keys.BACKUP, given["deployment"]))]
    looks += [
        functools.partial(age.load, one.get("recipients") or [], one.get("recipients_files") or [])
        for one in (given, of_secrets)
        if any(one.get(name) for name in RECIPIENTS)
    ]
    return collect((KEYS, look) for look in looks)


def _paired(given: t.Mapping[str, t.Any]) -> dict[str, str]:
    """Whether the secrets open the database: the second reading proves it for the set, but after the dump. Raises KeyProblem."""
    from .._assets.secrets import pairing, secrets_sources

    named = SECRETS.options("secrets", argument_spec().argument_spec, given)
    found = secrets_sources.collect(named)
    return pairing.beforehand(named, found.family, found.keys, found.backend)
