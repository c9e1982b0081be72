# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands that rebuild streams, and the check that a file contains no other commands."""

from __future__ import annotations

import re
import typing as t

from ..._errors import TamperedData
from .reading import Group, Pending, Stream, Value

# A stream without entries can only be created together with a group. This group is removed again at once.
TEMPORARY_GROUP = b"caracal_ops.backup"
MARKER = b"caracal_ops:restoring"

_ID = re.compile(rb"[0-9]{1,20}-[0-9]{1,20}\Z")
_COUNT = re.compile(rb"[0-9]{1,19}\Z")
_ANY = re.compile(rb".*\Z", re.DOTALL)
Form = tuple[t.Union[bytes, "re.Pattern[bytes]"], ...]
_CREATE: Form = (b"XGROUP", b"CREATE", _ANY, _ANY, _ID, b"MKSTREAM")
FORMS: tuple[Form, ...] = (
    (b"XSETID", _ANY, _ID, b"ENTRIESADDED", _COUNT, b"MAXDELETEDID", _ID),
    _CREATE,
    (*_CREATE, b"ENTRIESREAD", _COUNT),
    (b"XGROUP", b"CREATECONSUMER", _ANY, _ANY, _ANY),
    (b"XGROUP", b"DESTROY", _ANY, TEMPORARY_GROUP),
    (b"XCLAIM", _ANY, _ANY, _ANY, b"0", _ID, b"TIME", _COUNT, b"RETRYCOUNT", _COUNT, b"FORCE", b"JUSTID"),
    (b"RESTORE", _ANY, _COUNT, _ANY),
    (b"DEL", _ANY),
)
_KEY_AT = {b"XGROUP": 2}


def check(command: t.Sequence[bytes], name: str) -> bytes:
    """Return the key that a command refers to. Raise TamperedData for a command that is not allowed in a snapshot."""
    fits = _is_add(command) or any(_fits(command, form) for form in FORMS)
    key = command[_KEY_AT.get(command[0], 1)] if fits else MARKER
    if key == MARKER:
        shown = " ".join(part[:20].decode("ascii", "replace") for part in command[:2] if part.isalpha() and part.isupper())
        raise TamperedData(
            f"{name} contains a command that is not allowed in a snapshot ({shown or 'unknown'}), so it was not sent; use another set"
        )
    return key


def _is_add(command: t.Sequence[bytes]) -> bool:
    return command[0] == b"XADD" and len(command) >= 5 and len(command) % 2 == 1 and _ID.match(command[2]) is not None


def _fits(command: t.Sequence[bytes], form: Form) -> bool:
    return len(command) == len(form) and all(
        part == wanted if isinstance(wanted, bytes) else wanted.match(part) for part, wanted in zip(command, form, strict=True)
    )


def add(key: bytes, entry_id: bytes, fields: t.Sequence[bytes]) -> list[bytes]:
    return [b"XADD", key, entry_id, *fields]


def empty(key: bytes) -> list[list[bytes]]:
    """Return the commands that create a stream without entries."""
    return [[b"XGROUP", b"CREATE", key, TEMPORARY_GROUP, b"0-0", b"MKSTREAM"], [b"XGROUP", b"DESTROY", key, TEMPORARY_GROUP]]


def position(stream: Stream, entries: int) -> list[bytes]:
    """Return the command that sets the last ID and the counters, after `entries` entries were added."""
    added = max(stream.added, entries)  # a counter below the length is refused
    return [b"XSETID", stream.name, stream.last.encode(), b"ENTRIESADDED", b"%d" % added, b"MAXDELETEDID", stream.max_deleted.encode()]


def group(key: bytes, one: Group) -> list[list[bytes]]:
    """Return the commands that create a group with all its consumers, including consumers without pending entries."""
    read = [] if one.entries_read is None else [b"ENTRIESREAD", b"%d" % one.entries_read]
    create = [b"XGROUP", b"CREATE", key, one.name, one.last_delivered.encode(), b"MKSTREAM", *read]
    return [create, *([b"XGROUP", b"CREATECONSUMER", key, one.name, consumer] for consumer in one.consumers)]


def claim(key: bytes, group_name: bytes, one: Pending) -> list[bytes]:
    """Return the command that restores a pending entry with its delivery time and count.

    Redis ignores the command if the entry does not exist.
    """
    head = [b"XCLAIM", key, group_name, one.consumer, b"0", one.entry_id]
    return [*head, b"TIME", b"%d" % one.delivered_at, b"RETRYCOUNT", b"%d" % one.deliveries, b"FORCE", b"JUSTID"]


def value(one: Value) -> list[bytes]:
    """Return the command that restores a key that is not a stream, with its remaining time to live."""
    return [b"RESTORE", one.name, b"%d" % one.milliseconds, one.payload]
