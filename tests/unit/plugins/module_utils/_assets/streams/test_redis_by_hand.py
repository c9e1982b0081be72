# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Only with age, zstd and redis-cli."""

from __future__ import annotations

import os
import subprocess

from scenes import redis_server
from scenes.redis_server import RedisServer
from unit.plugins.module_utils._assets.streams.conftest import Start, Streams

COMMANDS = """set -euo pipefail
for reading in 1 2; do
  age -d -i "$IDENTITY" "$REPOSITORY/sets/$SET/redis/streams.$reading.resp.zst.age" | zstd -d | redis-cli -s "$SOCKET" --pipe
done
"""


def test_restore_with_redis_cli_gives_the_same_streams(streams: Streams, source: RedisServer, start: Start) -> None:
    streams.read(source, 1)
    source.run("XADD", "caracal.audit.events", "1795564700000-0", "id", "late")
    streams.read(source, 2)
    streams.commit()
    ours, theirs = start(), start(7)
    streams.restore(ours)
    env = {"IDENTITY": str(streams.scene.identity), "REPOSITORY": str(streams.scene.repository), "SET": streams.set_id}
    done = subprocess.run(
        ["bash", "-c", COMMANDS],
        env={**os.environ, **env, "SOCKET": theirs.socket},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("errors: 0") == 2
    assert theirs.client.dbsize() == ours.client.dbsize() == 8
    found = [redis_server.state(one.client) for one in (ours, theirs)]
    for one in (group for state in found for stream in state.values() for group in stream["groups"]):
        del one["lag"]  # each version computes it in its own way
    assert found[0] == found[1]
