# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Passes over a Redis in use: entries are written, read, trimmed or deleted in the meantime."""

from __future__ import annotations

import threading
import typing as t

import pytest
import redis

from harness.waiting import eventually
from scenes.redis_server import RedisServer
from unit.plugins.module_utils._assets.streams.conftest import Start, Streams, provisioned

STREAM, GROUP = "caracal.audit.events", "audit-ingestor"


class Work:
    """A writer that also trims, and a consumer that acknowledges two of three entries, until `stop`."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self._done = threading.Event()
        self.written: dict[bytes, bytes] = {}
        self.acknowledged: set[bytes] = set()
        self._errors: list[BaseException] = []
        self._threads = [threading.Thread(target=self._run, args=(one,)) for one in (self._write, self._consume)]
        for thread in self._threads:
            thread.start()

    def _run(self, work: t.Callable[[t.Any, int], None]) -> None:
        client = redis.Redis(unix_socket_path=self._server.socket, protocol=2)
        count = 0
        try:
            while not self._done.is_set():
                count += 1
                work(client, count)
        except BaseException as exc:  # noqa: BLE001 - told by `stop`
            self._errors.append(exc)

    def _write(self, client: t.Any, count: int) -> None:
        value = b"%d\r\n" % count * 20
        self.written[client.xadd(STREAM, {"n": value})] = value
        if count % 100 == 0:
            client.xtrim(STREAM, maxlen=11_000, approximate=True)

    def _consume(self, client: t.Any, count: int) -> None:
        for _stream, entries in client.xreadgroup(GROUP, "worker", {STREAM: ">"}, count=20) or []:
            for number, (entry_id, _fields) in enumerate(entries):
                if number % 3:
                    client.xack(STREAM, GROUP, entry_id)
                    self.acknowledged.add(entry_id)

    def more(self) -> None:
        """Wait until another 500 entries were written and another 100 acknowledged."""
        written, acknowledged = len(self.written), len(self.acknowledged)
        eventually(lambda: self._errors or (len(self.written) >= written + 500 and len(self.acknowledged) >= acknowledged + 100))
        assert not self._errors

    def stop(self) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()
        assert not self._errors


def order(entry_id: bytes) -> tuple[int, int]:
    milliseconds, _dash, sequence = entry_id.partition(b"-")
    return int(milliseconds), int(sequence)


def test_stream_in_use_loses_and_duplicates_no_entry(streams: Streams, start: Start) -> None:
    source, target = start(), start()
    with source.client.pipeline() as pipe:
        for number in range(12_000):
            pipe.xadd(STREAM, {"n": b"old"}, id=f"1-{number + 1}")
        pipe.execute()
    source.run("XGROUP", "CREATE", STREAM, GROUP, "$")
    work = Work(source)
    try:
        work.more()
        streams.read(source, 1)
        work.more()
        second = streams.read(source, 2)
    finally:
        work.stop()
    streams.commit()
    restored = streams.restore(target)["streams"][0]
    end = order(restored["last"].encode())
    after = {entry_id: fields[b"n"] for entry_id, fields in target.client.xrange(STREAM)}
    pending = {one["message_id"] for one in target.client.xpending_range(STREAM, GROUP, "-", "+", 1_000_000)}
    oldest = order(source.client.xrange(STREAM, count=1)[0][0])
    written = {one: value for one, value in work.written.items() if order(one) <= end}
    assert second["streams"][0]["entries"] > 500 and len(written) > 1000
    assert {one for one in written if order(one) >= oldest} <= after.keys()
    assert all(work.written.get(one, b"old") == value for one, value in after.items())
    assert len(after) == target.client.xlen(STREAM)
    delivered = order(restored["groups"][0]["last_delivered"].encode())
    open_ones = {one for one in written if order(one) <= delivered and one not in work.acknowledged}
    assert open_ones and {one for one in open_ones if one in after} <= pending
    assert delivered <= end


@pytest.mark.mutation
def test_reports_entries_trimmed_between_passes(streams: Streams, source: RedisServer, start: Start) -> None:
    streams.read(source, 1)
    for number in range(10):
        source.run("XADD", STREAM, f"1795564700000-{number}", "n", number)
    source.run("XTRIM", STREAM, "MAXLEN", 4)
    result = streams.read(source, 2)
    assert [check["message"] for check in result["checks"] if check["id"] == "redis.trimmed"] == [
        f"stream {STREAM}: 6 entries were trimmed or deleted between the readings, so they are not in the set"
    ]
    streams.commit()
    target = start()
    streams.restore(target)
    assert [one[0] for one in target.client.xrange(STREAM, "1795564700000-0")] == [b"1795564700000-%d" % one for one in range(6, 10)]
    assert target.client.xlen(STREAM) > 300


@pytest.mark.no_false_alarm
def test_entries_trimmed_after_the_first_pass_are_kept(streams: Streams, source: RedisServer, start: Start) -> None:
    streams.read(source, 1)
    length = source.client.xlen(STREAM)
    source.run("XTRIM", STREAM, "MAXLEN", 4)
    result = streams.read(source, 2)
    assert not [check for check in result["checks"] if check["id"] == "redis.trimmed"]
    streams.commit()
    target = start()
    streams.restore(target)
    assert target.client.xlen(STREAM) == length


@pytest.mark.mutation
def test_pending_entries_that_are_gone_are_counted(streams: Streams, source: RedisServer) -> None:
    streams.read(source, 1)
    result = streams.read(source, 2)
    assert [check["message"] for check in result["checks"] if check["id"] == "redis.pending"] == [
        f"stream {STREAM}: 1 pending entries were trimmed or deleted, so they cannot be processed"
    ]


@pytest.mark.mutation
def test_recreated_stream_replaces_entries_of_the_first_pass(streams: Streams, source: RedisServer, start: Start) -> None:
    streams.read(source, 1)
    source.run("DEL", STREAM)
    source.run("XADD", STREAM, "1-1", "n", "anew")
    result = streams.read(source, 2)
    assert [check["id"] for check in result["checks"] if "created again" in check["message"]] == ["redis.made_anew"]
    streams.commit()
    target = start()
    streams.restore(target)
    assert target.client.xrange(STREAM) == [(b"1-1", {b"n": b"anew"})]


@pytest.mark.mutation
def test_recreated_stream_with_later_ids_is_detected_by_counters(streams: Streams, source: RedisServer, start: Start) -> None:
    streams.read(source, 1)
    source.run("DEL", STREAM)
    for number in range(400):
        source.run("XADD", STREAM, f"1795564900000-{number}", "n", "anew")
    assert "redis.made_anew" in [check["id"] for check in streams.read(source, 2)["checks"]]
    streams.commit()
    target = start()
    streams.restore(target)
    assert target.client.xrange(STREAM) == source.client.xrange(STREAM)


@pytest.mark.mutation
def test_stream_deleted_between_passes_is_kept_and_reported(streams: Streams, source: RedisServer, start: Start) -> None:
    streams.read(source, 1)
    source.run("DEL", "caracal.agents.lifecycle")
    result = streams.read(source, 2)
    assert [check["id"] for check in result["checks"] if "was deleted between" in check["message"]] == ["redis.vanished"]
    streams.commit()
    target = start()
    streams.restore(target)
    assert target.client.xlen("caracal.agents.lifecycle") == 3


def test_large_entries_are_read_in_small_pages(streams: Streams, start: Start) -> None:
    source, target = start(), start()
    for number in range(300):
        source.run("XADD", STREAM, f"1-{number + 1}", "n", "small")
    for number in range(12):
        source.run("XADD", STREAM, f"2-{number + 1}", "n", bytes([number]) * (1 << 20))
    streams.backup(source)
    streams.restore(target)
    assert target.client.xrange(STREAM) == source.client.xrange(STREAM)


@pytest.mark.mutation
def test_warns_of_settings_that_lose_events_and_dead_letters(streams: Streams, start: Start) -> None:
    source = provisioned(start(8, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"))
    source.run("XADD", f"{STREAM}.dlq", "1-1", "n", 1)
    warnings: list[str] = []
    for number in (1, 2):
        streams.scene.call("redis_stream_snapshot", warn=warnings.append, set_id=streams.set_id, reading=number, **source.login)
    assert [text.split(":")[0].split(";")[0] for text in warnings] == [
        "maxmemory-policy is allkeys-lru",
        "appendonly is off",
        f"stream {STREAM}.dlq contains 1 dead letters",
    ]


def test_reports_undelivered_entries_and_unknown_groups(streams: Streams, source: RedisServer) -> None:
    source.run("XADD", "caracal.policy.invalidate", "1-1", "n", 1)
    assert streams.read(source, 1)["checks"][0]["message"].endswith("entries read")
    message = streams.read(source, 2)["checks"][0]["message"]
    assert message == "8 streams, 0 entries read, 1 not delivered yet, unknown for 1 groups"


@pytest.mark.no_false_alarm
def test_a_healthy_source_warns_of_nothing(streams: Streams, start: Start) -> None:
    source = provisioned(start(8, "--appendonly", "yes", "--maxmemory", "100mb", "--maxmemory-policy", "noeviction"))
    source.run("XADD", STREAM, "1-1", "n", 1)
    warnings: list[str] = []
    for number in (1, 2):
        streams.scene.call("redis_stream_snapshot", warn=warnings.append, set_id=streams.set_id, reading=number, **source.login)
    assert warnings == []
