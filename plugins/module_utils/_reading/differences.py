# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Locates the differences between a copy and a set: the first row of a table by zone and key, and definitions by name."""

from __future__ import annotations

import typing as t

from .._caracal.inventory.inventory import Located
from .._caracal.schema import schema_tables
from .._drivers.postgres import row_marks, schema_text
from .._drivers.postgres.row_marks import RowMarks
from .._drivers.postgres.server import Session
from .._drivers.postgres.tables import Table, quote
from .._inventory import DatabaseInventory
from .._report.text import clean

# Limit of tables with named rows.
MOST = 20
# Limit of characters of a value, since users can choose values.
_LENGTH = 80
_KEY = """
    SELECT a.attname::text FROM pg_catalog.pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, ord)
      JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
     WHERE i.indrelid = %s::pg_catalog.regclass AND i.indisprimary ORDER BY k.ord"""


def key_of(inventory: t.Mapping[str, object]) -> bytes:
    """Return the key of an inventory's row marks. Empty if it is malformed, or if an older version without keys made the inventory."""
    marks = inventory.get("row_marks")
    key = marks.get("key") if isinstance(marks, dict) else None
    try:
        found = bytes.fromhex(key) if isinstance(key, str) else b""
    except ValueError:
        return b""
    return found if len(found) == row_marks.KEY_SIZE else b""


def marks_of(inventory: t.Mapping[str, object], table: str) -> RowMarks | None:
    """Return the row marks of a table, from an inventory with a key. None if they are missing or malformed."""
    marks = inventory.get("row_marks")
    tables = marks.get("tables") if isinstance(marks, dict) else None
    try:
        return RowMarks.of(tables.get(table)) if isinstance(tables, dict) else None
    except ValueError:
        return None


def locate(session: Session, read: t.Sequence[Table], expected: DatabaseInventory, actual: DatabaseInventory) -> Located:
    """Return the located differences. Older sets have neither row marks nor digests of definitions; then nothing is located."""
    objects = expected.get("schema_objects")
    names = schema_text.differences(objects, actual["schema_objects"]) if isinstance(objects, dict) else []
    return Located(_rows(session, read, expected, actual), [clean(name) for name in names])


def _rows(session: Session, read: t.Sequence[Table], expected: DatabaseInventory, actual: DatabaseInventory) -> dict[str, str]:
    """Return the first different row of the copy, by table."""
    key = key_of(expected)
    if not key:
        return {}
    wrong = [table for table in read if table.qualified in expected["tables"] and _differs(table.qualified, expected, actual)]
    found = {}
    for table in wrong[:MOST]:
        ours, theirs = (marks_of(one, table.qualified) for one in (expected, actual))
        number = row_marks.first_difference(key, ours, theirs) if ours and theirs else None
        if ours and theirs and number is not None:
            found[table.qualified] = _named(session, table, number, max(ours.span, theirs.span))
    return found


def _differs(name: str, expected: DatabaseInventory, actual: DatabaseInventory) -> bool:
    return bool(expected["tables"][name] != actual["tables"][name])


def _named(session: Session, table: Table, number: int, span: int) -> str:
    """Describe a row by its number in the order of the digests.

    A number after the last row of the copy has no row. Keys of tables that are not Caracal's can contain any data, so
    they are not shown.
    """
    columns = _columns(session, table) if table.schema == "public" and table.name in schema_tables.names() else []
    if not columns:
        return f"row {number + 1}"
    # Without a cast, because a cast could call a function of the owner.
    select = ", ".join(f"pg_catalog.concat({quote(column)})" for column in columns)
    rows = session.rows(f"SELECT {select} FROM {table.sql} ORDER BY {', '.join(table.order_by)} OFFSET {number} LIMIT 1")
    if not rows:
        return "after the last row here"
    # Rows without a zone have no zone value.
    values = ", ".join(f"{column} {clean(str(value))[:_LENGTH]}" for column, value in zip(columns, rows[0], strict=True) if value)
    return values if span == 1 else f"within {span} rows from {values}"


def _columns(session: Session, table: Table) -> list[str]:
    key = [str(name) for (name,) in session.rows(_KEY, (table.sql,))]
    zone = ["zone_id"] if "zone_id" in table.columns and "zone_id" not in key else []
    return [*zone, *key]
