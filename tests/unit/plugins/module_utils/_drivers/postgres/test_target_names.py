# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names that a restore derives, and that a restore drops only databases that it created."""

from __future__ import annotations

import typing as t
import uuid

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import target
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server import Server, Session
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.tables import quote
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import Busy, TargetRefused
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import SandboxInfo
from unit.plugins.module_utils._drivers.postgres.test_target import SETTINGS, exists, run

SET = "20260617T123000Z-abcd"


@pytest.fixture
def server(postgres_server: SandboxInfo) -> Server:
    return Server(postgres_server.socket_dir, postgres_server.port, postgres_server.superuser)


@pytest.fixture
def start(server: Server) -> t.Iterator[str]:
    """Yield the prefix of the test's database names."""
    found = f"t{uuid.uuid4().hex[:7]}"
    yield found
    for (left,) in run(server, f"SELECT datname FROM pg_database WHERE datname LIKE '{found}%'"):
        run(server, f"DROP DATABASE {quote(left)} WITH (FORCE)")


LONG = {
    **{f"{size} bytes": lambda start, size=size: start.ljust(size, "x") for size in (48, 49, 60, 61, 62, 63)},
    "two bytes each": lambda start: start + "ä" * 27 + "x",
    "three bytes each": lambda start: start + "€" * 18 + "x",
    "four bytes each": lambda start: start + "𝄞" * 13 + "xxx",
}


@pytest.mark.mutation
@pytest.mark.parametrize("shape", LONG)
def test_a_live_database_with_a_long_name_outlives_its_restore(server: Server, start: str, shape: str) -> None:
    live = LONG[shape](start)
    assert len(live.encode()) in (48, 49, 60, 61, 62, 63)
    run(server, f"CREATE DATABASE {quote(live)}")
    run(server, "CREATE TABLE precious (a int)", database=live)
    working = target.working_name(live, SET)
    assert len(working.encode()) <= 63 and working != live
    target.create(server, working, SETTINGS)
    assert target.examine(server, live).objects == ["relation public.precious"]
    run(server, "CREATE TABLE restored (a int)", database=working)
    (kept,) = target.publish(server, [(working, live, SETTINGS)])
    assert len(kept["kept_as"].encode()) <= 63
    assert target.examine(server, kept["kept_as"]).objects == ["relation public.precious"]
    assert target.examine(server, live).objects == ["relation public.restored"]
    assert not exists(server, working)


@pytest.mark.mutation
def test_long_names_that_begin_alike_stay_apart(server: Server, start: str) -> None:
    names = [start.ljust(62, "x") + last for last in "ab"]
    for derive in (lambda name: target.working_name(name, SET), target.kept_name):
        assert len({derive(name) for name in names}) == 2
    for name in names:
        run(server, f"CREATE DATABASE {name}")
        run(server, f"CREATE TABLE of_{name[-1]} (a int)", database=name)
    made = [(target.working_name(name, SET), name, SETTINGS) for name in names]
    for working, _name, settings in made:
        target.create(server, working, settings)
    kept = target.publish(server, made)
    assert [target.examine(server, one["kept_as"]).objects for one in kept] == [["relation public.of_a"], ["relation public.of_b"]]


@pytest.mark.no_false_alarm
def test_short_names_stay_readable() -> None:
    assert target.working_name("caracal", SET) == "caracal_restoring_abcd"
    assert target.kept_name("caracal").startswith("caracal_replaced_20")


@pytest.mark.mutation
def test_a_database_that_happens_to_bear_the_working_name_is_never_dropped(server: Server, start: str) -> None:
    working = target.working_name(start, SET)
    run(server, f"CREATE DATABASE {working}")
    run(server, "CREATE TABLE precious (a int)", database=working)
    with pytest.raises(TargetRefused, match=rf"^database {working} .*was not created by a restore.*drop or rename it"):
        target.create(server, working, SETTINGS)
    target.drop(server, working)
    assert target.examine(server, working).objects == ["relation public.precious"]


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("left", ["full", "empty and not marked"])
def test_leftover_of_killed_restore_is_replaced_by_new_database(server: Server, start: str, left: str) -> None:
    working = target.working_name(start, SET)
    if left == "full":
        target.create(server, working, SETTINGS)
        run(server, "CREATE TABLE half (a int)", database=working)
    else:
        run(server, f"CREATE DATABASE {working}")
    target.create(server, working, SETTINGS)
    assert target.examine(server, working).objects == []
    target.drop(server, working)
    assert not exists(server, working)


@pytest.mark.mutation
def test_empty_database_in_use_with_working_name_is_not_dropped(server: Server, start: str) -> None:
    working = target.working_name(start, SET)
    run(server, f"CREATE DATABASE {working}")
    with Session(server, working) as other:
        with pytest.raises(Busy, match="is in use"):
            target.create(server, working, SETTINGS)
        assert other.value("SELECT 1") == 1


@pytest.mark.mutation
def test_published_database_is_not_dropped_as_leftover(server: Server, start: str) -> None:
    working = target.working_name(start, SET)
    target.create(server, working, SETTINGS)
    target.publish(server, [(working, start, SETTINGS)])
    target.drop(server, start)
    assert exists(server, start)


@pytest.mark.mutation
def test_a_database_that_holds_only_large_objects_is_not_empty(server: Server, start: str) -> None:
    run(server, f"CREATE DATABASE {start}")
    run(server, "SELECT lo_from_bytea(77, 'precious')", database=start)
    assert target.examine(server, start).objects == ["large object 77"]
    working = target.working_name(start, SET)
    target.create(server, working, SETTINGS)
    (kept,) = target.publish(server, [(working, start, SETTINGS)])
    assert run(server, "SELECT lo_get(77)::text", database=kept["kept_as"]) == [("\\x" + b"precious".hex(),)]
