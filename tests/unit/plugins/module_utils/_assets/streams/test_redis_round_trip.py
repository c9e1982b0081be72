# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restored streams equal the source."""

from __future__ import annotations

import pytest

from scenes import redis_server
from scenes.redis_server import RedisServer
from unit.plugins.module_utils._assets.streams.conftest import Start, Streams


@pytest.mark.no_false_alarm
@pytest.mark.parametrize(("from_major", "to_major"), [(8, 8), (7, 8), (8, 7), (7, 7)])
def test_restores_streams_groups_and_pending_entries(streams: Streams, start: Start, from_major: int, to_major: int) -> None:
    source, target = start(from_major), start(to_major)
    redis_server.fill(source)
    streams.backup(source)
    before = redis_server.state(source.client)
    result = streams.restore(target)
    after = redis_server.state(target.client)
    if from_major != to_major:  # each version computes the lag in its own way
        for found in (before, after):
            for one in found.values():
                for group in one["groups"]:
                    del group["lag"]
    # A deleted entry cannot be pending. The source has one, which no consumer can process.
    lost = (b"1795564600000-96", b"a-1", 1)
    audit = before["caracal.audit.events"]
    audit["pending"][b"audit-ingestor"].remove(lost)
    audit["consumers"][b"audit-ingestor"] = [(name, count - (name == b"a-1")) for name, count in audit["consumers"][b"audit-ingestor"]]
    next(one for one in audit["groups"] if one["name"] == b"audit-ingestor")["pending"] -= 1
    assert after == before
    assert len(after) == 8 and len(after["caracal.audit.events"]["pending"][b"audit-ingestor"]) > 40
    assert {check["verdict"] for check in result["checks"]} == {"pass"}
    assert target.client.dbsize() == len(before)
    assert sum(group["lost"] for one in result["streams"] for group in one["groups"]) == 1


def test_second_pass_contains_only_new_entries(streams: Streams, source: RedisServer, start: Start) -> None:
    first = streams.read(source, 1)
    source.run("XADD", "caracal.audit.events", "1795564700000-0", "id", "late")
    source.run("XADD", "caracal.new", "1-1", "id", "new")
    second = streams.read(source, 2)
    assert {one["name"]: one["entries"] for one in second["streams"] if one["entries"]} == {"caracal.audit.events": 1, "caracal.new": 1}
    assert sum(one["entries"] for one in first["streams"]) > 300
    streams.commit()
    target = start()
    streams.restore(target)
    assert target.client.xrange("caracal.audit.events", "1795564700000-0") == [(b"1795564700000-0", {b"id": b"late"})]
    assert redis_server.state(target.client)["caracal.new"] == redis_server.state(source.client)["caracal.new"]


def test_the_age_of_pending_entries_survives(streams: Streams, source: RedisServer, start: Start) -> None:
    where = ("caracal.audit.events", "audit-ingestor")
    source.run("XCLAIM", *where, "a-2", 0, "1795564600000-95", "IDLE", 3_600_000)
    streams.backup(source)
    target = start()
    streams.restore(target)
    found = target.client.xpending_range(*where, min="1795564600000-95", max="1795564600000-95", count=1)[0]
    assert 3_600_000 <= found["time_since_delivered"] < 3_900_000


def test_restores_named_keys_with_their_time_to_live(streams: Streams, source: RedisServer, start: Start) -> None:
    source.run("SET", "caracal:control", b"\x00on")
    source.run("SET", "seen:jti:1", "x", "EX", 500)
    result = streams.read(source, 1, dump_keys=["caracal:control", "seen:jti:1", "absent"])
    assert [check["message"] for check in result["checks"] if check["id"] == "redis.values"] == [
        "key 'absent' of dump_keys does not exist, so it is not in the set"
    ]
    streams.read(source, 2)
    streams.commit()
    target = start()
    streams.restore(target)
    assert (target.run("GET", "caracal:control"), target.run("TTL", "caracal:control")) == (b"\x00on", -1)
    assert 400 < target.run("TTL", "seen:jti:1") <= 500


def test_second_run_changes_nothing_and_check_mode_predicts(streams: Streams, source: RedisServer, start: Start) -> None:
    predicted = streams.scene.call("redis_stream_snapshot", check_mode=True, set_id=streams.set_id, reading=1, **source.login)
    assert predicted["changed"] and not predicted["artifacts"]
    first = streams.read(source, 1)
    assert [(one["name"], one["entries"]) for one in predicted["streams"]] == [(one["name"], one["entries"]) for one in first["streams"]]
    again = streams.read(source, 1)
    assert not again["changed"] and again["streams"] == first["streams"] and again["artifacts"] == first["artifacts"]
    streams.read(source, 2)
    streams.commit()
    target = start()
    given = {**target.login, "confirm": [target.confirmation], "set_id": streams.set_id}
    preview = streams.scene.call("redis_stream_restore", check_mode=True, **given)
    assert target.client.dbsize() == 0
    done = streams.restore(target)
    assert preview["streams"] == done["streams"] and preview["changed"]


def test_fields_are_not_printed_or_stored_in_plaintext(streams: Streams, source: RedisServer) -> None:
    source.run("XADD", "caracal.audit.events", "1795564700000-0", "secretfield", "secretvalue")
    output = repr([streams.read(source, 1), streams.read(source, 2)])
    assert "secret" not in output
    stored = b"".join(path.read_bytes() for path in streams.scene.repository.rglob("*") if path.is_file())
    assert b"secretvalue" not in stored and b"secretfield" not in stored
