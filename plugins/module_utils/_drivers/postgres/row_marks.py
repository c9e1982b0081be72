# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Short keyed digests of a table's rows, in key order, that locate the first difference between two copies of a table.

A table of up to `LIMIT` rows has one digest for each row. In a longer table each digest covers 2, 4, 8 … rows, so memory is
bounded. The digests only locate a difference. The equality of tables is decided by `copy-sha256-v1`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import typing as t

from ... import _inventory

LIMIT = 1024
KEY_SIZE = 16
_SIZE = 8
# All powers of two up to more rows than a table can have.
_SPANS = frozenset(1 << power for power in range(48))


@dataclasses.dataclass(frozen=True)
class RowMarks:
    """The digests of a table. Each covers `span` rows, and the last one covers the remaining rows."""

    span: int
    digests: tuple[bytes, ...]

    def to_dict(self) -> _inventory.RowMarks:
        return {"span": self.span, "digests": b"".join(self.digests).hex()}

    @classmethod
    def of(cls, document: t.Any) -> RowMarks:
        """Raise ValueError for a document that `to_dict` cannot produce."""
        span, digests = (document.get(name) for name in ("span", "digests")) if isinstance(document, dict) else (None, None)
        if not isinstance(span, int) or span not in _SPANS or not isinstance(digests, str):
            raise ValueError("malformed marks of rows")
        data = bytes.fromhex(digests)
        if len(data) % _SIZE or len(data) > (LIMIT + 1) * _SIZE:
            raise ValueError("malformed marks of rows")
        return cls(span, tuple(data[start : start + _SIZE] for start in range(0, len(data), _SIZE)))


class Marker:
    """A sink for COPY lines that computes the digests."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._span = 1
        self._digests: list[bytes] = []
        # Digests of 1, 2, 4 … rows, each of which waits for a second one of its length.
        self._waiting: list[bytes] = []
        self._rows = 0

    def write(self, line: bytes) -> None:
        made = self._digest(line)
        self._rows += 1
        rows, length = self._rows, 1
        while length < self._span:
            if rows % 2:
                self._waiting.append(made)
                return
            made, rows, length = self._digest(self._waiting.pop() + made), rows // 2, length * 2
        self._digests.append(made)
        if len(self._digests) > LIMIT:
            self._double()

    def _double(self) -> None:
        self._span *= 2
        if len(self._digests) % 2:
            self._waiting.insert(0, self._digests.pop())
        self._digests = self._pairs(self._digests)

    def _pairs(self, digests: t.Sequence[bytes]) -> list[bytes]:
        return [self._digest(first + second) for first, second in zip(digests[::2], digests[1::2], strict=False)]

    def finish(self) -> RowMarks:
        rest = [self._digest(b"".join(self._waiting))] if self._waiting else []
        return RowMarks(self._span, (*self._digests, *rest))

    def _digest(self, data: bytes) -> bytes:
        return _digest(self._key, data)


class Missing:
    """A sink for COPY lines that finds missing rows.

    `left` contains the digests in `marks`, each of one row, that no line matches.
    """

    def __init__(self, key: bytes, marks: RowMarks) -> None:
        self._key = key
        self.left = set(marks.digests)

    def write(self, line: bytes) -> None:
        self.left.discard(_digest(self._key, line))


def _digest(key: bytes, data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_SIZE, key=key).digest()


def first_difference(key: bytes, expected: RowMarks, actual: RowMarks) -> int | None:
    """Return the number of the first row, from 0, that may differ, or None if nothing differs.

    Any of the `span` rows from that number on may differ, where `span` is the longer one.
    """
    span = max(expected.span, actual.span)
    ours, theirs = (_lengthened(key, one, span) for one in (expected, actual))
    for number, (first, second) in enumerate(zip(ours, theirs, strict=False)):
        if first != second:
            return number * span
    return min(len(ours), len(theirs)) * span if len(ours) != len(theirs) else None


def _lengthened(key: bytes, marks: RowMarks, span: int) -> tuple[bytes, ...]:
    """Return the same marks with a longer span.

    The last digest of a shorter span differs from the last one of a longer span. Then the tables differ too.
    """
    marker = Marker(key)
    digests = list(marks.digests)
    for _doubling in range((span // marks.span).bit_length() - 1):
        last = digests[-1:] if len(digests) % 2 else []
        digests = [*marker._pairs(digests), *last]
    return tuple(digests)
