# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""zstd, streaming. Level 1 wins here: audit rows are mostly hex hashes, which no level packs better."""

from __future__ import annotations

import io
import typing as t

from .._deps import require_zstandard
from .._errors import TamperedData

NAME = "zstd"
LEVEL = 1

# Packed bytes that are unpacked at once, and plain bytes that are enough for one turn. A frame of zeros grows
# 32,000 times, so a small step is what keeps memory bounded whatever a set holds.
STEP = 1 << 10
ENOUGH = 1 << 18


def compressor() -> t.Any:
    """An object with `compress(data) -> bytes` and `flush() -> bytes`; its work runs in a thread of its own."""
    return require_zstandard().ZstdCompressor(level=LEVEL, threads=1, write_checksum=True).compressobj()


class Decompressor:
    """Reads a zstd stream from a raw reader; `read(n)` gives plain bytes, b"" only at a true end.

    A stream that ends inside a frame raises TamperedData: an early end must never look like a short file.
    """

    def __init__(self, raw: t.BinaryIO, name: str) -> None:
        self._raw = raw
        self._name = name
        self._zstd = require_zstandard()
        self._object = self._zstd.ZstdDecompressor().decompressobj()
        self._pending = memoryview(b"")

    def read(self, size: int) -> bytes:
        while not self._pending:
            if self._object.eof:
                if self._object.unused_data or self._raw.read(1):
                    raise TamperedData(f"{self._name}: bytes follow the end of its zstd frame; use another copy of the set")
                return b""
            self._pending = memoryview(self._unpack())
        part, self._pending = self._pending[:size], self._pending[size:]
        return bytes(part)

    def _unpack(self) -> bytearray:
        plain = bytearray()
        while len(plain) < ENOUGH and not self._object.eof:
            chunk = self._raw.read(STEP)
            if not chunk:
                raise TamperedData(f"{self._name}: the zstd stream ends too early; use another copy of the set")
            try:
                plain += self._object.decompress(chunk)
            except self._zstd.ZstdError as exc:
                raise TamperedData(f"{self._name}: not a zstd stream ({exc}); use another copy of the set") from exc
        return plain

    def read_all(self, limit: int) -> bytes:
        """Everything, at most `limit` bytes; more raises TamperedData."""
        parts = bytearray()
        while chunk := self.read(1 << 20):
            parts += chunk
            if len(parts) > limit:
                raise TamperedData(f"{self._name}: more than {limit} bytes when unpacked; use another copy of the set")
        return bytes(parts)


def compress(data: bytes) -> bytes:
    """Small data in one go."""
    return t.cast(bytes, require_zstandard().ZstdCompressor(level=3, write_checksum=True).compress(data))


def decompress(data: bytes, name: str, limit: int) -> bytes:
    """Small data in one go."""
    return Decompressor(io.BytesIO(data), name).read_all(limit)
