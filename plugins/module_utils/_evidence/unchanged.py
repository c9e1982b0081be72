# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Refer to the object of an earlier set instead of reading a partition, if a census or the WAL proves that the rows are the same."""

from __future__ import annotations

import dataclasses
import typing as t

from .._drivers.postgres import census
from .._drivers.postgres.census import Counted
from .._drivers.postgres.dump import Source
from .._drivers.postgres.tables import Table
from .._drivers.postgres.wal_summaries import Changes
from .._errors import BackupError
from .._reading.reading import Leaf
from .._repository import layout as keys
from .earlier import Stored

DUE = "unchanged, but read again because the last read was long ago"


@dataclasses.dataclass(frozen=True)
class Proofs:
    """`due` are the partitions to read in any case. `unsafe` is why a census of this snapshot may not be recorded.

    `changes` are the files that changed since the newest set.
    """

    due: frozenset[str]
    unsafe: str
    changes: Changes


def leaf(source: Source, table: Table, stored: Stored | None, proofs: Proofs, read: t.Callable[[], Leaf]) -> Leaf:
    """Return the partition as `read` returns it, or from `stored` if the stored object has the same rows."""
    counted = _counted(source, table, stored, proofs.changes)
    due, unsafe = table.qualified in proofs.due, proofs.unsafe
    if stored and counted.census and not due and not counted.changed and not unsafe:
        with source.progress.share(table.size):
            return Leaf(
                table=table,
                rows=sum(block.rows for block in stored.blocks),
                digest=keys.leaf_digest(stored.key),
                blocks=stored.blocks,
                key=stored.key,
                proof=counted.proof,
                census=counted.census,
                last_read=stored.last_read,
                unique=stored.unique,
                scanned=counted.scanned,
            )
    seen = read()
    if seen.gone:
        return seen
    reason = unsafe or counted.changed or DUE
    # The facts before and after show that the rows which were read are those which were counted.
    taken = counted.census
    same = taken is not None and taken.rows == seen.rows and census.known(source.place, table).facts == taken.facts
    return dataclasses.replace(seen, census=taken if same and not unsafe else None, reason=reason)


def _counted(source: Source, table: Table, stored: Stored | None, changes: Changes) -> Counted:
    """Return the census. If it fails, the partition is read, which reports any error that matters."""
    try:
        return census.count(source.place, table, stored.census if stored else None, changes)
    except BackupError as exc:
        return Counted(None, exc.msg)
