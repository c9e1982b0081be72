# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find numbers without an exported event, and numbers with several events."""

from __future__ import annotations

import typing as t

from ..._report.check import FAIL, UNPROVEN, WARN, Check
from .. import findings
from ..chains.audit_chains import AUDIT
from ..findings import Finding
from ..positions import Positions
from .export_chain import Hole, Zone
from .export_compare import Database
from .export_cuts import Cuts, as_copy, words_for
from .export_files import Exports, UnreadableHour

# Limit of numbers that are read again to distinguish a fork from a duplicate row. About 300 bytes each.
REREAD_LIMIT = 1 << 16

# Two services that ingest at the same time may assign numbers out of clock order. At most this many events can be in
# flight.
UNDER_WAY = 1000


def sequence(folder: Exports, zones: t.Mapping[str, Zone], cuts: Cuts, database: Database | None, *, whole: bool) -> Check:
    """Return the check `exports.sequence`. `whole` is True if every file was read. Otherwise missing events may be in an
    unreadable file.
    """
    found: list[Finding] = []
    for name, zone in zones.items():
        found += [_hole(folder, name, hole, database, whole) for hole in zone.holes if not _is_under_way(folder, name, hole, database)]
        if zone.seen.unnumbered:
            words = f"{zone.seen.unnumbered} events have no sequence number, so their position in the chain is unknown"
            found.append(Finding("unnumbered", AUDIT.name, as_copy(name), 0, 0, words, UNPROVEN))
    found += _repeated(folder, {name: zone.twice for name, zone in zones.items() if zone.twice}, cuts)
    numbered = sum(zone.seen.rows - zone.seen.unnumbered for zone in zones.values())
    if not numbered:
        return Check("exports.sequence", UNPROVEN, "no exported event has a sequence number")
    heads = {as_copy(name): zone.high for name, zone in zones.items()}
    return findings.check("exports.sequence", found, "no number is missing or duplicated", rows=numbered, heads=heads)


def _hole(folder: Exports, zone: str, hole: Hole, database: Database | None, whole: bool) -> Finding:
    words, verdict = "no file contains the events with these numbers; the events or their file were deleted", FAIL
    if not whole:
        words, verdict = "no readable file contains the events with these numbers", UNPROVEN
    elif database is None and hole.hour == folder.hours[-1].number and hole.high - hole.low < UNDER_WAY:
        words, verdict = "no file contains the events with these numbers; they belong to the next hour, or were deleted", UNPROVEN
    return Finding("hole", AUDIT.name, as_copy(zone), hole.low, hole.high, words, verdict)


def _is_under_way(folder: Exports, zone: str, hole: Hole, database: Database | None) -> bool:
    """Return whether the missing events were ingested in an hour that is not exported yet, and the database has all of them."""
    last = folder.hours[-1].number
    if database is None or hole.hour != last or hole.high - hole.low >= UNDER_WAY:
        return False
    later = {row[1] for row in database.lookup(zone, hole.low, hole.high) if row[-1] > last}
    return len(later) == hole.high - hole.low + 1


def _repeated(folder: Exports, twice: t.Mapping[str, Positions], cuts: Cuts) -> list[Finding]:
    """Return findings for duplicate numbers: two events (a fork), the same event twice, or the result of a restore."""
    versions = _versions(folder, twice)
    sorted_out: dict[tuple[str, str, str, str], Positions] = {}
    for zone, positions in twice.items():
        for low, high in positions.ranges():
            for number in range(low, high + 1):
                kind, words, verdict = _verdict(zone, number, versions.get((zone, number), 2), cuts)
                sorted_out.setdefault((zone, kind, words, verdict), Positions()).add(number, number)
    return [
        Finding(kind, AUDIT.name, as_copy(zone), low, high, words, verdict)
        for (zone, kind, words, verdict), positions in sorted_out.items()
        for low, high in positions.ranges()
    ]


def _verdict(zone: str, number: int, versions: int, cuts: Cuts) -> tuple[str, str, str]:
    """Return kind, message and verdict of a duplicate number. Each restore explains one more version of a row."""
    known = cuts.find(zone, number)
    if known and versions <= len(known) + 1:
        return "cut", words_for(known[0], zone, "the events that the restore removed and the later events were both exported"), WARN
    if versions > 1:
        return (
            "fork",
            "several exported events have this number, and no restore in the journal explains it; the chain forked",
            FAIL,
        )
    return "duplicate", "the same event was exported more than once", FAIL


def _versions(folder: Exports, twice: t.Mapping[str, Positions]) -> dict[tuple[str, int], int]:
    """Return the number of different rows by (zone, number). Reads the folder again."""
    if not twice:
        return {}
    wanted: set[tuple[str, int]] = set()
    for zone, positions in twice.items():
        for low, high in positions.ranges():
            wanted.update((zone, number) for number in range(low, min(high, low + REREAD_LIMIT - len(wanted) - 1) + 1))
    hashes: dict[tuple[str, int], set[tuple[str, str]]] = {}
    for hour in folder.hours:
        try:
            for rows in folder.rows(hour):
                for row in rows:
                    if row[:2] in wanted:
                        hashes.setdefault(row[:2], set()).add((row.content_sha256, row.chain_hmac))
        except UnreadableHour:
            continue
    return {key: len(found) for key, found in hashes.items()}
