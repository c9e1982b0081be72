# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which partitions a backup reads although a census proves that they did not change.

No census detects a write past SQL into the files of the server. So each partition is read at least once in a number of days,
the oldest first, and about the same amount each day.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import typing as t


@dataclasses.dataclass(frozen=True)
class Unread:
    """A partition, its size in bytes, and the seconds since its rows were last read.

    A negative age means that the clock was wrong at one of the two times, so the real age is unknown.
    """

    name: str
    size: int
    age: float


def due(partitions: t.Iterable[Unread], limit: float) -> frozenset[str]:
    """Return the names of the partitions to read now, so that no age exceeds `limit` seconds. With a limit of 0, all are read.

    The ages are spread. If the youngest partitions are together a tenth of the bytes, each may be as old as a tenth of the limit. The share
    of the largest partition is added. While one is older, the oldest is read and becomes the youngest. So partitions that were all
    read in the first set do not become due together. A partition of unknown age is read.
    """
    found: set[str] = set()
    known = (dataclasses.replace(one, size=max(1, one.size), age=one.age if one.age >= 0 else math.inf) for one in partitions)
    youngest = sorted(known, key=lambda one: one.age)
    while _is_late(youngest, limit) or (not limit and len(found) < len(youngest)):
        oldest = youngest.pop()
        found.add(oldest.name)
        youngest.insert(0, dataclasses.replace(oldest, age=0.0))
    return frozenset(found)


def _is_late(youngest: t.Sequence[Unread], limit: float) -> bool:
    sums = list(itertools.accumulate(one.size for one in youngest))
    largest = max((one.size for one in youngest), default=0)
    return any(one.age > limit * min(1.0, (size + largest) / sums[-1]) for one, size in zip(youngest, sums, strict=True))
