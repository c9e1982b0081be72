# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of the sources of a backup that need no repository or key. Used if these are missing.

Each function takes the options of the use case that reads the source, and raises the same errors.
"""

from __future__ import annotations

import typing as t

from .._caracal import releases, replay

if t.TYPE_CHECKING:
    from .._assets.databases import pg_encrypted_dump
    from .._assets.replay import replay_volume_archive
    from .._assets.secrets import secrets_bundle
    from .._assets.streams import redis_stream_snapshot


def databases(given: pg_encrypted_dump.Options) -> None:
    from .._drivers.postgres import preflight
    from .._drivers.postgres.server import Server, Session

    with Session(Server.from_options(given.postgres), releases.OWN_DATABASE) as session:
        preflight.full_sight(session)


def secrets(given: secrets_bundle.Options) -> None:
    from .._assets.secrets import secrets_sources

    secrets_sources.collect(given.sources)


def replay_volumes(given: replay_volume_archive.Options) -> None:
    from .._assets.replay import replay_sources
    from .._drivers.volume.live import Directory

    for volume in replay_sources.collect(given.sources, lambda _text: None).volumes.values():
        with Directory(volume.path, replay.FOLDER):
            pass


def redis(given: redis_stream_snapshot.Options) -> None:
    from .._drivers.redis import preflight
    from .._drivers.redis.connection import Address, Session

    with Session(Address.from_options(given.redis), given.open_set.set_id) as session:
        preflight.examine(session)
