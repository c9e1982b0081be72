# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write commands in the Redis protocol (RESP, arrays of bulk strings), and read them back strictly."""

from __future__ import annotations

import io
import re
import typing as t

from ..._errors import StageFailed, TamperedData
from ..._stream.pipes import Reader

# Limits for one command: bytes and strings. An entry of Caracal has a few KiB. Its services refuse more than 1 MiB.
COMMAND_LIMIT = 64 << 20
STRINGS_LIMIT = 1 << 16
_HEAD = re.compile(rb"[*$](0|[1-9][0-9]{0,8})\r\n\Z")
_HEAD_LIMIT = 13


def encode(command: t.Sequence[bytes]) -> bytes:
    """Encode one command. Raise StageFailed for one that `commands` would refuse."""
    parts = [b"*%d\r\n" % len(command)]
    for one in command:
        parts += [b"$%d\r\n" % len(one), one, b"\r\n"]
    made = b"".join(parts)
    if len(made) > COMMAND_LIMIT or not 0 < len(command) <= STRINGS_LIMIT:
        raise StageFailed(
            f"an entry of {len(made)} bytes and {len(command)} fields is larger than a snapshot can contain; remove it, then run again"
        )
    return made


def commands(source: Reader, name: str) -> t.Iterator[list[bytes]]:
    """Yield every command of an artifact, in order. Raise TamperedData for data that `encode` could not have written."""
    stream = io.BufferedReader(_Raw(source), 1 << 18)
    while True:
        head = stream.readline(_HEAD_LIMIT)
        if not head:
            return
        count = _number(head, b"*", name)
        if not 0 < count <= STRINGS_LIMIT:
            raise _fault(name, f"a command of {count} strings")
        left = COMMAND_LIMIT
        found = []
        for _index in range(count):
            length = _number(stream.readline(_HEAD_LIMIT), b"$", name)
            left -= length
            if left < 0:
                raise _fault(name, "a command that is too large")
            data = stream.read(length + 2)
            if len(data) != length + 2 or data[-2:] != b"\r\n":
                raise _fault(name, "a string whose length is wrong")
            found.append(data[:-2])
        yield found


def _number(head: bytes, kind: bytes, name: str) -> int:
    if head[:1] != kind or not _HEAD.match(head):
        raise _fault(name, "a value that is not an array of strings")
    return int(head[1:-2])


def _fault(name: str, what: str) -> TamperedData:
    return TamperedData(f"{name} contains {what} instead of a command; use another copy of the set")


class _Raw(io.RawIOBase):
    """An adapter from `read(n)` of a stream to the interface of Python's buffered reader."""

    def __init__(self, source: Reader) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int:
        data = self._source.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
