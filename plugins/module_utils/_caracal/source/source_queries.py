# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SQL for the checks of a source. It uses only the server's own operators and functions, so it runs no code of a database's owner."""

from __future__ import annotations

import typing as t

# A query that takes longer makes its check unproven, and the backup continues.
_ALIKE = {"enable_bitmapscan": "off", "work_mem": "64MB", "jit": "off", "statement_timeout": "20min"}
# The rows must be read, because an index may be damaged. More memory, because a table has many keys.
WITHOUT_INDEXES = {**_ALIKE, "enable_seqscan": "on", "enable_sort": "on", "enable_indexscan": "off", "enable_indexonlyscan": "off"}
# The opposite: index order, with little memory and no temporary files.
IN_ORDER = {**_ALIKE, "enable_seqscan": "off", "enable_sort": "off", "enable_indexscan": "on", "enable_indexonlyscan": "on"}

_ORDINARY = "{0}.nspname !~ '^pg_' AND {0}.nspname <> 'information_schema'"
_LOGGED = "({0}.relpersistence <> 'u' OR NOT pg_catalog.pg_is_in_recovery())"
_ROOT = "(SELECT o.relname FROM pg_catalog.pg_class o WHERE o.oid = coalesce(pg_catalog.pg_partition_root({0}.oid), {0}.oid))"
_ONLY = "CASE {0}.relkind WHEN 'r' THEN 'ONLY ' ELSE '' END"


def digested(broken: str) -> str:
    """Return a query for the number of rows of `broken`, and one digest of all of them. `broken` has one column, a SHA-256 for each row."""
    return f"""
    WITH broken(k) AS MATERIALIZED ({broken})
    SELECT (SELECT count(*) FROM broken),
           (SELECT encode(sha256(coalesce(string_agg(k, ''::bytea ORDER BY k), ''::bytea)), 'hex') FROM broken)"""


def counted(broken: str) -> str:
    """Return a query for the number only, which needs no memory for the keys."""
    return f"SELECT count(*) FROM ({broken}) broken"


_SHA256 = "sha256(convert_to(pg_catalog.concat(ROW({})), 'UTF8'))"
_ORPHANS = f"""SELECT {_SHA256.format("%s")} FROM %s%I.%I c WHERE (%s) AND NOT EXISTS (SELECT FROM %s%I.%I p WHERE %s)""".replace("'", "''")

# Schema, table and its root, name, query, whether it involves the audit log, whether all its operators are the server's
# own.
FOREIGN_KEYS = f"""
    SELECT cn.nspname, c.relname, {_ROOT.format("c")}, k.conname,
           format('{_ORPHANS}',
                  concat_ws(', ', (SELECT string_agg(format('c.%I', a.attname), ', ' ORDER BY a.attnum) FROM pg_catalog.pg_index i
                                     JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey::int2[])
                                    WHERE i.indrelid = c.oid AND i.indisprimary),
                            string_agg(format('c.%I', ca.attname), ', ' ORDER BY u.number)),
                  {_ONLY.format("c")}, cn.nspname, c.relname,
                  string_agg(format('c.%I IS NOT NULL', ca.attname), CASE k.confmatchtype WHEN 'f' THEN ' OR ' ELSE ' AND ' END),
                  {_ONLY.format("p")}, pn.nspname, p.relname,
                  string_agg(format('p.%I OPERATOR(pg_catalog.%s) c.%I', pa.attname, o.oprname, ca.attname), ' AND ')),
           'audit_events' IN ({_ROOT.format("c")}, {_ROOT.format("p")}),
           bool_and(o.oprnamespace = 'pg_catalog'::pg_catalog.regnamespace)
      FROM pg_catalog.pg_constraint k
      JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace cn ON cn.oid = c.relnamespace
      JOIN pg_catalog.pg_class p ON p.oid = k.confrelid JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
     CROSS JOIN LATERAL unnest(k.conkey, k.confkey, k.conpfeqop) WITH ORDINALITY u(child, parent, operator, number)
      JOIN pg_catalog.pg_attribute ca ON ca.attrelid = c.oid AND ca.attnum = u.child
      JOIN pg_catalog.pg_attribute pa ON pa.attrelid = p.oid AND pa.attnum = u.parent
      JOIN pg_catalog.pg_operator o ON o.oid = u.operator
     WHERE k.contype = 'f' AND k.conparentid = 0 AND k.convalidated AND {_LOGGED.format("c")} AND {_LOGGED.format("p")}
     GROUP BY k.oid, k.conname, k.confmatchtype, c.oid, p.oid, c.relkind, p.relkind, cn.nspname, c.relname, pn.nspname, p.relname
     ORDER BY 1, 2, 4"""

_CALLS = ", ".join(f"'pg_catalog.{one}'::pg_catalog.regclass" for one in ("pg_proc", "pg_operator", "pg_type"))
# PostgreSQL does not record every object that an expression uses. So the expression tree may only contain objects that
# `initdb` created, which have OIDs below 16384.
_OF_OTHERS = """SELECT FROM regexp_matches(regexp_replace(i.indpred::text, ':location -?[0-9]+', '', 'g'), '[0-9]+', 'g') number
     WHERE length(number[1]) > 9 OR number[1]::int >= 16384"""
# Columns: schema, table, both quoted, root of the table, name, number. Then: is it a B-tree, does it have an entry for
# each row and no NULL. Then: does it have an expression or use objects that are not the server's own. Then: keys,
# predicate, are NULLs distinct.
UNIQUE_INDEXES = f"""
    SELECT n.nspname, c.relname, format('%I.%I', n.nspname, c.relname), {_ROOT.format("c")}, x.relname, x.oid, m.amname = 'btree',
           i.indpred IS NULL AND NOT EXISTS (SELECT FROM unnest(i.indkey::int2[]) u(number) LEFT JOIN pg_catalog.pg_attribute a
                                              ON a.attrelid = c.oid AND a.attnum = u.number WHERE a.attnotnull IS NOT TRUE),
           i.indexprs IS NOT NULL OR EXISTS ({_OF_OTHERS}) OR EXISTS (
               SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = x.oid
                      AND d.refclassid IN ({_CALLS})),
           ARRAY(SELECT pg_catalog.pg_get_indexdef(x.oid, k, false) || coalesce(
                          (SELECT format(' COLLATE %I.%I', cn.nspname, co.collname) FROM pg_catalog.pg_collation co
                             JOIN pg_catalog.pg_namespace cn ON cn.oid = co.collnamespace WHERE co.oid = i.indcollation[k - 1]), '')
                   FROM generate_series(1, i.indnkeyatts) k ORDER BY k),
           pg_catalog.pg_get_expr(i.indpred, i.indrelid), NOT i.indnullsnotdistinct
      FROM pg_catalog.pg_index i
      JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid AND x.relkind = 'i' JOIN pg_catalog.pg_am m ON m.oid = x.relam
      JOIN pg_catalog.pg_class c ON c.oid = i.indrelid AND c.relkind = 'r' JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE i.indisunique AND i.indisvalid AND NOT i.indisexclusion AND {_ORDINARY.format("n")} AND {_LOGGED.format("c")}
     ORDER BY 1, 2, x.relname"""
# The same for one table, named by parameters.
OF_TABLE = f"SELECT * FROM ({UNIQUE_INDEXES.replace('%', '%%')}) i(schema, name) WHERE i.schema = %s AND i.name = %s"


def offending(table: str, keys: t.Sequence[str], where: str | None, distinct: bool) -> str:
    """Return a query for duplicate keys under a unique index, with the number of rows for each.

    `table` is quoted. With `distinct`, NULLs are never equal.
    """
    conditions = [f"({one}) IS NOT NULL" for one in keys if distinct] + ([f"({where})"] if where else [])
    shared = f"""SELECT count(*) AS n, {", ".join(f"{one} AS k{number}" for number, one in enumerate(keys))}
                   FROM ONLY {table} {"WHERE " + " AND ".join(conditions) if conditions else ""}
                  GROUP BY {", ".join(str(number + 2) for number in range(len(keys)))} HAVING count(*) > 1"""
    return f"SELECT {_SHA256.format(', '.join(['s.n', *(f's.k{number}' for number in range(len(keys)))]))} FROM ({shared}) s"


def in_order(table: str, keys: t.Sequence[str]) -> str:
    """Return a query for the number of entries of an index, and of entries that are not greater than the previous one.
    `table` is quoted.
    """
    named = ", ".join(f"{one} AS k{number}, lag({one}) OVER entries AS b{number}" for number, one in enumerate(keys))
    key, before = (", ".join(f"s.{letter}{number}" for number in range(len(keys))) for letter in "kb")
    return f"""
    SELECT count(*), count(*) FILTER (WHERE (ROW({key}) > ROW({before})) IS FALSE)
      FROM (SELECT {named} FROM ONLY {table} WINDOW entries AS (ORDER BY {", ".join(keys)})) s"""


# The check function of the extension, if this role may call it. It must be a C function, because only a superuser can
# create these.
AMCHECK = """
    SELECT format('%I.%I', n.nspname, f.proname) FROM pg_catalog.pg_extension e
      JOIN pg_catalog.pg_depend d ON d.refobjid = e.oid AND d.deptype = 'e'
       AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
      JOIN pg_catalog.pg_proc f ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = f.oid
      JOIN pg_catalog.pg_language l ON l.oid = f.prolang AND l.lanname = 'c'
      JOIN pg_catalog.pg_roles r ON r.oid = f.proowner AND r.rolsuper
      JOIN pg_catalog.pg_namespace n ON n.oid = f.pronamespace
     WHERE e.extname = 'amcheck' AND f.proname = 'bt_index_check' AND f.pronargs = 1
       AND has_function_privilege(f.oid, 'EXECUTE') AND has_schema_privilege(n.oid, 'USAGE')"""

DATABASE_COLLATION = """
    SELECT datcollversion, pg_catalog.pg_database_collation_actual_version(oid) FROM pg_catalog.pg_database
     WHERE datname = current_database()"""

# Schema and name, both versions, schema and tables in which columns or indexes use it.
ACTUAL_COLLATIONS = f"""
    SELECT cn.nspname, co.collname, co.collversion, pg_catalog.pg_collation_actual_version(co.oid), n.nspname,
           array_agg(DISTINCT {_ROOT.format("c")}::text)
      FROM pg_catalog.pg_attribute a
      LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = a.attrelid
      JOIN pg_catalog.pg_class c ON c.oid = coalesce(i.indrelid, a.attrelid) AND c.relkind IN ('r', 'p', 'm')
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_collation co ON co.oid = a.attcollation AND co.collprovider <> 'd'
      JOIN pg_catalog.pg_namespace cn ON cn.oid = co.collnamespace
     WHERE a.attnum > 0 AND NOT a.attisdropped AND {_ORDINARY.format("n")}
     GROUP BY 1, 2, co.oid, co.collversion, n.nspname ORDER BY 1, 2, 5"""
