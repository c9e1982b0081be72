# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Use case of the module of the same name: all that a backup will read and write is looked at, and all that is wrong is said at once."""

from __future__ import annotations

import dataclasses
import os
import typing as t

from .._ansible import argspec
from .._ansible.boundary import Invocation
from .._assets.databases import pg_encrypted_dump
from .._evidence import metrics, options
from .._repository import layout as keys
from . import backup_set
from .rehearsal import Look, Result, UseCase, rehearse

RECIPIENTS = ("recipients", "recipients_files")
FIRST = {"reading": 1}


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
)
# In the order in which a backup comes to them.
LOOKS = {
    "repository": Look(lambda: backup_set, {"journal_head": "journal_head"}, {"state": "open"}),
    "databases": Look(lambda: pg_encrypted_dump, {one: one for one in ("databases", "left_out", "checks")}),
    "secrets": SECRETS,
    "replay": Look(_replay, {"replay": "volumes"}, FIRST, optional=True, never=("set_id", "stage")),
    "redis": Look(_redis, {"redis": "streams"}, FIRST, optional=True, never=("set_id",)),
    "images": Look(_images, {"images": "images"}, optional=True, never=("set_id",)),
}


def argument_spec() -> argspec.ArgumentSpec:
    own = argspec.ArgumentSpec(
        {
            "create_repository": {"type": "bool", "default": False},
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
    found = rehearse(dataclasses.replace(invocation, options=given), argument_spec(), LOOKS, "no backup can be made")
    if given["secrets"] is not None:
        found["pairing"] = _paired(given)
    return {"changed": False, "set_id": given["set_id"], **nothing, **found}


def _paired(given: t.Mapping[str, t.Any]) -> dict[str, str]:
    """Whether the secrets open the database: the second reading proves it for the set, but after the dump. Raises KeyProblem."""
    from .._assets.secrets import pairing, secrets_sources

    named = SECRETS.options("secrets", argument_spec().argument_spec, given)
    found = secrets_sources.collect(named)
    return pairing.beforehand(named, found.family, found.keys, found.backend)
