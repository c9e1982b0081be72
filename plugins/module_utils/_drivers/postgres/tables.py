# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables, their rows as COPY text, and the digest `copy-sha256-v1`."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import typing as t

from ..._inventory import TableDigest
from .server import Session

SYSTEM = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
NO_ROWS = "COPY (SELECT WHERE false) TO STDOUT"


@dataclasses.dataclass(frozen=True)
class Table:
    """An ordinary table, or a leaf partition at any depth. Columns are in attribute order.

    For a leaf partition, `root` is the topmost partitioned table, as `schema.name`. `branch` is the name of the partition of
    that table that contains the leaf or is the leaf. `unreadable` means an unlogged table on a standby, which has none of its
    rows and raises an error for any query.
    """

    schema: str
    name: str
    columns: tuple[str, ...]
    order_by: tuple[str, ...]
    root: str | None
    branch: str | None
    size: int
    unreadable: bool = False

    @property
    def qualified(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def sql(self) -> str:
        return f"{quote(self.schema)}.{quote(self.name)}"

    @property
    def column_list(self) -> str:
        return ", ".join(quote(column) for column in self.columns)

    @property
    def _named(self) -> str:
        """Return the table for COPY, which does not accept an empty list of columns."""
        return f"{self.sql} ({self.column_list})" if self.columns else self.sql

    def copy_heap_order(self, pages: tuple[int, int | None] | None = None) -> str:
        """Return the COPY statement in heap order, the fastest way to read a partition.

        `pages` is a range of its pages: the first, and the one after the last.
        """
        if self.unreadable:
            return NO_ROWS
        if pages is None:
            return f"COPY {self._named} TO STDOUT"
        bounds = [f"ctid >= '({pages[0]},0)'::tid"] + ([] if pages[1] is None else [f"ctid < '({pages[1]},0)'::tid"])
        return f"COPY (SELECT {self.column_list} FROM {self.sql} WHERE {' AND '.join(bounds)}) TO STDOUT"

    def copy_ordered(self) -> str:
        """Return the COPY statement in the order that `copy-sha256-v1` requires."""
        if self.unreadable:
            return NO_ROWS
        order = f" ORDER BY {', '.join(self.order_by)}" if self.order_by else ""
        return f"COPY (SELECT {self.column_list} FROM {self.sql}{order}) TO STDOUT"

    def copy_in(self) -> str:
        return f"COPY {self._named} FROM STDIN (FREEZE)"


def quote(name: str) -> str:
    """Return a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a quoted string that does not depend on standard_conforming_strings."""
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'"


# These settings are lists of names. Quoting a whole list would make it one name.
_LISTS = ("search_path", "temp_tablespaces", "session_preload_libraries", "local_preload_libraries")
_ELEMENT = re.compile(r'"((?:[^"]|"")*)"|([^\s",][^,]*)')


def setting(recorded: str) -> str:
    """Return `"name" TO value` for SET, from `name=value` as stored in the catalog."""
    name, _equals, value = recorded.partition("=")
    values = [value]
    if name.lower() in _LISTS:
        values = [(quoted or bare.strip()).replace('""', '"') for quoted, bare in _ELEMENT.findall(value)] or [""]
    return f"{quote(name)} TO {', '.join(literal(one) for one in values)}"


# True if the type of an attribute, resolved through any domains, is not one of the server's. The owner of such a type may have
# created casts for it.
_MADE = """
    (WITH RECURSIVE base AS (
        SELECT z.typtype, z.typbasetype, z.typnamespace FROM pg_catalog.pg_type z WHERE z.oid = a.atttypid
        UNION ALL SELECT z.typtype, z.typbasetype, z.typnamespace FROM base JOIN pg_catalog.pg_type z ON z.oid = base.typbasetype
                   WHERE base.typtype = 'd'
    ) SELECT typnamespace <> 'pg_catalog'::regnamespace FROM base WHERE typtype <> 'd')"""


# The path from a partition up to the topmost table, which is the last row. `pg_partition_root` and `pg_partition_tree` answer
# for the current state, not for the snapshot. `pg_partition_tree` also locks the whole tree, and partition changes and then
# INSERTs would wait behind that lock.
TOP = """
    (WITH RECURSIVE above(root, branch, level) AS (
        SELECT h.inhparent, h.inhrelid, 1 FROM pg_catalog.pg_inherits h WHERE h.inhrelid = c.oid
        UNION ALL
        SELECT h.inhparent, h.inhrelid, level + 1 FROM above JOIN pg_catalog.pg_inherits h ON h.inhrelid = above.root
    ) SELECT root, branch FROM above ORDER BY level DESC LIMIT 1)"""


def read_tables(session: Session) -> list[Table]:
    """Return all tables that contain rows, sorted by name.

    `size` is bytes on disk, or 0 for a table that was dropped after the snapshot. Reading the size waits for sessions that hold
    a table locked against readers.
    """
    rows = session.rows(
        f"""
        SELECT n.nspname, c.relname, rn.nspname || '.' || r.relname, b.relname, coalesce(pg_catalog.pg_relation_size(c.oid), 0),
               c.relpersistence = 'u' AND pg_catalog.pg_is_in_recovery(),
               (SELECT array_agg(a.attname ORDER BY a.attnum)::text[] FROM pg_catalog.pg_attribute a
                 WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''),
               (SELECT array_agg(a.attname ORDER BY k.ord)::text[] FROM pg_catalog.pg_index i
                  CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, ord)
                  JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
                 WHERE i.indrelid = c.oid AND i.indisprimary),
               (SELECT array_agg(a.attname)::text[] FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type y ON y.oid = a.atttypid
                 WHERE a.attrelid = c.oid AND a.attnum > 0 AND y.typcollation <> 0),
               (SELECT array_agg(a.attname)::text[] FROM pg_catalog.pg_attribute a
                 WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND {_MADE})
          FROM pg_catalog.pg_class c
          JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
          LEFT JOIN LATERAL {TOP} top ON c.relispartition
          LEFT JOIN pg_catalog.pg_class r ON r.oid = top.root
          LEFT JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
          LEFT JOIN pg_catalog.pg_class b ON b.oid = top.branch
         WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND {SYSTEM}
         ORDER BY 1, 2"""
    )
    return [_table(*row) for row in rows]


def _table(
    schema: str,
    name: str,
    root: str | None,
    branch: str | None,
    size: int,
    unreadable: bool,
    columns: list[str] | None,
    key: list[str] | None,
    collated: list[str] | None,
    made: list[str] | None,
) -> Table:
    columns = columns or []
    if key:
        order = [f'{quote(column)} COLLATE "C"' if column in (collated or []) else quote(column) for column in key]
    else:
        order = [_as_text(quote(column), column in (made or [])) for column in columns]
    return Table(schema, name, tuple(columns), tuple(order), root, branch, size, unreadable)


def _as_text(column: str, made: bool) -> str:
    """Return the expression that sorts by a column's text.

    A cast of a user-defined type can be a user's function, which would run with the privileges of this login. `concat` uses the
    server's output of the type, which is the same text and calls no cast.
    """
    return f'pg_catalog.num_nulls({column}), pg_catalog.concat({column}) COLLATE "C"' if made else f'({column})::text COLLATE "C"'


class LineHash:
    """A sink for COPY lines. `copy-sha256-v1` is their SHA-256 and their number."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._lines: list[bytes] = []
        self._size = 0
        self.rows = 0

    def write(self, line: bytes) -> None:
        self._lines.append(line)
        self._size += len(line)
        self.rows += 1
        # A row may have up to 1 GiB.
        if len(self._lines) >= 512 or self._size > 1 << 20:
            self._flush()

    def _flush(self) -> None:
        self._hash.update(b"".join(self._lines))
        self._lines.clear()
        self._size = 0

    def hexdigest(self) -> str:
        self._flush()
        return self._hash.hexdigest()


def digest(session: Session, table: Table, *also: t.Callable[[bytes], None]) -> TableDigest:
    """Return `{"rows": n, "digest": hex}` of one table. Each of `also` receives every line as well."""
    lines = LineHash()
    session.copy_to(table.copy_ordered(), _All((lines.write, *also)) if also else lines)
    return {"rows": lines.rows, "digest": lines.hexdigest()}


class _All:
    def __init__(self, sinks: t.Sequence[t.Callable[[bytes], None]]) -> None:
        self._sinks = sinks

    def write(self, line: bytes) -> None:
        for sink in self._sinks:
            sink(line)
