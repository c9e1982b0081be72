# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compare the hourly exports with the rows that were just read from the database, by index and partition."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import os
import typing as t

from ... import _deps
from ..._caracal.chains.chain_examiner import Seen
from ..._caracal.chains.chain_gaps import month_of
from ..._caracal.chains.chain_keys import AuditKey
from ..._caracal.exports import export_files, exports
from ..._caracal.exports.export_compare import SELECT, Database
from ..._caracal.exports.export_cuts import Cut
from ..._caracal.exports.export_files import Exports, Hour
from ..._drivers.postgres.guard import Guard
from ..._drivers.postgres.server import Session
from ..._drivers.postgres.snapshot import Place
from ..._reading import database_layout
from ..._report.check import Check
from ..._stream import workers
from ..._stream.progress import SILENT, Progress

REHASHED = "SELECT completed_at FROM public.audit_chain_rehash"


Gather = t.Callable[[], Exports]


def folder(path: str, progress: Progress = SILENT) -> Gather:
    """Return a function that opens the exports in a folder."""

    def gather() -> Exports:
        found = export_files.Folder(path, _deps.require_pyarrow())
        return counted(found, {hour: _size(hour.path) for hour in found.hours}, progress)

    return gather


def _size(path: str) -> int:
    """Return the size of a file, or 0 if it does not exist any more. Reading it later reports the error."""
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0


def counted(exports: Exports, sizes: t.Mapping[Hour, int], progress: Progress) -> Exports:
    """Return the same exports with progress. Each hour is counted once with its size, whether it was read or not."""
    left = dict(sizes)
    progress.begin("verifying", sum(left.values()))
    return exports.watched(lambda hour: progress.count(left.pop(hour, 0)))


def compare(
    place: Place,
    layout: database_layout.Layout,
    gather: Gather,
    keys: t.Sequence[AuditKey],
    cuts: t.Sequence[Cut],
    ingested: t.Mapping[int, int],
    guard: Guard,
    due: int | None = None,
) -> list[Check]:
    """Return all checks of the exports that `gather` returns. `ingested` counts events by hour of ingestion since 1970.

    An hour after `due` may not be exported yet, even if the database's watermark is later.
    """
    task = (guard.patiently, (_compare, place, layout, gather, tuple(keys), tuple(cuts), ingested, due))
    return t.cast("list[Check]", workers.run_all([task], 1)[0])


def hours(seen: Seen) -> dict[int, int]:
    """Return the number of ingested events by hour since 1970."""
    found: collections.Counter[int] = collections.Counter()
    for zone in seen.values():
        for text, rows in zone.hours.items():
            found[export_files.hour_of(dt.datetime.strptime(text.decode() + "+0000", "%Y-%m-%d %H%z"))] += rows
    return dict(found)


def _compare(
    place: Place,
    layout: database_layout.Layout,
    gather: Gather,
    keys: t.Sequence[AuditKey],
    cuts: t.Sequence[Cut],
    ingested: t.Mapping[int, int],
    due: int | None,
) -> list[Check]:
    with place.join() as session:
        database = _database(session, layout, ingested)
        if due is not None and database.watermark is not None:
            database = dataclasses.replace(database, watermark=min(database.watermark, export_files.start(due)))
        return exports.examine(gather(), keys, database, cuts)


def _database(session: Session, layout: database_layout.Layout, ingested: t.Mapping[int, int]) -> Database:
    names = {table.name for table in layout.tables if table.schema == "public"}
    oldest = min((month for leaf in layout.leaves if (month := month_of(leaf.branch or leaf.name))), default=(0, 0))

    def rows(where: str, *parameters: t.Any) -> list[tuple[t.Any, ...]]:
        """Query each partition. A lock on the parent would block partition changes, and INSERTs behind them."""
        each = " UNION ALL ".join(f"SELECT {SELECT} FROM {leaf.sql} WHERE {where}" for leaf in layout.leaves)
        return session.rows(each, parameters * len(layout.leaves))

    def has_leaf(milliseconds: int) -> bool:
        """Return whether events of that time must exist. Retention drops the oldest months first. Later events may be in
        the default partition.
        """
        when = export_files.start(0) + dt.timedelta(milliseconds=milliseconds)
        return (when.year, when.month) >= oldest

    watermark = session.rows(export_files.WATERMARK) if "audit_export_watermark" in names else []
    rehashed = session.rows(REHASHED) if "audit_chain_rehash" in names else []
    return Database(
        lookup=lambda zone, low, high: rows("zone_id = %s AND chain_seq BETWEEN %s AND %s", zone, low, high),
        by_id=lambda ids: rows("id = ANY (%s)", list(ids)),
        hours=lambda: ingested,
        has_leaf=has_leaf,
        watermark=watermark[0][0] if watermark else None,
        rehashed=rehashed[0][0] if rehashed else None,
    )
