# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Comparison of rows that the product never changes or deletes with the row digests in the inventory of the previous set.

The restored copy is read instead of the set. Therefore a table is compared only if the copy matches the set's record of
it exactly.
"""

from __future__ import annotations

import hashlib
import typing as t

from .._caracal.inventory.since_previous import Immutable, Rewritten
from .._drivers.postgres import row_marks, tables
from .._drivers.postgres.row_marks import Missing
from .._drivers.postgres.server import Server, Session
from .._drivers.postgres.tables import Table
from . import differences

# The product inserts rows into these tables and never updates or deletes them.
IMMUTABLE = ("public.policy_versions", "public.policy_set_versions")

Inventory = t.Mapping[str, object]


def compare(server: Server, before: Inventory, after: Inventory) -> Immutable:
    """Compare the inventories of two sets. A malformed one proves nothing.

    A table of more than 1,024 rows has no digest of each row, and is not compared.
    """
    older, newer = _databases(before), _databases(after)
    found = [one for name in sorted(older.keys() & newer.keys()) for one in _of_database(server, name, older[name], newer[name])]
    rewritten = tuple(one for one in found if isinstance(one, Rewritten))
    return Immutable(rewritten, tuple(one for one in found if isinstance(one, str)))


def _databases(found: Inventory) -> dict[str, Inventory]:
    databases = found.get("databases")
    return {str(one.get("database")): one for one in databases if isinstance(one, dict)} if isinstance(databases, list) else {}


def _of_database(server: Server, name: str, older: Inventory, newer: Inventory) -> list[Rewritten | str]:
    key = differences.key_of(older)
    recorded = [table for table in IMMUTABLE if _recorded(older, table)]
    if not key or not recorded:
        return [f"{_short(table)} (the earlier set has no row digests)" for table in recorded]
    with Session(server, name) as session:
        there = {table.qualified: table for table in tables.read_tables(session)}
        found = [_compared(session, there[table], key, older, newer) for table in recorded if table in there]
    return [one for one in found if one]


def _compared(session: Session, table: Table, key: bytes, older: Inventory, newer: Inventory) -> Rewritten | str | None:
    """Return the changed or missing rows, or the reason why they are unknown.

    If the copy does not match its set, another check has failed already.
    """
    marks = differences.marks_of(older, table.qualified)
    if not marks:
        return f"{table.name} (the earlier set has no row digests)"
    if marks.span != 1:
        return f"{table.name} (more than {row_marks.LIMIT:,} rows)"
    if _columns(older, table) != _columns(newer, table):
        return f"{table.name} (its columns changed)"
    missing = Missing(key, marks)
    if tables.digest(session, table, missing.write) != _recorded(newer, table.qualified) or not missing.left:
        return None
    digest = hashlib.sha256(b"".join(sorted(missing.left))).hexdigest()
    return Rewritten(table.name, len(missing.left), len(marks.digests), digest)


def _recorded(found: Inventory, table: str) -> object:
    recorded = found.get("tables")
    return recorded.get(table) if isinstance(recorded, dict) else None


def _short(table: str) -> str:
    return table.removeprefix("public.")


def _columns(found: Inventory, table: Table) -> list[str]:
    """Return the table's column definitions. An upgrade that adds a column changes the text of each row."""
    lines = found.get("schema")
    return [str(one) for one in lines if str(one).startswith(f"column {table.qualified}.")] if isinstance(lines, list) else []
