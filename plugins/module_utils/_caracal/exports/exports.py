# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hourly Parquet exports as a source of the audit chain.

There are five checks: `exports.readable`, `.complete`, `.hmac`, `.sequence` and `.database`. The sixth, `.content`,
cannot pass with exports alone.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ..._reasons import WRONG_AUDIT_KEY, because
from ..._report.check import FAIL, UNPROVEN, WARN, Check
from .. import findings
from ..chains import chain_verdict
from ..chains.audit_chains import AUDIT
from ..chains.chain_keys import AuditKey
from ..findings import Finding
from . import export_chain
from .export_compare import Comparison, Database, content_unproven
from .export_cuts import Cut, Cuts
from .export_files import Exports, UnreadableHour, hour_of, name
from .export_sequence import sequence


@dataclasses.dataclass
class _Read:
    """The result of a pass over the folder: the row count of each hour that was read completely, and the reasons why other
    hours were not.
    """

    chains: export_chain.Chains
    zones: dict[str, export_chain.Zone] = dataclasses.field(default_factory=dict)
    hours: dict[int, int] = dataclasses.field(default_factory=dict)
    unreadable: dict[int, str] = dataclasses.field(default_factory=dict)
    rows: int = 0


def examine(folder: Exports, keys: t.Sequence[AuditKey], database: Database | None = None, cuts: t.Iterable[Cut] = ()) -> list[Check]:
    """Return all checks from one pass over the folder. A second pass follows if there are duplicate numbers.

    Memory grows with the number of zones and with disorder, not with the number of rows. Raises what the functions of
    `database` raise.
    """
    known = Cuts(cuts)
    comparison = None if database is None else Comparison(database, known)
    read = _pass(folder, keys, comparison)
    read.zones = read.chains.finish() if database is None else read.chains.finish(database.contents)
    checks = [
        _readable(folder, read),
        _complete(read, database),
        *_hmacs(read, keys),
        sequence(folder, read.zones, known, database, whole=not read.unreadable),
    ]
    if comparison is not None:
        return [*checks, comparison.check(), comparison.content()]
    absent = Check("exports.database", UNPROVEN, "no database was given to compare the exports with")
    return [*checks, absent, content_unproven(read.rows, {"rows": read.rows})]


def _pass(folder: Exports, keys: t.Sequence[AuditKey], comparison: Comparison | None) -> _Read:
    read = _Read(export_chain.Chains(keys))
    for hour in folder.hours:
        number = 0
        try:
            for rows in folder.rows(hour):
                read.chains.take(hour.number, rows)
                if comparison is not None:
                    comparison.take(hour.number, rows)
                number += len(rows)
            read.hours[hour.number] = number
        except UnreadableHour as exc:
            read.unreadable[hour.number] = exc.msg
        read.rows += number
    return read


def _readable(folder: Exports, read: _Read) -> Check:
    """Return the check for the number of files and events, and for unreadable files."""
    found = [Finding("unreadable_hour", AUDIT.name, "", 0, 0, words, UNPROVEN) for words in read.unreadable.values()]
    for path in folder.strange:
        found.append(Finding("strange_file", AUDIT.name, "", 0, 0, f"{path} is not an hourly export; it was not read", WARN))
    details: dict[str, t.Any] = {
        "files": len(folder.hours),
        "first_hour": str(folder.hours[0]),
        "last_hour": str(folder.hours[-1]),
        "rows": read.rows,
        "zones": len(read.zones),
    }
    if not read.rows and not found:
        return Check("exports.readable", UNPROVEN, "the exports contain no event", details=details)
    return findings.check("exports.readable", found, f"{read.rows} events in {len(folder.hours)} hourly files", **details)


def _complete(read: _Read, database: Database | None) -> Check:
    """Check that every hour up to the watermark has a file with all its events.

    A file may contain more events than the database: events of months that retention dropped, or that a restore
    removed.
    """
    if database is None or database.watermark is None:
        words = "no database with an export watermark was given, so the exported hours are unknown"
        return Check("exports.complete", UNPROVEN, words, details={"files": len(read.hours)})
    watermark = hour_of(database.watermark)
    due = {hour: rows for hour, rows in sorted(database.hours().items()) if hour <= watermark and hour not in read.unreadable}
    first = min([*read.hours, *read.unreadable])
    found = [one for hour, rows in due.items() for one in _hour_findings(hour, rows, read.hours.get(hour, 0), first)]
    details: dict[str, t.Any] = {
        "watermark": name(watermark),
        "hours_compared": len(due),
        "files_after": sum(hour > watermark for hour in read.hours),
    }
    if not due:
        return Check("exports.complete", UNPROVEN, "the database has no event from an exported hour", details=details)
    return findings.check("exports.complete", found, f"all {len(due)} exported hours have a file with all their events", **details)


def _hour_findings(hour: int, rows: int, here: int, first: int) -> t.Iterator[Finding]:
    if hour < first:
        words = f"{name(hour)}: {rows} events are older than the first file; exports began later, or the first files are missing"
        yield Finding("before_first_file", AUDIT.name, "", 0, 0, words, UNPROVEN)
    elif not here:
        yield Finding("missing_hour", AUDIT.name, "", 0, 0, f"{name(hour)}: there is no file for its {rows} events")
    elif here < rows:
        yield Finding("incomplete_hour", AUDIT.name, "", 0, 0, f"{name(hour)}: its file has {here} of {rows} events")


def _hmacs(read: _Read, keys: t.Sequence[AuditKey]) -> list[Check]:
    """Return the HMAC checks for a database's rows, adapted to exports: exports do not prove that contents and links are correct."""
    seen = export_chain.seen(read.zones)
    signed = sum(positions.count for zone in seen.values() for positions in zone.keys.values())
    unmatched = sum(zone.unmatched.count for zone in seen.values())
    first_rows = sum(zone.unlinked.count for zone in read.zones.values())
    details = {"rows": signed + unmatched, "without_row_before": first_rows}
    if keys and not signed and unmatched:
        named = ", ".join(key.id for key in keys)
        words = f"wrong AUDIT_HMAC_KEY: none of {unmatched} exported events was signed with {named}"
        return [Check("exports.hmac", FAIL, words, details={**details, "keys": [key.id for key in keys], **because(WRONG_AUDIT_KEY)})]
    if keys and not signed and first_rows:
        return [
            Check(
                "exports.hmac", UNPROVEN, "no exported event has its predecessor in the exports, so no HMAC was verified", details=details
            )
        ]
    checks = chain_verdict.hmacs(AUDIT, seen, keys, sound=False)
    return [
        dataclasses.replace(one, id=one.id.replace(f"{AUDIT.name}.", "exports.", 1), details={**one.details, **details}) for one in checks
    ]
