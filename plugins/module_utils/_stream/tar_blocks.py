# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Headers and data of a tar archive, read as a stream.

`tarfile` is not used to read them: it allocates as much memory as a pax header or the map of a sparse file demands.
"""

from __future__ import annotations

import re
import tarfile
import typing as t

from .._errors import BackupError
from . import pipes

_RECORD = re.compile(rb"([1-9][0-9]{0,6}) ([A-Za-z0-9._-]{1,255})=")


class Blocks:
    """An archive from a reader. `fault` creates the error for a damaged archive from a description."""

    def __init__(self, source: pipes.Reader, fault: t.Callable[[t.Any], BackupError]) -> None:
        self._source = source
        self._fault = fault

    def take(self, size: int) -> bytes:
        """Return exactly `size` bytes."""
        data = bytearray()
        while len(data) < size:
            piece = self._source.read(min(size - len(data), pipes.CHUNK))
            if not piece:
                raise self._fault("it ends early")
            data += piece
        return bytes(data)

    def header(self) -> tarfile.TarInfo | None:
        """Return the next header (of a file, or a pax header), or None at the end."""
        block = self.take(tarfile.BLOCKSIZE)
        if not any(block):
            return None
        try:
            return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.TarError as exc:
            raise self._fault(exc) from exc

    def small(self, info: tarfile.TarInfo, what: str, limit: int) -> bytes:
        """Return the data after a header, at most `limit` bytes."""
        if not 0 <= info.size <= limit:
            raise self._fault(f"{what} of {info.size} bytes")
        return self.take(info.size + -info.size % tarfile.BLOCKSIZE)[: info.size]

    def pax(self, data: bytes) -> dict[str, str]:
        """Return the fields of a pax header."""
        found, at = {}, 0
        while at < len(data):
            record = _RECORD.match(data, at)
            end = at + int(record[1]) if record else 0
            if not record or not record.end() < end <= len(data) or data[end - 1] != ord("\n"):
                raise self._fault("an invalid pax header")
            found[record[2].decode("ascii")] = data[record.end() : end - 1].decode("utf-8", "surrogateescape")
            at = end
        return found


class Data:
    """The bytes of one file, and its padding."""

    def __init__(self, blocks: Blocks, size: int) -> None:
        self._blocks = blocks
        self._left = size
        self._padding = -size % tarfile.BLOCKSIZE

    def read(self, size: int = -1) -> bytes:
        data = self._blocks.take(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        return data

    def skip(self) -> None:
        while self._left:
            self.read(pipes.CHUNK)
        self._blocks.take(self._padding)
