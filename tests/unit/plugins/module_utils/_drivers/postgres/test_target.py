# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import typing as t
import uuid

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import catalog, roles, target
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server import Server, Session
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import (
    Busy,
    StageFailed,
    TargetRefused,
    Unreachable,
    VersionMismatch,
)
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import SandboxInfo
from harness.fixtures import FreshCluster

SETTINGS = {
    "encoding": "UTF8",
    "provider": "libc",
    "locale": None,
    "collate": "C.UTF-8",
    "ctype": "C.UTF-8",
    "owner": "caracal",
    "connection_limit": -1,
    "acl": None,
    "set": None,
    "role_sets": {},
}


def run(server: Server, *statements: str, database: str = "postgres") -> list[tuple[t.Any, ...]]:
    with Session(server, database, settings={"search_path": "public"}) as session:
        return [session.rows(statement) for statement in statements][-1]


def exists(server: Server, name: str) -> bool:
    with Session(server, "postgres") as session:
        return bool(session.value("SELECT 1 FROM pg_database WHERE datname = %s", (name,)))


@pytest.fixture
def server(postgres_server: SandboxInfo) -> Server:
    return Server(postgres_server.socket_dir, postgres_server.port, postgres_server.superuser)


@pytest.fixture
def name(server: Server) -> t.Iterator[str]:
    """Yield a database name for one test."""
    found = f"target_{uuid.uuid4().hex[:8]}"
    yield found
    for (left,) in run(server, f"SELECT datname FROM pg_database WHERE datname LIKE '{found}%'"):
        run(server, f'DROP DATABASE "{left}" WITH (FORCE)')


def test_a_place_without_the_database(server: Server, name: str, postgres_server: SandboxInfo) -> None:
    found = target.examine(server, name)
    assert found == target.TargetState(postgres_server.system_identifier, found.version, exists=False, objects=[])
    assert found.version // 10000 >= 17
    target.confirm({name: found}, [], [], str(server))
    assert not exists(server, name)


@pytest.mark.no_false_alarm
def test_an_empty_database_may_hold_extensions(server: Server, name: str) -> None:
    run(server, f"CREATE DATABASE {name}")
    run(server, "CREATE EXTENSION pgcrypto", database=name)
    found = target.examine(server, name)
    assert (found.exists, found.objects) == (True, [])
    target.confirm({name: found}, [], [], str(server))


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("statement", "thing"),
    [
        ("CREATE TABLE public.t (a int)", "relation public.t"),
        ("CREATE VIEW public.v AS SELECT 1", "relation public.v"),
        ("CREATE SEQUENCE public.s", "relation public.s"),
        ("CREATE SCHEMA x CREATE TABLE m (a int)", "relation x.m"),
        ("CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "function public.f"),
        ("CREATE TYPE public.e AS ENUM ('a')", "type public.e"),
        ("CREATE DOMAIN public.d AS int", "type public.d"),
    ],
)
def test_a_database_that_is_not_empty_needs_the_confirmation_that_is_printed(server: Server, name: str, statement: str, thing: str) -> None:
    run(server, f"CREATE DATABASE {name}")
    run(server, statement, database=name)
    found = target.examine(server, name)
    confirmation = f"{name}@{found.system_identifier}"
    for wrong in (
        [],
        [name],
        [found.system_identifier],
        [f"other@{found.system_identifier}"],
        [f"{name}@1"],
        ["yes"],
        [confirmation + " "],
    ):
        with pytest.raises(TargetRefused) as caught:
            target.confirm({name: found}, [], wrong, "here")
        assert (
            caught.value.msg
            == f"database {name} at here is not empty (1 objects, first: {thing}); to replace it, set confirm to {confirmation}"
        )
    target.confirm({name: found}, [], ["other@1", confirmation], "here")
    assert exists(server, name)


@pytest.mark.mutation
def test_a_cluster_that_the_journal_knows_needs_a_confirmation_too(server: Server, name: str) -> None:
    found = target.examine(server, name)
    confirmation = f"{name}@{found.system_identifier}"
    with pytest.raises(TargetRefused, match=f"^the cluster at here is backed up to this repository .* set confirm to {confirmation}$"):
        target.confirm({name: found}, ["1", found.system_identifier], [], "here")
    target.confirm({name: found}, [found.system_identifier], [confirmation], "here")


@pytest.mark.mutation
@pytest.mark.parametrize("known", [[], ["1"]])
def test_all_confirmations_that_are_missing_are_named_at_once(known: list[str]) -> None:
    found = {name: target.TargetState("1", 170000, True, ["relation public.t"]) for name in ("a", "b", "c")}
    found["d"] = target.TargetState("1", 170000, True, [])
    with pytest.raises(TargetRefused) as caught:
        target.confirm(found, known, ["b@1"], "here")
    named = ["a@1", "c@1", *(["d@1"] if known else [])]
    assert caught.value.msg.endswith(f"set confirm to {', '.join(named)}")
    target.confirm(found, known, ["b@1", *named], "here")


@pytest.mark.mutation
def test_a_server_that_caracal_does_not_run_on_is_refused_and_an_older_one_doubted() -> None:
    with pytest.raises(
        VersionMismatch, match=r"^database caracal of the set is from PostgreSQL 17, but the target runs 16; restore into 17 or newer$"
    ):
        target.version_fits("caracal", 170010, 160014)
    assert target.version_fits("caracal", 180001, 170010) == [
        "database caracal of the set is from PostgreSQL 18, but the target runs 17; "
        "PostgreSQL does not support this direction, so use the copy only after state_verify has passed"
    ]
    for found in (170001, 170010, 180000):
        assert target.version_fits("caracal", 170005, found) == []


def test_the_working_name_belongs_to_the_set() -> None:
    assert target.working_name("caracal", "20260617T123000Z-abcd") == "caracal_restoring_abcd"


def test_a_database_appears_under_its_name_only_when_it_is_published(fresh_cluster: FreshCluster) -> None:
    info = fresh_cluster()
    server = Server(info.socket_dir, info.port, info.superuser)
    run(server, "CREATE ROLE owner", "CREATE ROLE reader", "CREATE DATABASE template2")
    recorded: dict[str, t.Any] = {
        **SETTINGS,
        "owner": "owner",
        "connection_limit": 5,
        "acl": ["owner=CTc/owner", "reader=c*/owner", "=T/owner"],
        "set": ['search_path="$user", public', "work_mem=64MB", 'app.note=it\'s; \\ "x"'],
        "role_sets": {"reader": ['search_path=public, "a, b"', "statement_timeout=5s"]},
    }
    working = target.working_name("caracal", "x-abcd")
    assert target.create(server, working, recorded) == []
    assert exists(server, working)
    assert not exists(server, "caracal")
    run(server, "CREATE TABLE t (a int)", database=working)
    assert target.set_for_roles(server, working, recorded) == []
    assert target.publish(server, [(working, "caracal", recorded)]) == []
    assert not exists(server, working)
    assert run(server, "SELECT count(*) FROM t", database="caracal") == [(0,)]
    with Session(server, "caracal") as session:
        found = catalog.settings(session)
        assert sorted(found.pop("acl")) == sorted(recorded.pop("acl"))
        assert found == recorded
        assert {line for line in catalog.grants(session) if line.startswith("database")} == {
            "database PUBLIC TEMPORARY",
            "database reader CONNECT with grant option",
        }
    with Session(server, "caracal", settings={}) as session:
        assert session.value("SHOW work_mem") == "64MB"
        assert 'search_path="$user", public' in catalog.settings(session)["set"]
        assert session.value("SHOW app.note") == 'it\'s; \\ "x"'


@pytest.mark.mutation
def test_role_setting_refused_by_server_is_reported(server: Server, name: str) -> None:
    target.create(server, name, SETTINGS)
    recorded = {**SETTINGS, "role_sets": {"no such role": ["work_mem=1MB"], "caracal": ["no_such=1", "work_mem=65MB"]}}
    refused = target.set_for_roles(server, name, recorded)
    assert [one.split(":")[0] for one in refused] == [
        "work_mem was not set for role no such role",
        "no_such was not set for role caracal",
    ]
    assert "SQLSTATE 42704" in refused[0]
    with Session(server, name) as session:
        assert catalog.settings(session)["role_sets"] == {"caracal": ["work_mem=65MB"]}


@pytest.mark.mutation
def test_a_value_that_the_server_refuses_is_in_no_message(server: Server, name: str) -> None:
    """The server's message repeats the value, which may be confidential."""
    target.create(server, name, SETTINGS)
    wrong = "work_mem=hunter2"
    refused = target.set_for_roles(server, name, {**SETTINGS, "role_sets": {"caracal": [wrong]}})
    with pytest.raises(StageFailed, match="its setting of work_mem") as published:
        target.publish(server, [(name, f"{name}_p", {**SETTINGS, "set": [wrong]})])
    with Session(server, target.MAINTENANCE) as session, pytest.raises(StageFailed, match="role valued or its settings") as made:
        recorded = {"login": False, "createdb": False, "inherit": True, "connection_limit": -1, "valid_until": None, "set": [wrong]}
        roles.create_missing(session, {"roles": {"valued": recorded}, "members": []})
    messages = [*refused, published.value.msg, made.value.msg]
    assert all("SQLSTATE 22023" in one and "hunter2" not in one and "\n" not in one for one in messages)
    assert not any("hunter2" in str(one.value.details) for one in (published, made))


def test_a_database_with_usual_rights_keeps_them(server: Server, name: str) -> None:
    working = target.working_name(name, "x-abcd")
    target.create(server, working, SETTINGS)
    target.publish(server, [(working, name, SETTINGS)])
    with Session(server, name) as session:
        assert catalog.settings(session) == SETTINGS


def prepared(server: Server, name: str, table: str) -> str:
    """Create a complete database that waits for its final name, and return its working name."""
    working = target.working_name(name, "x-abcd")
    target.create(server, working, SETTINGS)
    run(server, f"CREATE TABLE {table} (a int)", database=working)
    return working


def tables(server: Server, name: str) -> list[str]:
    found: list[str] = target.examine(server, name).objects
    return found


def test_publishing_keeps_previous_database_and_ends_its_sessions(server: Server, name: str) -> None:
    run(server, f"CREATE DATABASE {name}")
    run(server, "CREATE TABLE old (a int)", "INSERT INTO old VALUES (1)", database=name)
    working = prepared(server, name, "new")
    with Session(server, name) as inside, Session(server, working) as other:
        (kept,) = target.publish(server, [(working, name, SETTINGS)])
        for session in (inside, other):
            with pytest.raises(Unreachable):
                session.rows("SELECT 1")
    assert kept["database"] == name and re.fullmatch(rf"{name}_replaced_20\d{{12}}", kept["kept_as"])
    assert tables(server, name) == ["relation public.new"]
    assert run(server, "SELECT a FROM old", database=kept["kept_as"]) == [(1,)]
    assert not exists(server, working)


def test_two_databases_that_are_replaced_within_a_second_do_not_meet(server: Server, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run(server, f"CREATE DATABASE {name}", f"CREATE DATABASE {name}_now")
    run(server, "CREATE TABLE old (a int)", database=name)
    names = iter([f"{name}_now", f"{name}_now", f"{name}_later"])
    monkeypatch.setattr(target, "kept_name", lambda _database: next(names))
    (kept,) = target.publish(server, [(prepared(server, name, "new"), name, SETTINGS)])
    assert kept["kept_as"] == f"{name}_later" and tables(server, kept["kept_as"]) == ["relation public.old"]
    assert exists(server, f"{name}_now")


def test_sessions_that_take_their_time_to_end_are_waited_for(server: Server, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After 5 s the server gives up. Here its message is simulated."""
    target.create(server, name, SETTINGS)
    rows, refused = Session.rows, [True]

    def busy(self: Session, sql: str, parameters: t.Sequence[t.Any] = ()) -> list[tuple[t.Any, ...]]:
        if sql.startswith("DROP DATABASE") and refused and refused.pop():
            raise StageFailed(f'database "{name}" is being accessed by other users', sqlstate="55006")
        return rows(self, sql, parameters)

    monkeypatch.setattr(Session, "rows", busy)
    target.drop(server, name)
    assert not refused and not exists(server, name)


def test_publishing_drops_an_empty_database(server: Server, name: str) -> None:
    run(server, f"CREATE DATABASE {name}")
    run(server, "CREATE EXTENSION pgcrypto", database=name)
    assert target.publish(server, [(prepared(server, name, "new"), name, SETTINGS)]) == []
    assert tables(server, name) == ["relation public.new"]
    assert run(server, f"SELECT count(*) FROM pg_database WHERE datname LIKE '{name}%'") == [(1,)]


@pytest.mark.mutation
def test_all_databases_get_their_names_or_none(server: Server, name: str) -> None:
    """The second rename fails, so the first database keeps its working name, and the database that it would replace keeps its own."""
    run(server, f"CREATE DATABASE {name}")
    run(server, "CREATE TABLE old (a int)", database=name)
    working = prepared(server, name, "new")
    with pytest.raises(StageFailed, match=f'database "{name}_gone" does not exist'):
        target.publish(server, [(working, name, SETTINGS), (f"{name}_gone", f"{name}_b", SETTINGS)])
    assert tables(server, name) == ["relation public.old"] and tables(server, working) == ["relation public.new"]
    (kept,) = target.publish(server, [(working, name, SETTINGS)])
    assert tables(server, name) == ["relation public.new"] and tables(server, kept["kept_as"]) == ["relation public.old"]


def test_session_that_reconnects_during_publishing_is_ended_again(server: Server, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run(server, f"CREATE DATABASE {name}")
    run(server, "CREATE TABLE old (a int)", database=name)
    working = prepared(server, name, "new")
    rename, back = target._rename_all, []

    def first_too_late(*given: t.Any) -> None:
        if not back:
            back.append(Session(server, name))
            run(server, f'ALTER DATABASE "{name}" RENAME TO never')
        rename(*given)

    monkeypatch.setattr(target, "_rename_all", first_too_late)
    (kept,) = target.publish(server, [(working, name, SETTINGS)])
    assert back and tables(server, kept["kept_as"]) == ["relation public.old"] and not exists(server, "never")


@pytest.mark.mutation
def test_database_that_stays_in_use_is_reported_and_nothing_changes(server: Server, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prepared transaction locks its database and has no session to end. Here the server's message is simulated."""
    run(server, f"CREATE DATABASE {name}")
    run(server, "CREATE TABLE old (a int)", database=name)
    working = prepared(server, name, "new")

    def held(*_given: t.Any) -> None:
        with Session(server, name):
            run(server, f'ALTER DATABASE "{name}" RENAME TO never')

    monkeypatch.setattr(target, "_rename_all", held)
    monkeypatch.setattr(target, "ATTEMPTS", 1)
    with pytest.raises(Busy, match=f'"{name}" is being accessed by other users .*; stop the services that use {name} at '):
        target.publish(server, [(working, name, SETTINGS)])
    assert tables(server, name) == ["relation public.old"] and tables(server, working) == ["relation public.new"]


def test_a_kept_name_fits_into_an_identifier() -> None:
    assert re.fullmatch(r"caracal_replaced_20\d{12}", target.kept_name("caracal"))
    assert len(target.kept_name("x" * 63).encode()) == 63
    assert len(target.kept_name("é" * 31).encode()) == 63


@pytest.mark.mutation
def test_leftover_of_killed_restore_is_dropped(server: Server, name: str) -> None:
    working = target.working_name(name, "x-abcd")
    target.create(server, working, SETTINGS)
    run(server, "CREATE TABLE half (a int)", database=working)
    with Session(server, working):
        target.create(server, working, SETTINGS)
    assert target.examine(server, working).objects == []
    target.drop(server, working)
    assert not exists(server, working)
    target.drop(server, working)


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "C.utf8"])
def test_a_locale_that_the_server_has_is_taken(server: Server, name: str, locale: str) -> None:
    assert target.create(server, name, {**SETTINGS, "collate": locale, "ctype": locale}) == []
    assert run(server, f"SELECT datcollate FROM pg_database WHERE datname = '{name}'") == [(locale,)]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"collate": "C"}, ("libc", None, "C", "C.UTF-8")),
        ({"ctype": "C"}, ("libc", None, "C.UTF-8", "C")),
        ({"provider": "builtin", "locale": "C.UTF-8", "collate": "C"}, ("builtin", "C.UTF-8", "C", "C.UTF-8")),
    ],
)
def test_how_text_sorts_and_what_a_letter_is_are_recorded_apart(
    server: Server, name: str, change: dict[str, t.Any], found: tuple[t.Any, ...]
) -> None:
    assert target.create(server, name, {**SETTINGS, **change}) == []
    with Session(server, name) as session:
        settings = catalog.settings(session)
    assert tuple(settings[key] for key in ("provider", "locale", "collate", "ctype")) == found


@pytest.mark.mutation
@pytest.mark.parametrize(("provider", "locale"), [("icu", "en-US"), ("builtin", "PG_UNICODE_FAST")])
def test_a_provider_that_the_server_does_not_have_is_replaced_with_a_warning(server: Server, name: str, provider: str, locale: str) -> None:
    """Our server is 17 without ICU."""
    assert target.create(server, name, {**SETTINGS, "provider": provider, "locale": locale, "collate": "C"}) == [
        f"the server does not have locale {locale} of {provider}; database {name} uses C.UTF-8, so text sorts differently"
    ]
    with Session(server, name) as session:
        assert catalog.settings(session) == SETTINGS


@pytest.mark.mutation
def test_a_locale_that_the_server_does_not_have_is_replaced_with_a_warning(server: Server, name: str) -> None:
    assert target.create(server, name, {**SETTINGS, "collate": "xx_YY.UTF-8", "ctype": "xx_YY.UTF-8"}) == [
        f"the server does not have locale xx_YY.UTF-8; database {name} uses C.UTF-8, so text sorts differently"
    ]
    assert run(server, f"SELECT datcollate, pg_encoding_to_char(encoding) FROM pg_database WHERE datname = '{name}'") == [
        ("C.UTF-8", "UTF8")
    ]


@pytest.mark.mutation
def test_missing_owner_is_an_error_and_creates_no_database(server: Server, name: str) -> None:
    with pytest.raises(StageFailed, match=r'role "no"";such" does not exist|role "no";such" does not exist'):
        target.create(server, name, {**SETTINGS, "owner": 'no";such'})
    assert not exists(server, name)


@pytest.mark.mutation
@pytest.mark.parametrize(
    "change",
    [
        {"set": ["work_mem=1MB'; CREATE ROLE evil; --"]},
        {"set": ['x" TO 1; CREATE ROLE evil; --=1']},
        {"encoding": "UTF8'; CREATE ROLE evil; --"},
        {"acl": ["caracal=c/caracal}'); CREATE ROLE evil; --"]},
        {"connection_limit": 3, "acl": ['"x; CREATE ROLE evil"=c/caracal']},
        {"collate": "C'; CREATE ROLE evil; --"},
        {"ctype": "C'; CREATE ROLE evil; --"},
        {"provider": "builtin; CREATE ROLE evil; --", "locale": "C"},
        {"provider": "builtin", "locale": "C'; CREATE ROLE evil; --"},
    ],
)
def test_a_hostile_inventory_makes_no_statement_of_its_own(server: Server, name: str, change: dict[str, t.Any]) -> None:
    recorded = {**SETTINGS, **change}
    try:
        target.create(server, f"{name}_w", recorded)
        target.publish(server, [(f"{name}_w", name, recorded)])
    except StageFailed as error:
        assert "\n" not in error.msg
    assert run(server, "SELECT count(*) FROM pg_roles WHERE rolname LIKE '%evil%'") == [(0,)]


def test_sessions_in_cluster_can_be_ended(fresh_cluster: FreshCluster) -> None:
    info = fresh_cluster()
    server = Server(info.socket_dir, info.port, info.superuser)
    with Session(server, "postgres") as inside:
        target.end_sessions(server)
        with pytest.raises(Unreachable):
            inside.rows("SELECT 1")
    assert target.examine(server, "postgres").exists is True
