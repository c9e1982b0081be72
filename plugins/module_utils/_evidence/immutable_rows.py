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
    """Of the inventories of two sets; a malformed one proves nothing. A table of more than 1,024 rows has no digest of each row, and is
    not compared."""
    older, newer = _databases(before), _databases(after)
    return [found for name in sorted(older.keys() & newer.keys()) for found in _of_database(server, name, older[name], newer[name])]


def _databases(found: Inventory) -> dict[str, Inventory]:
    databases = found.get("databases")
    return {str(one.get("database")): one for one in databases if isinstance(one, dict)} if isinstance(databases, list) else {}


def _of_database(server: Server, name: str, older: Inventory, newer: Inventory) -> list[Rewritten]:
    key = differences.key_of(older)
    if not key or not any(differences.marks_of(older, table) for table in IMMUTABLE):
        return []
    with Session(server, name) as session:
        found = [_compared(session, table, key, older, newer) for table in tables.read_tables(session) if table.qualified in IMMUTABLE]
    return [one for one in found if one]


def _compared(session: Session, table: Table, key: bytes, older: Inventory, newer: Inventory) -> Rewritten | None:
    marks = differences.marks_of(older, table.qualified)
    if not marks or marks.span != 1 or _columns(older, table) != _columns(newer, table):
        return None
    missing, recorded = Missing(key, marks), newer.get("tables")
    found = tables.digest(session, table, missing.write)
    if not isinstance(recorded, dict) or found != recorded.get(table.qualified) or not missing.left:
        return None
    digest = hashlib.sha256(b"".join(sorted(missing.left))).hexdigest()
    return Rewritten(table.name, len(missing.left), len(marks.digests), digest)


def _columns(found: Inventory, table: Table) -> list[str]:
    """An upgrade that adds a column changes the text of each row."""
    lines = found.get("schema")
    return [str(one) for one in lines if str(one).startswith(f"column {table.qualified}.")] if isinstance(lines, list) else []
