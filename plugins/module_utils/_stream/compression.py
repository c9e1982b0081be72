# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Streaming zstd compression. Level 1 is enough: audit rows are mostly hex hashes, which no level compresses better."""

from __future__ import annotations

import io
import typing as t

from .._deps import require_zstandard
from .._errors import TamperedData

NAME = "zstd"
LEVEL = 1

# RFC 8878, section 3.1.1: a frame is a header, blocks of at most this size when decompressed, and an optional checksum.
BLOCK = 128 << 10
MAGIC = bytes.fromhex("28b52ffd")
_CHECKSUM, _SINGLE_SEGMENT = 1 << 2, 1 << 5
_DICTIONARY_BYTES, _SIZE_BYTES = (0, 1, 2, 4), (0, 2, 4, 8)
_REPEATED, _RESERVED = 1, 3


def compressor() -> t.Any:
    """Return an object with `compress(data) -> bytes` and `flush() -> bytes`. It compresses in its own thread."""
    return require_zstandard().ZstdCompressor(level=LEVEL, threads=1, write_checksum=True).compressobj()


class Decompressor:
    """Reads a zstd stream of one frame from a raw reader. `read(n)` returns decompressed bytes, b"" only at the real end.

    A stream that ends inside the frame raises TamperedData: a truncated stream must not look like a short file. It is
    decompressed block by block to limit memory, since a stream of zeros can grow 32,000 times.
    """

    def __init__(self, raw: t.BinaryIO, name: str) -> None:
        self._raw = raw
        self._name = name
        self._zstd = require_zstandard()
        self._object = self._zstd.ZstdDecompressor().decompressobj()
        self._pieces = self._frame()
        self._whole = False
        self._pending = memoryview(b"")

    def read(self, size: int) -> bytes:
        while not self._pending:
            piece = next(self._pieces, b"")
            if not piece:
                # A read after an error must not look like the end of the stream.
                if not self._whole:
                    raise self._fault("reading of the zstd stream was aborted")
                return b""
            plain = self._unpack(piece)
            if 0 < len(plain) <= size:
                return plain
            self._pending = memoryview(plain)
        part, self._pending = self._pending[:size], self._pending[size:]
        return bytes(part)

    def _unpack(self, piece: bytes) -> bytes:
        try:
            return t.cast(bytes, self._object.decompress(piece))
        except self._zstd.ZstdError as exc:
            self._pieces.close()
            raise self._fault(f"not a zstd stream ({exc})") from exc

    def _frame(self) -> t.Generator[bytes, None, None]:
        """Yield the header, the blocks and the checksum, each complete."""
        head = self._take(5)
        if head[:4] != MAGIC:
            raise self._fault("not a zstd stream")
        kind = head[4]
        single = bool(kind & _SINGLE_SEGMENT)
        yield head + self._take((not single) + _DICTIONARY_BYTES[kind & 3] + (_SIZE_BYTES[kind >> 6] or single))
        last = False
        while not last:
            header = self._take(3)
            value = int.from_bytes(header, "little")
            last, how = bool(value & 1), value >> 1 & 3
            size = 1 if how == _REPEATED else value >> 3
            if how == _RESERVED or size > BLOCK:
                raise self._fault("not a zstd stream (invalid block)")
            yield header + self._take(size)
        if kind & _CHECKSUM:
            yield self._take(4)
        if not self._object.eof:
            raise self._fault("the zstd stream ends too early")
        if self._raw.read(1):
            raise self._fault("there is trailing data after its zstd frame")
        self._whole = True

    def _take(self, size: int) -> bytes:
        found = self._raw.read(size)
        while len(found) < size:
            more = self._raw.read(size - len(found))
            if not more:
                raise self._fault("the zstd stream ends too early")
            found += more
        return found

    def _fault(self, what: str) -> TamperedData:
        return TamperedData(f"{self._name}: {what}; use another copy of the set")

    def read_all(self, limit: int) -> bytes:
        """Return the whole content. Raises TamperedData if it has more than `limit` bytes."""
        parts = bytearray()
        while chunk := self.read(1 << 20):
            parts += chunk
            if len(parts) > limit:
                raise TamperedData(f"{self._name}: more than {limit} bytes when unpacked; use another copy of the set")
        return bytes(parts)


def compress(data: bytes) -> bytes:
    """Compress small data at once."""
    return t.cast(bytes, require_zstandard().ZstdCompressor(level=3, write_checksum=True).compress(data))


def decompress(data: bytes, name: str, limit: int) -> bytes:
    """Decompress small data at once."""
    return Decompressor(io.BytesIO(data), name).read_all(limit)
