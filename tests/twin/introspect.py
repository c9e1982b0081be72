# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read a real database back into facts, to prove that the renderer is complete."""

from __future__ import annotations

import typing as t

from .facts import Database, Function, Sequence, Table

COLUMNS = """
SELECT c.relname, quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod)
       || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
       || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
 ORDER BY c.relname, a.attnum
"""
# Server 18 lists NOT NULL as constraints too, but the columns already contain it.
CONSTRAINTS = """
SELECT c.relname, k.conname, pg_get_constraintdef(k.oid)
  FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
 WHERE k.connamespace = 'public'::regnamespace AND NOT c.relispartition AND k.contype IN ('p', 'u', 'c', 'f')
"""
INDEXES = """
SELECT c.relname, i.relname, CASE WHEN x.indisunique THEN 'UNIQUE ' ELSE '' END
       || regexp_replace(pg_get_indexdef(i.oid), '^.*? USING ', '')
  FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
 WHERE c.relnamespace = 'public'::regnamespace AND NOT c.relispartition
   AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.oid AND k.contype IN ('p', 'u'))
"""
TRIGGERS = """
SELECT c.relname, g.tgname, regexp_replace(regexp_replace(pg_get_triggerdef(g.oid), '^CREATE TRIGGER \\S+ ', ''), ' ON \\S+ ', ' ')
       || CASE g.tgenabled WHEN 'O' THEN '' ELSE ' DISABLED' END
  FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
 WHERE NOT g.tgisinternal AND c.relnamespace = 'public'::regnamespace AND NOT c.relispartition
"""
# A policy is printed differently unless it is permissive, for all commands and roles, with one expression.
POLICIES = """
SELECT tablename, policyname, CASE WHEN cmd = 'ALL' AND permissive = 'PERMISSIVE' AND roles = '{public}' AND with_check = qual
       THEN qual ELSE concat_ws(' | ', permissive, cmd, roles::text, qual, with_check) END
  FROM pg_policies WHERE schemaname = 'public'
"""
GRANTS = """
SELECT c.relname, a.grantee::regrole::text, string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type COLLATE "C")
  FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.grantee <> c.relowner
 GROUP BY 1, 2
"""
FLAGS = """
SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity, coalesce(pg_get_partkeydef(c.oid), ''), c.relowner::regrole::text
  FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
"""
SEQUENCES = """
SELECT s.relname, t.relname || '.' || a.attname, format_type(q.seqtypid, NULL), s.relacl::text
  FROM pg_class s JOIN pg_sequence q ON q.seqrelid = s.oid
  JOIN pg_depend d ON d.objid = s.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'a'
  JOIN pg_class t ON t.oid = d.refobjid JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
 WHERE s.relnamespace = 'public'::regnamespace
"""
FUNCTIONS = """
SELECT p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')', pg_get_function_result(p.oid), p.prosrc, p.prosecdef,
       coalesce((SELECT string_agg(split_part(s, '=', 2), ',') FROM unnest(p.proconfig) s WHERE s LIKE 'search_path=%'), ''),
       coalesce(p.proacl::text, '')
  FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
"""
EXTENSIONS = "SELECT extname FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1"
DEFAULT_PARTITIONS = """
SELECT c.relname, p.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
 WHERE c.relkind = 'r' AND pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT'
"""
OWNER = "SELECT current_database(), datdba::regrole::text FROM pg_database WHERE datname = current_database()"


def read(connection: t.Any) -> Database:
    """Return the facts of the connected database. Raises ValueError if an owner or FORCE ROW SECURITY differs from the other tables."""
    with connection.cursor() as cursor:

        def rows(query: str) -> list[tuple[t.Any, ...]]:
            cursor.execute(query)
            return list(cursor.fetchall())

        ((name, owner),) = rows(OWNER)
        return Database(
            name=name,
            owner=owner,
            tables=_tables(rows, owner),
            sequences={n: Sequence(*rest) for n, *rest in rows(SEQUENCES)},
            functions={n: Function(*rest) for n, *rest in rows(FUNCTIONS)},
            extensions=tuple(n for (n,) in rows(EXTENSIONS)),
            default_partitions=dict(rows(DEFAULT_PARTITIONS)),
        )


def _tables(rows: t.Callable[[str], list[tuple[t.Any, ...]]], owner: str) -> dict[str, Table]:
    columns: dict[str, list[str]] = {}
    for table, text in rows(COLUMNS):
        columns.setdefault(table, []).append(text)
    constraints, indexes, triggers, policies, grants = (_named(rows(query)) for query in (CONSTRAINTS, INDEXES, TRIGGERS, POLICIES, GRANTS))
    tables = {}
    for table, row_security, forced, partition_by, table_owner in rows(FLAGS):
        if forced or table_owner != owner:
            raise ValueError(f"table {table}: owner {table_owner}, force row security {forced}")
        tables[table] = Table(
            columns=tuple(columns[table]),
            constraints=constraints.get(table, {}),
            indexes=indexes.get(table, {}),
            triggers=triggers.get(table, {}),
            policies=policies.get(table, {}),
            row_security=row_security,
            grants=grants.get(table, {}),
            partition_by=partition_by,
        )
    return tables


def _named(rows: t.Iterable[tuple[t.Any, ...]]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for table, name, text in rows:
        found.setdefault(table, {})[name] = text
    return found
