# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: copy the audit service's hourly exports into a protected archive."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import time
import typing as t

from ..._ansible.boundary import Invocation
from ..._caracal.exports import export_files
from ..._crypto.signing import Signer
from ..._errors import OptionError, StorageError
from ..._evidence import access, metrics
from ..._evidence.access import Opened
from ..._options import declared
from ..._options.declared import Path
from ..._options.shared import ExportSourceOptions, RepositoryOptions
from ..._repository import archive_days, objects
from ..._repository import entry as entries
from ..._repository import journal as journals
from ..._repository import layout as keys
from ..._repository.archive_days import ArchiveDay, Entered
from ..._storage.archived import Held
from ..._storage.base import Store
from ..._stream import progress
from ..._stream.progress import Progress
from . import archive_hours, archive_plan
from .archive_plan import ArchivePlan, Comparison, Hour

NAMED = 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    access: RepositoryOptions
    exports: ExportSourceOptions
    signing_key: Path
    archive: str | None = None
    metrics_file: Path | None = None
    compare_days: int = 2


class _Planned(t.TypedDict):
    archived: list[str]
    extended: list[str]
    unchanged: int
    faults: list[str]
    diff: dict[str, str]


class _Plan(_Planned, total=False):
    msg: str
    failed: bool


class Result(_Plan):
    """Hours by name, days as YYYY-MM-DD. `failed` and `msg` are set if an hour has a fault."""

    changed: bool
    days: list[str]
    strange: list[str]
    first_hour: str
    last_hour: str
    journal_head: str
    seconds: float


def run(invocation: Invocation[Options]) -> Result:
    """Compare all exports, copy missing ones, extend locks, then add one journal entry for each complete day."""
    with progress.shown() as display:
        return _archived(invocation, display)


def _archived(invocation: Invocation[Options], display: Progress) -> Result:
    started, now = time.monotonic(), access.now()
    given = invocation.options
    if given.compare_days < 0:
        raise OptionError("compare_days is below zero; set it to a number of days")
    opened = access.open_repository(given.access, warn=invocation.warn)
    to = archive_hours.archive(opened, given.archive, given.access)
    signer = _ready(opened, given, to)
    source = archive_hours.source(given.exports, to)
    found = archive_hours.exports(source)
    if not found.hours:
        raise StorageError(
            f"{source.location} has no hourly export below {archive_hours.EXPORTS}/; check the option source, and that exports are enabled"
        )
    known = archive_days.entered(opened.journal.of_kind(entries.ARCHIVE_DAY))
    recent = max(found.hours) - 24 * given.compare_days
    there = archive_hours.archived_exports(to)
    plan = Comparison(source, to, there, known, recent, now, display).plan(found)
    _warn(invocation, plan, found, source, to)
    planned = _result(plan, to, now)
    days = _days(plan, known, now)
    if not invocation.check_mode:
        days = _days(_act(plan, source, to, display), known, now)
        for day, hours in sorted(days.items()):
            _enter(opened, signer, day, hours)
    opened.mark.advance(opened.journal, dry=invocation.check_mode)
    result: Result = {
        **planned,
        "changed": bool(plan.copy or plan.extend or days),
        "days": [day.isoformat() for day in sorted(days)],
        "strange": list(found.strange[:NAMED]),
        "first_hour": _name(min(found.hours)),
        "last_hour": _name(max(found.hours)),
        "journal_head": opened.head,
        "seconds": round(time.monotonic() - started, 3),
    }
    _leave_metrics(invocation, result, there.hours.keys() | {hour.number for hour in plan.copy}, len(plan.faults))
    return result


def _leave_metrics(invocation: Invocation[Options], result: Result, kept: t.Collection[int], faults: int) -> None:
    given, seconds, copied = invocation.options, result["seconds"], len(result["archived"])
    metrics.leave(
        given.metrics_file,
        invocation,
        lambda: metrics.of_archive(given.access.deployment, seconds, copied, kept, faults, access.now()),
    )


def _warn(invocation: Invocation[Options], plan: ArchivePlan, found: archive_hours.Listing, source: Store, to: Store) -> None:
    for key in plan.again[:NAMED]:
        invocation.warn(f"{to.location}/{key} was archived before but is missing; its source is unchanged, so it is copied again")
    for one in [one for one in found.hours.values() if one.versions > 1][:NAMED]:
        invocation.warn(f"{source.location}/{one.key} has {one.versions} versions, and only the oldest is used; find out who overwrote it")


def _ready(opened: Opened, given: Options, to: Store) -> Signer:
    """Check that an entry can be written, so that nothing is copied that cannot be recorded."""
    signer = access.signer(opened, given.access.deployment, given.signing_key, keys.BACKUP)
    opened.mark.check_writable()
    for store in {store.location: store for store in (opened.store, to)}.values():
        store.check_writable(probe=False)
    return signer


def _name(hour: int) -> str:
    return export_files.name(hour)


def _result(plan: ArchivePlan, to: Store, now: datetime.datetime) -> _Plan:
    result: _Plan = {
        "archived": [_name(hour.number) for hour in plan.copy],
        "extended": [_name(hour.number) for hour in plan.extend],
        "unchanged": len(plan.fine),
        "faults": [f"{key} {words}" for key, words in sorted(plan.faults.items())[:NAMED]],
        "diff": {side: archive_plan.listing(plan, to, now, after=side == "after") for side in ("before", "after")},
    }
    if plan.faults:
        more = f" ({len(plan.faults) - 1} more)" if len(plan.faults) > 1 else ""
        result["failed"] = True
        result["msg"] = f"{to.location}/{result['faults'][0]}{more}; the other hours are not affected"
    return result


def _act(plan: ArchivePlan, source: Store, to: Store, display: Progress) -> ArchivePlan:
    """Carry out the plan. Returns it with the digest and lock of every hour in the archive."""
    done = ArchivePlan(fine=plan.fine)
    if plan.copy:
        display.begin("copying", sum(hour.source.size for hour in plan.copy))
    for hour in plan.copy:
        done.copy.append(_copy(hour, source, to, display))
    for hour in plan.extend:
        to.extend(hour.key)
        done.extend.append(dataclasses.replace(hour, lock=to.lock_of(Held(hour.key, hour.source.size))))
    return done


def _copy(hour: Hour, source: Store, to: Store, display: Progress) -> Hour:
    made, size = hashlib.sha256(), 0
    with source.open_held(hour.source) as stream, to.writer(hour.key.rpartition("/")[0], hour.key) as out:
        while data := stream.read(objects.CHUNK):
            made.update(data)
            size += out.write(data)
            display.count(len(data))
        if size != hour.source.size:
            raise StorageError(f"{source.location}/{hour.source.key} changed while it was read; run again")
        out.publish(hour.key)
    there = Held(hour.key, size)
    return dataclasses.replace(hour, archived=there, sha256=made.hexdigest(), lock=to.lock_of(there))


def _days(plan: ArchivePlan, known: t.Mapping[str, Entered], now: datetime.datetime) -> dict[datetime.date, list[Hour]]:
    """Return the complete days, with their hours that are not in the journal yet or that have a longer lock now."""
    extended = {hour.key for hour in plan.extend}
    found: dict[datetime.date, list[Hour]] = {}
    for hour in (*plan.copy, *plan.extend, *plan.fine):
        before = known.get(hour.key)
        day = archive_hours.day_of(hour.number)
        if (before is None or hour.key in extended) and archive_hours.is_over(day, now):
            found.setdefault(day, []).append(hour)
    return found


def _enter(opened: Opened, signer: Signer, day: datetime.date, hours: t.Sequence[Hour]) -> None:
    ends = [hour.lock.until for hour in hours]
    modes = {hour.lock.mode for hour in hours}
    until = None if None in ends else min(end for end in ends if end is not None)
    # GOVERNANCE is weaker, so COMPLIANCE is recorded only if all hours have it.
    mode = None if until is None else max(mode for mode in modes if mode is not None)
    subjects = [entries.subject(hour.key, hour.sha256) for hour in sorted(hours, key=lambda one: one.number)]
    body = ArchiveDay(day, mode, until).to_body()
    journals.append(
        opened.repository, opened.journal, signer, entries.ARCHIVE_DAY, subjects, body, time=access.times(), machine=access.machine()
    )
