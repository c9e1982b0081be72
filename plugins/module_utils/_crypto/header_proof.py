# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The header of a sealed object: whether an identity opens it, from its first bytes alone, and that it is no larger than ours are."""

from __future__ import annotations

import io
import typing as t

from .._deps import require_pyrage
from .._errors import TamperedData

# A stanza of 100 bytes for each of hundreds of recipients. The time that pyrage takes grows with the square of it: for this a second, for
# 800 KB more than a minute.
LIMIT = 1 << 17
NONCE = 16


def header(source: t.BinaryIO, name: str) -> bytes:
    """The age header and the nonce after it. Raises TamperedData when there is none."""
    data = _begin(source)
    end = _end(data)
    if not end or len(data) < end + NONCE:
        raise TamperedData(f"{name} does not begin with an age header; use another copy of the set")
    return data[: end + NONCE]


class Bounded:
    """A sealed object as pyrage reads it, once its header is known to end in time. Raises TamperedData at the first read."""

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
    """Where the header ends; 0 when it does not."""
    begin = data.find(b"\n---")
    return data.find(b"\n", begin + 1) + 1 if begin >= 0 else 0


def opens(head: bytes, identity: t.Any, name: str) -> bool:
    """Whether `identity` opens the object that begins with `head`. Raises TamperedData for a header that was altered."""
    pyrage = require_pyrage()
    try:
        pyrage.decrypt_io(io.BytesIO(head), io.BytesIO(), [identity])
    except OSError:
        # The key fits the header, whose MAC holds; only the content is not there.
        return True
    except pyrage.DecryptError as exc:
        if "No matching keys" in str(exc):
            return False
        raise TamperedData(f"{name}: its header is not authentic ({exc}); use another copy of the set") from exc
    return True
