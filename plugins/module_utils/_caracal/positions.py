# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sequence numbers of faulty rows, as ranges. The ranges are exact up to a limit; the count is always exact."""

from __future__ import annotations

import hashlib
import typing as t

LIMIT = 10_000


class Positions:
    """Ranges of sequence numbers, both ends inclusive. After `LIMIT` ranges, further ones are only counted."""

    __slots__ = ("_ranges", "count")

    def __init__(self) -> None:
        self.count = 0
        self._ranges: list[list[int]] = []

    def add(self, low: int, high: int) -> None:
        self.count += high - low + 1
        last = self._ranges[-1] if self._ranges else None
        if last is not None and last[1] + 1 == low:
            last[1] = high
        elif len(self._ranges) < LIMIT:
            self._ranges.append([low, high])

    def update(self, other: Positions) -> None:
        """Add all positions of another object. Both may contain the same numbers."""
        count = self.count + other.count
        for low, high in other._ranges:
            self.add(low, high)
        self.count = count

    def ranges(self) -> list[tuple[int, int]]:
        """Return the ranges in order. Ranges that touch or overlap are merged."""
        found: list[tuple[int, int]] = []
        for low, high in sorted(self._ranges):
            if found and low <= found[-1][1] + 1:
                found[-1] = found[-1][0], max(found[-1][1], high)
            else:
                found.append((low, high))
        return found

    def __bool__(self) -> bool:
        return self.count > 0

    def __len__(self) -> int:
        return len(self._ranges)

    @staticmethod
    def of(numbers: t.Iterable[int]) -> Positions:
        made = Positions()
        for number in numbers:
            made.add(number, number)
        return made


class Rows(Positions):
    """Numbers of single rows, with a SHA-256 of the content of each. After `LIMIT` rows, further rows are counted without a digest."""

    __slots__ = ("_digests",)

    def __init__(self) -> None:
        super().__init__()
        self._digests: dict[int, bytes] = {}

    def put(self, number: int, *content: bytes) -> None:
        """Add a row. `content` are the bytes that show how the row is wrong."""
        self.add(number, number)
        if len(self._digests) < LIMIT:
            self._digests[number] = hashlib.sha256(b"\t".join(content)).digest()

    def update(self, other: Positions) -> None:
        super().update(other)
        if isinstance(other, Rows):
            for number, digest in other._digests.items():
                if len(self._digests) < LIMIT:
                    self._digests[number] = digest

    def digests(self, low: int, high: int) -> list[str] | None:
        """Return the digests of all rows in a range, or None if any digest is missing."""
        found = [self._digests.get(number) for number in range(low, high + 1)] if high - low < LIMIT else [None]
        return None if None in found else [one.hex() for one in found if one is not None]
