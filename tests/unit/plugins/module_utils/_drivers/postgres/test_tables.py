# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import os
import subprocess
import tracemalloc
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import tables
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.client_binaries import ClientTools
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server import Session
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.tables import Table
from scenes.twin_database import Copier, TwinCluster

# Their order differs between "C", a language and the default.
KEYS = ["b", "B", "a", "A", "ä", "z", "_", " x", "-", "é", "\\N", "t\tt", "n\nn", "", "'", '"', "aa", "a a", "\u2028"]
EMPTY = hashlib.sha256(b"").hexdigest()


def psql(client: ClientTools, cluster: TwinCluster, database: str, query: str) -> bytes:
    """Return the COPY text of a query from psql itself, with the settings that the format requires."""
    options = "-c TimeZone=UTC -c DateStyle=ISO,YMD -c IntervalStyle=postgres -c bytea_output=hex -c extra_float_digits=3 -c search_path="
    environment = {**os.environ, "PGOPTIONS": options, "PGCLIENTENCODING": "UTF8"}
    argv = [client.paths["psql"], "-X", "-q", "-h", cluster.info.socket_dir, "-U", cluster.info.superuser, "-d", database]
    return subprocess.run([*argv, "-c", f"COPY ({query}) TO STDOUT"], env=environment, capture_output=True, check=True).stdout


def found(session: Session) -> dict[str, Table]:
    return {table.qualified: table for table in tables.read_tables(session)}


def columns_and_key(cluster: TwinCluster, name: str, database: str) -> tuple[list[str], list[str]]:
    columns = f"""SELECT column_name, data_type FROM information_schema.columns
        WHERE table_schema = 'public' AND table_name = '{name}' AND is_generated = 'NEVER' ORDER BY ordinal_position"""
    key = f"""SELECT u.column_name FROM information_schema.table_constraints c JOIN information_schema.key_column_usage u
        USING (constraint_schema, constraint_name) WHERE c.table_schema = 'public' AND c.table_name = '{name}'
         AND c.constraint_type = 'PRIMARY KEY' ORDER BY u.ordinal_position"""
    types = dict(cluster.execute(columns, database=database))
    keyed = [name for (name,) in cluster.execute(key, database=database)] or list(types)
    return list(types), [f'"{name}" COLLATE "C"' if types[name] in ("text", "character varying") else f'"{name}"' for name in keyed]


@pytest.mark.parametrize("database", ["caracal", "caracal_auth"])
def test_every_digest_matches_psql_and_sha256(client: ClientTools, caracal_database: TwinCluster, database: str) -> None:
    with Session(caracal_database.server, database) as session:
        all_tables = found(session)
        assert len(all_tables) >= (5 if database == "caracal_auth" else 40)
        for name, table in all_tables.items():
            columns, order = columns_and_key(caracal_database, table.name, database)
            assert list(table.columns) == columns
            listed = ", ".join(f'"{column}"' for column in columns)
            text = psql(client, caracal_database, database, f'SELECT {listed} FROM public."{table.name}" ORDER BY {", ".join(order)}')
            expected = {"rows": text.count(b"\n"), "digest": hashlib.sha256(text).hexdigest()}
            assert tables.digest(session, table) == expected, name


def test_lists_only_tables_that_hold_rows(caracal_database: TwinCluster, caracal_copy: Copier) -> None:
    name = caracal_copy()
    caracal_database.execute("CREATE UNLOGGED TABLE u (a int)", "CREATE VIEW v AS SELECT 1", "CREATE SCHEMA other", database=name)
    caracal_database.execute("CREATE TABLE other.t (a int)", "CREATE MATERIALIZED VIEW m AS SELECT 1", database=name)
    with Session(caracal_database.server, name) as session:
        session.rows("CREATE TEMPORARY TABLE mine (a int)")
        all_tables = found(session)
    assert {"public.u", "other.t", "public.zones"} <= all_tables.keys()
    assert not {"public.v", "public.m", "public.audit_events"} & all_tables.keys()
    assert not any(one.endswith(".mine") or one.startswith("pg_") for one in all_tables)
    leaves = [one for one in all_tables.values() if one.root == "public.audit_events"]
    assert len(leaves) == 13 + 3 + 1
    assert all(table.root is None for table in all_tables.values() if table not in leaves)
    assert sum(leaf.size for leaf in leaves) > 0


def test_reading_the_list_locks_no_table(caracal_database: TwinCluster) -> None:
    with Session(caracal_database.server, "caracal") as session:
        session.rows("BEGIN")
        tables.read_tables(session)
        locked = session.rows("SELECT relation::regclass::text FROM pg_locks WHERE pid = pg_backend_pid() AND relation >= 16384")
    assert locked == []


@pytest.mark.parametrize("collation", ["", 'COLLATE "POSIX"', 'COLLATE "C"'])
def test_text_keys_are_ordered_by_bytes_under_any_collation(caracal_database: TwinCluster, caracal_copy: Copier, collation: str) -> None:
    name = caracal_copy()
    caracal_database.execute(f"CREATE TABLE k (a text {collation}, n int, v varchar(9) {collation}, PRIMARY KEY (v, n, a))", database=name)
    with Session(caracal_database.server, name) as session:
        for number, key in enumerate(KEYS):
            for second in (10, 9):
                session.rows("INSERT INTO public.k VALUES (%s, %s, %s)", (KEYS[-number], second, key))
        table = found(session)["public.k"]
        assert table.order_by == ('"v" COLLATE "C"', '"n"', '"a" COLLATE "C"')
        lines: list[bytes] = []
        digest = tables.digest(session, table, lines.append)
        expected = sorted((key.encode(), second) for key in KEYS for second in (9, 10))
        assert [(line.rstrip(b"\n").split(b"\t")[2], int(line.split(b"\t")[1])) for line in lines] == [
            (text.replace(b"\\", b"\\\\").replace(b"\t", b"\\t").replace(b"\n", b"\\n"), second) for text, second in expected
        ]
        assert digest == {"rows": 2 * len(KEYS), "digest": hashlib.sha256(b"".join(lines)).hexdigest()}


def test_the_order_of_the_heap_makes_no_difference_but_a_row_does(caracal_database: TwinCluster, caracal_copy: Copier) -> None:
    name = caracal_copy()
    caracal_database.execute("CREATE TABLE free (a text, b jsonb, c float8)", database=name)
    rows = ["('x', '{\"a\": 1}', 0.1)", "(NULL, NULL, 'NaN')", "('x', '[2]', 0.1)", "('x', '[2]', 0.1)"]

    def digest() -> dict[str, t.Any]:
        with Session(caracal_database.server, name) as session:
            return tables.digest(session, found(session)["public.free"])

    assert digest() == {"rows": 0, "digest": EMPTY}
    caracal_database.execute(f"INSERT INTO free VALUES {', '.join(rows)}", database=name)
    first = digest()
    caracal_database.execute("TRUNCATE free", f"INSERT INTO free VALUES {', '.join(rows[::-1])}", database=name)
    assert digest() == first
    assert first["rows"] == 4
    caracal_database.execute("UPDATE free SET c = 0.1::float8 + 1e-18 WHERE b = '[2]'", database=name)
    assert digest() == first  # the same number
    caracal_database.execute("UPDATE free SET c = 0.1::float8 + 2e-16 WHERE b = '{\"a\": 1}'", database=name)
    assert digest() != first


@pytest.mark.mutation
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE zones SET name = name || ' ' WHERE id = (SELECT min(id) FROM zones)",
        "DELETE FROM caracal_outbox WHERE id = (SELECT min(id) FROM caracal_outbox)",
        "INSERT INTO schema_migrations SELECT 'forged', now()",
    ],
)
def test_a_changed_row_changes_exactly_the_digest_of_its_table(caracal_database: TwinCluster, caracal_copy: Copier, change: str) -> None:
    name = caracal_copy()

    def digests() -> dict[str, dict[str, t.Any]]:
        with Session(caracal_database.server, name) as session:
            return {key: tables.digest(session, table) for key, table in found(session).items() if table.root is None}

    before = digests()
    columns = caracal_database.execute("SELECT count(*) FROM information_schema.columns WHERE table_name = 'schema_migrations'")[0][0]
    caracal_database.execute(change if columns == 2 else change.replace(", now()", ""), database=name)
    after = digests()
    assert [f"public.{word}" for word in change.split() if f"public.{word}" in before][:1] == [
        key for key in before if before[key] != after[key]
    ]


def test_quoted_names_and_generated_columns(caracal_database: TwinCluster, caracal_copy: Copier) -> None:
    name = caracal_copy()
    caracal_database.execute(
        'CREATE SCHEMA "Odd ""x"" schema"',
        'CREATE TABLE "Odd ""x"" schema"."ta ble;""" ("Key ""k""" text PRIMARY KEY, gone int, "select" int, '
        'twice int GENERATED ALWAYS AS ("select" * 2) STORED)',
        'ALTER TABLE "Odd ""x"" schema"."ta ble;""" DROP COLUMN gone',
        'INSERT INTO "Odd ""x"" schema"."ta ble;""" ("Key ""k""", "select") VALUES (\'b\', 1), (\'a\', 2)',
        database=name,
    )
    with Session(caracal_database.server, name) as session:
        table = found(session)['Odd "x" schema.ta ble;"']
        assert table.columns == ('Key "k"', "select")
        assert tables.digest(session, table) == {"rows": 2, "digest": hashlib.sha256(b"a\t2\nb\t1\n").hexdigest()}
        heap: list[bytes] = []

        class Sink:
            def write(self, data: bytes) -> None:
                heap.append(data)

        session.copy_to(table.copy_heap_order(), Sink())
        assert heap == [b"b\t1\n", b"a\t2\n"]


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20))
def test_any_text_is_quoted(caracal_database: TwinCluster, text: str) -> None:
    with Session(caracal_database.server, "postgres") as session:
        assert session.rows(f"SELECT {tables.literal(text)}, {tables.literal(text)} AS {tables.quote(text[:10] or 'x')}")[0][0] == text
        session.rows("SET standard_conforming_strings = off")
        assert session.value(f"SELECT {tables.literal(text)}") == text


@pytest.mark.parametrize(
    ("recorded", "statement"),
    [
        ("work_mem=64MB", "\"work_mem\" TO E'64MB'"),
        ("app.note=a=b, c", "\"app.note\" TO E'a=b, c'"),
        ('search_path="$user", public', "\"search_path\" TO E'$user', E'public'"),
        ('search_path="a""b, c",d', "\"search_path\" TO E'a\"b, c', E'd'"),
        ('search_path=""', "\"search_path\" TO E''"),
        ("DateStyle=ISO, DMY", "\"DateStyle\" TO E'ISO, DMY'"),
        ("x\"; DROP ROLE y=z'; DROP ROLE y", "\"x\"\"; DROP ROLE y\" TO E'z''; DROP ROLE y'"),
    ],
)
def test_a_setting_as_the_catalog_keeps_it(recorded: str, statement: str) -> None:
    assert tables.setting(recorded) == statement


@pytest.mark.mutation
def test_rows_of_any_size_are_not_kept() -> None:
    """A row may have 1 GiB, and a database can have any number of them."""
    lines = tables.LineHash()
    tracemalloc.start()
    for number in range(100):
        lines.write(b"%d" % number * (1 << 20))
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert lines.rows == 100 and used < 16 << 20
