# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read streams, groups and pending entries in pages. No reply is larger than a page."""

from __future__ import annotations

import dataclasses
import re
import time
import typing as t

from ..._errors import OptionError, StageFailed, TamperedData, Unreachable
from .connection import Session

# The approximate size of a page. The first page is short because the size of entries is not known yet. The number of entries in
# a page is limited, so that large entries after small ones do not make a reply too large.
PAGE_BYTES = 1 << 20
FIRST_PAGE, LONGEST_PAGE = 8, 128
PENDING_PAGE = 1000
VALUE_LIMIT = 1 << 20
FIND_SECONDS = 600
OTHER_TYPE = "WRONGTYPE"  # the start of Redis's error for a command on a key of another type
_ID = re.compile(rb"\d{1,20}-\d{1,20}")


@dataclasses.dataclass(frozen=True)
class Group:
    """A consumer group at one point in time. `entries_read` and `lag` are None if Redis does not know them."""

    name: bytes
    last_delivered: str
    entries_read: int | None
    lag: int | None
    pending: int
    consumers: tuple[bytes, ...]


@dataclasses.dataclass(frozen=True)
class Stream:
    """A stream and its groups at one point in time. `first` is `0-0` if it has no entry."""

    name: bytes
    length: int
    first: str
    last: str
    max_deleted: str
    added: int
    groups: tuple[Group, ...]


@dataclasses.dataclass(frozen=True)
class Pending:
    """An entry that was delivered and not acknowledged. `delivered_at` is in milliseconds since 1970."""

    entry_id: bytes
    consumer: bytes
    delivered_at: int
    deliveries: int


@dataclasses.dataclass(frozen=True)
class Value:
    """A key that is not a stream, in the format of DUMP. `milliseconds` is its time to live, 0 if it never expires."""

    name: bytes
    milliseconds: int
    payload: bytes


def number(entry_id: str) -> tuple[int, int]:
    """Return an ID as a tuple that sorts in stream order."""
    milliseconds, _dash, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence)


def text(name: bytes) -> str:
    """Return a name for messages and documents. Bytes that are not UTF-8 become `\\xNN`."""
    return name.decode("utf-8", "backslashreplace")


def now(session: Session) -> int:
    """Return the server's time in milliseconds since 1970."""
    seconds, microseconds = session.call("TIME")
    return int(seconds) * 1000 + int(microseconds) // 1000


def find(session: Session, pattern: str) -> list[bytes]:
    """Return the names of all streams that match `pattern`, sorted.

    Raises OptionError for a name that a document cannot contain, and Unreachable if the server's list does not end.
    """
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
    """Return everything but the entries of a stream, from one reply and so from one point in time.

    Returns None if the stream does not exist or the key has another type.
    """
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
    """Return the type of a key that is not a stream, or None for a stream and a missing key.

    The login may lack the privilege for the TYPE command.
    """
    if not session.call("EXISTS", name) or look(session, name) is not None:
        return None
    return text(session.attempt("TYPE", name) or b"key of another type")


def entries(session: Session, stream: Stream, after: str | None) -> t.Iterator[tuple[bytes, list[bytes]]]:
    """Yield the IDs and fields of all entries after the ID `after` that the stream contained when `stream` was read.

    Raises TamperedData for endless replies.
    """
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
    """Yield pages of entries that `group` has not acknowledged, up to the last entry that the stream had when it was read.

    Raises TamperedData as `entries` does.
    """
    start: bytes = b"-"
    last: str | None = None
    while True:
        read_at = now(session)
        page = session.call("XPENDING", stream.name, group.name, start, stream.last, PENDING_PAGE)
        last = _in_order(session, stream, last, [one[0] for one in page])
        yield [Pending(one[0], one[1], max(0, read_at - one[2]), one[3]) for one in page]
        if len(page) < PENDING_PAGE:
            return
        start = b"(" + page[-1][0]


def _in_order(session: Session, stream: Stream, last: str | None, ids: t.Sequence[bytes]) -> str | None:
    """Return the last of some IDs. Raise TamperedData unless they are in ascending order and not after the end of the stream."""
    for one in ids:
        if not _follows(one, last, stream.last):
            raise TamperedData(
                f"Redis {session.address} returned entry {text(one)[:40]} of {text(stream.name)} out of order; check which server this is"
            )
        last = one.decode()
    return last


def _follows(one: bytes, last: str | None, end: str) -> bool:
    """Return True if an ID is after `last` and not after `end`. An invalid ID returns False."""
    try:
        found = number(one.decode())
        return found <= number(end) and (last is None or found > number(last))
    except ValueError:
        return False


def is_there(session: Session, stream: Stream, entry_id: bytes) -> bool:
    """Return True if the stream still has an entry. Redis is queried only for IDs that are not above the highest deleted one."""
    at = number(entry_id.decode())
    if stream.length == 0 or at < number(stream.first):
        return False
    return at > number(stream.max_deleted) or bool(session.call("XRANGE", stream.name, entry_id, entry_id, "COUNT", 1))


def value(session: Session, name: str) -> Value | None:
    """Return a small key, or None if it does not exist. Raise OptionError for a large one."""
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
    """Return the ID as text. Raise TamperedData if it is not the ID of an entry."""
    if not _ID.fullmatch(data):
        raise TamperedData(f"Redis returned {text(data)[:40]!a} instead of the ID of an entry; check which server this is")
    return data.decode()
