# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import multiprocessing
import os
import re
import threading
import time
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import snapshot
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server import Server, Session
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.snapshot import Snapshot, _enter
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import Busy, StageFailed
from harness.waiting import PATIENCE, eventually
from scenes.twin_database import Copier, TwinCluster, TwinFactory
from twin import activity

Login = t.Callable[..., Server]

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the patience, so that waiting for something that never ends takes little time."""
    monkeypatch.setattr(snapshot, "PATIENCE", 0.3)


def sessions(cluster: TwinCluster, database: str) -> int:
    query = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND application_name LIKE 'caracal_ops.backup%'"
    return int(cluster.execute(query, database="postgres")[0][0])


def test_snapshot_facts_identify_server_position_and_time(caracal_database: TwinCluster) -> None:
    with Snapshot(caracal_database.server, "caracal") as held:
        assert held.facts["system_identifier"] == caracal_database.info.system_identifier
        assert held.facts["standby"] is False
        assert re.fullmatch(r"[0-9A-F]+/[0-9A-F]+", held.facts["lsn"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", held.facts["time"])
        assert (held.place.server, held.place.database) == (caracal_database.server, "caracal")
    eventually(lambda: sessions(caracal_database, "caracal") == 0)


def test_all_sessions_of_a_snapshot_see_the_same_rows(caracal_database: TwinCluster, caracal_copy: Copier) -> None:
    name = caracal_copy()
    with Snapshot(caracal_database.server, name) as held:
        caracal_database.execute("DELETE FROM caracal_outbox", database=name)
        with held.place.join() as session:
            assert session.value("SELECT count(*) FROM public.caracal_outbox") > 0
            assert session.value("SHOW transaction_isolation") == "repeatable read"
        assert held.session.value("SELECT count(*) FROM public.caracal_outbox") > 0
    with Snapshot(caracal_database.server, name) as held:
        assert held.session.value("SELECT count(*) FROM public.caracal_outbox") == 0


@pytest.mark.mutation
def test_nothing_can_be_written_in_a_snapshot(caracal_database: TwinCluster) -> None:
    with Snapshot(caracal_database.server, "caracal") as held:
        for session in (held.session, held.place.join()):
            with session, pytest.raises(StageFailed, match="read-only transaction"):
                session.rows("DELETE FROM public.caracal_outbox")


@pytest.mark.mutation
@pytest.mark.usefixtures("impatient")
def test_a_second_dump_of_one_database_is_refused(caracal_database: TwinCluster) -> None:
    server = caracal_database.server
    with Snapshot(server, "caracal"):
        pid = caracal_database.execute("SELECT pid FROM pg_stat_activity WHERE application_name LIKE '% alone'", database="postgres")[0][0]
        with pytest.raises(Busy) as caught:
            Snapshot(server, "caracal")
        assert re.fullmatch(
            rf"another backup of database caracal is running on {re.escape(str(server))}: session {pid} of role caracal "
            r"\(caracal_ops\.backup alone\), since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC; "
            rf"wait for it, or end it with pg_terminate_backend\({pid}\)",
            caught.value.msg,
        )
        with Snapshot(server, "caracal_auth") as other:
            assert other.place.database == "caracal_auth"
        eventually(lambda: sessions(caracal_database, "caracal") == 2)
    with Snapshot(server, "caracal") as held:
        assert held.place.database == "caracal"


@pytest.mark.mutation
@pytest.mark.usefixtures("impatient")
def test_lock_ends_when_its_holder_is_killed(caracal_database: TwinCluster) -> None:
    server = caracal_database.server

    def hold() -> None:
        with Snapshot(server, "caracal"):
            time.sleep(600)

    process = FORK.Process(target=hold)
    process.start()
    eventually(lambda: sessions(caracal_database, "caracal") == 2)
    with pytest.raises(Busy):
        Snapshot(server, "caracal")
    os.kill(process.pid or 0, 9)
    process.join()
    eventually(lambda: sessions(caracal_database, "caracal") == 0)
    with Snapshot(server, "caracal") as held:
        assert held.session.value("SELECT 1") == 1


@pytest.mark.mutation
@pytest.mark.usefixtures("impatient")
def test_limits_for_services_end_neither_snapshot_nor_lock(caracal_database: TwinCluster, caracal_copy: Copier) -> None:
    name = caracal_copy()
    limits = ("statement_timeout", "transaction_timeout", "idle_session_timeout", "idle_in_transaction_session_timeout")
    caracal_database.execute(*(f"ALTER DATABASE {name} SET {limit} = '150ms'" for limit in limits))
    with Snapshot(caracal_database.server, name) as held:
        time.sleep(0.5)
        assert held.session.value("SELECT count(*) FROM public.zones") == caracal_database.spec.zones
        with pytest.raises(Busy):
            Snapshot(caracal_database.server, name)


def test_writes_go_on_and_are_not_seen(twin_cluster: TwinFactory) -> None:
    cluster = twin_cluster(events=60)
    counts = "SELECT (SELECT count(*) FROM public.audit_events), (SELECT count(*) FROM public.sessions)"
    stop = threading.Event()
    writer = threading.Thread(target=activity.write_some, args=(cluster.target, cluster.spec, 10_000, stop))
    try:
        writer.start()
        with Session(cluster.server, "caracal") as outside:
            eventually(lambda: outside.rows(counts)[0][0] > 60)
            with Snapshot(cluster.server, "caracal") as held:
                first = held.session.rows(counts)
                eventually(lambda: outside.rows(counts)[0][0] > first[0][0] + 20)
                with held.place.join() as session:
                    assert session.rows(counts) == first == held.session.rows(counts)
    finally:
        stop.set()
        writer.join()


def test_a_dump_waits_for_an_earlier_one_that_ends(caracal_database: TwinCluster) -> None:
    """The server has not noticed yet that the earlier dump was killed."""
    both = "SELECT count(*) = 2 FROM pg_stat_activity WHERE application_name LIKE '% alone'"
    met: list[str] = []

    def come() -> None:
        with Snapshot(caracal_database.server, "caracal") as held:
            met.append(held.place.database)

    second = threading.Thread(target=come)
    with Snapshot(caracal_database.server, "caracal"):
        second.start()
        eventually(lambda: caracal_database.execute(both, database="postgres") == [(True,)])
        assert met == []
    second.join(PATIENCE)
    assert met == ["caracal"]


def test_one_dump_can_follow_the_other_at_once(caracal_database: TwinCluster) -> None:
    for _turn in range(20):
        with Snapshot(caracal_database.server, "caracal") as held:
            assert held.session.value("SELECT 1") == 1


@pytest.mark.mutation
def test_lock_of_terminated_session_is_released_silently(caracal_database: TwinCluster) -> None:
    ours = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name LIKE 'caracal_ops.backup%'"
    with Snapshot(caracal_database.server, "caracal"):
        caracal_database.execute(ours, database="postgres")
    with Snapshot(caracal_database.server, "caracal") as held:
        assert held.session.value("SELECT 1") == 1


@pytest.mark.mutation
def test_a_login_that_may_read_nothing_cannot_keep_a_backup_out(caracal_database: TwinCluster, login: Login) -> None:
    """It can take any lock and use any name, but neither is limited to backups."""
    server = caracal_database.server
    with Session(login().named("caracal_ops.backup alone"), "caracal") as other:
        other.rows("SELECT pg_advisory_lock(4848191003372101)")
        with Snapshot(server, "caracal") as held:
            assert held.session.value("SELECT 1") == 1


@pytest.mark.mutation
@pytest.mark.usefixtures("impatient")
def test_running_backup_of_another_login_is_reported_by_name(caracal_database: TwinCluster, login: Login) -> None:
    """A login without pg_read_all_stats does not see the start time."""
    servers = [login("BYPASSRLS"), login("BYPASSRLS")]
    for one in servers:
        caracal_database.execute(f"GRANT pg_read_all_data TO {one.user}")
    with (
        Session(servers[0].named("caracal_ops.backup x alone"), "caracal"),
        pytest.raises(Busy, match=rf"of role {servers[0].user} \(caracal_ops\.backup x alone\); wait"),
    ):
        Snapshot(servers[1], "caracal")


@pytest.mark.mutation
@pytest.mark.usefixtures("impatient")
def test_one_of_two_simultaneous_backups_continues(caracal_database: TwinCluster) -> None:
    """The later one sees the earlier one, and does not count as a running backup itself."""
    with Snapshot(caracal_database.server, "caracal") as held, Session(caracal_database.server.named("x alone"), "caracal") as later:
        with pytest.raises(Busy, match=r"caracal_ops\.backup alone"):
            _enter(later, caracal_database.server)
        assert held.session.value("SELECT 1") == 1
    server = caracal_database.server
    with Session(server.named("first alone"), "caracal") as first, Session(server.named("x alone"), "caracal"):
        _enter(first, server)
