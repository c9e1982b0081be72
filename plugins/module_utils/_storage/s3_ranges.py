# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Random access to an object of a bucket."""

from __future__ import annotations

import io
import typing as t

from .._errors import StorageError, Unreachable
from . import s3_read
from .s3_client import ATTEMPTS, translated_errors

BUFFER = 1 << 18
# Smaller objects are read with one request: its latency exceeds the transfer time of a usual hourly export.
AT_ONCE = 8 << 20


def seekable(get: t.Callable[..., t.Any], size: int, where: str) -> t.BinaryIO:
    """Return a seekable stream of one version. Bytes of a large object are not compared with a checksum; `s3_read.opened` does that."""
    if size <= AT_ONCE:
        with s3_read.opened(get, where) as whole:
            return io.BytesIO(whole.read())
    return t.cast("t.BinaryIO", io.BufferedReader(Ranges(get, size, where), BUFFER))


class Ranges(io.RawIOBase):
    """An object of `size` bytes. Each read is a separate request."""

    def __init__(self, get: t.Callable[..., t.Any], size: int, where: str) -> None:
        super().__init__()
        self._get = get
        self._size = size
        self._where = where
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if position < 0:
            raise ValueError(f"{position} is not a position in {self._where}")
        self._position = position
        return position

    def readinto(self, buffer: t.Any) -> int:
        end = min(self._position + len(buffer), self._size)
        if end <= self._position:
            return 0
        data = self._read(self._position, end)
        buffer[: len(data)] = data
        self._position = end
        return len(data)

    def _read(self, start: int, end: int) -> bytes:
        for attempt in range(ATTEMPTS):
            try:
                with translated_errors(self._where):
                    data = bytes(self._get(Range=f"bytes={start}-{end - 1}")["Body"].read())
            except Unreachable:
                if attempt == ATTEMPTS - 1:
                    raise
                continue
            if len(data) == end - start:
                return data
            break
        raise StorageError(f"{self._where}: the store sent another part than was requested; try again, or use another copy")
