# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Streams with problems before the backup: the backup and a restore of its set report them."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._assets.streams import redis_unread
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import streams as product
from scenes.redis_server import RedisServer
from scenes.scene import Result
from unit.plugins.module_utils._assets.streams.conftest import Start, Streams

STREAM, GROUP = "caracal.audit.events", "audit-ingestor"


def stream(entries: int, added: int, first: str, group: dict[str, t.Any] | None) -> dict[str, t.Any]:
    groups = [{"name": GROUP, **group}] if group else []
    return {"name": STREAM, "entries": entries, "added": added, "first": first if entries else None, "last": "20-0", "groups": groups}


def verdict(one: dict[str, t.Any]) -> str:
    return redis_unread.judge([one]).verdict


@pytest.mark.no_false_alarm
@pytest.mark.parametrize(
    "one",
    [
        # All entries were read, then all or some were trimmed.
        stream(0, 20, "", {"last_delivered": "20-0", "entries_read": 20}),
        stream(5, 20, "16-0", {"last_delivered": "17-0", "entries_read": 17}),
        # Nothing was read or trimmed.
        stream(20, 20, "1-0", {"last_delivered": "0-0", "entries_read": None}),
        # Read up to the trimmed entries.
        stream(5, 20, "16-0", {"last_delivered": "15-0", "entries_read": 15}),
        # Redis does not know which entries were read.
        stream(5, 20, "16-0", {"last_delivered": "9-0", "entries_read": None}),
    ],
)
def test_streams_without_lost_entries_pass(one: dict[str, t.Any]) -> None:
    assert verdict(one) == "pass"


@pytest.mark.no_false_alarm
def test_group_of_a_removed_gateway_has_lost_nothing() -> None:
    gone = {"name": "gateway-revocation:gone", "last_delivered": "2-0", "entries_read": 2}
    there = {"name": "sts-revocation", "last_delivered": "20-0", "entries_read": 20}
    assert verdict({**stream(5, 20, "16-0", None), "name": "caracal.sessions.revoke", "groups": [gone, there]}) == "pass"


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("one", "count"),
    [
        (stream(5, 20, "16-0", {"last_delivered": "9-0", "entries_read": 9}), 6),
        (stream(5, 20, "16-0", {"last_delivered": "0-0", "entries_read": None}), 15),
        (stream(0, 20, "", {"last_delivered": "9-0", "entries_read": 9}), 11),
    ],
)
def test_reports_trimmed_unread_entries(one: dict[str, t.Any], count: int) -> None:
    found = redis_unread.judge([one])
    assert (found.id, found.verdict) == (redis_unread.LOST, "warn")
    assert found.details["lost"] == [{"stream": STREAM, "group": GROUP, "entries": count}]


def warned(result: Result) -> set[str]:
    return {one["id"] for one in result["checks"] if one["verdict"] == "warn"}


@pytest.mark.mutation
@pytest.mark.parametrize("major", [7, 8])
def test_backup_and_restore_report_entries_lost_by_redis(streams: Streams, start: Start, major: int) -> None:
    source, target = start(major), start(major)
    fill(source)
    source.client.xtrim(STREAM, maxlen=2, approximate=False)
    streams.read(source, 1)
    assert warned(streams.read(source, 2)) == {redis_unread.LOST}
    streams.commit()
    assert warned(streams.restore(target)) == {redis_unread.LOST}


@pytest.mark.no_false_alarm
def test_trimming_read_entries_is_not_a_loss(streams: Streams, start: Start) -> None:
    source = start()
    fill(source)
    source.client.xreadgroup(GROUP, "worker", {STREAM: ">"}, noack=True)
    source.client.xtrim(STREAM, maxlen=2, approximate=False)
    streams.read(source, 1)
    assert warned(streams.read(source, 2)) == set()


def fill(server: RedisServer) -> None:
    """Add ten entries, two of them read. Some streams have none."""
    for known in product.STREAMS:
        for group in known.groups:
            server.client.xgroup_create(known.name, group, "0", mkstream=True)
    for number in range(10):
        server.client.xadd(STREAM, {"n": number})
    server.client.xreadgroup(GROUP, "worker", {STREAM: ">"}, count=2, noack=True)
