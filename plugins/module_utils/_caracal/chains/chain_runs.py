# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs: rows of one zone with consecutive sequence numbers, joined in any order of arrival.

A chain is read in heap order, which is almost the order of the chain. Rows in order only move the end of a run. At the
end, the runs between the holes remain, so memory grows with disorder and not with the number of rows.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ..positions import Positions, Rows
from . import chain_times
from .chain_times import After


@dataclasses.dataclass
class Run:
    """Rows with the sequence numbers `low` to `high`.

    `before` is the previous hash of row `low`, and `tail` the content hash of row `high`. `first` and `last` are the
    ingestion times of these two rows as COPY text. They are empty for a chain without ingestion times.
    """

    low: int
    high: int
    before: bytes
    tail: bytes
    first: bytes = b""
    last: bytes = b""


_is_after = chain_times.after(chain_times.ALLOWANCE)
_NONE = Run(0, -(1 << 64), b"", b"")  # no number follows its end


@dataclasses.dataclass
class Links:
    """The links of one zone.

    `runs` are in order, and no two of them touch. In `broken` are rows with a previous hash that differs from the
    content hash of the row before. `twice` has the numbers of duplicate rows. Rows in `backwards` were ingested before
    the previous row, by more than the allowance.
    """

    runs: list[Run]
    broken: Rows
    twice: Positions
    backwards: Rows = dataclasses.field(default_factory=Rows)


class Collector:
    """Collects the rows of one zone and returns its `Links`."""

    __slots__ = ("_backwards", "_broken", "_by_high", "_by_low", "_current", "_is_after", "_twice")

    def __init__(self, is_after: After = _is_after) -> None:
        self._is_after = is_after
        self._backwards = Rows()
        self._broken = Rows()
        self._twice = Positions()
        self._current = _NONE
        self._by_low: dict[int, Run] = {}
        self._by_high: dict[int, Run] = {}

    def add(self, number: int, before: bytes, content: bytes, ingested: bytes = b"") -> None:
        """Add a row. If the row is a duplicate, only its number is kept. Hot for rows in order."""
        current, lows, highs = self._current, self._by_low, self._by_high
        # Two runs must never start or end at the same number, or one of them would be lost.
        follows = current.high + 1 == number and current.tail == before and current.last <= ingested
        if follows and number not in lows and number not in highs and number + 1 not in lows:
            current.high, current.tail, current.last = number, content, ingested
            return
        self._park()
        if number in lows or number in highs:
            self._twice.add(number, number)
            return
        run = Run(number, number, before, content, ingested, ingested)
        lower = highs.pop(number - 1, None)
        if lower is not None:
            run = self._join(lower, run)
        upper = lows.pop(number + 1, None)
        if upper is not None:
            highs.pop(upper.high)
            run = self._join(run, upper)
        lows[run.low] = self._current = run

    def _park(self) -> None:
        """Register the current run by its end again, because it may have grown."""
        if self._current.high >= self._current.low:
            self._by_high[self._current.high] = self._current
        self._current = _NONE

    def _join(self, lower: Run, upper: Run) -> Run:
        if lower.tail != upper.before:
            self._broken.put(upper.low, lower.tail, upper.before)
        if self._is_after(lower.last, upper.first):
            self._backwards.put(upper.low, lower.last, upper.first)
        return Run(lower.low, upper.high, lower.before, upper.tail, lower.first, upper.last)

    def finish(self) -> Links:
        return combine([Links(list(self._by_low.values()), self._broken, self._twice, self._backwards)], self._is_after)


def combine(parts: t.Iterable[Links], is_after: After = _is_after) -> Links:
    """Combine one zone's links from several readers. A row inside another run is a duplicate."""
    found = Links([], Rows(), Positions())
    runs: list[Run] = []
    for part in parts:
        runs.extend(part.runs)
        found.broken.update(part.broken)
        found.twice.update(part.twice)
        found.backwards.update(part.backwards)
    for run in sorted(runs, key=lambda one: (one.low, -one.high)):
        last = found.runs[-1] if found.runs else None
        if last is None or run.low > last.high + 1:
            found.runs.append(dataclasses.replace(run))
            continue
        if run.low <= last.high:
            found.twice.add(run.low, min(run.high, last.high))
        else:
            if last.tail != run.before:
                found.broken.put(run.low, last.tail, run.before)
            if is_after(last.last, run.first):
                found.backwards.put(run.low, last.last, run.first)
        if run.high > last.high:
            last.high, last.tail, last.last = run.high, run.tail, run.last
    return found
