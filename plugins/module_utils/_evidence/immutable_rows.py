# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Rows that the product never changes or deletes, compared with the digests of rows in the inventory of the set before.

The copy is read and not the set, so a table is compared only if the copy has it exactly as the set records it.
"""

from __future__ import annotations

import hashlib
import typing as t

from .._caracal.since_previous import Rewritten
from .._drivers.postgres import tables
from .._drivers.postgres.row_marks import Missing
from .._drivers.postgres.server import Server, Session
from .._drivers.postgres.tables import Table
from . import differences

# The product inserts rows of these and does nothing else to them.
IMMUTABLE = ("public.policy_versions", "public.policy_set_versions")

Inventory = t.Mapping[str, t.Any]


def rewritten(server: Server, before: Inventory, after: Inventory) -> list[Rewritten]:
    """Of the inventories of two sets. A table of more than 1,024 rows has no digest of each row, and is not compared."""
    older = {one["database"]: one for one in before["databases"]}
    pairs = [(older[one["database"]], one) for one in after["databases"] if one["database"] in older]
    return [found for one, other in pairs for found in _of_database(server, one, other)]


def _of_database(server: Server, older: Inventory, newer: Inventory) -> list[Rewritten]:
    key = differences.key_of(older)
    if not key or not set(IMMUTABLE) & set(older["tables"]):
        return []
    with Session(server, newer["database"]) as session:
        found = [_compared(session, table, key, older, newer) for table in tables.read_tables(session) if table.qualified in IMMUTABLE]
    return [one for one in found if one]


def _compared(session: Session, table: Table, key: bytes, older: Inventory, newer: Inventory) -> Rewritten | None:
    marks = differences.marks_of(older, table.qualified)
    if not marks or marks.span != 1 or _columns(older, table) != _columns(newer, table):
        return None
    missing = Missing(key, marks)
    if tables.digest(session, table, missing.write) != newer["tables"].get(table.qualified) or not missing.left:
        return None
    digest = hashlib.sha256(b"".join(sorted(missing.left))).hexdigest()
    return Rewritten(table.name, len(missing.left), len(marks.digests), digest)


def _columns(found: Inventory, table: Table) -> list[str]:
    """An upgrade that adds a column changes the text of each row."""
    return [line for line in found["schema"] if line.startswith(f"column {table.qualified}.")]
