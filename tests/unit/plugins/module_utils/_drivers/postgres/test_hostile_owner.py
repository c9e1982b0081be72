# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A database owner who is not a superuser wants to become one. Code of the owner must not run in our sessions."""

from __future__ import annotations

import io
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import (
    catalog,
    dump,
    preflight,
    roles,
    snapshot,
    target,
    tools,
)
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import server as postgres_server
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.client_binaries import ClientTools
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.opening import opening
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server import Server, Session
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.tables import LineHash, digest
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import StageFailed, VersionMismatch
from ansible_collections.caracal_ops.backup.plugins.module_utils._reading import completeness, database_layout, reading
from scenes.twin_database import Copier, TwinCluster

Login = t.Callable[..., Server]

# Only a superuser can write this file, and a rollback or a read-only transaction does not remove it.
_TAKE = """
    CREATE FUNCTION public.take() RETURNS void LANGUAGE plpgsql AS $take$
    BEGIN
        IF pg_catalog.current_setting('test.taken', true) OPERATOR(pg_catalog.=) 'yes' THEN RETURN; END IF;
        PERFORM pg_catalog.set_config('test.taken', 'yes', false);
        EXECUTE pg_catalog.format('COPY (SELECT current_user) TO %L',
                                  pg_catalog.current_setting('data_directory') OPERATOR(pg_catalog.||) '/taken');
    EXCEPTION WHEN insufficient_privilege THEN RETURN;
    END $take$"""

# Every operator and function that our queries could mean, in the schema public. Each attacks first and then works normally.
_OPERATORS = """
    DO $do$ DECLARE one record; BEGIN
    FOR one IN SELECT o.oid::pg_catalog.int8 AS number, oprname AS name, format_type(oprleft, NULL) AS l, format_type(oprright, NULL) AS r,
                      format_type(oprresult, NULL) AS result
                 FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_type a ON a.oid = oprleft JOIN pg_catalog.pg_type b ON b.oid = oprright
                WHERE oprnamespace = 'pg_catalog'::regnamespace AND oprresult <> 0 AND oprcode <> 0
                  AND a.typtype = 'b' AND b.typtype = 'b'
                  AND oprname IN ('=', '<>', '~', '!~', '<', '<=', '>', '>=', '||', '+', '-', '/')
    LOOP
        EXECUTE format('CREATE FUNCTION public.op_%s(%s, %s) RETURNS %s LANGUAGE plpgsql AS $f$
            BEGIN PERFORM public.take(); RETURN $1 OPERATOR(pg_catalog.%s) $2; END $f$', one.number, one.l, one.r, one.result, one.name);
        EXECUTE format('CREATE OPERATOR public.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = public.op_%s)',
                       one.name, one.l, one.r, one.number);
    END LOOP; END $do$"""
_FUNCTIONS = """
    DO $do$ DECLARE one record; BEGIN
    FOR one IN SELECT proname AS name, pg_get_function_identity_arguments(oid) AS arguments, pg_get_function_result(oid) AS result,
                      (SELECT string_agg('$' || n, ', ') FROM generate_series(1, pronargs) n) AS passed
                 FROM pg_catalog.pg_proc
                WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f' AND NOT proretset AND provariadic = 0
                  AND proname IN ('set_config', 'current_setting', 'current_database', 'pg_get_userbyid', 'pg_has_role', 'pg_relation_size',
                                  'pg_export_snapshot', 'clock_timestamp', 'to_regclass', 'pg_is_in_recovery', 'pg_get_expr', 'quote_ident',
                                  'convert_to', 'sha256', 'encode', 'format_type', 'to_char', 'pg_backend_pid', 'quote_literal', 'version')
    LOOP
        EXECUTE format('CREATE FUNCTION public.%s(%s) RETURNS %s LANGUAGE plpgsql AS $f$
            BEGIN PERFORM public.take(); RETURN pg_catalog.%s(%s); END $f$', one.name, one.arguments, one.result, one.name, one.passed);
    END LOOP; END $do$"""


def taken(cluster: TwinCluster) -> bool:
    return bool(cluster.execute("SELECT pg_read_file('taken', true) IS NOT NULL", database="postgres")[0][0])


@pytest.fixture
def swapped(caracal_database: TwinCluster, caracal_copy: Copier) -> t.Iterator[t.Callable[[str, str], str]]:
    """Return a function that creates a database whose `public.<table>` is created by `statement`. `take()` is the attacker's function."""

    def swap(table: str, statement: str) -> str:
        name = caracal_copy()
        caracal_database.execute(_TAKE, f"ALTER TABLE public.{table} RENAME TO aside", statement, database=name)
        return name

    yield swap
    caracal_database.execute("COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; rm -f taken'", database="postgres")


@pytest.fixture
def hostile(caracal_database: TwinCluster, caracal_copy: Copier, login: Login) -> t.Iterator[str]:
    """Return a database with its owner's code under every name that could be resolved, and a `search_path` that finds it first."""
    name, owner = caracal_copy(), login()
    caracal_database.execute(f"ALTER DATABASE {name} OWNER TO {owner.user}", database="postgres")
    caracal_database.execute(
        f"ALTER SCHEMA public OWNER TO {owner.user}",
        f"SET SESSION AUTHORIZATION {owner.user}",
        _TAKE,
        _OPERATORS,
        _FUNCTIONS,
        f"ALTER DATABASE {name} SET search_path = public, pg_catalog",
        database=name,
    )
    caracal_database.execute(f"ALTER ROLE caracal IN DATABASE {name} SET search_path = public, pg_catalog", database="postgres")
    yield name
    caracal_database.execute("COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; rm -f taken'", database="postgres")


def test_this_owner_would_take_a_session_that_looks_into_public(caracal_database: TwinCluster, hostile: str) -> None:
    caracal_database.execute("SELECT relname FROM pg_catalog.pg_class WHERE relname = 'x'::name", database=hostile)
    assert taken(caracal_database)


@pytest.mark.no_false_alarm
def test_code_of_a_hostile_owner_gains_nothing_in_sessions_of_another_login(
    caracal_database: TwinCluster, hostile: str, login: Login
) -> None:
    with Session(login(), hostile, settings={}) as session:
        session.rows("SELECT public.take()")
    assert not taken(caracal_database)


@pytest.mark.mutation
@pytest.mark.parametrize("settings", [None, {}])
def test_no_session_looks_into_public(caracal_database: TwinCluster, hostile: str, settings: dict[str, str] | None) -> None:
    with Session(caracal_database.server, hostile, settings=settings) as session:
        assert session.value("SHOW search_path") == ""
        catalog.server_version(session)
        roles.read(session)
    assert not taken(caracal_database)


@pytest.mark.mutation
def test_a_preflight_runs_nothing_of_the_owner(caracal_database: TwinCluster, hostile: str) -> None:
    with snapshot.Snapshot(caracal_database.server, hostile) as held:
        preflight.full_sight(held.session)
        database_layout.read(held.session)
        assert completeness.look(held.place, False).relations
    assert not taken(caracal_database)


@pytest.mark.mutation
def test_a_reading_runs_nothing_of_the_owner(caracal_database: TwinCluster, hostile: str, client: ClientTools) -> None:
    with snapshot.Snapshot(caracal_database.server, hostile) as held:
        read = database_layout.read(held.session)
        reading.facts(held.place, [table.name for table in read.tables if table.schema == "public"], client.paths["pg_dump"])
        reading.rest(held.place, read.rest)
        for leaf in read.leaves[:2]:
            assert reading.leaf(held.place, leaf, client.paths["psql"]).rows
        assert not taken(caracal_database)


@pytest.mark.mutation
def test_inspecting_a_target_runs_no_code_of_its_owner(caracal_database: TwinCluster, hostile: str) -> None:
    assert target.examine(caracal_database.server, hostile).objects
    assert not taken(caracal_database)


@pytest.mark.mutation
def test_no_tool_looks_into_public(caracal_database: TwinCluster, hostile: str, client: ClientTools) -> None:
    sink = io.BytesIO()
    argv = [client.paths["psql"], "--no-psqlrc", "--tuples-only", "--no-align", "--command=SHOW search_path", f"--command={opening()}"]
    tools.stream_out(argv, caracal_database.server, hostile, sink)
    assert sink.getvalue().split(b"\n")[0] == b""
    tools.stream_out([client.paths["pg_dump"], "--schema-only"], caracal_database.server, hostile, io.BytesIO())
    assert not taken(caracal_database)


VIEW = "CREATE VIEW public.zones AS SELECT *, public.take()::text AS taken FROM public.aside"


@pytest.mark.mutation
@pytest.mark.parametrize("settings", [None, {}])
def test_a_view_in_the_place_of_a_table_is_not_run(
    caracal_database: TwinCluster, swapped: t.Callable[[str, str], str], settings: dict[str, str] | None
) -> None:
    name = swapped("zones", VIEW)
    with (
        Session(caracal_database.server, name, settings=settings) as session,
        pytest.raises(StageFailed, match=r"view .*restricted") as caught,
    ):
        session.rows("SELECT * FROM public.zones")
    assert "\n" not in caught.value.msg
    assert not taken(caracal_database)


@pytest.mark.mutation
def test_a_table_that_becomes_a_view_between_looking_and_reading(
    caracal_database: TwinCluster, caracal_copy: Copier, swapped: t.Callable[[str, str], str]
) -> None:
    """The names come from the snapshot, but the current relation is read under them."""
    name = caracal_copy()
    with snapshot.Snapshot(caracal_database.server, name) as held:
        zones = next(table for table in database_layout.read(held.session).tables if table.qualified == "public.zones")
        caracal_database.execute(_TAKE, "ALTER TABLE public.zones RENAME TO aside", VIEW, database=name)
        with pytest.raises(StageFailed, match=f"^database {name}: access to non-system view"):
            reading.rest(held.place, [zones])
    assert not taken(caracal_database)


@pytest.mark.mutation
@pytest.mark.parametrize("pages", [None, (0, 3)])
def test_audit_partition_replaced_by_view_is_refused(
    caracal_database: TwinCluster, caracal_copy: Copier, client: ClientTools, swapped: t.Callable[[str, str], str], pages: t.Any
) -> None:
    """Some pages of a partition are read by a query, which a view would answer."""
    name = caracal_copy()
    with snapshot.Snapshot(caracal_database.server, name) as held:
        leaf = next(one for one in database_layout.read(held.session).leaves)
        columns = ", ".join(f"aside.{column}" for column in leaf.columns)
        caracal_database.execute(
            _TAKE,
            f"ALTER TABLE {leaf.sql} RENAME TO aside",
            f"CREATE VIEW {leaf.sql} AS SELECT aside.ctid, {columns} FROM public.aside, public.take()",
            database=name,
        )
        with pytest.raises(StageFailed, match="view"):
            dump.copy_leaf(held.place, client.paths["psql"], leaf, io.BytesIO(), pages)
    assert not taken(caracal_database)


@pytest.mark.mutation
def test_foreign_table_in_place_of_table_is_refused(caracal_database: TwinCluster, swapped: t.Callable[[str, str], str]) -> None:
    made = "CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER nowhere FOREIGN DATA WRAPPER nowhere; "
    name = swapped("zones", made + "CREATE FOREIGN TABLE public.zones (id text) SERVER nowhere")
    with Session(caracal_database.server, name) as session, pytest.raises(StageFailed, match="access to non-system foreign table"):
        session.rows("SELECT * FROM public.zones")


@pytest.mark.mutation
def test_a_server_that_would_run_the_view_is_refused(caracal_database: TwinCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_server, "RESTRICTION", "restrict_what_no_server_knows")
    with pytest.raises(
        VersionMismatch, match=r"^database caracal: .*CVE-2024-7348.*\. Update the server to PostgreSQL 17 or newer"
    ) as caught:
        Session(caracal_database.server, "caracal")
    assert "\n" not in caught.value.msg


@pytest.mark.mutation
@pytest.mark.parametrize("column", ["public.mood", "public.moody", "public.mood[]", "public.pair"])
def test_a_cast_of_the_owner_sorts_no_rows(
    caracal_database: TwinCluster, caracal_copy: Copier, swapped: t.Callable[[str, str], str], column: str
) -> None:
    """A table without a key is sorted by the text of its columns, and the owner of a type controls its text form."""
    name = caracal_copy()
    cast = column.replace("moody", "mood")
    caracal_database.execute(
        _TAKE,
        "CREATE TYPE public.mood AS ENUM ('sad', 'glad')",
        "CREATE DOMAIN public.moody AS public.mood",
        "CREATE TYPE public.pair AS (a int, b text)",
        f"CREATE TABLE public.moods (a {column})",
        f"INSERT INTO public.moods VALUES {VALUES[column]}, (NULL)",
        database=name,
    )
    query = 'COPY (SELECT a FROM public.moods ORDER BY a::text COLLATE "C") TO STDOUT'
    with Session(caracal_database.server, name) as session:
        plain = LineHash()
        session.copy_to(query, plain)
    caracal_database.execute(
        f"CREATE FUNCTION public.told(value {cast}) RETURNS text LANGUAGE plpgsql AS $f$ BEGIN PERFORM public.take(); RETURN ''; END $f$",
        f"CREATE CAST ({cast} AS text) WITH FUNCTION public.told({cast})",
        database=name,
    )
    with snapshot.Snapshot(caracal_database.server, name) as held:
        moods = next(table for table in database_layout.read(held.session).tables if table.name == "moods")
        assert digest(held.session, moods) == {"rows": 3, "digest": plain.hexdigest()}
    assert not taken(caracal_database)


VALUES = {
    "public.mood": "('sad'), ('glad')",
    "public.moody": "('sad'), ('glad')",
    "public.mood[]": "('{sad}'), ('{glad,sad}')",
    "public.pair": "(ROW(2, NULL)), (ROW(10, 'x'))",
}
