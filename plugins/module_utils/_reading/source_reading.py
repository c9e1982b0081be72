# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of a source in the snapshot of its dump, and the findings in the manifest of its set."""

from __future__ import annotations

import dataclasses
import typing as t

from .._caracal.source import source_checks
from .._caracal.source.source_checks import Scan
from .._drivers.postgres.guard import Guard
from .._drivers.postgres.snapshot import Place
from .._errors import BackupError
from .._report.check import FAIL, WARN, Check
from .._repository.findings import Recorded
from . import reading
from .database_layout import Layout
from .reading import Leaf


def take(guard: Guard, place: Place, layout: Layout) -> list[Scan]:
    """Scan everything except the audit partitions. An error becomes part of the scans and never stops a dump."""
    try:
        return guard.patiently(read, place, layout)
    except BackupError as exc:
        return source_checks.unread(place.database, exc.msg)


def read(place: Place, layout: Layout) -> list[Scan]:
    """Scan all ordinary tables, in one transaction."""
    leaves = {leaf.qualified for leaf in layout.leaves}
    with place.join() as session:
        source_checks.prepare(session)
        ordinary = [one for one in source_checks.indexes(session) if one.table.qualified not in leaves]
        scans = [source_checks.collations(session, place.database), source_checks.foreign_keys(session, place.database)]
        scans.append(source_checks.unique_indexes(session, place.database, ordinary))
        if own := layout.detected:
            scans.append(source_checks.state(session, place.database, own.family, own.release, layout.public))
        return scans


def with_leaf(guard: Guard, place: Place, seal: t.Callable[[], Leaf]) -> tuple[Leaf, list[Scan]]:
    """Return the audit partition that `seal` reads, and the scan of its unique indexes in the same snapshot."""
    leaf = seal()
    if leaf.gone or leaf.table.unreadable:
        return leaf, []
    try:
        scans = [guard.patiently(read_leaf, place, leaf)]
    except BackupError as exc:
        scans = source_checks.unread(place.database, exc.msg, [source_checks.UNIQUE])
    # Retention may drop a partition that the snapshot still shows.
    if any(one.unread for one in scans) and not reading.exists(place, leaf.table):
        scans = [dataclasses.replace(one, unread=()) for one in scans]
    return leaf, scans


def read_leaf(place: Place, leaf: Leaf) -> Scan:
    """Check uniqueness by reading the index alone, if that is sufficient.

    `amcheck` is not used, since no restore depends on the index of an audit partition.
    """
    with place.join() as session:
        source_checks.prepare(session)
        found = source_checks.indexes(session, (leaf.table.schema, leaf.table.name))
        doubtful = [one for one in found if not source_checks.is_whole(session, one, leaf.rows)]
        scan = source_checks.unique_indexes(session, place.database, doubtful, structure=False)
    return dataclasses.replace(scan, read=scan.read + len(found) - len(doubtful))


def of_set(recorded: t.Iterable[Recorded], acknowledged: t.Collection[str]) -> list[Check]:
    """Return failures for findings in the source of a set, and warnings for acknowledged ones. The copy has the same damage."""
    checks = []
    for check_id in source_checks.IDS:
        found = [{"digest": one.digest, "message": one.message} for one in recorded if one.check == check_id]
        new = [one for one in found if one["digest"] not in acknowledged]
        if new:
            checks.append(Check(check_id, FAIL, f"the source of this set: {source_checks.failed(new)}", details={"recorded": found}))
        elif found:
            words = f"the source of this set: {found[0]['message']} (acknowledged)"
            checks.append(Check(check_id, WARN, words, False, {"recorded": found}))
    return checks
