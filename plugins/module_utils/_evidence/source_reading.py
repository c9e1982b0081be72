# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The checks of a source under the snapshot of its dump, and what the manifest of its set says of them."""

from __future__ import annotations

import typing as t

from .._caracal import source_checks
from .._caracal.source_checks import Index, Look
from .._drivers.postgres.guard import Guard
from .._drivers.postgres.snapshot import Place
from .._drivers.postgres.tables import Table
from .._errors import BackupError
from .._report.check import FAIL, WARN, Check
from .._repository.findings import Recorded
from . import reading
from .database_layout import Layout


def take(guard: Guard, place: Place, layout: Layout) -> list[Look]:
    """What the checks see. What keeps them from it is in their words, and never keeps a dump from being made."""
    try:
        return guard.patiently(read, place, layout)
    except BackupError as exc:
        return source_checks.unread(place.database, exc.msg)


def read(place: Place, layout: Layout) -> list[Look]:
    """Ordinary tables in one transaction, each audit leaf in one of its own, as the dump reads them."""
    leaves = {leaf.qualified: leaf for leaf in layout.leaves}
    with place.join() as session:
        source_checks.prepare(session)
        found = source_checks.indexes(session)
        ordinary = [one for one in found if one.table.qualified not in leaves]
        looks = [source_checks.collations(session, place.database), source_checks.foreign_keys(session, place.database)]
        looks.append(source_checks.unique_indexes(session, place.database, ordinary))
    for name, leaf in leaves.items():
        looks += _leaf(place, leaf, [one for one in found if one.table.qualified == name])
    return looks


def _leaf(place: Place, leaf: Table, found: t.Sequence[Index]) -> list[Look]:
    """Of its rows alone: `amcheck` would read the index of an audit leaf too, from which no restore reads."""
    if leaf.unreadable:
        return []
    try:
        with place.join() as session:
            source_checks.prepare(session)
            look = source_checks.unique_indexes(session, place.database, found, structure=False)
    except BackupError:
        if reading.exists(place, leaf):
            raise
        return []
    return [look] if not look.unread or reading.exists(place, leaf) else []


def of_set(recorded: t.Iterable[Recorded], acknowledged: t.Collection[str]) -> list[Check]:
    """What the backup found broken in the source of its set, until it is acknowledged. The copy has it too, or could not be made."""
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
