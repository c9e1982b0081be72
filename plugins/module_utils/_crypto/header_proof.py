# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The header of an encrypted object: check from its first bytes alone whether an identity can decrypt it, and limit its size."""

from __future__ import annotations

import io
import typing as t

from .._deps import require_pyrage
from .._errors import TamperedData

# Enough for a stanza of 100 bytes for each of hundreds of recipients. The time of pyrage grows with the square of the
# size: this limit takes a second, and 800 KB more would take over a minute.
LIMIT = 1 << 17
NONCE = 16


def header(source: t.BinaryIO, name: str) -> bytes:
    """Return the age header and the nonce after it. Raises TamperedData if there is none."""
    data = _begin(source)
    end = _end(data)
    if not end or len(data) < end + NONCE:
        raise TamperedData(f"{name} does not begin with an age header; use another copy of the set")
    return data[: end + NONCE]


class Bounded:
    """An encrypted object as input for pyrage, with a checked header size. Raises TamperedData at the first read."""

    def __init__(self, source: t.BinaryIO, name: str) -> None:
        self._source = source
        self._name = name
        self._head: memoryview | None = None

    def read(self, size: int = -1) -> bytes:
        if self._head is None:
            data = _begin(self._source)
            if not _end(data):
                raise TamperedData(f"{self._name}: no complete age header was found; use another copy of the set")
            self._head = memoryview(data)
        if not self._head:
            return self._source.read(size)
        part, self._head = self._head[:size], self._head[size:]
        return bytes(part)


def _begin(source: t.BinaryIO) -> bytes:
    data = bytearray()
    while len(data) < LIMIT and (piece := source.read(LIMIT - len(data))):
        data += piece
    return bytes(data)


def _end(data: bytes) -> int:
    """Return the position after the header, or 0 if the header does not end."""
    begin = data.find(b"\n---")
    return data.find(b"\n", begin + 1) + 1 if begin >= 0 else 0


def opens(head: bytes, identity: t.Any, name: str) -> bool:
    """Return whether `identity` can decrypt the object that begins with `head`. Raises TamperedData for an altered header."""
    pyrage = require_pyrage()
    try:
        pyrage.decrypt_io(io.BytesIO(head), io.BytesIO(), [identity])
    except OSError:
        # The key fits the header and its MAC is valid. Only the content is missing.
        return True
    except pyrage.DecryptError as exc:
        if "No matching keys" in str(exc):
            return False
        raise TamperedData(f"{name}: its header is not authentic ({exc}); use another copy of the set") from exc
    return True
