# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hourly exports in a store: at their source, or in the archive, below `archive/`."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from ..._caracal.exports.export_files import hour_at, hour_of, start
from ..._errors import OptionError
from ..._evidence import access
from ..._evidence.access import Opened
from ..._options.shared import ExportSourceOptions, RepositoryOptions
from ..._repository import archive_days, objects
from ..._repository.fields import timestamp
from ..._storage.archived import Held, Locked
from ..._storage.base import Store
from ..._storage.schemes import open_store
from ..._stream.progress import SILENT, Progress

EXPORTS = "audit"
# The service exports an hour after its end, and retries every hour.
GRACE = datetime.timedelta(hours=2)
MAGIC = b"PAR1"


@dataclasses.dataclass(frozen=True)
class Listing:
    """The object of each hour since 1970, and the keys of objects that are not exports."""

    hours: dict[int, Held]
    strange: tuple[str, ...]


def archive(opened: Opened, location: str | None, given: RepositoryOptions) -> Store:
    """Return the archive: the repository, or another location if the options name one. Both use the same access options."""
    if not location:
        return opened.store
    store = open_store(location, given.bucket)
    access.check_outside(store, given)
    return store


def source(given: ExportSourceOptions, to: Store) -> Store:
    """Return the store to which the service writes. Raises OptionError if this is the archive itself."""
    store = open_store(given.source, given.bucket)
    if store.location in (to.location, f"{to.location}/{archive_days.FOLDER}"):
        raise OptionError(f"source {store.location} is the archive itself; give the bucket or directory to which the audit service writes")
    return store


def exports(store: Store) -> Listing:
    """Return the exports that the service has written."""
    return _listing(store.held(EXPORTS), "")


def archived_exports(store: Store) -> Listing:
    return _listing(store.held(archive_days.EXPORTS), f"{archive_days.FOLDER}/")


def _listing(found: t.Iterable[Held], prefix: str) -> Listing:
    hours: dict[int, Held] = {}
    strange: list[str] = []
    for one in found:
        number = hour_at(one.key.removeprefix(prefix))
        if number is None:
            strange.append(one.key if one.key.isprintable() else ascii(one.key))
        else:
            hours[number] = one
    return Listing(dict(sorted(hours.items())), tuple(strange))


def hour_before(now: datetime.datetime, hours: int) -> int:
    """Return the last hour that ended the given number of hours ago."""
    return hour_of(now) - 1 - hours


def day_of(hour: int) -> datetime.date:
    return start(hour).date()


def is_over(day: datetime.date, now: datetime.datetime) -> bool:
    """Return whether all exports of a day must exist."""
    return datetime.datetime.combine(day, datetime.time(), datetime.timezone.utc) + datetime.timedelta(days=1) + GRACE <= now


def digest(store: Store, one: Held, progress: Progress = SILENT) -> str:
    """Return the SHA-256 of exactly this version. Raises what the store raises."""
    with store.open_held(one) as stream:
        return objects.digest(stream, progress)


def is_whole(store: Store, one: Held) -> bool:
    """Return whether the object starts and ends like a Parquet file. An incomplete copy does not."""
    if one.size < 3 * len(MAGIC):
        return False
    with store.open_seekable(one) as stream:
        head = stream.read(len(MAGIC))
        stream.seek(one.size - len(MAGIC))
        return head == stream.read(len(MAGIC)) == MAGIC


def words(found: Locked) -> str:
    """Return a lock as text."""
    return f"{found.mode} until {timestamp(found.until)[:19]}Z" if found.mode and found.until else "no lock"
