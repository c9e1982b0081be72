# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read every relation of a database that can contain rows or a value, of any kind and in any schema, from the catalog alone."""

from __future__ import annotations

import dataclasses

from .server import Session
from .tables import SYSTEM, quote

TABLE, SEQUENCE, MATERIALIZED_VIEW, FOREIGN_TABLE = "r", "S", "m", "f"
# Views, indexes, row types, TOAST tables, partitioned tables and property graphs have no rows of their own.
_ROWLESS = "'v', 'i', 'I', 'c', 't', 'p', 'g'"
# Objects that `initdb` creates have lower numbers. pg_dump omits objects that users have since added to the server's schemas.
_FIRST_OF_USERS = 16384


@dataclasses.dataclass(frozen=True)
class Relation:
    """A relation, with `number` and `kind` as in pg_class.

    `extension` is the extension that owns it. If that is set, `kept` means that the extension wants its rows dumped, and
    `partly` that it wants only some of them dumped.
    """

    number: int
    schema: str
    name: str
    kind: str
    unlogged: bool
    populated: bool
    extension: str | None
    kept: bool
    partly: bool

    @property
    def qualified(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def system(self) -> bool:
        """Return True if it is in one of the server's own schemas, which pg_dump omits."""
        return self.schema == "information_schema" or self.schema.startswith("pg_")


_QUERY = f"""
    SELECT c.oid::int8, n.nspname, c.relname, c.relkind::text, c.relpersistence = 'u', c.relispopulated, e.extname,
           coalesce(c.oid = ANY (e.extconfig), false), coalesce(e.extcondition[array_position(e.extconfig, c.oid)] <> '', false)
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0
            AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e'
      LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
     WHERE c.relkind NOT IN ({_ROWLESS}) AND c.relpersistence <> 't' AND (c.oid >= {_FIRST_OF_USERS} OR {SYSTEM})
     ORDER BY 2, 3"""
# In the order of creation, so that a view is computed after the views that it reads.
_UNPOPULATED = """
    SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'm' AND NOT c.relispopulated ORDER BY c.oid"""


def read(session: Session) -> list[Relation]:
    """Return all relations, sorted by name. Only the catalog is locked."""
    return [Relation(*row) for row in session.rows(_QUERY)]


def unpopulated(session: Session) -> dict[str, str]:
    """Return the materialized views without content, in the order in which they can be computed.

    The result maps `schema.name` to the quoted name.
    """
    return {f"{schema}.{name}": f"{quote(schema)}.{quote(name)}" for schema, name in session.rows(_UNPOPULATED)}
