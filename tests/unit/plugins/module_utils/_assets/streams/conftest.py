# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A dumped set that waits for its streams, and Redis servers."""

from __future__ import annotations

import contextlib
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import streams as product
from scenes import redis_server
from scenes import scene as scenes
from scenes.redis_server import RedisServer
from scenes.scene import Scene

Start = t.Callable[..., RedisServer]


class Streams:
    """The scene with an open set, from its dump to the restore of its streams."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        parts = scene.repository.glob("sets/*/parts/postgres.json")
        self.set_id = next(parts).parts[-3]

    def read(self, source: RedisServer, number: int, **given: t.Any) -> scenes.Result:
        return self.scene.call("redis_stream_snapshot", set_id=self.set_id, reading=number, **{**source.login, **given})

    def commit(self) -> None:
        self.scene.call("backup_set", state="committed", set_id=self.set_id, left_out={"secrets": "not part of this test"})

    def backup(self, source: RedisServer, **given: t.Any) -> None:
        """Run both passes of an idle source and commit."""
        self.read(source, 1, **given)
        self.read(source, 2, **{**given, "dump_keys": []})
        self.commit()

    def restore(self, target: RedisServer, **given: t.Any) -> scenes.Result:
        return self.scene.call("redis_stream_restore", set_id=self.set_id, **{**target.login, "confirm": [target.confirmation], **given})


@pytest.fixture
def streams(dumped: Scene) -> Streams:
    return Streams(dumped)


@pytest.fixture
def start() -> t.Iterator[Start]:
    """Return a function that starts servers for one test: `start(7)`, `start(8, "--maxmemory", "1mb")`."""
    with contextlib.ExitStack() as stack:
        yield lambda major=8, *arguments, **given: stack.enter_context(redis_server.start(major, *arguments, **given))


def provisioned(server: RedisServer) -> RedisServer:
    """Create each stream with its groups, as the product does in Redis before any event."""
    for known in product.STREAMS:
        for group in known.groups:
            server.client.xgroup_create(known.name, group, id="$", mkstream=True)
    server.run("XADD", product.RATE_LIMITS, "MAXLEN", "~", "1", "*", "init", "1")
    return server


@pytest.fixture
def source(start: Start) -> RedisServer:
    """Return a server with everything that streams can contain."""
    made = start()
    redis_server.fill(made)
    return made
