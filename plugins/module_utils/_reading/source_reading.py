# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of a source in the snapshot of its dump, and the findings in the manifest of its set."""

from __future__ import annotations

import dataclasses
import hashlib
import typing as t

from .._caracal.source import source_checks
from .._caracal.source.source_checks import Index, Scan
from .._crypto import strict_json
from .._drivers.postgres.guard import Guard
from .._drivers.postgres.snapshot import Place
from .._errors import BackupError
from .._report.check import FAIL, WARN, Check
from .._repository.findings import Recorded
from .._repository.partitions import READ
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
        leaf, scan = guard.patiently(read_leaf, place, leaf)
        scans = [scan]
    except BackupError as exc:
        leaf = dataclasses.replace(leaf, unique="")
        scans = source_checks.unread(place.database, exc.msg, [source_checks.UNIQUE])
    # Retention may drop a partition that the snapshot still shows.
    if any(one.unread for one in scans) and not reading.exists(place, leaf.table):
        scans = [dataclasses.replace(one, unread=()) for one in scans]
    return leaf, scans


def read_leaf(place: Place, leaf: Leaf) -> tuple[Leaf, Scan]:
    """Check uniqueness by reading the index alone, if that is sufficient. Return the partition with the digest of the indexes.

    If the rows are proved to be the same as when they satisfied the same indexes, nothing is read. `amcheck` is not used, since
    no restore depends on the index of an audit partition.
    """
    with place.join() as session:
        source_checks.prepare(session)
        found = source_checks.indexes(session, (leaf.table.schema, leaf.table.name))
        definitions = _definitions(found)
        if leaf.proof != READ and leaf.unique == definitions:
            return leaf, Scan(source_checks.UNIQUE, place.database, len(found))
        doubtful = [one for one in found if not source_checks.is_whole(session, one, leaf.rows)]
        scan = source_checks.unique_indexes(session, place.database, doubtful, structure=False)
    passed = not scan.broken and not scan.unread
    scan = dataclasses.replace(scan, read=scan.read + len(found) - len(doubtful))
    return dataclasses.replace(leaf, unique=definitions if passed else ""), scan


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


def _definitions(unique: t.Iterable[Index]) -> str:
    """Return a SHA-256 (hexadecimal) over the definitions of indexes. It is the same if the same rows satisfy the same indexes."""
    return hashlib.sha256(strict_json.dumps({"indexes": [[one.oid, one.foreign, one.query, one.ordered] for one in unique]})).hexdigest()
