# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Numbers that are missing or duplicated in a chain, and the reason: retention or manipulation.

Dropping a partition removes its rows. So a chain may start late or have holes between months, without any fault. The
audit blocks in earlier journal entries contain the number ranges and row counts of each dropped partition. All other
missing rows are faults.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from ..._reasons import DROPPED_PARTITION
from ..._report.check import FAIL, UNPROVEN, WARN, Check
from .. import findings
from ..findings import Finding
from ..partitions import Month
from .audit_blocks import BLOCK_ROWS, Block
from .audit_chains import AUDIT, Chain
from .chain_examiner import Seen
from .chain_verdict import nothing, numbered, ranges

HOLES_KEPT = 10_000
# How late an event may arrive: replay files wait until their service restarts.
LATE = datetime.timedelta(days=7)


@dataclasses.dataclass(frozen=True)
class Gap:
    """Missing numbers of one zone, both ends inclusive.

    `begins` is True if the zone has no lower row. `until` is the ingestion time of the next row, as COPY text. The
    missing rows were not ingested later.
    """

    zone: str
    low: int
    high: int
    begins: bool
    until: bytes = b""


def gaps(seen: Seen, floors: t.Mapping[str, int]) -> list[Gap]:
    """Return the gaps between the runs of each zone and before the first run. `floors` are numbers below which no rows were read."""
    found: list[Gap] = []
    for name, zone in sorted(seen.items()):
        start = expected = floors.get(name.decode(), 1)
        for run in zone.links.runs:
            if run.low > expected:
                found.append(Gap(name.decode(), expected, run.low - 1, expected == start == 1, run.first))
            expected = run.high + 1
    return found


class Accounts:
    """The rows of dropped partitions, from the blocks in earlier journal entries."""

    def __init__(self, chain: Chain, dropped: t.Iterable[Block]) -> None:
        self._lines: dict[tuple[str, int], list[Block]] = {}
        for block in dropped:
            if block.chain == chain.name and block.block != "-":
                self._lines.setdefault((block.zone, int(block.block)), []).append(block)

    def explained(self, missing: t.Sequence[Gap]) -> set[tuple[str, int]]:
        """Return each (zone, block) in which the missing numbers match the dropped partitions exactly, in count and range."""
        lacking: dict[tuple[str, int], int] = {}
        inside: dict[tuple[str, int], bool] = {}
        for gap in missing:
            for key, low, high in self.pieces(gap):
                lines = self._lines.get(key, [])
                lacking[key] = lacking.get(key, 0) + high - low + 1
                within = any(int(one.seq_low) <= low and high <= int(one.seq_high) for one in lines) or _hull(lines, low, high)
                inside[key] = inside.get(key, True) and within
        return {key for key, number in lacking.items() if inside[key] and number == sum(one.rows for one in self._lines.get(key, []))}

    def pieces(self, gap: Gap) -> t.Iterator[tuple[tuple[str, int], int, int]]:
        """Yield the pieces of a gap by block: (zone, block), and the lowest and highest missing number in it.

        A range between blocks of dropped partitions is one piece, named after its first block. Otherwise one forged
        number could create any number of pieces.
        """
        low = gap.low
        for block in sorted(block for zone, block in self._lines if zone == gap.zone):
            start, end = max(low, block * BLOCK_ROWS + 1), min(gap.high, (block + 1) * BLOCK_ROWS)
            if start > end:
                continue
            if low < start:
                yield (gap.zone, (low - 1) // BLOCK_ROWS), low, start - 1
            yield (gap.zone, block), start, end
            low = end + 1
        if low <= gap.high:
            yield (gap.zone, (low - 1) // BLOCK_ROWS), low, gap.high


def _hull(lines: t.Sequence[Block], low: int, high: int) -> bool:
    """Return whether the ranges of the lines together cover the numbers from `low` to `high`."""
    reached = low
    for one in sorted(lines, key=lambda line: int(line.seq_low)):
        if int(one.seq_low) > reached:
            return False
        reached = max(reached, int(one.seq_high) + 1)
    return reached > high


def all_explained(chain: Chain, missing: t.Sequence[Gap], dropped: t.Iterable[Block]) -> bool:
    """Return whether dropped partitions account for every missing number."""
    accounts = Accounts(chain, dropped)
    explained = accounts.explained(missing)
    return all(key in explained for gap in missing for key, _low, _high in accounts.pieces(gap))


def known_from(chain: Chain, blocks: t.Iterable[Block]) -> dict[str, int]:
    """Return the lowest number in the journal by zone."""
    found: dict[str, int] = {}
    for block in blocks:
        if block.chain == chain.name and block.block != "-":
            found[block.zone] = min(found.get(block.zone, int(block.seq_low)), int(block.seq_low))
    return found


def older_than_journal(missing: t.Sequence[Gap], known: t.Mapping[str, int]) -> tuple[list[Gap], list[Gap]]:
    """Split the missing numbers into those below the lowest number in the journal and the others."""
    below: list[Gap] = []
    others: list[Gap] = []
    for gap in missing:
        first = known.get(gap.zone, gap.low) if gap.begins else gap.low
        if first > gap.low:
            below.append(dataclasses.replace(gap, high=min(gap.high, first - 1)))
        if gap.high >= first:
            others.append(dataclasses.replace(gap, low=first))
    return below, others


def sequence(
    chain: Chain,
    seen: Seen,
    missing: t.Sequence[Gap],
    dropped: t.Sequence[Block],
    known: t.Mapping[str, int] | None,
    acknowledged: t.Collection[str] = (),
    late_until: bytes = b"",
) -> Check:
    """Check for holes, late beginnings and duplicate numbers.

    `known` is the result of `known_from`, or None without a journal. `late_until` is the result of the function of that
    name.
    """
    below, others = older_than_journal(missing, known or {})
    accounts = Accounts(chain, dropped)
    explained = accounts.explained(others)
    found = [_finding(chain, gap, "the journal began at a later number and never recorded these rows", WARN) for gap in below]
    dropping = dict.fromkeys({gap.zone for gap in missing if gap.begins} | {block.zone for block in dropped}, late_until)
    accounted = 0
    for gap in others:
        rest = [(low, high) for key, low, high in accounts.pieces(gap) if key not in explained]
        accounted += gap.high - gap.low + 1 - sum(high - low + 1 for low, high in rest)
        if rest and len(found) < HOLES_KEPT:
            why = "without a journal the reason is unknown" if known is None else "no dropped partition in the journal accounts for them"
            missed = dataclasses.replace(gap, low=rest[0][0], high=rest[-1][1])
            found.append(_unexplained(chain, missed, why, dropping.get(gap.zone, b"")))
    for name, zone in seen.items():
        found += ranges("duplicate", chain, name, zone.links.twice, "more than one row has this number")
        if zone.unnumbered and chain == AUDIT:
            words = f"{zone.unnumbered} rows have no sequence number, so their position in the chain is unknown"
            found.append(Finding("unnumbered", chain.name, name.decode(), 0, 0, words, UNPROVEN))
    number = numbered(seen)
    if not number:
        return Check(f"{chain.name}.sequence", UNPROVEN, nothing(chain, seen))
    passed = f"no number is missing or duplicated{f'; {accounted} numbers are in dropped partitions' if accounted else ''}"
    return findings.check(f"{chain.name}.sequence", found, passed, rows=number, accounted_for=accounted, accepted=acknowledged)


def _unexplained(chain: Chain, gap: Gap, why: str, late_until: bytes) -> Finding:
    """Return the finding for numbers that no dropped partition accounts for.

    Retention drops the beginning of a chain. It also drops late events: their times belong to a dropped partition,
    their numbers do not.
    """
    if gap.begins:
        return _finding(chain, gap, why, UNPROVEN if chain == AUDIT else FAIL)
    if chain == AUDIT and b"" < gap.until < late_until:
        words = f"these numbers are missing near the end of the retention: late events were dropped with a partition, or deleted; {why}"
        return Finding("hole_at_horizon", chain.name, gap.zone, gap.low, gap.high, words, UNPROVEN)
    return _finding(chain, gap, why, FAIL)


def late_until(leaves: t.Iterable[str], horizon: tuple[int, int]) -> bytes:
    """Return the time, as COPY text, until which events of dropped partitions could still arrive: `LATE` after the first
    remaining month.

    Retention does not drop months that it must keep, so later partitions do not change the result.
    """
    year, month = min([horizon, *(found for leaf in leaves if (found := month_of(leaf)))])
    until = datetime.datetime(year, month, 1, tzinfo=datetime.timezone.utc) + LATE
    return until.strftime("%Y-%m-%d %H:%M:%S+00").encode()


def _finding(chain: Chain, gap: Gap, why: str, verdict: str) -> Finding:
    if gap.begins:
        words = f"the first rows are missing: retention dropped them, or they were deleted; {why}"
        kind = "late_beginning"
    else:
        kind, words = "hole", "these numbers are missing, and no dropped partition accounts for them; rows were deleted"
    digest = findings.digest(kind, chain.name, gap.zone, gap.low, gap.high)
    return Finding(kind, chain.name, gap.zone, gap.low, gap.high, words, verdict, digest=digest)


@dataclasses.dataclass(frozen=True)
class LeafFacts:
    """A partition of `audit_events`. `month` is (year, month), or None for the default partition."""

    name: str
    month: tuple[int, int] | None
    rows: int


def partitions(
    leaves: t.Sequence[LeafFacts],
    seen: Seen,
    lost: t.Sequence[str],
    horizon: tuple[int, int],
    days: int,
    acknowledged: t.Collection[str] = (),
) -> Check:
    """Check for missing partitions, and for rows in the wrong partition.

    `lost` are the partitions that are in the journal but not in the database. `horizon` is the oldest month that a
    retention of `days` days keeps.
    """
    found: list[Finding] = []
    for leaf in leaves:
        if leaf.month is None and leaf.rows:
            words = (
                f"{leaf.rows} rows are in the default partition; retention never drops them, and they block the partition of their month"
            )
            found.append(Finding("default_rows", AUDIT.name, "", 0, 0, words, WARN, leaf.name))
    for name in lost:
        month = month_of(name)
        if month is None or month >= horizon:
            words = f"the partition was dropped, although retention keeps {days} days; its evidence is lost"
            digest = findings.digest(DROPPED_PARTITION, AUDIT.name, name)
            found.append(Finding(DROPPED_PARTITION, AUDIT.name, "", 0, 0, words, leaf=name, digest=digest))
    months = sorted(leaf.month for leaf in leaves if leaf.month)
    for month in _between(months):
        name = Month(datetime.date(*month, 1)).name
        if month not in months and name not in lost:
            words = "the partition is missing, although older and newer ones exist"
            found.append(Finding("leaf_missing", AUDIT.name, "", 0, 0, words, WARN, name))
    for zone, one in seen.items():
        found += ranges("misplaced", AUDIT, zone, one.misplaced, "the event's time is outside the range of its partition")
    words = f"{len(leaves)} partitions, and every row is in the right one"
    return findings.check("audit.partitions", found, words, leaves=len(leaves), accepted=acknowledged)


def _between(months: t.Sequence[tuple[int, int]]) -> t.Iterator[tuple[int, int]]:
    for index in range(_index(months[0]), _index(months[-1])) if months else ():
        yield index // 12, index % 12 + 1


def _index(month: tuple[int, int]) -> int:
    return month[0] * 12 + month[1] - 1


def month_of(leaf: str) -> tuple[int, int] | None:
    """Return (year, month) of a name such as `audit_events_y2026m06`."""
    head, _y, tail = leaf.rpartition("_y")
    year, _m, month = tail.partition("m")
    if head and len(year) == 4 and len(month) == 2 and (year + month).isdigit():
        return int(year), int(month)
    return None


def rehash_marker(rows: int | None, events: int) -> Check | None:
    """Check the row of audit_chain_rehash. Without it, the audit service rewrites the whole chain at its next start.

    `rows` is None if the table does not exist.
    """
    if rows is None:
        return None
    if rows == 1 or not events:
        return findings.check("audit.rehash_marker", [], "audit_chain_rehash has its row", rows=rows)
    words = "audit_chain_rehash has no row, so the audit service would recompute every hash at its next start; restore the row first"
    return findings.check("audit.rehash_marker", [Finding("no_rehash_marker", AUDIT.name, "", 0, 0, words)], "", rows=rows)
