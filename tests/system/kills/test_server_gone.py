# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The server is restarted, or ends our sessions, in the middle of a dump or of a restore.

The tests do not depend on chance: the process that reads or writes an artifact is paused until the server has been restarted.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
import threading
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto import sealing
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import dump
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server_binaries import Install
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError, StageFailed, Unreachable
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import lifecycle, marker, preflight
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import Layout, SandboxSpec
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream import pipes
from harness.fixtures import NOW, make_twin, sandbox_path
from harness.small_programs import UNISOLATED
from harness.waiting import PATIENCE, came
from scenes import scene as scenes
from scenes.scene import Scene
from scenes.twin_database import TwinCluster
from twin import load
from twin.spec import Spec

ID = "20260102T030405Z-abcd"
OURS = "application_name LIKE 'caracal_ops.backup%' AND pid <> pg_backend_pid()"
ADMIN = "postgres"


@dataclasses.dataclass(frozen=True)
class Restartable(TwinCluster):
    """A cluster with a server that `pg_ctl` can restart, because it runs without bubblewrap."""

    def restart(self, mode: str) -> None:
        layout = Layout.of(self.info.directory)
        note, data = marker.read(layout), layout.data
        assert note is not None
        running = int(Path(data, "postmaster.pid").read_text().split()[0])
        program = os.path.join(os.path.dirname(os.readlink(f"/proc/{running}/exe")), "pg_ctl")
        who = ["setpriv", f"--reuid={note.server_uid}", f"--regid={note.server_uid}", "--clear-groups"] if note.own_uid else []
        command = [*who, program, "restart", "--wait", "--silent", "--pgdata", data, "--mode", mode, "--log", os.devnull]
        command += ["--timeout", str(int(PATIENCE))]
        with self._socket_to_make(note.server_uid if note.own_uid else os.geteuid()):
            subprocess.run(command, cwd=data, check=True, stdin=subprocess.DEVNULL, timeout=2 * PATIENCE)
        assert int(Path(data, "postmaster.pid").read_text().split()[0]) != running

    @contextlib.contextmanager
    def _socket_to_make(self, uid: int) -> t.Iterator[None]:
        """Let the server create its socket again. A sandbox's server normally creates it once and cannot replace it later."""
        before = os.stat(self.info.socket_dir)
        os.chown(self.info.socket_dir, uid, -1)
        yield
        os.chown(self.info.socket_dir, before.st_uid, before.st_gid)

    def end(self, which: str) -> int:
        """Call `pg_terminate_backend` for our sessions; return their number."""
        return len(self.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OURS} AND {which}", database=ADMIN))

    def sees(self, which: str) -> bool:
        return bool(self.execute(f"SELECT 1 FROM pg_stat_activity WHERE {OURS} AND {which}", database=ADMIN))

    def databases(self) -> set[str]:
        return {name for (name,) in self.execute("SELECT datname FROM pg_database WHERE NOT datistemplate", database=ADMIN)}


@pytest.fixture(scope="module")
def clusters(server_install: Install) -> t.Iterator[tuple[Restartable, Restartable]]:
    """Yield a twin with partitions larger than the buffers between server and client, and an empty cluster. Tests do not change rows."""
    spec, directory = Spec(events=15_000, seed="restarted", now=NOW), sandbox_path()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preflight, "find_bwrap", lambda: None)
        try:
            with make_twin(server_install, spec, **UNISOLATED) as made:
                empty = lifecycle.create(SandboxSpec(directory, server_install, **UNISOLATED)).info
                yield Restartable(made.info, spec), Restartable(empty, spec)
        finally:
            lifecycle.destroy(directory)


@pytest.fixture
def source(clusters: tuple[Restartable, Restartable]) -> Restartable:
    return clusters[0]


@pytest.fixture
def target(clusters: tuple[Restartable, Restartable]) -> t.Iterator[Restartable]:
    made = clusters[1]
    before = made.databases()
    yield made
    for name in made.databases() - before:
        made.execute(f"DROP DATABASE {name} WITH (FORCE)", database=ADMIN)


@pytest.fixture(scope="module")
def backed_up(clusters: tuple[Restartable, Restartable], tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Return a repository with a set. Tests use a copy."""
    made = scenes.make(tmp_path_factory.mktemp("backed-up") / "scene", clusters[0].info.socket_dir)
    made.backup()
    return made


@pytest.fixture
def scene(source: Restartable, tmp_path: Path) -> Scene:
    """Return a repository without a set."""
    made = scenes.make(tmp_path / "scene", source.info.socket_dir)
    made.call("backup_set", state="open", create_repository=True)
    return made


class Meanwhile:
    """A thread that waits until `ready`, runs `act`, and lets the paused process continue."""

    def __init__(self, ready: t.Callable[[], bool], act: t.Callable[[], object], go_on: Path) -> None:
        self._ready, self._act, self._go_on = ready, act, go_on
        self.problem: str | None = "it never came to that"
        self._thread = threading.Thread(target=self._work)

    def _work(self) -> None:
        try:
            if came(self._ready):
                self._act()
                self.problem = None
        except Exception as exc:  # noqa: BLE001 - shown by `over`
            self.problem = repr(exc)
        finally:
            self._go_on.touch()

    def __enter__(self) -> Meanwhile:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._thread.join()
        assert self.problem is None, self.problem


def holding(go_on: Path) -> None:
    """Pause for longer than `Meanwhile` waits, so that its condition stays true."""
    came(go_on.exists, 5 * PATIENCE)


@pytest.fixture(autouse=True)
def no_traceback(capfd: pytest.CaptureFixture[str]) -> t.Iterator[None]:
    """Check that stderr has no traceback. A worker writes unexpected errors there."""
    yield
    assert "Traceback" not in capfd.readouterr().err


def check_error(raised: BaseException, kinds: tuple[type[BackupError], ...], scene: Scene, *words: str) -> None:
    """Check that the error is one line that names the database and the remedy, without a secret."""
    assert isinstance(raised, kinds), repr(raised)
    assert "\n" not in raised.msg and len(raised.msg) < 600 and ";" in raised.msg
    assert not [word for word in ("database ", *words) if word not in raised.msg], raised.msg
    scene.is_clean(raised.msg + str(raised.details))


# ---- dump


@pytest.fixture
def leaves_held(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Pause the reading of partitions until this file exists."""
    go_on, write = tmp_path / "go-on", dump.Lines.write

    def waiting(self: dump.Lines, data: bytes) -> None:
        holding(go_on)
        write(self, data)

    monkeypatch.setattr(dump.Lines, "write", waiting)
    monkeypatch.setattr(pipes, "enlarge", lambda _fd: None)
    return go_on


COPYING = """state = 'active' AND query LIKE 'COPY "public"."audit_events%'"""
HOLDER = "state = 'idle in transaction' AND query NOT LIKE 'COPY %' AND backend_xmin IS NOT NULL"
ACTS: dict[str, t.Callable[[Restartable], object]] = {
    "restart -m fast": lambda source: source.restart("fast"),
    "restart -m immediate": lambda source: source.restart("immediate"),
    "the reading of a leaf is ended": lambda source: source.end(COPYING),
    "all sessions are ended": lambda source: source.end("true"),
}


def after_a_failed_dump(scene: Scene, source: Restartable) -> None:
    """Check that there is no set, no part and no session on the server, and that the next run succeeds."""
    assert scene.sets() == [] and not scene.files("sets/*/parts/*")
    assert came(lambda: not source.sees("true"))
    scene.call("backup_set", state="aborted", set_id=ID)
    assert scene.files("sets/**/*") == scene.files("objects/**/*") == []
    assert scene.backup()["bytes"] > 0
    assert scene.call("backup_set_verify")["verdict"] == "pass"


@pytest.mark.mutation
@pytest.mark.parametrize("act", ACTS)
def test_dump_of_partitions_fails_if_the_server_goes_away(scene: Scene, source: Restartable, leaves_held: Path, act: str) -> None:
    with Meanwhile(lambda: source.sees(COPYING), lambda: ACTS[act](source), leaves_held), pytest.raises(BackupError) as raised:
        scene.call("pg_encrypted_dump", set_id=ID)
    check_error(raised.value, (StageFailed, Unreachable), scene, "caracal", "server")
    after_a_failed_dump(scene, source)


@pytest.mark.mutation
def test_dump_fails_cleanly_without_its_snapshot_session(scene: Scene, source: Restartable, leaves_held: Path) -> None:
    """Workers that already read in the snapshot may continue, but no other worker can join."""
    with Meanwhile(lambda: source.sees(COPYING), lambda: source.end(HOLDER), leaves_held), pytest.raises(BackupError) as raised:
        scene.call("pg_encrypted_dump", set_id=ID)
    check_error(raised.value, (Unreachable,), scene, "database caracal: the connection was lost", "check the server's log and run again")
    after_a_failed_dump(scene, source)


@pytest.mark.mutation
@pytest.mark.parametrize("act", ["fast", "immediate", "ended"])
def test_dump_waiting_for_a_lock_fails_if_server_goes_away(
    scene: Scene, source: Restartable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, act: str
) -> None:
    begun, go_on, archive = tmp_path / "begun", tmp_path / "go-on", dump.archive
    waiting = "wait_event_type = 'Lock' AND query LIKE 'LOCK TABLE%'"

    def held(*arguments: t.Any) -> t.Any:
        begun.touch()
        holding(go_on)
        return archive(*arguments)

    monkeypatch.setattr(dump, "archive", held)

    def interfere() -> None:
        with contextlib.closing(load.open_database(source.target, "caracal")) as holder, holder.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("LOCK TABLE zones IN ACCESS EXCLUSIVE MODE")
            go_on.touch()
            assert came(lambda: source.sees(waiting))
            if act == "ended":
                source.end(waiting)
            else:
                source.restart(act)

    with Meanwhile(begun.exists, interfere, go_on), pytest.raises(BackupError) as raised:
        scene.call("pg_encrypted_dump", set_id=ID, jobs=1)
    check_error(raised.value, (StageFailed, Unreachable), scene, "caracal")
    after_a_failed_dump(scene, source)


@pytest.mark.mutation
def test_the_lock_guard_session_is_restarted(scene: Scene, source: Restartable, leaves_held: Path) -> None:
    """Without the watcher, other sessions would wait for ours to the end."""
    guard = "application_name LIKE '% guard'"
    seconds: list[float] = []

    def wait_for_us() -> None:
        assert source.end(guard) == 1
        with contextlib.closing(load.open_database(source.target, "caracal")) as other, other.cursor() as cursor:
            ((leaf,),) = source.execute(
                f"SELECT substring(query FROM 'audit_events_[a-z0-9]+') FROM pg_stat_activity WHERE {OURS} AND {COPYING} LIMIT 1"
            )
            started = time.monotonic()
            cursor.execute("BEGIN")
            cursor.execute(f"LOCK TABLE {leaf} IN ACCESS EXCLUSIVE MODE")
            seconds.append(time.monotonic() - started)

    with Meanwhile(lambda: source.sees(COPYING) and source.sees(guard), wait_for_us, leaves_held):
        made = scene.call("pg_encrypted_dump", set_id=ID, jobs=1, lock_hold_max=1)
    # The read is paused until the other session has its lock, or for the duration of `holding`.
    assert 0.5 < seconds[0] < PATIENCE and made["databases"][0]["longest_wait"] > 0.5


# ---- restore


READING = "state = 'active' AND query LIKE 'COPY %' AND wait_event = 'ClientRead'"


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> t.Callable[[str], Path]:
    """Send artifacts with these suffixes in small pieces, with pauses, until the returned file exists."""
    go_on, read = tmp_path / "go-on", sealing.Opener.read

    def begin(ending: str) -> Path:
        def reading(self: sealing.Opener, size: int) -> bytes:
            if go_on.exists() or not self._name.endswith(ending):
                return read(self, size)
            time.sleep(0.02)
            return read(self, min(size, 4096))

        monkeypatch.setattr(sealing.Opener, "read", reading)
        return go_on

    return begin


@pytest.mark.mutation
@pytest.mark.parametrize("artifact", ["copy.zst.age", "dump.zst.age"])
@pytest.mark.parametrize("act", ["fast", "immediate", "ended"])
def test_interrupted_restore_fails_cleanly_and_can_be_repeated(
    backed_up: Scene, target: Restartable, slowly: t.Callable[[str], Path], tmp_path: Path, artifact: str, act: str
) -> None:
    scene = backed_up.copy(tmp_path / "scene")
    given: dict[str, t.Any] = {
        "login_unix_socket": target.info.socket_dir,
        "signing_key": str(scene.key("operator")),
        "high_water_mark": str(scene.mark("operator")),
    }
    before, head = target.databases(), scene.call("backup_set_verify")["journal_head"]

    def interfere() -> None:
        if act == "ended":
            assert came(lambda: target.end(READING))
        else:
            target.restart(act)

    with Meanwhile(lambda: target.sees(READING), interfere, slowly(artifact)), pytest.raises(BackupError) as raised:
        scene.call("pg_encrypted_restore", **given)
    check_error(raised.value, (StageFailed, Unreachable), scene, "database caracal_restoring_", "server")
    assert [name for name in target.databases() - before if "_restoring_" not in name] == []
    assert scene.call("backup_set_verify")["journal_head"] == head
    assert scene.call("pg_encrypted_restore", **given)["changed"]
    assert target.databases() - before == {"caracal", "caracal_auth"}
