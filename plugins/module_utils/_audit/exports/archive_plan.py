# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find exports that the archive lacks, that are locked for too short a time, or that differ from the source. Nothing is changed."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from ..._caracal.exports import export_files
from ..._repository import archive_days
from ..._repository.archive_days import Entered
from ..._storage import archived
from ..._storage.archived import NO_LOCK, Held, Locked
from ..._storage.base import Store
from ..._stream.progress import SILENT, Progress
from . import archive_hours
from .archive_hours import Listing


@dataclasses.dataclass(frozen=True)
class Hour:
    """One hour at its source. `sha256` is known if the archive has the hour and its bytes were read. `lock` is the lock in the archive."""

    number: int
    source: Held
    archived: Held | None = None
    sha256: str = ""
    lock: Locked = NO_LOCK

    @property
    def key(self) -> str:
        """The key of the hour in the archive."""
        return f"{archive_days.FOLDER}/{self.source.key}"


@dataclasses.dataclass
class ArchivePlan:
    """The actions for the archive. `fine` hours need no action, except perhaps a journal entry. `faults` maps keys to messages."""

    copy: list[Hour] = dataclasses.field(default_factory=list)
    extend: list[Hour] = dataclasses.field(default_factory=list)
    fine: list[Hour] = dataclasses.field(default_factory=list)
    faults: dict[str, str] = dataclasses.field(default_factory=dict)
    again: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Compares two stores with each other and with the journal. For hours before `recent`, size and journal entry are sufficient."""

    source: Store
    archive: Store
    there: Listing
    entered: t.Mapping[str, Entered]
    recent: int
    now: datetime.datetime
    progress: Progress = SILENT

    def plan(self, found: Listing) -> ArchivePlan:
        """Return the actions for all hours at the source."""
        plan = ArchivePlan()
        # Which hours must be read is only known when each is compared.
        self.progress.begin("verifying")
        for number, one in found.hours.items():
            hour = Hour(number, one, self.there.hours.get(number))
            if hour.archived is None:
                self._missing(plan, hour)
            else:
                self._present(plan, hour, hour.archived)
        return plan

    def _missing(self, plan: ArchivePlan, hour: Hour) -> None:
        known = self.entered.get(hour.key)
        if not archive_hours.is_whole(self.source, hour.source):
            plan.faults[hour.key] = "is not a complete Parquet file at its source and was not copied; copy it to the source again"
        elif known and archive_hours.digest(self.source, hour.source, self.progress) != known.sha256:
            plan.faults[hour.key] = (
                f"is missing in the archive, and its source does not match journal entry {known.sequence}; "
                "restore it from a copy of the archive"
            )
        else:
            plan.copy.append(hour)
            plan.again += [hour.key] if known else []

    def _present(self, plan: ArchivePlan, hour: Hour, there: Held) -> None:
        known = self.entered.get(hour.key)
        if there.shadowed:
            on_top = "a delete marker" if there.marked else "another version"
            plan.faults[hour.key] = f"is shadowed: {on_top} is above the archived version; find out who created it, then remove it"
            return
        wanted = self.archive.lock_wanted(hour.key, export_files.start(hour.number))
        if known and self._is_trusted(hour, there, Locked(wanted.mode, known.until), wanted):
            plan.fine.append(hour)
            return
        ours, theirs = (archive_hours.digest(*one, self.progress) for one in ((self.archive, there), (self.source, hour.source)))
        if ours != theirs or (known and known.sha256 != ours):
            subject = "its source has" if ours != theirs else f"journal entry {known.sequence if known else 0} has"
            plan.faults[hour.key] = f"is inconsistent: {subject} other content than the archive; find out which of the two was changed"
            return
        hour = dataclasses.replace(hour, sha256=ours, lock=self.archive.lock_of(there))
        (plan.fine if archived.suffices(hour.lock, wanted, self.now) else plan.extend).append(hour)

    def _is_trusted(self, hour: Hour, there: Held, journal: Locked, wanted: Locked) -> bool:
        """Return whether an old hour need not be read: its size is unchanged, and its recorded lock is sufficient."""
        return hour.number < self.recent and there.size == hour.source.size and archived.suffices(journal, wanted, self.now)


def listing(plan: ArchivePlan, store: Store, now: datetime.datetime, *, after: bool) -> str:
    """Return the changed hours, before or after the changes, for a diff."""
    lines = []
    for hour in sorted((*plan.copy, *plan.extend), key=lambda one: one.number):
        lock = store.lock_wanted(hour.key, now) if after else hour.lock
        state = f"archived, {archive_hours.words(lock)}" if after or hour.archived else "absent"
        lines.append(f"{export_files.name(hour.number)} {state}\n")
    return "".join(lines)
