# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write one reading of the streams into a set. The first reading has all entries, the second one newer entries and the groups."""

from __future__ import annotations

import typing as t

from ..._caracal import streams as product
from ..._drivers.redis import commands, reading, resp
from ..._drivers.redis.connection import Session
from ..._drivers.redis.preflight import Facts
from ..._drivers.redis.reading import Group, Stream, text
from ..._evidence.open_set import OpenSet
from ..._report.check import PASS, WARN, Check, CheckResult
from ..._repository import artifact as artifacts
from ..._repository import layout as keys
from ..._repository.artifact import ArtifactRecord
from . import redis_provisioned, redis_unread

if t.TYPE_CHECKING:
    from ..set_parts import StoredFile

SOURCE = "redis"
Sink = t.Callable[[t.Sequence[bytes]], None]


class GroupDetails(t.TypedDict):
    """A consumer group at the end of a reading. Counts that Redis does not know are None."""

    name: str
    last_delivered: str
    entries_read: int | None
    lag: int | None
    pending: int
    lost: int
    consumers: list[str]


class StreamEnd(t.TypedDict):
    """The end of a stream's reading."""

    first: str | None
    last: str
    max_deleted: str
    added: int
    entries: int


class StreamDetails(StreamEnd):
    """A stream in the encrypted inventory of a reading. The first reading has no groups, only their count."""

    name: str
    read: int
    bytes: int
    groups: list[GroupDetails]
    group_count: int
    pending: int


class StreamSummary(t.TypedDict):
    """A stream in the result of the module. `groups` is their count."""

    name: str
    entries: int
    bytes: int
    groups: int
    pending: int


class ReadingResult(t.TypedDict):
    """A reading's part of the module's result."""

    streams: list[StreamSummary]
    artifacts: list[StoredFile]
    checks: list[CheckResult]


class ReadingPart(t.TypedDict):
    """A reading's part of the set."""

    artifacts: list[ArtifactRecord]
    tools: dict[str, str]
    streams: dict[str, StreamEnd]
    result: ReadingResult


class KeyDetails(t.TypedDict):
    """Another key in the encrypted inventory."""

    name: str


def part(reading_number: int) -> str:
    return f"redis.{reading_number}"


class Reading:
    """One reading. `before` is the end of each stream in the first reading, from its part, or None in the first reading itself."""

    def __init__(self, session: Session, facts: Facts, before: t.Mapping[str, StreamEnd] | None) -> None:
        self._session = session
        self._facts = facts
        self._before = before
        self._write: Sink = lambda _command: None
        self._bytes = 0
        self.streams: list[StreamDetails] = []
        self.values: list[KeyDetails] = []
        self.checks: list[Check] = []

    def seal(self, target: OpenSet, number: int, names: t.Sequence[bytes], values: t.Sequence[str]) -> ReadingPart:
        """Read, encrypt and publish. Return the content of the part."""
        path = keys.redis_key(target.set_id, number)
        with target.sealed(path) as (sealer, publish):

            def write(command: t.Sequence[bytes]) -> None:
                self._bytes += sealer.write(resp.encode(command))

            self._write = write
            for name in values:
                self._value(name)
            for one in names:
                self._stream(one)
            made = target.artifact(artifacts.REDIS, path, publish(path), SOURCE)
        self._vanished(names)
        server = {"version": self._facts.version, "maxmemory_policy": self._facts.policy, "appendonly": self._facts.append_only}
        about = {"reading": number, "server": server}
        details = target.details(made, {**about, "streams": self.streams, "values": self.values})
        self._judge()
        return {
            "artifacts": [made.to_dict(), details.to_dict()],
            "tools": {"redis-server": self._facts.version},
            "streams": {one["name"]: _end(one) for one in self.streams},
            "result": {
                "streams": [public(one) for one in self.streams],
                "artifacts": [{"path": one.path, "size": one.size, "sha256": one.sha256} for one in (made, details)],
                "checks": [check.to_result() for check in self.checks],
            },
        }

    def _value(self, name: str) -> None:
        found = reading.value(self._session, name)
        if found is None:
            self._warn("redis.values", f"key {name[:80]!a} of dump_keys does not exist, so it is not in the set")
            return
        self._write(commands.value(found))
        self.values.append({"name": name})

    def _stream(self, name: bytes) -> None:
        seen = reading.look(self._session, name)
        if seen is None:
            return
        before = (self._before or {}).get(text(name))
        if before and _is_another(seen, before):
            self._write([b"DEL", name])
            self._warn(
                "redis.made_anew",
                f"stream {text(name)} was deleted and created again between the readings; its earlier entries are not in the set",
            )
            before = None
        began = self._bytes
        first, count = self._entries(seen, before["last"] if before else None)
        had = before["entries"] if before else 0
        self._missing(seen, count, before)
        if not had + count and not before:
            for command in commands.empty(name):
                self._write(command)
        self._write(commands.position(seen, had + count))
        groups = self._groups(seen) if self._before is not None else []
        self.streams.append(
            {
                "name": text(name),
                "entries": had + count,
                "read": count,
                "bytes": self._bytes - began,
                "first": before["first"] if before and before["first"] else first,
                "last": seen.last,
                "max_deleted": seen.max_deleted,
                "added": max(seen.added, had + count),
                "groups": groups,
                "group_count": len(seen.groups),
                "pending": sum(one["pending"] for one in groups) if groups else sum(one.pending for one in seen.groups),
            }
        )

    def _entries(self, seen: Stream, after: str | None) -> tuple[str | None, int]:
        """Write the entries. Return the ID of the first one, and their number."""
        first, count = None, 0
        for entry_id, fields in reading.entries(self._session, seen, after):
            self._write(commands.add(seen.name, entry_id, fields))
            first = first or entry_id.decode()
            count += 1
        return first, count

    def _groups(self, seen: Stream) -> list[GroupDetails]:
        groups = [self._group(seen, one) for one in seen.groups]
        lost = sum(one["lost"] for one in groups)
        if lost:
            words = f"{lost} pending entries were trimmed or deleted, so they cannot be processed"
            self._warn("redis.pending", f"stream {text(seen.name)}: {words}")
        return groups

    def _missing(self, seen: Stream, count: int, before: StreamEnd | None) -> None:
        """Warn about entries that were trimmed before they could be read."""
        expected = seen.added - before["added"] if before else seen.length
        if count < expected:
            since = "between the readings" if before else "while the stream was read"
            self._warn(
                "redis.trimmed",
                f"stream {text(seen.name)}: {expected - count} entries were trimmed or deleted {since}, so they are not in the set",
            )

    def _group(self, seen: Stream, group: Group) -> GroupDetails:
        """Write a group in the state that was read together with the last ID. Pending entries are claimed for their consumers."""
        for command in commands.group(seen.name, group):
            self._write(command)
        pending, lost, current = 0, 0, reading.look(self._session, seen.name)
        for page in reading.pending(self._session, seen, group):
            for one in page:
                self._write(commands.claim(seen.name, group.name, one))
                pending += 1
                lost += not (current and reading.is_there(self._session, current, one.entry_id))
        return {
            "name": text(group.name),
            "last_delivered": group.last_delivered,
            "entries_read": group.entries_read,
            "lag": group.lag,
            "pending": pending,
            "lost": lost,
            "consumers": sorted({text(one) for one in group.consumers}),
        }

    def _vanished(self, names: t.Sequence[bytes]) -> None:
        for name in sorted((self._before or {}).keys() - {text(one) for one in names}):
            self._warn("redis.vanished", f"stream {name} was deleted between the readings; the set contains its entries without groups")

    def _judge(self) -> None:
        """Add checks: about the settings with the first reading, about problems of streams with the second one."""
        words = f"{len(self.streams)} streams, {sum(one['read'] for one in self.streams)} entries read"
        if self._before is None:
            for doubt in self._facts.doubts():
                self._warn("redis.settings", doubt)
        else:
            words += f", {self._waiting()}"
            self.checks += [redis_unread.judge(self.streams), *redis_provisioned.judge(self._session)]
            for one in self.streams:
                if product.is_dead_letters(one["name"]) and one["entries"]:
                    self._warn("redis.dead_letters", f"stream {one['name']} contains {one['entries']} dead letters; inspect them")
        self.checks.insert(0, Check("redis.read", PASS, words, required=False))

    def _waiting(self) -> str:
        """Return in words how many entries services have not read. Redis may not know the number after a deletion."""
        pairs = [(one["name"], group) for one in self.streams for group in one["groups"]]
        lags = [group["lag"] for stream, group in pairs if product.is_consumed(stream, group["name"])]
        unknown = sum(lag is None for lag in lags)
        words = f"{sum(lag or 0 for lag in lags)} not delivered yet"
        return f"{words}, unknown for {unknown} groups" if unknown else words

    def _warn(self, check: str, message: str) -> None:
        self.checks.append(Check(check, WARN, message, required=False))


def _end(one: StreamDetails) -> StreamEnd:
    return {
        "first": one["first"],
        "last": one["last"],
        "max_deleted": one["max_deleted"],
        "added": one["added"],
        "entries": one["entries"],
    }


def _is_another(seen: Stream, before: StreamEnd) -> bool:
    """Return True if a counter decreased, which is impossible within one stream."""
    ids = ((seen.last, before["last"]), (seen.max_deleted, before["max_deleted"]))
    return seen.added < before["added"] or any(reading.number(now) < reading.number(then) for now, then in ids)


def public(stream: StreamDetails) -> StreamSummary:
    """Return the fields of a stream for the result."""
    return {
        "name": stream["name"],
        "entries": stream["read"],
        "bytes": stream["bytes"],
        "groups": stream["group_count"],
        "pending": stream["pending"],
    }
