# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every difference between a target and its snapshot is found."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._assets.streams import redis_compare, redis_snapshot_set
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.redis import commands, replaying
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.redis.connection import Address, Session
from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import access, sealed_set
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, PASS, Check
from scenes import redis_server
from scenes.redis_server import RedisServer
from unit.plugins.module_utils._assets.streams.conftest import Start, Streams

AUDIT = "caracal.audit.events"


@pytest.fixture
def restored(streams: Streams, start: Start) -> t.Iterator[tuple[RedisServer, t.Callable[[], list[Check]]]]:
    """Return a target before its marker is removed, and the comparison."""
    source, target = start(), start()
    redis_server.fill(source)
    source.run("XACK", AUDIT, "audit-ingestor", "1795564600000-96")  # the pending entry that does not exist any more
    streams.backup(source)
    streams.restore(target)
    target.run("SET", commands.MARKER, streams.set_id)
    given = streams.scene.options("redis_stream_restore", set_id=streams.set_id, **target.login)
    opened = access.open_repository(given.access)
    the_set = sealed_set.SealedSet(opened, streams.set_id, given.identity_files)
    snapshot = redis_snapshot_set.load(opened, the_set, given.identity_files)
    with Session(Address.from_options(given.redis), streams.set_id) as session:
        yield target, lambda: redis_compare.compare(session, snapshot, replaying.Replay(session, streams.set_id))


@pytest.mark.no_false_alarm
def test_an_untouched_target_passes(restored: tuple[RedisServer, t.Callable[[], list[Check]]]) -> None:
    _target, compare = restored
    assert [check.verdict for check in compare()] == [PASS] * 12


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("XADD", AUDIT, "1795564600000-999", "n", "1"), "length is"),
        (("XDEL", AUDIT, "1795564600000-1"), "length is"),
        (("XSETID", AUDIT, "1795564600000-999"), "last id is 1795564600000-999"),
        (("XSETID", AUDIT, "1795564600000-299", "ENTRIESADDED", "9999", "MAXDELETEDID", "1795564600000-200"), "entries-added is 9999"),
        (("XGROUP", "SETID", AUDIT, "audit-ingestor", "1-1"), "group audit-ingestor: last delivered id is 1-1"),
        (("XGROUP", "DESTROY", AUDIT, "siem-export"), "group siem-export is missing"),
        (("XGROUP", "CREATE", AUDIT, "other", "0"), "group other is not in the snapshot"),
        (("XGROUP", "DELCONSUMER", AUDIT, "audit-ingestor", "idle"), "group audit-ingestor: consumers is"),
        (("XACK", AUDIT, "audit-ingestor", "1795564600000-100"), "group audit-ingestor: pending is"),
        (("DEL", "caracal.keys.invalidate"), "stream caracal.keys.invalidate is not in the target"),
        (("SET", "foreign", "1"), "the target has 9 keys instead of 8"),
    ],
)
def test_a_difference_is_found(restored: tuple[RedisServer, t.Callable[[], list[Check]]], command: tuple[str, ...], words: str) -> None:
    target, compare = restored
    target.run(*command)
    found = [check.message for check in compare() if check.verdict == FAIL]
    assert found and words in found[0]
