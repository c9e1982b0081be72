# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import multiprocessing
import threading
import time
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import guard
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.guard import Guard
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server import Server, Session
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError, StageFailed, Unreachable
from harness.waiting import PATIENCE, eventually
from scenes.twin_database import Copier, TwinCluster

LEAF = "audit_events_y2025m07"
DROP = f"DROP TABLE public.{LEAF}"
INSERT = "INSERT INTO public.audit_events (id, zone_id, event_type, occurred_at) VALUES ('now', 'z', 'x', '2026-06-03')"
ALONE = f"TRUNCATE public.{LEAF}"


@pytest.fixture
def name(caracal_copy: Copier) -> str:
    return caracal_copy()


class Others:
    """Statements of other sessions, each in its own thread."""

    def __init__(self, cluster: TwinCluster, database: str) -> None:
        self._cluster = cluster
        self._database = database
        self._threads: list[threading.Thread] = []
        self.done: list[str] = []

    def start(self, statement: str) -> None:
        def work() -> None:
            self._cluster.execute(statement, database=self._database)
            self.done.append(statement)

        self._threads.append(threading.Thread(target=work))
        self._threads[-1].start()
        eventually(lambda: statement in self.done or self._waiting(statement))

    def _waiting(self, statement: str) -> bool:
        query = (
            f"SELECT 1 FROM pg_stat_activity WHERE datname = '{self._database}' AND wait_event_type = 'Lock' AND query = $${statement}$$"
        )
        return bool(self._cluster.execute(query, database="postgres"))

    def finish(self) -> list[str]:
        for thread in self._threads:
            thread.join(PATIENCE)
        return self.done


def reading(server: Server, name: str) -> Session:
    """Yield a session that holds the same lock as a COPY of the partition."""
    session = Session(server, name)
    session.rows("BEGIN")
    session.rows(f"SELECT count(*) FROM public.{LEAF}")
    return session


@pytest.mark.mutation
def test_a_partition_change_that_stalls_others_ends_our_session_at_once(caracal_database: TwinCluster, name: str) -> None:
    with Guard(caracal_database.server, name, 600) as watch, reading(caracal_database.server, name) as session:
        others = Others(caracal_database, name)
        others.start(DROP)
        others.start(INSERT)
        # The guard would wait 600 s here.
        assert others.finish() in ([DROP, INSERT], [INSERT, DROP])
        assert watch.ended == 1
        with pytest.raises(Unreachable):
            session.rows("SELECT 1")


@pytest.mark.no_false_alarm
def test_guard_ends_nothing_while_only_one_session_waits(caracal_database: TwinCluster, name: str) -> None:
    with Guard(caracal_database.server, name, 600) as watch:
        with reading(caracal_database.server, name) as session:
            others = Others(caracal_database, name)
            others.start(ALONE)
            eventually(lambda: watch.longest_wait > 0.8)
            assert (watch.ended, others.done) == (0, [])
            assert session.value("SELECT 1") == 1
        assert others.finish() == [ALONE]


@pytest.mark.mutation
def test_patience_has_an_end(caracal_database: TwinCluster, name: str) -> None:
    with Guard(caracal_database.server, name, 0.5) as watch, reading(caracal_database.server, name):
        others = Others(caracal_database, name)
        others.start(ALONE)
        assert others.finish() == [ALONE]
        assert watch.ended == 1
        assert watch.longest_wait > 0.5


@pytest.mark.no_false_alarm
def test_guard_ends_nothing_if_no_session_waits(caracal_database: TwinCluster, name: str) -> None:
    with Guard(caracal_database.server, name, 0) as watch, reading(caracal_database.server, name) as session:
        caracal_database.execute(INSERT, "SELECT public.audit_partition_ensure('2027-01-01')", database=name)
        time.sleep(3 * guard.INTERVAL)
        assert session.value("SELECT 1") == 1
    assert (watch.ended, watch.longest_wait) == (0, 0.0)


@pytest.mark.no_false_alarm
def test_another_application_is_left_alone(caracal_database: TwinCluster, name: str) -> None:
    with (
        Guard(caracal_database.server, name, 0) as watch,
        reading(caracal_database.server.named("a service"), name) as session,
    ):
        others = Others(caracal_database, name)
        others.start(ALONE)
        time.sleep(3 * guard.INTERVAL)
        assert session.value("SELECT 1") == 1
        session.rows("ROLLBACK")
        assert others.finish() == [ALONE]
    assert watch.ended == 0


def test_work_ended_by_guard_is_repeated(caracal_database: TwinCluster, name: str) -> None:
    others = Others(caracal_database, name)
    calls: list[int] = []

    def work(number: int) -> int:
        calls.append(number)
        with reading(caracal_database.server, name) as session:
            if len(calls) == 1:
                others.start(ALONE)
                others.finish()
            return int(session.value("SELECT 7"))

    with Guard(caracal_database.server, name, 0) as watch:
        assert watch.patiently(work, 3) == 7
    assert (calls, watch.ended) == ([3, 3], 1)


@pytest.mark.mutation
def test_work_that_fails_by_itself_is_not_repeated(caracal_database: TwinCluster, name: str) -> None:
    calls: list[int] = []

    def work() -> t.NoReturn:
        calls.append(1)
        raise StageFailed("broken")

    with Guard(caracal_database.server, name, 0) as watch, pytest.raises(StageFailed, match="broken"):
        watch.patiently(work)
    assert calls == [1]


@pytest.mark.mutation
def test_after_some_attempts_it_gives_up(caracal_database: TwinCluster, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "INTERVAL", 0.0)
    watch = Guard(caracal_database.server, name, 0)
    calls: list[int] = []

    def work() -> t.NoReturn:
        calls.append(1)
        watch._ended.value += 1
        raise Unreachable("the connection was lost")

    with pytest.raises(BackupError, match="the connection was lost"):
        watch.patiently(work)
    assert len(calls) == guard.ATTEMPTS


def test_the_guard_ends_with_its_block_and_waits_for_a_server_that_is_gone(caracal_database: TwinCluster, name: str) -> None:
    with Guard(caracal_database.server, name, 0):
        assert len(multiprocessing.active_children()) == 1
    assert multiprocessing.active_children() == []
    with Guard(Server("/nowhere"), name, 0) as watch:
        assert len(multiprocessing.active_children()) == 1
    assert watch.ended == 0 and multiprocessing.active_children() == []
