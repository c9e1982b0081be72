# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Streams, groups and pending entries as they are, in pages: no reply is larger than a page."""

from __future__ import annotations

import dataclasses
import re
import time
import typing as t

from ..._errors import OptionError, StageFailed, TamperedData, Unreachable
from .connection import Session

# A page holds about this many bytes. The first one is short, since nothing tells yet how large entries are, and no
# page is so long that entries of the largest size after small ones would make a reply that hurts.
PAGE_BYTES = 1 << 20
FIRST_PAGE, LONGEST_PAGE = 8, 128
PENDING_PAGE = 1000
VALUE_LIMIT = 1 << 20
FIND_SECONDS = 600
OTHER_TYPE = "WRONGTYPE"  # how Redis begins its refusal of a command for another type of key
_ID = re.compile(rb"\d{1,20}-\d{1,20}")


@dataclasses.dataclass(frozen=True)
class Group:
    """A consumer group at one instant; `entries_read` and `lag` are None where Redis does not know them."""

    name: bytes
    last_delivered: str
    entries_read: int | None
    lag: int | None
    pending: int
    consumers: tuple[bytes, ...]


@dataclasses.dataclass(frozen=True)
class Stream:
    """A stream and its groups at one instant. `first` is `0-0` when it has no entry."""

    name: bytes
    length: int
    first: str
    last: str
    max_deleted: str
    added: int
    groups: tuple[Group, ...]


@dataclasses.dataclass(frozen=True)
class Pending:
    """An entry that was delivered and not acknowledged; `delivered_at` in milliseconds since 1970."""

    entry_id: bytes
    consumer: bytes
    delivered_at: int
    deliveries: int


@dataclasses.dataclass(frozen=True)
class Value:
    """A key that is no stream, as DUMP gives it; `milliseconds` to live, 0 for ever."""

    name: bytes
    milliseconds: int
    payload: bytes


def number(entry_id: str) -> tuple[int, int]:
    """An id in the order of the stream."""
    milliseconds, _dash, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence)


def text(name: bytes) -> str:
    """A name for people and documents; bytes that are no UTF-8 as `\\xNN`."""
    return name.decode("utf-8", "backslashreplace")


def now(session: Session) -> int:
    """Milliseconds since 1970 by the server's clock."""
    seconds, microseconds = session.call("TIME")
    return int(seconds) * 1000 + int(microseconds) // 1000


def find(session: Session, pattern: str) -> list[bytes]:
    """Names of all streams that `pattern` fits, sorted. Raises OptionError for one that a document cannot hold, Unreachable when the
    server comes to no end."""
    found: set[bytes] = set()
    cursor = b"0"
    began = time.monotonic()
    while True:
        if time.monotonic() - began > FIND_SECONDS:
            raise Unreachable(f"Redis {session.address} did not list all its streams within {FIND_SECONDS} s; check which server this is")
        cursor, names = session.call("SCAN", cursor, "MATCH", pattern, "COUNT", 500, "TYPE", "stream")
        found.update(names)
        if int(cursor) == 0:
            break
    odd = [name for name in found if "\\" in text(name)]
    if odd:
        raise OptionError(f"stream {text(odd[0])[:80]} has a name that is not plain UTF-8; narrow the option pattern to exclude it")
    return sorted(found)


def look(session: Session, name: bytes) -> Stream | None:
    """Everything but entries, in one reply and so at one instant. None when there is no such stream, or a key of another type."""
    if not session.call("EXISTS", name):
        return None
    try:
        found = _map(session.call("XINFO", "STREAM", name, "FULL", "COUNT", 1))
    except StageFailed as exc:
        if OTHER_TYPE not in str(exc):
            raise
        return None
    return Stream(
        name=name,
        length=found["length"],
        first=_id(found["recorded-first-entry-id"]),
        last=_id(found["last-generated-id"]),
        max_deleted=_id(found["max-deleted-entry-id"]),
        added=found["entries-added"],
        groups=tuple(sorted((_group(_map(one)) for one in found["groups"]), key=lambda one: one.name)),
    )


def other_type(session: Session, name: bytes) -> str | None:
    """The type of a key that is not a stream, None for a stream and for a key that is not there. A login may lack the right to ask."""
    if not session.call("EXISTS", name) or look(session, name) is not None:
        return None
    return text(session.attempt("TYPE", name) or b"key of another type")


def entries(session: Session, stream: Stream, after: str | None) -> t.Iterator[tuple[bytes, list[bytes]]]:
    """Ids and fields of all entries that the stream had when it was looked at, from `after` on, which is not among them. Raises
    TamperedData for answers that would come to no end."""
    start = f"({after}".encode() if after else b"-"
    count, found, last = FIRST_PAGE, 0, after
    while True:
        page = session.call("XRANGE", stream.name, start, stream.last, "COUNT", count)
        found += len(page)
        if found > stream.length:
            raise TamperedData(f"Redis {session.address} returned more entries than {text(stream.name)} has; check which server this is")
        last = _in_order(session, stream, last, [entry_id for entry_id, _fields in page])
        yield from page
        if len(page) < count:
            return
        start = b"(" + page[-1][0]
        size = sum(len(part) for _entry_id, fields in page for part in fields)
        count = max(1, min(LONGEST_PAGE, 4 * count, PAGE_BYTES * len(page) // max(1, size)))


def pending(session: Session, stream: Stream, group: Group) -> t.Iterator[list[Pending]]:
    """Pages of what `group` has not acknowledged, of entries that the stream had when it was looked at. Raises as `entries`."""
    start: bytes = b"-"
    last: str | None = None
    while True:
        moment = now(session)
        page = session.call("XPENDING", stream.name, group.name, start, stream.last, PENDING_PAGE)
        last = _in_order(session, stream, last, [one[0] for one in page])
        yield [Pending(one[0], one[1], max(0, moment - one[2]), one[3]) for one in page]
        if len(page) < PENDING_PAGE:
            return
        start = b"(" + page[-1][0]


def _in_order(session: Session, stream: Stream, last: str | None, ids: t.Sequence[bytes]) -> str | None:
    """The last of some ids, each of which comes behind the one before and not behind the end of the stream."""
    for one in ids:
        if not _follows(one, last, stream.last):
            raise TamperedData(
                f"Redis {session.address} returned entry {text(one)[:40]} of {text(stream.name)} out of order; check which server this is"
            )
        last = one.decode()
    return last


def _follows(one: bytes, last: str | None, end: str) -> bool:
    """Not so for what is no id."""
    try:
        found = number(one.decode())
        return found <= number(end) and (last is None or found > number(last))
    except ValueError:
        return False


def is_there(session: Session, stream: Stream, entry_id: bytes) -> bool:
    """Whether the stream still has an entry; only below the highest deleted id that has to be asked."""
    at = number(entry_id.decode())
    if stream.length == 0 or at < number(stream.first):
        return False
    return at > number(stream.max_deleted) or bool(session.call("XRANGE", stream.name, entry_id, entry_id, "COUNT", 1))


def value(session: Session, name: str) -> Value | None:
    """A small key; None when it is not there. Raises OptionError for one that is large."""
    size = session.call("MEMORY", "USAGE", name)
    if size is None:
        return None
    payload = session.call("DUMP", name) if size <= VALUE_LIMIT else b""
    if size > VALUE_LIMIT or len(payload or b"") > VALUE_LIMIT:
        raise OptionError(f"key {name[:80]!a} of dump_keys has {size} bytes, more than {VALUE_LIMIT}; remove it from dump_keys")
    left = session.call("PTTL", name)
    if payload is None or left == -2:
        return None
    return Value(name.encode(), max(0, left), payload)


def _group(found: t.Mapping[str, t.Any]) -> Group:
    consumers = tuple(sorted(_map(one)["name"] for one in found["consumers"]))
    return Group(found["name"], _id(found["last-delivered-id"]), found["entries-read"], found["lag"], found["pel-count"], consumers)


def _map(reply: list[t.Any]) -> dict[str, t.Any]:
    return {key.decode(): value for key, value in zip(reply[::2], reply[1::2], strict=True)}


def _id(data: bytes) -> str:
    """Raises TamperedData for what is no id of an entry."""
    if not _ID.fullmatch(data):
        raise TamperedData(f"Redis returned {text(data)[:40]!a} instead of the ID of an entry; check which server this is")
    return data.decode()
