# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Creating a twin with the command, writing to it while it runs, and a load that fails midway."""

from __future__ import annotations

import contextlib
import pathlib
import threading
import typing as t

import pytest

from twin import __main__ as cli
from twin import activity, invariants, keys, load, recompute
from twin.spec import Spec


@pytest.fixture(scope="module")
def empty(request: pytest.FixtureRequest) -> t.Iterator[dict[str, t.Any]]:
    """Yield a cluster for this module, without a twin."""
    with request.getfixturevalue("new_server")() as target:
        yield target


@pytest.fixture
def cleared(empty: dict[str, t.Any]) -> dict[str, t.Any]:
    """Yield that cluster without the twin of the previous test. Roles stay, as in a real cluster."""
    with contextlib.closing(load.open_database(empty, "postgres")) as connection, connection.cursor() as cursor:
        for name in ("caracal", "caracal_auth"):
            cursor.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    return empty


def _databases(target: dict[str, t.Any]) -> set[str]:
    with contextlib.closing(load.open_database(target, "postgres")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database")
        return {name for (name,) in cursor.fetchall()}


def test_the_command_creates_a_twin(cleared: dict[str, t.Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["create", "--host", cleared["host"], "--events", "50", "--zones", "2", "--months", "2"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("twin: 50 tables, 2 zones, 50 audit events, ")
    assert {"caracal", "caracal_auth"} <= _databases(cleared)


def test_the_command_creates_another_release(cleared: dict[str, t.Any], tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--events", "50", "--months", "2", "--release", "2026-06-04", "--secrets", str(tmp_path)]
    assert cli.main(["create", "--host", cleared["host"], *options]) == 0
    assert capsys.readouterr().out.startswith("twin: 30 tables, 3 zones, 50 audit events, ")
    assert _databases(cleared) == {"caracal", "postgres", "template0", "template1"}
    assert (tmp_path / "zoneKek").read_text() == keys.for_seed("1").zone_kek.hex()


@pytest.mark.mutation
def test_failed_load_leaves_no_database(cleared: dict[str, t.Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: t.Any) -> t.Iterator[str]:
        yield "SELECT 1 / 0"

    monkeypatch.setattr(load.schema, "after_data", broken)
    with pytest.raises(Exception, match="division by zero"):
        load.create(cleared, Spec(events=10))
    assert _databases(cleared) == {"postgres", "template0", "template1"}


def test_live_writes_keep_every_invariant(cleared: dict[str, t.Any]) -> None:
    spec = Spec(events=300, seed="live")
    load.create(cleared, spec)
    assert activity.write_some(cleared, spec, 40, threading.Event()) == 40
    assert activity.write_some(cleared, spec, 20, threading.Event()) == 20
    with contextlib.closing(load.open_database(cleared, "caracal")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM audit_events")
        assert cursor.fetchone() == (360,)
        cursor.execute("SELECT count(*) FROM sessions WHERE 'live' = ANY (labels)")
        assert cursor.fetchone() == (14 + 7,)
        assert invariants.violations(connection) == {}
        assert invariants.orphans(connection) == {}
        assert recompute.faults(connection, keys.for_seed("live"))[1] == []


def test_live_writes_stop_on_request(cleared: dict[str, t.Any]) -> None:
    spec = Spec(events=30, seed="stop")
    load.create(cleared, spec)
    stop = threading.Event()
    stop.set()
    assert activity.write_some(cleared, spec, 1000, stop) == 0
