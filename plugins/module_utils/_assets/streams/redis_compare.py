# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compare a restored Redis with the snapshot's record of every stream."""

from __future__ import annotations

import typing as t

from ..._drivers.redis import reading
from ..._drivers.redis.connection import Session
from ..._drivers.redis.reading import Group, Stream
from ..._drivers.redis.replaying import Replay
from ..._report.check import FAIL, PASS, WARN, Check
from . import redis_provisioned, redis_unread
from .redis_readings import GroupDetails, StreamDetails
from .redis_snapshot_set import Snapshot


class GroupSummary(t.TypedDict):
    """A group in the result of a restore."""

    name: str
    last_delivered: str
    lag: int | None
    pending: int
    lost: int


class StreamSummary(t.TypedDict):
    """A stream in the result of a restore."""

    name: str
    entries: int
    last: str
    groups: list[GroupSummary]


def public(stream: StreamDetails) -> StreamSummary:
    """Return the fields of a stream for the result."""
    groups: list[GroupSummary] = [
        {
            "name": one["name"],
            "last_delivered": one["last_delivered"],
            "lag": one["lag"],
            "pending": one["pending"],
            "lost": one["lost"],
        }
        for one in stream["groups"]
    ]
    return {"name": stream["name"], "entries": stream["entries"], "last": stream["last"], "groups": groups}


def compare(session: Session, snapshot: Snapshot, replay: Replay) -> list[Check]:
    """Return one check for each stream, and one that there are no other keys."""
    checks = [_stream(session, one, replay) for one in snapshot.streams]
    checks += [redis_unread.judge(snapshot.streams), *redis_provisioned.judge(session)]
    names = snapshot.values
    gone = [name for name in names if not session.call("EXISTS", name)]  # before DBSIZE, which counts expired keys until they are accessed
    expected, found = len(snapshot.names()) + 1, session.call("DBSIZE")  # the marker is still there
    if found == expected and not gone:
        checks.append(Check("redis.keys", PASS, f"{len(snapshot.streams)} streams and {len(names)} other keys as in the snapshot"))
    elif found + len(gone) == expected:
        words = f"{len(gone)} other keys have expired since they were restored (first: {gone[0]})"
        checks.append(Check("redis.keys", WARN, words))
    else:
        checks.append(Check("redis.keys", FAIL, f"the target has {found - 1} keys instead of {expected - 1}"))
    return checks


def _stream(session: Session, recorded: StreamDetails, replay: Replay) -> Check:
    name = recorded["name"]
    found = reading.look(session, name.encode())
    if found is None:
        return Check(f"redis.{name}", FAIL, f"stream {name} is not in the target")
    differences = [
        f"{what} is {value} instead of {wanted}"
        for what, value, wanted in (
            ("length", found.length, recorded["entries"]),
            ("last id", found.last, recorded["last"]),
            ("entries-added", found.added, recorded["added"]),
            ("max-deleted-entry-id", found.max_deleted, recorded["max_deleted"]),
        )
        if value != wanted
    ]
    differences += _groups(found, recorded["groups"], replay)
    if differences:
        return Check(f"redis.{name}", FAIL, f"stream {name}: {differences[0]}", details={"differences": differences})
    pending = sum(group.pending for group in found.groups)
    return Check(
        f"redis.{name}", PASS, f"stream {name}: {found.length} entries, {len(found.groups)} groups, {pending} pending, as in the snapshot"
    )


def _groups(found: Stream, recorded: t.Sequence[GroupDetails], replay: Replay) -> list[str]:
    there = {reading.text(one.name): one for one in found.groups}
    wanted = {one["name"] for one in recorded}
    differences = [f"group {name} is not in the snapshot" for name in sorted(there.keys() - wanted)]
    for one in recorded:
        group = there.get(one["name"])
        differences += [f"group {one['name']} is missing"] if group is None else _group(found.name, group, one, replay)
    return differences


def _group(stream: bytes, group: Group, recorded: GroupDetails, replay: Replay) -> list[str]:
    """Compare a group.

    Pending entries whose entry was deleted cannot be restored, but there may not be more of them than in the snapshot.
    """
    refused = replay.refused[(stream, group.name)]
    pairs = (
        ("last delivered id", group.last_delivered, recorded["last_delivered"]),
        ("entries-read", group.entries_read, recorded["entries_read"]),
        ("consumers", sorted({reading.text(one) for one in group.consumers}), recorded["consumers"]),
        ("pending", group.pending, recorded["pending"] - refused),
    )
    differences = [f"group {recorded['name']}: {what} is {value} instead of {wanted}" for what, value, wanted in pairs if value != wanted]
    if refused > recorded["lost"]:
        differences.append(
            f"group {recorded['name']}: {refused} pending entries refer to missing entries, but the snapshot records {recorded['lost']}"
        )
    return differences
