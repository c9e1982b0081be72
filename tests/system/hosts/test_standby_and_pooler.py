# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Standbys and poolers as the source: a hot standby that lags, one that cancels queries for replay, and a pooler in front."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import struct
import threading
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import dump
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server_binaries import Install
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import OptionError, StageFailed
from harness.fixtures import sandbox_path
from harness.waiting import PATIENCE, eventually
from scenes import own_server
from scenes import scene as scenes
from scenes.own_server import Cluster
from scenes.twin_database import TwinCluster
from twin import load
from twin.spec import Spec

# A standby on which no query may delay replay.
IMPATIENT = {"wal_level": "replica", "max_standby_streaming_delay": "0", "wal_receiver_status_interval": "1s"}


@pytest.fixture
def pair(server_install: Install) -> t.Iterator[tuple[Cluster, Cluster]]:
    """Yield a primary with the twin, and its streaming standby, on which no query may delay replay."""
    with own_server.folder(server_install) as (folder, install):
        primary, standby = Cluster(folder, install, 5432), Cluster(folder, install, 5433)
        try:
            primary.create()
            primary.start(**IMPATIENT)
            load.create(primary.target, Spec(events=20_000))
            primary.run(
                "pg_basebackup", "-h", str(folder), "-p", "5432", "-U", "caracal", "-D", str(standby.data), "-R", "-c", "fast", "--no-sync"
            )
            standby.start(**IMPATIENT)
            yield primary, standby
        finally:
            standby.stop()
            primary.stop()


def _caught_up(primary: Cluster, standby: Cluster) -> None:
    # Commits of the twin are asynchronous, so some inserted rows may not be written yet.
    (where,) = primary.execute("SELECT pg_current_wal_insert_lsn()::text")[0]
    eventually(lambda: standby.execute(f"SELECT pg_last_wal_replay_lsn() >= '{where}'")[0][0])


def _scene(folder: Path, standby: Cluster) -> scenes.Scene:
    return scenes.make(folder, str(standby.folder))


def test_a_hot_standby_is_backed_up_with_its_lag(pair: tuple[Cluster, Cluster], tmp_path: Path) -> None:
    primary, standby = pair
    primary.execute("CREATE UNLOGGED TABLE hasty (id serial)")
    primary.execute("INSERT INTO hasty DEFAULT VALUES")
    _caught_up(primary, standby)
    scene = _scene(tmp_path / "scene", standby)
    set_id = scene.call("backup_set", state="open", create_repository=True)["set_id"]
    standby.execute("SELECT pg_wal_replay_pause()")
    primary.execute("UPDATE zones SET name = name || ' late'")
    time.sleep(1.5)
    dumped = scene.call("pg_encrypted_dump", set_id=set_id, login_port=standby.port)
    own = dumped["databases"][0]
    assert own["standby"] is True and 1.0 < own["replay_lag"] < 10 * PATIENCE
    scene.call("backup_set", state="committed", set_id=set_id)
    assert scene.call("backup_set_verify", set_id=set_id)["verdict"] == "pass"
    # A standby has no content of unlogged objects, and the set records that.
    assert dumped["left_out"].keys() == {f"{one} of database caracal" for one in ("table public.hasty", "sequence public.hasty_id_seq")}
    assert scene.inventory()["databases"][0]["tables"]["public.hasty"]["rows"] == 0


@pytest.mark.mutation
def test_a_conflict_with_recovery_is_explained(pair: tuple[Cluster, Cluster], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    primary, standby = pair
    _caught_up(primary, standby)
    scene = _scene(tmp_path / "scene", standby)
    set_id = scene.call("backup_set", state="open", create_repository=True)["set_id"]
    meet = tmp_path / "conflict"
    copy_leaf = dump.copy_leaf

    def meeting(place: t.Any, psql: str, leaf: t.Any, sink: t.Any) -> None:
        if not meet.exists():
            meet.touch()
            # The primary removes rows that our snapshot sees, and replay does not wait for our query.
            primary.execute(f"DELETE FROM {leaf.name}", f"VACUUM {leaf.name}")
            _caught_up(primary, standby)
        copy_leaf(place, psql, leaf, sink)

    monkeypatch.setattr(dump, "copy_leaf", meeting)
    with pytest.raises(StageFailed, match=r"conflict with recovery.*hot_standby_feedback"):
        scene.call("pg_encrypted_dump", set_id=set_id, login_port=standby.port)
    assert scene.call("backup_set", state="aborted", set_id=set_id)["changed"]


class Pooler:
    """A proxy between client and server, like PgBouncer: the process ID that the client gets is the pooler's own."""

    def __init__(self, path: Path, server: str) -> None:
        self._server = server
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path / ".s.PGSQL.6432"))
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            client, _address = self._listener.accept()
            upstream = socket.socket(socket.AF_UNIX)
            upstream.connect(self._server)
            threading.Thread(target=self._pass, args=(client, upstream, False), daemon=True).start()
            threading.Thread(target=self._pass, args=(upstream, client, True), daemon=True).start()

    @staticmethod
    def _pass(source: socket.socket, sink: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError), source, sink:
            while data := source.recv(1 << 16):
                at = data.find(b"K" + struct.pack("!I", 12)) if answers else -1
                if at >= 0:
                    data = data[: at + 5] + struct.pack("!I", 4711) + data[at + 9 :]
                sink.sendall(data)


@pytest.mark.mutation
def test_a_pooler_is_refused_by_name(caracal_database: TwinCluster, tmp_path: Path) -> None:
    scene = scenes.make(tmp_path / "scene", caracal_database.info.socket_dir)
    set_id = scene.call("backup_set", state="open", create_repository=True)["set_id"]
    folder = Path(sandbox_path())
    folder.mkdir()
    try:
        Pooler(folder, os.path.join(caracal_database.info.socket_dir, ".s.PGSQL.5432"))
        for check_mode in (True, False):
            with pytest.raises(OptionError, match="PgBouncer"):
                scene.call("pg_encrypted_dump", check_mode=check_mode, set_id=set_id, login_unix_socket=str(folder), login_port=6432)
    finally:
        shutil.rmtree(folder)
