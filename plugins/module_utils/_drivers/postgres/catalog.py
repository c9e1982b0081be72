# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A database apart from its rows: schema, owners, grants, functions, extensions, settings.

The results are sorted lists of strings, so that a difference names the object. They omit what differs between major versions or
carries no information: names of NOT NULL constraints, `pg_*` roles and the implicit privileges of owners.
"""

from __future__ import annotations

import typing as t

from ..._inventory import DatabaseSettings
from .server import Session
from .tables import SYSTEM

_OURS = f"NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d WHERE d.objid = x.oid AND d.deptype = 'e') AND {SYSTEM}"
_RELATIONS = "pg_class x JOIN pg_namespace n ON n.oid = x.relnamespace"
_OF_TABLE = "JOIN pg_class r ON r.oid = {0} JOIN pg_namespace n ON n.oid = r.relnamespace"

SCHEMA_QUERIES = (
    f"""
    SELECT 'relation ' || n.nspname || '.' || x.relname || ' kind ' || x.relkind::text
           || ' rls ' || x.relrowsecurity || ' forced ' || x.relforcerowsecurity
           || coalesce(' partition ' || pg_get_expr(x.relpartbound, x.oid), '')
           || coalesce(' by ' || pg_get_partkeydef(x.oid), '')
      FROM {_RELATIONS} WHERE x.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND {_OURS}""",
    f"""
    SELECT 'column ' || n.nspname || '.' || x.relname || '.' || a.attname || ' at '
           || (SELECT count(*) FROM pg_attribute b
                WHERE b.attrelid = x.oid AND b.attnum > 0 AND b.attnum <= a.attnum AND NOT b.attisdropped)
           || ' ' || format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
           || coalesce(' default ' || pg_get_expr(f.adbin, f.adrelid), '') || ' ' || a.attidentity::text || a.attgenerated::text
      FROM pg_attribute a JOIN pg_class x ON x.oid = a.attrelid JOIN pg_namespace n ON n.oid = x.relnamespace
      LEFT JOIN pg_attrdef f ON f.adrelid = x.oid AND f.adnum = a.attnum
     WHERE a.attnum > 0 AND NOT a.attisdropped AND x.relkind IN ('r', 'p', 'v', 'm', 'f') AND {_OURS}""",
    f"""
    SELECT 'constraint ' || n.nspname || '.' || r.relname || '.' || x.conname || ' ' || pg_get_constraintdef(x.oid)
           || ' validated ' || x.convalidated
      FROM pg_constraint x {_OF_TABLE.format("x.conrelid")} WHERE x.contype <> 'n' AND {_OURS}""",
    # pg_dump does not dump an index that a failed CREATE INDEX CONCURRENTLY left invalid, so it is not part of the schema.
    f"""
    SELECT 'index ' || pg_get_indexdef(x.oid) || ' valid ' || i.indisvalid || ' ready ' || i.indisready
      FROM {_RELATIONS} JOIN pg_index i ON i.indexrelid = x.oid WHERE (i.indisvalid OR x.relkind = 'I') AND {_OURS}""",
    f"""
    SELECT 'trigger ' || pg_get_triggerdef(x.oid) || ' enabled ' || x.tgenabled::text
      FROM pg_trigger x {_OF_TABLE.format("x.tgrelid")} WHERE NOT x.tgisinternal AND {_OURS}""",
    f"""
    SELECT 'policy ' || n.nspname || '.' || r.relname || '.' || x.polname || ' ' || x.polcmd::text || ' permissive ' || x.polpermissive
           || ' to ' || (SELECT string_agg(CASE WHEN o = 0 THEN 'public' ELSE o::regrole::text END, ',' ORDER BY o::regrole::text)
                           FROM unnest(x.polroles) o)
           || coalesce(' using ' || pg_get_expr(x.polqual, x.polrelid), '')
           || coalesce(' check ' || pg_get_expr(x.polwithcheck, x.polrelid), '')
      FROM pg_policy x {_OF_TABLE.format("x.polrelid")} WHERE {_OURS}""",
    f"""
    SELECT 'function ' || n.nspname || '.' || x.proname || '(' || pg_get_function_identity_arguments(x.oid) || ') '
           || encode(sha256(convert_to(pg_get_functiondef(x.oid), 'UTF8')), 'hex')
      FROM pg_proc x JOIN pg_namespace n ON n.oid = x.pronamespace WHERE x.prokind IN ('f', 'p', 'w') AND {_OURS}""",
    f"""
    SELECT 'view ' || n.nspname || '.' || x.relname || ' ' || pg_get_viewdef(x.oid)
      FROM {_RELATIONS} WHERE x.relkind IN ('v', 'm') AND {_OURS}""",
    f"""
    SELECT 'type ' || n.nspname || '.' || x.typname || ' ' || x.typtype::text
           || coalesce(' ' || (SELECT string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = x.oid), '')
      FROM pg_type x JOIN pg_namespace n ON n.oid = x.typnamespace WHERE x.typtype IN ('d', 'e', 'r') AND {_OURS}""",
)

# The objects with an access list: the kind as in `acldefault`, and a query for name, owner and list.
_ACL_SOURCES = (
    (
        "r",
        f"""SELECT 'table ' || n.nspname || '.' || x.relname AS name, x.relowner AS owner, x.relacl AS acl
              FROM {_RELATIONS} WHERE x.relkind IN ('r', 'p', 'v', 'm', 'f') AND {_OURS}""",
    ),
    (
        "s",
        f"""SELECT 'sequence ' || n.nspname || '.' || x.relname AS name, x.relowner AS owner, x.relacl AS acl
              FROM {_RELATIONS} WHERE x.relkind = 'S' AND {_OURS}""",
    ),
    (
        "f",
        f"""SELECT 'function ' || n.nspname || '.' || x.proname || '(' || pg_get_function_identity_arguments(x.oid) || ')' AS name,
                   x.proowner AS owner, x.proacl AS acl
              FROM pg_proc x JOIN pg_namespace n ON n.oid = x.pronamespace WHERE {_OURS}""",
    ),
    ("n", f"SELECT 'schema ' || n.nspname AS name, n.nspowner AS owner, n.nspacl AS acl FROM pg_namespace n WHERE {SYSTEM}"),
    ("d", "SELECT 'database' AS name, b.datdba AS owner, b.datacl AS acl FROM pg_database b WHERE b.datname = current_database()"),
)

_GRANTEE = "CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END"
_PRIVILEGE = "a.privilege_type || CASE WHEN a.is_grantable THEN ' with grant option' ELSE '' END"

_GRANTS = f"""
    SELECT s.name || ' ' || {_GRANTEE} || ' ' || {_PRIVILEGE}
      FROM ({{source}}) s CROSS JOIN LATERAL aclexplode(coalesce(s.acl, acldefault('{{kind}}', s.owner))) a
     WHERE a.grantee <> s.owner AND (a.grantee = 0 OR pg_get_userbyid(a.grantee) !~ '^pg_')"""

_COLUMN_GRANTS = f"""
    SELECT 'column ' || n.nspname || '.' || x.relname || '.' || c.attname || ' ' || {_GRANTEE} || ' ' || {_PRIVILEGE}
      FROM pg_attribute c JOIN pg_class x ON x.oid = c.attrelid JOIN pg_namespace n ON n.oid = x.relnamespace
     CROSS JOIN LATERAL aclexplode(c.attacl) a
     WHERE c.attacl IS NOT NULL AND NOT c.attisdropped AND {_OURS}"""

_DEFAULT_GRANTS = """
    SELECT 'default ' || pg_get_userbyid(f.defaclrole) || ' ' || coalesce(f.defaclnamespace::regnamespace::text, '-')
           || ' ' || f.defaclobjtype::text || ' ' || f.defaclacl::text
      FROM pg_default_acl f"""


def _lines(session: Session, queries: t.Iterable[str]) -> list[str]:
    return sorted(row[0] for query in queries for row in session.rows(query))


def schema(session: Session) -> list[str]:
    """Return one string for each relation, column, constraint, index, trigger, policy, function, view and type."""
    return _lines(session, SCHEMA_QUERIES)


def grants(session: Session) -> list[str]:
    """Return every privilege of a role other than the owner, including the default privileges of PUBLIC."""
    return _lines(session, [_GRANTS.format(kind=kind, source=source) for kind, source in _ACL_SOURCES] + [_COLUMN_GRANTS, _DEFAULT_GRANTS])


def owners(session: Session) -> list[str]:
    """Return `kind name owner` for the database and each schema, relation and function."""
    return _lines(session, [f"SELECT s.name || ' ' || pg_get_userbyid(s.owner) FROM ({source}) s" for _kind, source in _ACL_SOURCES])


def extensions(session: Session) -> dict[str, str]:
    """Return extensions as name → version."""
    return dict(session.rows("SELECT extname, extversion FROM pg_catalog.pg_extension ORDER BY 1"))


def settings(session: Session) -> DatabaseSettings:
    """Return the settings of the current database.

    They are its encoding, locale, owner, connection limit, access list, `ALTER DATABASE … SET` and
    `ALTER ROLE … IN DATABASE … SET`. `collate` and `ctype` are locales of libc. They determine the sort order only if
    `provider` is libc. Otherwise `locale` of that provider does.
    """
    ((encoding, provider, locale, collate, ctype, owner, limit, acl, of_all, of_roles),) = session.rows(
        """SELECT pg_encoding_to_char(encoding), CASE datlocprovider WHEN 'c' THEN 'libc' WHEN 'i' THEN 'icu' ELSE 'builtin' END, datlocale,
                  datcollate, datctype, pg_get_userbyid(datdba), datconnlimit, datacl::text[],
                  (SELECT setconfig FROM pg_db_role_setting WHERE setdatabase = b.oid AND setrole = 0),
                  (SELECT coalesce(jsonb_object_agg(pg_get_userbyid(setrole), setconfig), '{}')
                     FROM pg_db_role_setting WHERE setdatabase = b.oid AND setrole <> 0)
             FROM pg_database b WHERE datname = current_database()"""
    )
    return {
        "encoding": encoding,
        "provider": provider,
        "locale": locale,
        "collate": collate,
        "ctype": ctype,
        "owner": owner,
        "connection_limit": limit,
        "acl": acl,
        "set": of_all,
        "role_sets": of_roles,
    }


def sequences(session: Session) -> dict[str, int | None]:
    """Return `schema.name` → last value, or None if the sequence was never used. Sequences are not part of any snapshot."""
    return dict(session.rows("SELECT schemaname || '.' || sequencename, last_value FROM pg_catalog.pg_sequences ORDER BY 1"))


def materialized_views(session: Session) -> dict[str, bool]:
    """Return `schema.name` → True if the view has been populated."""
    rows = session.rows(
        f"""SELECT n.nspname || '.' || x.relname, x.relispopulated FROM {_RELATIONS} WHERE x.relkind = 'm' AND {_OURS} ORDER BY 1"""
    )
    return dict(rows)


def large_objects(session: Session) -> int:
    return int(session.value("SELECT count(*) FROM pg_catalog.pg_largeobject_metadata"))


def server_version(session: Session) -> int:
    """Return server_version_num, such as 170010."""
    return int(session.value("SELECT current_setting('server_version_num')"))


def sequence_floors(session: Session) -> dict[str, int]:
    """Return `schema.name` → highest value in the column that owns the sequence. A restored sequence must not be lower."""
    owned = session.rows(
        """SELECT sn.nspname || '.' || s.relname, quote_ident(tn.nspname) || '.' || quote_ident(r.relname), quote_ident(a.attname)
             FROM pg_class s JOIN pg_namespace sn ON sn.oid = s.relnamespace
             JOIN pg_depend d ON d.objid = s.oid AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
             JOIN pg_class r ON r.oid = d.refobjid JOIN pg_namespace tn ON tn.oid = r.relnamespace
             JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = d.refobjsubid
            WHERE s.relkind = 'S' AND (r.relpersistence <> 'u' OR NOT pg_is_in_recovery()) ORDER BY 1"""
    )
    return {name: int(session.value(f"SELECT coalesce(max({column}), 0) FROM {table}")) for name, table, column in owned}
