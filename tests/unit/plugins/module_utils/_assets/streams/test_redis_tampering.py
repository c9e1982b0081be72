# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Damaged, forged or incomplete sets: nothing reaches the target."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.redis import resp
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import (
    ObjectMissing,
    OptionError,
    TamperedData,
    VerificationFailed,
    WrongIdentity,
)
from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import open_set
from scenes import scene as scenes
from scenes.redis_server import RedisServer
from unit.plugins.module_utils._assets.streams.conftest import Start, Streams

pytestmark = pytest.mark.mutation
RESTORE = "redis_stream_restore"


def forge(streams: Streams, number: int, commands: t.Sequence[t.Sequence[bytes]]) -> None:
    """Make the part of a pass name an artifact that contains `commands`, before the set is signed."""
    given = streams.scene.options("redis_stream_snapshot", set_id=streams.set_id, reading=1)
    target = open_set.load(given.access, given.open_set, given.signing_key, given.recipients, False)
    part = streams.scene.repository / f"sets/{streams.set_id}/parts/redis.{number}.json"
    artifact = scenes.part_content(part)["artifacts"][0]
    (streams.scene.repository / artifact["path"]).unlink()
    with target.sealed(artifact["path"]) as (sealer, publish):
        for command in commands:
            sealer.write(resp.encode(command))
        made = publish(artifact["path"])

    def name_it(name: str, content: scenes.Result) -> None:
        if name == f"redis.{number}":
            content["artifacts"][0].update(size=made.size, sha256=made.sha256)

    scenes.rewrite_parts(streams.scene, streams.set_id, name_it)


def refused(streams: Streams, target: RedisServer, kind: t.Any, *words: str, **given: t.Any) -> None:
    given = {"set_id": streams.set_id, "confirm": [target.confirmation], **target.login, **given}
    streams.scene.refused(RESTORE, kind, *words, **given)
    assert target.client.dbsize() == 0


@pytest.mark.parametrize(
    "command",
    [
        [b"FLUSHALL"],
        [b"CONFIG", b"SET", b"dir", b"/"],
        [b"EVAL", b"return 1", b"0"],
        [b"SET", b"x", b"1"],
        [b"XADD", b"x", b"*", b"f", b"v"],
        [b"XADD", b"x", b"MAXLEN", b"0", b"1-1", b"f", b"v"],
        [b"XGROUP", b"DESTROY", b"x", b"audit-ingestor"],
        [b"RESTORE", b"x", b"0", b"payload", b"REPLACE"],
        [b"DEL", b"x", b"y"],
        [b"DEL", b"caracal_ops:restoring"],
        [b"xadd", b"x", b"1-1", b"f", b"v"],
    ],
)
def test_a_command_that_no_snapshot_has_is_never_sent(streams: Streams, source: RedisServer, start: Start, command: list[bytes]) -> None:
    for number in (1, 2):
        streams.read(source, number)
    forge(streams, 2, [[b"XADD", b"caracal.x", b"1-1", b"f", b"v"], command])
    streams.commit()
    target = start()
    refused(streams, target, TamperedData, "streams.2.resp", "was not sent", check_mode=False)
    if command[0] in (b"FLUSHALL", b"CONFIG", b"EVAL"):
        assert b"cmdstat_" + command[0].lower() not in target.run("INFO", "commandstats")


def test_other_streams_than_recorded_are_found_and_removed(streams: Streams, source: RedisServer, start: Start) -> None:
    for number in (1, 2):
        streams.read(source, number)
    forge(streams, 2, [[b"XADD", b"caracal.x", b"1-1", b"f", b"v"]])
    streams.commit()
    refused(streams, start(), VerificationFailed, "caracal.", check_mode=False)


def test_an_altered_artifact_is_refused(streams: Streams, source: RedisServer, start: Start) -> None:
    streams.backup(source)
    path = streams.scene.repository / f"sets/{streams.set_id}/redis/streams.1.resp.zst.age"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)
    refused(streams, start(), TamperedData, "streams.1.resp.zst.age was altered")


def test_a_foreign_identity_is_refused(streams: Streams, source: RedisServer, start: Start) -> None:
    streams.backup(source)
    other = streams.scene.root / scenes.DRILL_HOST / "identity_other"
    scenes.new_identity(other)
    refused(streams, start(), WrongIdentity, "streams.1.json.zst.age: ", identity_files=[str(other)])


def test_refuses_a_set_with_fewer_than_two_passes(streams: Streams, source: RedisServer, start: Start) -> None:
    target = start()
    none = streams.scene.sets()[-1]
    refused(streams, target, ObjectMissing, "has no Redis streams", "groups_only", set_id=none)
    streams.read(source, 1)
    words = "no second reading of redis"
    streams.scene.refused("backup_set", OptionError, words, state="committed", set_id=streams.set_id, check_mode=False)
    streams.read(source, 2)
    scenes.rewrite_parts(streams.scene, streams.set_id, lambda name, content: name != "redis.2" or content.update(artifacts=[]))
    streams.commit()
    refused(streams, target, ObjectMissing, "only one of the two readings", "groups_only")
