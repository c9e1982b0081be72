# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Journal entries about archived exports. An entry lists the objects of one day; later entries of the same day add to it."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from .entry import ARCHIVE_DAY, Entry, body
from .fields import timestamp

FOLDER = "archive"
EXPORTS = f"{FOLDER}/audit"


@dataclasses.dataclass(frozen=True)
class ArchiveDay:
    """One day of the archive. `mode` and `until` are the weakest lock of its objects, None if an object has no lock."""

    day: datetime.date
    mode: str | None
    until: datetime.datetime | None

    def to_body(self) -> dict[str, object]:
        return {"day": self.day.isoformat(), "mode": self.mode, "until": None if self.until is None else timestamp(self.until)}


def archive_day(entry: Entry) -> ArchiveDay:
    """Parse a verified entry. Raises TamperedData."""
    fields = body(entry)
    try:
        day = datetime.date.fromisoformat(fields.text("day"))
    except ValueError as exc:
        raise fields.fault("has an invalid day") from exc
    found = ArchiveDay(day, fields.optional_text("mode"), fields.optional_time("until"))
    fields.end()
    if not all(one.startswith(f"{folder(day)}/") for one in entry.subjects):
        raise fields.fault("names an object of another day")
    return found


def folder(day: datetime.date) -> str:
    """Return the directory with the exports of a day."""
    return f"{EXPORTS}/{day:%Y/%m/%d}"


@dataclasses.dataclass(frozen=True)
class Entered:
    """One archived object: its SHA-256, the first entry that names it, and the end of the latest lock that was seen.

    `other` is a later entry that records another SHA-256 for it, or 0.
    """

    sha256: str
    sequence: int
    until: datetime.datetime | None
    other: int = 0


def entered(journal: t.Iterable[Entry]) -> dict[str, Entered]:
    """Return all objects that the journal names, by key. The first recorded digest counts. Raises TamperedData."""
    found: dict[str, Entered] = {}
    for one in journal:
        if one.kind != ARCHIVE_DAY:
            continue
        until = archive_day(one).until
        for key, digest in one.subjects.items():
            before = found.get(key)
            if before is None:
                found[key] = Entered(digest, one.sequence, until)
            elif before.sha256 == digest:
                found[key] = dataclasses.replace(before, until=_later(before.until, until))
            elif not before.other:
                found[key] = dataclasses.replace(before, other=one.sequence)
    return found


def _later(one: datetime.datetime | None, other: datetime.datetime | None) -> datetime.datetime | None:
    known = [when for when in (one, other) if when is not None]
    return max(known) if known else None
