# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The facts of a live database: schema public without objects of extensions.

Audit partitions are read separately, because months are created and dropped.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from .. import partitions
from ..inventory.inventory import Reader
from . import schema_extras
from .schema_extras import Extra
from .schema_facts import Facts, Key

_OURS = """n.nspname = 'public' AND NOT EXISTS (
    SELECT FROM pg_depend e WHERE e.objid = {0}.oid AND e.classid = {0}.tableoid AND e.deptype = 'e')"""
_IN_TABLES = f"pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND c.relkind IN ('r', 'p') AND {_OURS.format('c')}"
_TABLES = f"{_IN_TABLES} AND NOT c.relispartition"
_TABLE = "quote_ident(c.relname)"
_GRANTEE = "CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END"
_RIGHTS = """string_agg(a.privilege_type || CASE WHEN a.is_grantable THEN ' with grant option' ELSE '' END, ', '
    ORDER BY a.privilege_type COLLATE "C")"""
_FUNCTION = "replace(substring(p.oid::regprocedure::text FROM 'public\\.(.*)'), ' ', '_')"
_FUNCTIONS = f"pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace AND {_OURS.format('p')}"
# Constraints have an index too. If it is not usable, the value of the constraint contains this.
_USABLE = """concat(CASE WHEN NOT i.indisvalid THEN ', not valid' END, CASE WHEN NOT i.indisready THEN ', not ready' END)"""

# Each returns kind, object, part, value. Server 18 also lists NOT NULL as constraints; these are already in the
# columns.
_QUERIES = (
    f"""SELECT 'table', {_TABLE}, '', concat_ws(', ', CASE c.relpersistence WHEN 'p' THEN NULL ELSE 'not logged' END,
               'partitioned by ' || pg_get_partkeydef(c.oid)) FROM {_TABLES}""",
    f"""SELECT 'row_security', {_TABLE}, '', concat_ws(', ', CASE WHEN c.relrowsecurity THEN 'on' END,
               CASE WHEN c.relforcerowsecurity THEN 'forced' END) FROM {_TABLES} WHERE c.relrowsecurity OR c.relforcerowsecurity""",
    f"""SELECT 'column', {_TABLE}, quote_ident(f.attname), format_type(f.atttypid, f.atttypmod)
               || coalesce((SELECT ' collate ' || quote_ident(l.collname) FROM pg_collation l JOIN pg_type y ON y.oid = f.atttypid
                             WHERE l.oid = f.attcollation AND l.oid <> y.typcollation), '')
               || CASE WHEN f.attnotnull THEN ' not null' ELSE '' END || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
               || CASE f.attidentity WHEN '' THEN '' ELSE ' identity' END || CASE f.attgenerated WHEN '' THEN '' ELSE ' generated' END
          FROM {_TABLES} JOIN pg_attribute f ON f.attrelid = c.oid AND f.attnum > 0 AND NOT f.attisdropped
          LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = f.attnum""",
    f"""SELECT 'constraint', {_TABLE}, quote_ident(k.conname), pg_get_constraintdef(k.oid) || {_USABLE}
          FROM {_TABLES} JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype IN ('p', 'u', 'c', 'f', 'x')
          LEFT JOIN pg_index i ON i.indexrelid = k.conindid AND i.indrelid = c.oid""",
    f"""SELECT 'index', {_TABLE}, quote_ident(x.relname), CASE WHEN i.indisunique THEN 'unique ' ELSE '' END
               || regexp_replace(pg_get_indexdef(x.oid), '^.*? USING ', '') || {_USABLE}
          FROM {_TABLES} JOIN pg_index i ON i.indrelid = c.oid JOIN pg_class x ON x.oid = i.indexrelid
         WHERE NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = x.oid AND k.contype IN ('p', 'u', 'x'))""",
    f"""SELECT 'trigger', {_TABLE}, quote_ident(g.tgname), regexp_replace(pg_get_triggerdef(g.oid), '^CREATE (.*?)TRIGGER \\S+ ', '\\1')
               || CASE g.tgenabled WHEN 'O' THEN '' ELSE ', not enabled (' || g.tgenabled::text || ')' END
          FROM {_TABLES} JOIN pg_trigger g ON g.tgrelid = c.oid AND NOT g.tgisinternal""",
    # Foreign keys are enforced by their own triggers, which a data-only restore disables.
    f"""SELECT DISTINCT 'trigger', {_TABLE}, quote_ident(k.conname), 'of the foreign key, not enabled'
          FROM {_TABLES} JOIN pg_trigger g ON g.tgrelid = c.oid AND g.tgisinternal AND g.tgenabled <> 'O'
          JOIN pg_constraint k ON k.oid = g.tgconstraint""",
    f"""SELECT 'trigger', quote_ident(r.relname), {_TABLE} || '.' || quote_ident(g.tgname), 'on a partition alone'
          FROM {_IN_TABLES} JOIN pg_inherits h ON h.inhrelid = c.oid JOIN pg_class r ON r.oid = h.inhparent
          JOIN pg_trigger g ON g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgparentid = 0""",
    f"""SELECT 'trigger', {_TABLE}, quote_ident(r.rulename), 'a rule'
          FROM {_TABLES} JOIN pg_rewrite r ON r.ev_class = c.oid""",
    f"""SELECT 'policy', {_TABLE}, quote_ident(o.polname), CASE o.polcmd WHEN '*' THEN 'all' ELSE o.polcmd::text END
               || CASE WHEN o.polpermissive THEN ' permissive' ELSE ' restrictive' END
               || CASE WHEN o.polroles = '{{0}}' THEN ' to all' ELSE ' to some' END
               || coalesce(' using ' || pg_get_expr(o.polqual, o.polrelid), '')
               || CASE WHEN pg_get_expr(o.polwithcheck, o.polrelid) = pg_get_expr(o.polqual, o.polrelid) THEN ' check the same'
                       ELSE coalesce(' check ' || pg_get_expr(o.polwithcheck, o.polrelid), '') END
          FROM {_TABLES} JOIN pg_policy o ON o.polrelid = c.oid""",
    f"""SELECT 'grant', {_TABLE}, {_GRANTEE}, {_RIGHTS}
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND c.relkind IN ('r', 'p', 'S') AND {_OURS.format("c")}
         CROSS JOIN LATERAL aclexplode(c.relacl) a WHERE NOT c.relispartition AND a.grantee <> c.relowner GROUP BY 1, 2, 3""",
    f"""SELECT 'column_grant', {_TABLE}, {_GRANTEE}, string_agg(quote_ident(f.attname) || ' ' || a.privilege_type, ', ' ORDER BY 1)
          FROM {_TABLES} JOIN pg_attribute f ON f.attrelid = c.oid AND NOT f.attisdropped
         CROSS JOIN LATERAL aclexplode(f.attacl) a WHERE a.grantee <> c.relowner GROUP BY 1, 2, 3""",
    f"""SELECT 'sequence', {_TABLE}, '', format_type(q.seqtypid, NULL)
               || CASE q.seqincrement WHEN 1 THEN '' ELSE ' increment ' || q.seqincrement END
               || CASE WHEN q.seqcycle THEN ' cycle' ELSE '' END
               || CASE q.seqmax WHEN CASE q.seqtypid WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647
                                     ELSE 9223372036854775807 END THEN '' ELSE ' maximum ' || q.seqmax END
               || coalesce((SELECT ' owned by ' || quote_ident(r.relname) || '.' || quote_ident(f.attname) FROM pg_depend d
                              JOIN pg_class r ON r.oid = d.refobjid JOIN pg_attribute f ON f.attrelid = r.oid AND f.attnum = d.refobjsubid
                             WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')), '')
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND {_OURS.format("c")} JOIN pg_sequence q ON q.seqrelid = c.oid""",
    f"""SELECT 'function', {_FUNCTION}, '', 'returns ' || pg_get_function_result(p.oid) || CASE WHEN p.prosecdef THEN ' security definer'
               ELSE '' END || coalesce(' with ' || array_to_string(p.proconfig, ', '), '') FROM {_FUNCTIONS}""",
    f"""SELECT 'execute', {_FUNCTION}, {_GRANTEE}, 'yes'
          FROM {_FUNCTIONS} CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
         WHERE a.grantee <> p.proowner""",
    "SELECT 'extension', quote_ident(extname), '', '' FROM pg_extension WHERE extname <> 'plpgsql'",
)

_OWNERS = f"""
    SELECT 'the database', pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()
     UNION ALL SELECT {_TABLE}, pg_get_userbyid(c.relowner)
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND c.relkind IN ('r', 'p', 'S') AND {_OURS.format("c")}
     UNION ALL SELECT {_FUNCTION}, pg_get_userbyid(p.proowner) FROM {_FUNCTIONS}"""

_LEAVES = f"""
    SELECT c.relname, quote_ident(c.relname), pg_get_expr(c.relpartbound, c.oid),
           ARRAY(SELECT DISTINCT {_GRANTEE} FROM aclexplode(c.relacl) a WHERE a.grantee <> c.relowner),
           ARRAY(SELECT quote_ident(k.conname) FROM pg_constraint k
                  WHERE k.conrelid = c.oid AND k.contype IN ('c', 'f', 'x') AND k.coninhcount = 0 ORDER BY 1)
      FROM {_IN_TABLES} JOIN pg_inherits h ON h.inhrelid = c.oid WHERE h.inhparent = to_regclass('public.{partitions.PARENT}') ORDER BY 1"""

# Rights to change rows that must never change. Superusers, and roles that can become one, are reported by another
# check.
_MUTABLE = f"""
    SELECT r.rolname || ' may ' || p FROM pg_roles r CROSS JOIN unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE']) p
     WHERE r.rolname = ANY(%s) AND NOT r.rolsuper AND (has_table_privilege(r.oid, 'public.{partitions.PARENT}', p)
           OR p = 'UPDATE' AND has_any_column_privilege(r.oid, 'public.{partitions.PARENT}', p)) ORDER BY 1"""

# Server roles with more rights than their grants show: all rows, the server's files, programs as the server's user.
_BEYOND_GRANTS = "{pg_read_all_data,pg_write_all_data,pg_read_server_files,pg_write_server_files,pg_execute_server_program}"
_ROLES = f"""
    SELECT r.rolname, array_remove(ARRAY[CASE WHEN rolsuper THEN 'SUPERUSER' END, CASE WHEN rolbypassrls THEN 'BYPASSRLS' END,
           CASE WHEN rolcreaterole THEN 'CREATEROLE' END, CASE WHEN rolreplication THEN 'REPLICATION' END,
           CASE WHEN rolvaliduntil < now() THEN 'an expiry that has passed' END,
           CASE WHEN rolconnlimit BETWEEN 0 AND 4 THEN 'a connection limit of ' || rolconnlimit END], NULL)
           || ARRAY(SELECT 'membership of ' || CASE WHEN s.rolsuper THEN 'superuser ' ELSE '' END || s.rolname FROM pg_roles s
                     WHERE (s.rolsuper OR s.rolname = ANY('{_BEYOND_GRANTS}') OR s.rolname = ANY(%s) AND s.oid <> r.oid)
                       AND NOT r.rolsuper AND pg_has_role(r.oid, s.oid, 'MEMBER')
                     ORDER BY 1)
      FROM pg_roles r WHERE r.rolname = ANY(%s)"""

# Time zones of the server, the database, and the roles that create partitions: the services and the database owner.
_TIME_ZONES = """
    SELECT 'a new session', reset_val FROM pg_settings WHERE name = 'TimeZone'
     UNION ALL
    SELECT CASE setrole WHEN 0 THEN 'database' ELSE 'role ' || pg_get_userbyid(setrole) END, substring(one FROM '=(.*)')
      FROM pg_db_role_setting CROSS JOIN unnest(setconfig) one
     WHERE one ILIKE 'timezone=%%' AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
       AND (setrole = 0 OR pg_get_userbyid(setrole) = ANY(%s)
            OR setrole = (SELECT datdba FROM pg_database WHERE datname = current_database()))"""


@dataclasses.dataclass(frozen=True)
class Leaf:
    """One partition of the audit log.

    `bounds` are as PostgreSQL prints them. `grantees` are roles other than the owner with any right on it.
    `constraints` are those that the parent does not have.
    """

    name: str
    bounds: str
    grantees: tuple[str, ...]
    constraints: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Reading:
    """The facts of one database that do not depend on a release's table.

    `migrations` is None if there is no such table. `unbound` maps each default partition to whether it contains rows.
    `today` is the server's date.
    """

    facts: Facts
    migrations: tuple[str, ...] | None
    owners: dict[str, str]
    leaves: tuple[Leaf, ...]
    unbound: dict[str, bool]
    encoding: str
    today: datetime.date
    extras: tuple[Extra, ...]

    @property
    def tables(self) -> set[str]:
        return {key.of for key in self.facts if key.kind == "table"}


def read(reader: Reader) -> Reading:
    """Read the catalogs, and whether the default partition is empty. The session must have this collection's settings."""
    facts = {Key(*row[:3]): str(row[3]) for query in _QUERIES for row in reader.rows(query)}
    migrations = None
    if Key("table", "schema_migrations", "") in facts:
        migrations = tuple(str(row[0]) for row in reader.rows('SELECT version FROM public.schema_migrations ORDER BY version COLLATE "C"'))
    leaves = reader.rows(_LEAVES)
    unbound = {
        name: bool(reader.rows(f"SELECT EXISTS (SELECT FROM public.{quoted})")[0][0])
        for name, quoted, bounds, *_more in leaves
        if bounds == partitions.DEFAULT
    }
    encoding, today = reader.rows(
        """SELECT pg_encoding_to_char(encoding), (now() AT TIME ZONE 'UTC')::date FROM pg_database WHERE datname = current_database()"""
    )[0]
    owners = {str(name): str(owner) for name, owner in reader.rows(_OWNERS)}
    made = tuple(Leaf(name, bounds, tuple(grantees), tuple(own)) for name, _quoted, bounds, grantees, own in leaves)
    return Reading(facts, migrations, owners, made, unbound, encoding, today, tuple(schema_extras.read(reader)))


def roles(reader: Reader, names: t.Collection[str]) -> dict[str, list[str]]:
    """Return, for each existing role, attributes and memberships that no service needs, and settings that prevent it from connecting."""
    return {str(name): list(strong) for name, strong in reader.rows(_ROLES, (list(names), list(names)))}


def mutable(reader: Reader, names: t.Collection[str]) -> list[str]:
    """Return `role may RIGHT` for each role that can change or remove audit events. The table must exist."""
    return [str(row[0]) for row in reader.rows(_MUTABLE, (list(names),))]


def sequence_limits(reader: Reader) -> dict[str, int]:
    """Return the highest possible value of each sequence, by `schema.name`."""
    found = reader.rows("SELECT schemaname || '.' || sequencename, max_value FROM pg_sequences WHERE NOT cycle AND increment_by > 0")
    return {str(name): int(limit) for name, limit in found}


def time_zones(reader: Reader, names: t.Collection[str]) -> list[tuple[str, str]]:
    """Return the places where a time zone is set, with the time zone."""
    return [(str(where), str(zone)) for where, zone in reader.rows(_TIME_ZONES, (list(names),))]
