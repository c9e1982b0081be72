# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verify the chain in the exports alone.

Exports contain no previous hash, so it is taken from the row with the preceding number. Runs of rows with consecutive
numbers grow as hours are read. If the product assigned numbers twice after a restore, two runs overlap. A row can then
have several candidates for its previous row. The correct candidate is the row with the hash that the HMAC covers.
"""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ..chains import chain_examiner
from ..chains.chain_examiner import ZoneSeen
from ..chains.chain_keys import AuditKey
from ..chains.chain_runs import Links
from ..chains.chain_runs import Run as LinkedRun
from ..positions import Positions, Rows
from .export_cuts import as_copy
from .export_files import Archived

# Limit of rows of a zone that do not match the previous row in the exports and are tried with the database's row. After
# an upgrade has recomputed all hashes, each zone has one such row.
DOUBTFUL_KEPT = 8

# Returns the content hashes of a zone's rows with a number, from a source other than the exports.
Elsewhere = t.Callable[[str, int], t.Iterable[str]]


@dataclasses.dataclass(eq=False)
class Run:
    """Rows with the numbers `low` to `high`.

    `first` is the content hash and HMAC of row `low`, and `tail` the content hash of row `high`. `hour` is the hour of
    row `low`. An HMAC cannot be verified without the previous row. The product's first row needs none.
    """

    low: int
    high: int
    first: tuple[str, str]
    tail: str
    hour: int


class Hole(t.NamedTuple):
    """Numbers without an exported row. `hour` is the hour of the next row."""

    low: int
    high: int
    hour: int


@dataclasses.dataclass
class Zone:
    """The exported rows of one zone.

    In `seen`, only `rows`, `unnumbered`, `unmatched`, `unkeyed` and `keys` are set. `unlinked` are first rows of runs,
    with HMACs that could not be verified. `twice` are numbers of several rows.
    """

    seen: ZoneSeen
    unlinked: Positions
    twice: Positions
    holes: list[Hole]
    high: int


class Judge:
    """Tests HMACs with the keys, starting with the key that matched last."""

    def __init__(self, keys: t.Sequence[AuditKey]) -> None:
        self._macs = [key.hmac() for key in keys]
        self._order = list(range(len(keys)))
        self.has_keys = bool(keys)

    def key_of(self, first: tuple[str, str], previous: str) -> int | None:
        """Return the index of the key under which a row with this content hash and HMAC follows the hash `previous`."""
        content, mac = first[0].encode(), first[1]
        before = previous.encode()
        for index in self._order:
            if self._macs[index](content, before) == mac:
                if index != self._order[0]:
                    self._order.remove(index)
                    self._order.insert(0, index)
                return index
        return None


class _Builder:
    """The runs of one zone. `_ends` maps the last number to runs, except the current one. `_starts` has the runs without a previous row."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self.seen = ZoneSeen()
        self._runs: list[Run] = []
        self._current: Run | None = None
        self._ends: dict[int, list[Run]] = {}
        self._starts: dict[int, list[Run]] = {}
        self._doubtful: list[tuple[int, tuple[str, str]]] = []

    def add(self, hour: int, number: int, first: tuple[str, str]) -> None:
        """Add a row. Hot for rows in order."""
        current = self._current
        if current is None or current.high + 1 != number or number - 1 in self._ends:
            current = self._turn(hour, number, first)
        if current.low != number:
            self._file(number, first, current.tail)
            current.high, current.tail = number, first[0]
        if number + 1 in self._starts:
            self._join(current, number + 1)

    def _turn(self, hour: int, number: int, first: tuple[str, str]) -> Run:
        """Return the run that the row continues, or a new one. It becomes the current run."""
        if self._current is not None:
            self._ends.setdefault(self._current.high, []).append(self._current)
        found = self._fitting(self._ends.get(number - 1, []), lambda run: self._judge.key_of(first, run.tail) is not None)
        if found is not None:
            _remove(self._ends, number - 1, found)
        else:
            found = Run(number, number, first, first[0], hour)
            self._runs.append(found)
            if number == 1:
                self._file(number, first, "")
            else:
                self._starts.setdefault(number, []).append(found)
        self._current = found
        return found

    def _join(self, lower: Run, number: int) -> None:
        """Join a run that starts after the end of `lower` and was read before it."""
        upper = self._fitting(self._starts[number], lambda run: self._judge.key_of(run.first, lower.tail) is not None)
        if upper is None:
            return
        self._file(number, upper.first, lower.tail)
        _remove(self._starts, number, upper)
        _remove(self._ends, upper.high, upper)
        self._runs.remove(upper)
        lower.high, lower.tail = upper.high, upper.tail

    def _file(self, number: int, first: tuple[str, str], previous: str) -> None:
        """Verify a row with a known predecessor."""
        if not first[1]:
            self.seen.unkeyed.add(number, number)
        elif self._judge.has_keys:
            index = self._judge.key_of(first, previous)
            if index is not None:
                self.seen.keys.setdefault(index, Positions()).add(number, number)
            elif len(self._doubtful) < DOUBTFUL_KEPT:
                self._doubtful.append((number, first))
            else:
                self.seen.unmatched.add(number, number)

    @staticmethod
    def _fitting(candidates: t.Sequence[Run], fits: t.Callable[[Run], bool]) -> Run | None:
        if len(candidates) < 2:
            return candidates[0] if candidates else None
        return next(filter(fits, candidates), candidates[-1])

    def finish(self, elsewhere: t.Callable[[int], t.Iterable[str]]) -> Zone:
        """Return the zone. `elsewhere` returns content hashes of rows with a number, as candidates for a previous row."""
        unlinked, twice, holes = Positions(), Positions(), []
        starts = [(low, run.first) for low, waiting in sorted(self._starts.items()) for run in waiting]
        for rows, otherwise in ((starts, unlinked), (self._doubtful, self.seen.unmatched)):
            for number, first in rows:
                keys = (self._judge.key_of(first, previous) for previous in elsewhere(number - 1))
                index = next((key for key in keys if key is not None), None)
                if not first[1]:
                    self.seen.unkeyed.add(number, number)
                elif index is None:
                    otherwise.add(number, number)
                else:
                    self.seen.keys.setdefault(index, Positions()).add(number, number)
        reached = 0
        for run in sorted(self._runs, key=lambda one: (one.low, one.high)):
            if reached and run.low > reached + 1:
                holes.append(Hole(reached + 1, run.low - 1, run.hour))
            elif run.low <= reached:
                twice.add(run.low, min(run.high, reached))
            reached = max(reached, run.high)
        self.seen.links = Links([LinkedRun(*_judged(self.seen), b"", b"")], Rows(), Positions())
        return Zone(self.seen, unlinked, twice, holes, reached)


def _remove(table: dict[int, list[Run]], key: int, run: Run) -> None:
    table[key].remove(run)
    if not table[key]:
        del table[key]


def _judged(seen: ZoneSeen) -> tuple[int, int]:
    """Return the lowest and highest number with a verified HMAC. For the verdict on keys, the zone's chain starts at the lowest one."""
    ranges = [one for positions in (seen.unmatched, seen.unkeyed, *seen.keys.values()) for one in positions.ranges()]
    return min((low for low, _high in ranges), default=0), max((high for _low, high in ranges), default=0)


class Chains:
    """Collects the rows of all hours in order and returns the result for each zone."""

    def __init__(self, keys: t.Sequence[AuditKey]) -> None:
        self._judge = Judge(keys)
        self._zones: dict[str, _Builder] = {}

    def take(self, hour: int, rows: t.Sequence[Archived]) -> None:
        """Add the rows of an hour. Hot."""
        zones = self._zones
        for row in rows:
            zone = zones.get(row.zone_id)
            if zone is None:
                zone = zones[row.zone_id] = _Builder(self._judge)
            zone.seen.rows += 1
            if row.chain_seq > 0:
                zone.add(hour, row.chain_seq, (row.content_sha256, row.chain_hmac))
            else:
                zone.seen.unnumbered += 1

    def finish(self, elsewhere: Elsewhere = lambda _zone, _number: ()) -> dict[str, Zone]:
        """Return the result for each zone. Rows without a matching previous row are tried with the rows of `elsewhere`."""
        return {zone: builder.finish(functools.partial(elsewhere, zone)) for zone, builder in sorted(self._zones.items())}


def seen(zones: t.Mapping[str, Zone]) -> chain_examiner.Seen:
    """Return the results in the format that the HMAC checks use."""
    return {as_copy(name).encode(): zone.seen for name, zone in zones.items()}
