# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stream of an object in a bucket.

A broken connection is resumed at its position, and the bytes are compared with the store's checksum.
"""

from __future__ import annotations

import hashlib
import io
import typing as t

from .._errors import StorageError, Unreachable
from . import s3_parts
from .s3_client import ATTEMPTS, translated_errors
from .s3_parts import composite, part_size, text

BUFFER = 1 << 20


class Body(io.RawIOBase):
    """The bytes of one version. At the end, StorageError is raised if they do not match the store's checksum."""

    def __init__(self, get: t.Callable[..., t.Any], where: str) -> None:
        super().__init__()
        self._get = get
        self._where = where
        self._position = 0
        self._failures = 0
        with translated_errors(where):
            self._answer = get(ChecksumMode="ENABLED")
        self.size = int(self._answer["ContentLength"])
        self._sum = _Sum(self._answer)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int:
        while True:
            try:
                with translated_errors(self._where):
                    data = self._answer["Body"].read(len(buffer))
                    if not data and self._position < self.size:
                        raise Unreachable(f"{self._where}: the connection ended too early")
                break
            except Unreachable:
                self._again()
        buffer[: len(data)] = data
        self._position += len(data)
        self._sum.update(data)
        if self._position == self.size and not self._sum.agrees():
            raise StorageError(f"{self._where}: the store sent bytes that do not match its own checksum; try again, or use another copy")
        return len(data)

    def _again(self) -> None:
        """Get the rest from a new connection. Its answer has no checksum, so the checksum computed here counts."""
        self._failures += 1
        if self._failures >= ATTEMPTS:
            raise Unreachable(f"{self._where}: the connection broke {ATTEMPTS} times; check the network, and try again")
        self._answer["Body"].close()
        with translated_errors(self._where):
            self._answer = self._get(Range=f"bytes={self._position}-")

    def close(self) -> None:
        if not self.closed:
            self._answer["Body"].close()
        super().close()


class _Sum:
    """SHA-256 as the store computes it: of all bytes, or of the digests of the parts.

    Nothing is compared if another program uploaded the object, since its part sizes are unknown.
    """

    def __init__(self, answer: t.Mapping[str, t.Any]) -> None:
        self._wanted = str(answer.get("ChecksumSHA256", ""))
        self._parts = "-" in self._wanted
        if self._parts and answer.get("Metadata", {}).get("part") != str(s3_parts.PART):
            self._wanted = ""
        self._digests: list[bytes] = []
        self._current = hashlib.sha256()
        self._left = part_size(1)

    def update(self, data: bytes) -> None:
        if not self._wanted:
            return
        if not self._parts:
            self._current.update(data)
            return
        view = memoryview(data)
        while view:
            piece, view = view[: self._left], view[self._left :]
            self._current.update(piece)
            self._left -= len(piece)
            if not self._left:
                self._next()

    def _next(self) -> None:
        self._digests.append(self._current.digest())
        self._current, self._left = hashlib.sha256(), part_size(len(self._digests) + 1)

    def agrees(self) -> bool:
        if not self._wanted:
            return True
        if not self._parts:
            return text(self._current.digest()) == self._wanted
        if self._left != part_size(len(self._digests) + 1):
            self._next()
        return composite(self._digests) == self._wanted


def opened(get: t.Callable[..., t.Any], where: str) -> t.BinaryIO:
    return t.cast("t.BinaryIO", io.BufferedReader(Body(get, where), BUFFER))
