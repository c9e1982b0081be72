# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: verify archived exports, and compare them with journal, locks, keys and the database."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from ... import _deps
from ..._ansible.boundary import Invocation
from ..._caracal.chains.chain_keys import AuditKey
from ..._caracal.exports import export_files, exports
from ..._caracal.exports.export_files import Exports, Hour
from ..._drivers.postgres import preflight, snapshot
from ..._drivers.postgres.guard import Guard
from ..._drivers.postgres.server import Session
from ..._errors import OptionError
from ..._evidence import access, baseline, place
from ..._options import declared
from ..._options.shared import AuditChainOptions, CopyOptions, RepositoryOptions
from ..._reading import database_layout
from ..._report.check import NOT_APPLICABLE, UNPROVEN, WARN, Check, VerdictResult, judged
from ..._repository import archive_days
from ..._repository import entry as entries
from ..._storage.base import Store
from ..._stream import progress
from ..._stream.progress import Progress
from ..chains import audit_chain_verify, exports_against_rows
from . import archive_checks, archive_hours
from .archive_checks import Archive
from .archive_hours import Listing

APPLICATION = "caracal_ops.backup audit_export_verify"
INGESTED = "SELECT floor(extract(epoch FROM ingested_at) / 3600)::bigint, count(*) FROM {} WHERE isfinite(ingested_at) GROUP BY 1"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    copy: CopyOptions = dataclasses.field(default_factory=CopyOptions)
    access: RepositoryOptions
    chains: AuditChainOptions = dataclasses.field(default_factory=AuditChainOptions)
    archive: str | None = None
    database: str | None = None
    lag: int = 3
    require_valid: bool = True


class _Counted(t.TypedDict):
    files: int
    entered: int
    keys: list[str]
    not_verified: list[str]


class Coverage(_Counted, total=False):
    """The hours that were read, and those that were not verified. Hours are set by name if there is a file."""

    first_hour: str
    last_hour: str
    hours_without_file: int


class Result(VerdictResult):
    """The verdict and its coverage."""

    coverage: Coverage
    journal_head: str
    seconds: float


def run(invocation: Invocation[Options]) -> Result:
    """Read every object once for its digest and once for its rows, then evaluate the checks."""
    with progress.shown() as display:
        return _verified(invocation, display)


def _verified(invocation: Invocation[Options], display: Progress) -> Result:
    started, now = time.monotonic(), access.now()
    given = invocation.options
    if given.lag < 0:
        raise OptionError("lag is below zero; set it to a number of hours")
    keys = audit_chain_verify.hmac_keys(given.chains.audit_hmac_key_files)
    arrow = _deps.require_pyarrow()
    opened = access.open_repository(given.access, warn=invocation.warn)
    store = archive_hours.archive(opened, given.archive, given.access)
    entered = archive_days.entered(opened.journal.of_kind(entries.ARCHIVE_DAY))
    there = archive_hours.archived_exports(store)
    checks = [access.freshness_check(opened)]
    if there.hours:
        found = archive_checks.read(store, there, entered, now, display)
        checks += archive_checks.examine(found)

        def gather() -> Exports:
            return _exports(arrow, store, there, display)

        cuts = baseline.cuts(opened)
        if given.database:
            begin = archive_checks.first_hour(entered)
            checks += _with_database(given, given.database, gather, keys, cuts, (begin, archive_hours.hour_before(now, given.lag)))
        else:
            checks += exports.examine(gather(), keys, None, cuts)
        coverage = _coverage(found, keys, checks)
    else:
        checks.append(archive_checks.nothing(store, entered))
        coverage = {"files": 0, "entered": len(entered), "keys": [key.id for key in keys], "not_verified": ["everything"]}
    if not invocation.check_mode:
        opened.mark.advance(opened.journal)
    result = judged(checks, given.require_valid)
    return {**result, "coverage": coverage, "journal_head": opened.head, "seconds": round(time.monotonic() - started, 3)}


def _exports(arrow: t.Any, store: Store, there: Listing, display: Progress) -> Exports:
    def opener(hour: Hour) -> t.BinaryIO:
        return store.open_seekable(there.hours[hour.number])

    sizes = {Hour(number, one.key): one.size for number, one in there.hours.items()}
    return exports_against_rows.counted(Exports(arrow, sizes, there.strange, opener), sizes, display)


def _with_database(
    given: Options,
    database: str,
    gather: exports_against_rows.Gather,
    keys: t.Sequence[AuditKey],
    cuts: t.Sequence[baseline.Cut],
    asked: tuple[int | None, int],
) -> list[Check]:
    """Return the checks that need the database. `asked` are the first hour in the archive, if known, and the last hour that must exist."""
    begin, due = asked
    server, _sandbox = place.server_of(given.copy)
    server = server.named(APPLICATION)
    with Session(server, database) as session:
        preflight.full_sight(session)
    with (
        Guard(server, database, given.chains.lock_hold_max) as guard,
        snapshot.Snapshot(server, database, alone=False) as held,
    ):
        layout = database_layout.read(held.session)
        if not layout.leaves:
            raise OptionError(
                f"database {database} has no partition of audit_events, so nothing was exported from it; correct the option database"
            )
        ingested = guard.patiently(_ingested, held.place, layout)
        checks = [] if begin is None else [archive_checks.begins(begin, ingested)]
        ours = {hour: rows for hour, rows in ingested.items() if begin is None or hour >= begin}
        return [*checks, *exports_against_rows.compare(held.place, layout, gather, keys, cuts, ours, guard, due)]


def _ingested(where: snapshot.Place, layout: database_layout.Layout) -> dict[int, int]:
    """Return the number of ingested events by hour since 1970. Queries each partition, because a lock on the parent would
    block partition changes.
    """
    found: dict[int, int] = {}
    for leaf in layout.leaves:
        with where.join() as session:
            for hour, rows in session.rows(INGESTED.format(leaf.sql)):
                found[hour] = found.get(hour, 0) + rows
    return found


def _coverage(found: Archive, keys: t.Sequence[AuditKey], checks: t.Sequence[Check]) -> Coverage:
    hours = list(found.there.hours)
    return {
        "files": len(hours),
        "first_hour": export_files.name(hours[0]),
        "last_hour": export_files.name(hours[-1]),
        "hours_without_file": hours[-1] - hours[0] + 1 - len(hours),
        "entered": len(found.entered),
        "keys": [key.id for key in keys],
        "not_verified": [f"{check.id}: {check.message}" for check in checks if check.verdict in (UNPROVEN, NOT_APPLICABLE, WARN)],
    }
