# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compare the archive with the journal: present and missing objects, locks, and objects that hide others.

There are four checks: `archive.objects`, `.journal`, `.shadowed`, `.lock`. A fifth, `.begins`, applies if a database
has older events.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import datetime
import typing as t

from ..._caracal import findings
from ..._caracal.chains.audit_chains import AUDIT
from ..._caracal.exports import export_files
from ..._caracal.findings import Finding
from ..._report.check import FAIL, NOT_APPLICABLE, PASS, UNPROVEN, WARN, Check
from ..._repository import archive_days
from ..._repository.archive_days import Entered
from ..._storage import archived
from ..._storage.archived import Held, Locked
from ..._storage.base import Store
from ..._stream.progress import SILENT, Progress
from . import archive_hours
from .archive_hours import Listing

# A store answers several requests in parallel.
WORKERS = 4
DAY = datetime.timedelta(days=1)
_VERDICTS = {"expired": WARN, "not_entered": UNPROVEN, "strange": WARN}


@dataclasses.dataclass(frozen=True)
class Archive:
    """The contents of the archive. Digests and locks belong to the original versions, by key."""

    store: Store
    there: Listing
    entered: t.Mapping[str, Entered]
    now: datetime.datetime
    digests: t.Mapping[str, str]
    locks: t.Mapping[str, Locked]

    @property
    def held(self) -> dict[str, Held]:
        return {one.key: one for one in self.there.hours.values()}


def read(store: Store, there: Listing, entered: t.Mapping[str, Entered], now: datetime.datetime, progress: Progress = SILENT) -> Archive:
    """Read every object once. Raises what the store raises."""

    def look(one: Held) -> tuple[str, Locked]:
        return archive_hours.digest(store, one, progress), store.lock_of(one)

    objects = list(there.hours.values())
    progress.begin("verifying", sum(one.size for one in objects))
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        seen = dict(zip((one.key for one in objects), pool.map(look, objects), strict=True))
    digests = {key: digest for key, (digest, _lock) in seen.items()}
    return Archive(store, there, entered, now, digests, {key: lock for key, (_digest, lock) in seen.items()})


def examine(found: Archive) -> list[Check]:
    return [_objects(found), _journal(found), _shadowed(found), _lock(found)]


def nothing(store: Store, entered: t.Mapping[str, Entered]) -> Check:
    """Return the check for an archive without exports."""
    if entered:
        words = (
            f"the journal records {len(entered)} archived exports, but {store.location} has none; they were deleted, or archive is wrong"
        )
        return Check("archive.objects", FAIL, words)
    words = f"{store.location} has no archived export, so nothing was verified; run audit_export_archive, or correct the option archive"
    return Check("archive.objects", UNPROVEN, words)


def first_hour(entered: t.Mapping[str, Entered]) -> int | None:
    """Return the first hour in the journal, or None."""
    hours = [export_files.hour_at(key.removeprefix(f"{archive_days.FOLDER}/")) for key in entered]
    return min((hour for hour in hours if hour is not None), default=None)


def begins(first: int, ingested: t.Mapping[int, int]) -> Check:
    """Check for events in the database from before the archive. They were never archived, so none of them were removed from it."""
    before = sum(rows for hour, rows in ingested.items() if hour < first)
    name, words = "archive.begins", f"the archive begins with {export_files.name(first)}, as recorded in the journal"
    if before:
        words = f"{words}; the database has {before} earlier events, which were never archived"
        return Check(name, WARN, words, details={"events_before": before})
    return Check(name, PASS, f"{words}, not later than the database's first event", details={"events_before": 0})


def _finding(kind: str, key: str, words: str) -> Finding:
    return Finding(kind, AUDIT.name, "", 0, 0, f"{key} {words}", _VERDICTS.get(kind, FAIL))


def _objects(found: Archive) -> Check:
    strange = [_finding("strange", key, "is not an hourly export and can be removed") for key in found.there.strange]
    hours = list(found.there.hours)
    details: dict[str, t.Any] = {"files": len(hours), "first_hour": export_files.name(hours[0]), "last_hour": export_files.name(hours[-1])}
    passed = f"{len(hours)} hourly exports from {details['first_hour']} to {details['last_hour']}"
    return findings.check("archive.objects", strange, passed, **details)


def _journal(found: Archive) -> Check:
    if not found.entered:
        words = "the journal records no archived export, so the files cannot be verified; run audit_export_archive"
        return Check("archive.journal", UNPROVEN, words, details={"files": len(found.digests)})
    wrong = [_against_journal(found, key, known) for key, known in found.entered.items()]
    wrong += [_finding("entered_twice", key, _twice(known)) for key, known in found.entered.items() if known.other]
    days = {one.key: archive_hours.day_of(number) for number, one in found.there.hours.items()}
    new = [key for key in found.digests if key not in found.entered]
    late = [key for key in new if archive_hours.is_over(days[key], found.now)]
    unknown = "is in the archive but not in the journal, so it cannot be verified; run audit_export_archive"
    wrong += [_finding("not_entered", key, unknown) for key in late]
    details: dict[str, t.Any] = {"entered": len(found.entered), "not_yet": len(new) - len(late)}
    passed = f"all {len(found.entered)} archived exports match the journal"
    return findings.check("archive.journal", [one for one in wrong if one], passed, **details)


def _twice(known: Entered) -> str:
    return f"has different SHA-256 values in journal entries {known.sequence} and {known.other}"


def _against_journal(found: Archive, key: str, known: Entered) -> Finding | None:
    if key not in found.digests:
        if known.until is not None and known.until < found.now:
            return _finding("expired", key, f"of journal entry {known.sequence} is missing; its lock ended {known.until:%Y-%m-%d}")
        return _finding("gone", key, f"of journal entry {known.sequence} is missing in the archive")
    if found.digests[key] != known.sha256:
        return _finding("altered", key, f"does not match journal entry {known.sequence}; it was changed or replaced")
    return None


def _shadowed(found: Archive) -> Check:
    if not found.store.locks:
        words = "a directory has no versions; only the SHA-256 in the journal reveals changes"
        return Check("archive.shadowed", NOT_APPLICABLE, words, required=False)
    wrong = []
    for key, one in found.held.items():
        if one.marked:
            wrong.append(_finding("hidden", key, "is hidden by a delete marker; remove the marker to restore the export"))
        if one.versions > 1:
            wrong.append(
                _finding("overwritten", key, f"has {one.versions} versions, and only the oldest was read; find out who overwrote it")
            )
    return findings.check("archive.shadowed", wrong, "no export was overwritten or hidden by a delete marker", versions=len(found.held))


def _lock(found: Archive) -> Check:
    name = "archive.lock"
    if not found.store.locks:
        words = "a directory has no locks: a user who can write to it can remove evidence, which is detected but cannot be undone"
        return Check(name, WARN, words)
    wrong = [one for key, lock in found.locks.items() if (one := _lock_finding(found, key, lock))]
    ends = {key: lock.until for key, lock in found.locks.items() if lock.until is not None}
    left = {key: (until - found.now) // DAY for key, until in ends.items() if until > found.now}
    details: dict[str, t.Any] = {
        "locked": len(left),
        "not_locked": len(found.locks) - len(left),
        "days_left": min(left.values(), default=0),
    }
    if not left and not wrong:
        return Check(name, WARN, "no export is locked, so a user with write access can remove evidence; set lock_mode", details=details)
    passed = f"{len(left)} exports are locked; the first lock ends in {details['days_left']} days"
    passed += f"; the locks of {details['not_locked']} older exports have ended" if details["not_locked"] else ""
    return findings.check(name, wrong, passed, **details)


def _lock_finding(found: Archive, key: str, lock: Locked) -> Finding | None:
    known = found.entered.get(key)
    was = known.until if known else None
    if was is not None and was > found.now and (lock.until is None or lock.until + archived.TOLERANCE < was):
        return _finding("shortened", key, f"has {archive_hours.words(lock)}; the journal records a lock until {was:%Y-%m-%d}")
    hour = export_files.hour_at(key.removeprefix(f"{archive_days.FOLDER}/")) or 0
    asked = found.store.lock_wanted(key, export_files.start(hour))
    if not archived.suffices(lock, asked, found.now):
        return _finding(
            "short_lock", key, f"has {archive_hours.words(lock)} instead of {archive_hours.words(asked)}; run audit_export_archive"
        )
    return None
