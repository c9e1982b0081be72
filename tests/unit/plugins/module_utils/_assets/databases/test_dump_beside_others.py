# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A dump during partition changes and audit writes of others: it gives way, and reports it."""

from __future__ import annotations

import contextlib
import re
import threading
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.source import source_checks
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import dump
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import StageFailed
from harness.fixtures import FreshCluster
from harness.waiting import PATIENCE, came, eventually
from scenes import scene as scenes
from scenes.twin_database import TwinCluster, TwinFactory
from twin import load

COPYING = (
    "SELECT query FROM pg_stat_activity WHERE application_name LIKE 'caracal_ops.backup 2%' AND state = 'active' AND query LIKE 'COPY %'"
)
DROPPING = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'SELECT audit_partition_drop%'"
LEAF = re.compile(r"audit_events_y\d{4}m\d\d")
INSERT = """INSERT INTO audit_events (id, zone_id, event_type, occurred_at, chain_seq)
            SELECT 'late-' || clock_timestamp(), min(id), 'token_exchange', %s, 999999999 FROM zones"""


class Others:
    """Work that starts while a partition is copied.

    Retention drops that partition, and the audit service writes an event and creates a month.
    """

    def __init__(self, source: TwinCluster, go_on: Path) -> None:
        self._source = source
        self._go_on = go_on
        self.leaf = ""
        self.seconds: dict[str, float] = {}
        self.thread = threading.Thread(target=self._work)

    def _work(self) -> None:
        try:
            self.leaf = self._copied_leaf()
            drop = threading.Thread(target=self._timed, args=("drop", f"SELECT audit_partition_drop('{self.leaf}')"))
            drop.start()
            eventually(lambda: self._source.execute(DROPPING) or not drop.is_alive())  # so that the event waits behind the drop
            self._timed("insert", INSERT, self._source.spec.now)
            drop.join()
            self._timed("ensure", "SELECT audit_partition_ensure('2031-01-01')")
        finally:
            self._go_on.touch()

    def _copied_leaf(self) -> str:
        found = eventually(lambda: [one for (query,) in self._source.execute(COPYING) for one in LEAF.findall(query)])
        return str(found[0])

    def _timed(self, what: str, statement: str, *values: t.Any) -> None:
        with contextlib.closing(load.open_database(self._source.target, "caracal")) as connection, connection.cursor() as cursor:
            started = time.monotonic()
            cursor.execute(statement, values or None)
            connection.commit()
            self.seconds[what] = time.monotonic() - started


@pytest.fixture
def held_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return a file. Copies of partitions pause, with their locks, until it exists."""
    go_on = tmp_path / "go-on"
    write = dump.Lines.write

    def waiting(self: dump.Lines, data: bytes) -> None:
        came(go_on.exists, 5 * PATIENCE)
        write(self, data)

    monkeypatch.setattr(dump.Lines, "write", waiting)
    return go_on


@pytest.mark.mutation
def test_partition_change_during_dump_stalls_no_event(
    twin_cluster: TwinFactory, fresh_cluster: FreshCluster, tmp_path: Path, held_up: Path
) -> None:
    source = twin_cluster(events=60_000)
    scene = scenes.make(tmp_path / "scene", source.info.socket_dir)
    others = Others(source, held_up)
    others.thread.start()
    dumped = scene.backup()
    others.thread.join()

    # The copy pauses until all of them are done. Work that had to wait for the copy would take much longer.
    assert max(others.seconds.values()) < PATIENCE, others.seconds
    assert 0 < dumped["databases"][0]["longest_wait"] < PATIENCE
    dropped = [check for check in dumped["checks"] if check["id"] == "leaves.dropped"]
    assert [check["verdict"] for check in dropped] == ["warn"] and others.leaf in dropped[0]["message"]
    assert {check["verdict"] for check in dumped["checks"] if check["id"] in source_checks.IDS} == {"pass"}

    copy = fresh_cluster()
    scene.call("pg_encrypted_restore", sandbox=copy.directory)
    assert scene.call("state_verify", sandbox=copy.directory)["verdict"] == "pass"


@pytest.mark.mutation
def test_dump_exceeding_max_duration_fails(twin_cluster: TwinFactory, tmp_path: Path, held_up: Path) -> None:
    source = twin_cluster(events=300)
    scene = scenes.make(tmp_path / "scene", source.info.socket_dir)
    set_id = scene.call("backup_set", state="open", create_repository=True)["set_id"]
    with pytest.raises(StageFailed, match="did not end within max_duration"):
        scene.call("pg_encrypted_dump", set_id=set_id, max_duration=3)
    held_up.touch()
    ours = "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'caracal_ops.backup 2%' AND query LIKE 'COPY %'"
    eventually(lambda: not source.execute(ours))  # the server notices the death of a client with a delay
    scene.call("backup_set", state="aborted", set_id=set_id)
    assert scene.backup()["bytes"] > 0
