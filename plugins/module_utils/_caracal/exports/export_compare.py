# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compare the exports with the database from which they were made: every exported event must still exist unchanged.

A changed or missing event may have a legitimate reason. It can be a restore in the journal, a month that retention
dropped, or hashes that an upgrade recomputed. The database can also be older than the exports. Otherwise the event was
manipulated.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import typing as t

from ..._report.check import FAIL, PASS, UNPROVEN, WARN, Check
from .. import findings
from ..chains.audit_chains import AUDIT
from ..findings import Finding
from ..positions import Positions
from .export_cuts import Cut, Cuts, as_copy, words_for
from .export_files import Archived, hour_of

# The columns that a lookup selects from `audit_events`: the columns of `Archived` in their order, as the service
# exports them. The last column is the hour of `ingested_at` since 1970 (-1 for an infinite time).
SELECT = """
zone_id, coalesce(chain_seq, 0), id, event_type, coalesce(request_id, ''), coalesce(decision, ''), coalesce(policy_set_id, ''),
coalesce(policy_set_version_id, ''), coalesce(manifest_sha, ''), coalesce(evaluation_status, ''),
coalesce(nullif(determining_policies_json::text, 'null'), ''), coalesce(nullif(diagnostics_json::text, 'null'), ''),
coalesce(nullif(metadata_json::text, 'null'), ''),
CASE WHEN isfinite(occurred_at) THEN floor(extract(epoch FROM occurred_at) * 1000)::bigint ELSE -1 END,
CASE WHEN lower(decision) = 'deny' THEN 2 ELSE 1 END, CASE WHEN lower(decision) = 'deny' THEN 2 ELSE 1 END,
coalesce(content_sha256, ''), coalesce(chain_hmac, ''),
CASE WHEN isfinite(ingested_at) THEN floor(extract(epoch FROM ingested_at) / 3600)::bigint ELSE -1 END
""".strip()

Row = t.Sequence[t.Any]

# Columns that change when an event is ingested again or its hashes are recomputed, although its content is the same.
CHAIN_COLUMNS = frozenset({"chain_seq", "content_sha256", "chain_hmac", "ingested_at"})
_HASHES = {"content_sha256", "chain_hmac"}
_COLUMNS = (*Archived._fields, "ingested_at")
_ID = Archived._fields.index("event_id")
_SEQUENCE = Archived._fields.index("chain_seq")
_CONTENT = Archived._fields.index("content_sha256")

# The end of the year 9999. A file can contain any number as a time.
_LATEST = 253_402_300_799_999


@dataclasses.dataclass(frozen=True)
class Database:
    """The database with which the exports are compared.

    Zones and IDs are plain text, and rows have the columns of `SELECT`. `lookup(zone, low, high)` returns the rows with
    these sequence numbers, and `by_id(ids)` the rows with these event IDs. `hours()` returns the number of ingested
    rows by hour since 1970.

    `has_leaf(ms)` returns whether an event of that time must still exist. It is False only before the oldest monthly
    partition, because retention drops no partition between others. `watermark` is the last exported hour (UTC), or
    None. `rehashed` is the time at which an upgrade recomputed all hashes.
    """

    lookup: t.Callable[[str, int, int], t.Iterable[Row]]
    by_id: t.Callable[[t.Sequence[str]], t.Iterable[Row]]
    hours: t.Callable[[], t.Mapping[int, int]]
    has_leaf: t.Callable[[int], bool]
    watermark: dt.datetime | None
    rehashed: dt.datetime | None = None

    def contents(self, zone: str, number: int) -> list[str]:
        """Return the content hashes of the rows with a number."""
        return [found[_CONTENT] for found in self.lookup(zone, number, number)] if number > 0 else []


class Comparison:
    """Collects the rows of all hours in order and returns the check `exports.database`. `equal` counts rows that match their export."""

    def __init__(self, database: Database, cuts: Cuts) -> None:
        self._database = database
        self._cuts = cuts
        self._watermark = None if database.watermark is None else hour_of(database.watermark)
        self._rehashed = -1 if database.rehashed is None else hour_of(database.rehashed)
        self._as_exported: set[str] = set()
        self._wrong: dict[tuple[str, str, str], Positions] = {}
        self._cut: dict[tuple[str, int], tuple[Cut, Positions]] = {}
        self.rows = self.equal = self.dropped = 0

    def take(self, hour: int, rows: t.Sequence[Archived]) -> None:
        """Compare a batch of one hour. Consecutive rows are looked up together."""
        self.rows += len(rows)
        others: list[tuple[Archived, list[Row]]] = []
        for zone, group in _groups(rows):
            there: dict[int, list[Row]] = collections.defaultdict(list)
            if group[0].chain_seq > 0:
                for found in self._database.lookup(zone, group[0].chain_seq, group[-1].chain_seq):
                    there[found[_SEQUENCE]].append(found)
            for row in group:
                here = there.get(row.chain_seq, [])
                if any(tuple(found) == (*row, hour) for found in here):
                    self.equal += 1
                    self._as_exported.add(zone)
                elif not here and not self._database.has_leaf(min(max(row.time, 0), _LATEST)):
                    self.dropped += 1
                else:
                    others.append((row, here))
        if others:
            self._take_others(hour, others)

    def _take_others(self, hour: int, others: t.Sequence[tuple[Archived, list[Row]]]) -> None:
        by_id: dict[str, list[Row]] = collections.defaultdict(list)
        for found in self._database.by_id(sorted({row.event_id for row, _here in others})):
            by_id[found[_ID]].append(found)
        for row, here in others:
            differing = min((_differing(row, hour, found) for found in by_id.get(row.event_id, [])), key=len, default=None)
            if differing == []:
                self.equal += 1
                continue
            self._judge(hour, row, here, differing)

    def _judge(self, hour: int, row: Archived, here: t.Sequence[Row], differing: list[str] | None) -> None:
        """Classify an exported row without an equal row. `differing` lists the columns that differ, or is None if no row
        has the event's ID.
        """
        if differing is not None and not CHAIN_COLUMNS.issuperset(differing):
            self._add("archive_differs", DIFFERS.format(", ".join(differing)), row)
            return
        cuts = self._cuts.find(row.zone_id, row.chain_seq, hour)
        if cuts:
            self._cut.setdefault((row.zone_id, cuts[0].sequence), (cuts[0], Positions()))[1].add(row.chain_seq, row.chain_seq)
        elif any(found[_ID] != row.event_id for found in here):
            self._add("fork", FORK, row)
        elif differing is not None:
            rehashed = _HASHES.issuperset(differing) and hour <= self._rehashed and row.zone_id not in self._as_exported
            self._add(*(("rehashed", REHASHED) if rehashed else ("archive_differs", DIFFERS.format(", ".join(differing)))), row)
        elif self._watermark is not None and hour > self._watermark:
            self._add("newer_than_database", NEWER, row)
        else:
            self._add("missing_in_database", MISSING, row)

    def _add(self, kind: str, words: str, row: Archived) -> None:
        self._wrong.setdefault((kind, row.zone_id, words), Positions()).add(row.chain_seq, row.chain_seq)

    def check(self) -> Check:
        found = [
            Finding(kind, AUDIT.name, as_copy(zone), low, high, words, _VERDICTS.get(kind, FAIL))
            for (kind, zone, words), positions in self._wrong.items()
            for low, high in positions.ranges()
        ]
        for (zone, _sequence), (cut, positions) in self._cut.items():
            ranges = positions.ranges()
            words = words_for(cut, zone, f"{positions.count} exported events are after that point")
            found.append(Finding("cut", AUDIT.name, as_copy(zone), ranges[0][0], ranges[-1][1], words, WARN))
        details: dict[str, t.Any] = {"rows": self.rows, "equal": self.equal, "below_retention": self.dropped}
        if not self.equal and not found:
            words = "the database does not have the months of the exported events any more, so nothing was compared"
            return Check("exports.database", UNPROVEN, words, details=details)
        return findings.check("exports.database", found, self._passed(), **details)

    def _passed(self) -> str:
        dropped = f"; {self.dropped} are from months that the database does not have any more" if self.dropped else ""
        return f"{self.equal} of {self.rows} exported events are unchanged in the database{dropped}"

    def content(self) -> Check:
        """Return the check `exports.content`. It passes if every event equals its row in the database."""
        details = {"rows": self.rows, "equal": self.equal}
        if self.rows and self.equal == self.rows:
            words = "every exported event equals its row in the database, which the chain checks verify"
            return Check("exports.content", PASS, words, required=False, details=details)
        return content_unproven(self.rows - self.equal, details)


def content_unproven(rows: int, details: t.Mapping[str, object]) -> Check:
    words = f"content hashes of {rows} exported events cannot be recomputed: the hashes cover microseconds, but exports have milliseconds"
    return Check("exports.content", UNPROVEN, words, required=False, details=details)


DIFFERS = "the database has this event with another {}; one of the two was changed after the export"
FORK = "the database has another event with this number, and no restore in the journal explains it; the chain forked"
MISSING = "the event is missing in the database, although retention keeps its month; it was deleted"
NEWER = "the event is newer than the database's export watermark and not in the database: it is a restored copy, or lost rows"
REHASHED = "only the hashes differ: an upgrade recomputed the chain after the export"
_VERDICTS = {"newer_than_database": UNPROVEN, "rehashed": WARN}


def _differing(row: Archived, hour: int, found: Row) -> list[str]:
    return [column for column, ours, theirs in zip(_COLUMNS, (*row, hour), found, strict=True) if ours != theirs]


def _groups(rows: t.Sequence[Archived]) -> t.Iterator[tuple[str, list[Archived]]]:
    """Yield groups of rows of one zone with consecutive numbers. Rows without a number are separate groups."""
    group: list[Archived] = []
    for row in rows:
        if group and (row.zone_id, row.chain_seq - 1) != (group[-1].zone_id, group[-1].chain_seq or -1):
            yield group[0].zone_id, group
            group = []
        group.append(row)
    if group:
        yield group[0].zone_id, group
