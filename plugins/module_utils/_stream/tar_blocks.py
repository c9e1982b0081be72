# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Headers and whole pieces of a tar archive, as they pass.

They are read here and not by `tarfile`, which takes as much memory as a header of pax or a map of a sparse file asks for.
"""

from __future__ import annotations

import re
import tarfile
import typing as t

from .._errors import BackupError
from . import pipes

_RECORD = re.compile(rb"([1-9][0-9]{0,6}) ([A-Za-z0-9._-]{1,255})=")


class Blocks:
    """The archive from a reader; `fault` makes the error for one that is damaged, by what is wrong with it."""

    def __init__(self, source: pipes.Reader, fault: t.Callable[[t.Any], BackupError]) -> None:
        self._source = source
        self._fault = fault

    def take(self, size: int) -> bytes:
        """Exactly so many bytes."""
        data = bytearray()
        while len(data) < size:
            piece = self._source.read(min(size - len(data), pipes.CHUNK))
            if not piece:
                raise self._fault("it ends early")
            data += piece
        return bytes(data)

    def header(self) -> tarfile.TarInfo | None:
        """The next one, of a file or of what is said about one; None at the end."""
        block = self.take(tarfile.BLOCKSIZE)
        if not any(block):
            return None
        try:
            return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.TarError as exc:
            raise self._fault(exc) from exc

    def small(self, info: tarfile.TarInfo, what: str, limit: int) -> bytes:
        """All that stands behind a header, at most `limit` bytes."""
        if not 0 <= info.size <= limit:
            raise self._fault(f"{what} of {info.size} bytes")
        return self.take(info.size + -info.size % tarfile.BLOCKSIZE)[: info.size]

    def pax(self, data: bytes) -> dict[str, str]:
        """The fields of a pax header."""
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
    """The bytes of one file, and what pads them."""

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
