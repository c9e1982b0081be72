# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find functions of a database's owners that would run while its rows are loaded, with the privileges of the loading login.

That login is usually a superuser. Indexes, keys, views and statistics are computed as the owner of their table. Check
constraints, generated columns and expressions of partition keys are not. The server's own functions count if they are volatile
or run a query given as text.
"""

from __future__ import annotations

import typing as t

from ..._errors import TargetRefused
from .server import Server, Session

# The server's own functions count if they are volatile or run a query that is passed as text.
FUNCTIONS = r"""
    WITH evaluated(classid, objid, tree) AS (
        SELECT 'pg_catalog.pg_constraint'::regclass::oid, oid, conbin::text FROM pg_catalog.pg_constraint WHERE contype = 'c'
        UNION ALL
        SELECT 'pg_catalog.pg_attrdef'::regclass, d.oid, d.adbin::text FROM pg_catalog.pg_attrdef d
          JOIN pg_catalog.pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum WHERE a.attgenerated <> ''
        UNION ALL
        SELECT 'pg_catalog.pg_class'::regclass, partrelid, partexprs::text FROM pg_catalog.pg_partitioned_table WHERE partexprs IS NOT NULL
    ), called(id) AS (
        SELECT coalesce(o.oprcode::oid, d.refobjid) FROM evaluated e JOIN pg_catalog.pg_depend d USING (classid, objid)
          LEFT JOIN pg_catalog.pg_operator o ON d.refclassid = 'pg_catalog.pg_operator'::regclass AND o.oid = d.refobjid
         WHERE d.refclassid IN ('pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_operator'::regclass)
    )
    SELECT f.oid::regprocedure::text FROM pg_catalog.pg_proc f JOIN pg_catalog.pg_roles r ON r.oid = f.proowner
     WHERE NOT r.rolsuper AND r.rolname <> CURRENT_USER AND f.oid IN (SELECT id FROM called)
    UNION
    SELECT f.oid::regprocedure::text FROM pg_catalog.pg_proc f
     WHERE (f.provolatile = 'v' OR f.proname ~ '_to_xml') AND f.pronamespace = 'pg_catalog'::regnamespace
       AND EXISTS (SELECT FROM evaluated WHERE tree ~ (':funcid ' || f.oid || '\M'))
     ORDER BY 1"""


def refuse(server: Server, database: str, known_as: str, confirmation: t.Collection[str], late_checks: t.Sequence[str]) -> None:
    """Raise TargetRefused, before any row is loaded, if a database would run functions of its owners and that is not confirmed.

    `late_checks` are check constraints that are not in the database yet (see `Definitions`). They check the rows once they are
    loaded.
    """
    with Session(server, database) as session:
        found = [*(row[0] for row in session.rows(FUNCTIONS)), *late_checks]
        word = f"functions@{session.value('SELECT system_identifier FROM pg_control_system()')}"
    if found and word not in confirmation:
        raise TargetRefused(
            f"database {known_as}: loading its rows would run {len(found)} function(s) of its owners with the privileges of {server.user} "
            f"(first: {found[0]}); inspect them in a drill, and add {word} to confirm if you want to run them"
        )
