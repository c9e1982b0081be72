# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import concurrent.futures
import dataclasses
import fcntl
import multiprocessing
import os
import pathlib
import pty
import pwd
import resource
import shutil
import signal
import typing as t

import psycopg2
import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server_binaries import Install
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import Busy, ObjectMissing, OptionError, StageFailed, Unreachable
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import cluster, lifecycle, marker, preflight, processes, removal
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import Layout, SandboxInfo, SandboxSpec
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.isolation import BUBBLEWRAP, NONE
from harness.small_programs import UNISOLATED, load_codecs
from harness.waiting import eventually

FORK = multiprocessing.get_context("fork")


@pytest.fixture(params=["auto", "bare"])
def spec(request: pytest.FixtureRequest, server_install: Install, sandbox_directory: str, monkeypatch: pytest.MonkeyPatch) -> SandboxSpec:
    """Return a request that the host allows, and one on a host without bubblewrap."""
    if request.param == "bare":
        monkeypatch.setattr(preflight, "find_bwrap", lambda: None)
    return SandboxSpec(sandbox_directory, server_install, **UNISOLATED)


def connect(info: SandboxInfo, **options: t.Any) -> t.Any:
    connection = psycopg2.connect(host=info.socket_dir, port=info.port, **{"user": info.superuser, "dbname": "postgres", **options})
    connection.autocommit = True
    return connection


def ask(info: SandboxInfo, query: str) -> t.Any:
    connection = connect(info)
    with connection, connection.cursor() as cursor:
        cursor.execute(query)
        answer = cursor.fetchone()[0] if cursor.description else None
    connection.close()
    return answer


def segment(info: SandboxInfo) -> list[str]:
    """Return [key, ID] of the server's System V segment from its `postmaster.pid`."""
    return pathlib.Path(info.data_directory, "postmaster.pid").read_text().splitlines()[6].split()


def segments() -> list[list[str]]:
    """Return [key, ID] of all System V segments on this host. The segments of an isolated server are not visible."""
    return [line.split()[:2] for line in pathlib.Path("/proc/sysvipc/shm").read_text().splitlines()[1:]]


def leftovers(directory: str) -> list[str]:
    """Return the files and processes that still have the path."""
    alive = [" ".join(process.argv) for process in processes.everyone() if directory in " ".join(process.argv)]
    return alive + [directory] * os.path.lexists(directory)


def test_a_sandbox_from_birth_to_destruction(spec: SandboxSpec) -> None:
    made = lifecycle.create(spec)
    info = made.info
    memory = segment(info)
    assert made.changed and info == lifecycle.attach(spec.directory)
    assert ask(info, "SELECT current_setting('server_version')").startswith(info.server_version)
    assert ask(info, "SELECT system_identifier::text FROM pg_control_system()") == info.system_identifier
    settings = ("listen_addresses", "TimeZone", "fsync", "wal_level", "dynamic_shared_memory_type", "server_encoding")
    listens = "" if info.isolation == NONE else "127.0.0.1"
    assert [ask(info, f"SHOW {name}") for name in settings] == [listens, "UTC", "off", "minimal", "mmap", "UTF8"]
    assert pathlib.Path(f"/proc/{info.pid}/oom_score_adj").read_text().strip() == "800"
    assert os.stat(info.directory).st_mode & 0o007 == 0
    assert os.stat(info.socket_dir).st_mode & 0o027 == 0
    ask(info, "CREATE EXTENSION pgcrypto")
    again = lifecycle.create(spec)
    assert not again.changed and again.info == info
    assert not lifecycle.predict(spec).changed
    assert lifecycle.destroy(spec.directory) and not lifecycle.destroy(spec.directory)
    assert leftovers(spec.directory) == [] and memory not in segments()


def test_the_server_is_never_ours_when_we_are_root(spec: SandboxSpec) -> None:
    info = lifecycle.create(spec).info
    server = processes.look(info.pid)
    assert server is not None
    if os.geteuid() == 0:
        assert server.uid != 0
        with pytest.raises(KeyError):
            pwd.getpwuid(server.uid)
    else:
        assert server.uid == os.geteuid()
    assert os.stat(info.data_directory).st_uid == server.uid
    assert os.stat(info.directory).st_uid == os.geteuid()
    status = pathlib.Path(f"/proc/{info.pid}/status").read_text().splitlines()
    rights = {line.split()[0]: int(line.split()[1], 16) for line in status if line.startswith("Cap")}
    assert rights["CapEff:"] == rights["CapPrm:"] == rights["CapAmb:"] == 0


def test_host_is_hidden_from_hostile_superuser_or_missing_isolation_is_reported(spec: SandboxSpec, tmp_path: pathlib.Path) -> None:
    secret = tmp_path / "identity"
    secret.write_text("AGE-SECRET-KEY")
    info = lifecycle.create(spec).info
    probe = f"(cat {secret}; ls -d /root /home {info.directory}/.caracal*; ls /sys/class/net; ls /proc | grep -c [0-9])"
    ask(info, f"COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; {probe} > {info.data_directory}/probe 2>/dev/null || true'")
    seen = pathlib.Path(info.data_directory, "probe").read_text().split()
    if info.isolation == BUBBLEWRAP:
        assert len(seen) == 1 and int(seen[0]) < 20, "more is visible than the server's own processes"
        assert info.isolation_reason == ""
    else:
        assert info.isolation == NONE and int(seen[-1]) >= 1
        assert info.isolation_reason and any(info.isolation_reason in warning for warning in info.warnings)


def test_only_the_superuser_needs_no_password(spec: SandboxSpec) -> None:
    info = lifecycle.create(spec).info
    ask(info, "CREATE ROLE service LOGIN PASSWORD 'right'")
    connect(info, user="service", password="right").close()
    for password in ("wrong", ""):
        with pytest.raises(psycopg2.OperationalError):
            connect(info, user="service", password=password, passfile="/dev/null")


def test_the_superuser_bears_any_ordinary_name(spec: SandboxSpec) -> None:
    wanted = dataclasses.replace(spec, superuser="Owner of all")
    info = lifecycle.create(wanted).info
    assert ask(info, "SELECT rolname FROM pg_roles WHERE oid = 10") == "Owner of all"
    with pytest.raises(OptionError, match="Owner of all"):
        lifecycle.create(spec)


@pytest.mark.mutation
def test_destroy_after_killed_server_leaves_nothing(spec: SandboxSpec) -> None:
    info = lifecycle.create(spec).info
    memory = segment(info)
    busy = connect(info)
    os.kill(info.pid, signal.SIGKILL)
    eventually(lambda: processes.look(info.pid) is None)
    assert (memory in segments()) == (info.isolation == NONE), "the control: without us, this would stay"
    with pytest.raises(Unreachable, match="is not running"):
        lifecycle.attach(spec.directory)
    assert lifecycle.destroy(spec.directory)
    busy.close()
    assert leftovers(spec.directory) == [] and memory not in segments()
    assert not lifecycle.destroy(spec.directory)


@pytest.mark.mutation
def test_dead_sandbox_is_created_again(spec: SandboxSpec) -> None:
    first = lifecycle.create(spec).info
    os.kill(first.pid, signal.SIGKILL)
    eventually(lambda: processes.look(first.pid) is None)
    assert lifecycle.predict(spec).changed
    second = lifecycle.create(spec)
    assert second.changed and second.info.system_identifier != first.system_identifier
    assert any("created again" in warning for warning in second.info.warnings)
    assert ask(second.info, "SELECT 1") == 1


@pytest.mark.mutation
@pytest.mark.parametrize("sight", ["data/PG_VERSION", "data/base/1", "data/log/postgresql.log"])
def test_destroy_after_killed_creator_leaves_nothing(spec: SandboxSpec, sight: str) -> None:
    maker = FORK.Process(target=lifecycle.create, args=(spec,))
    maker.start()
    eventually(pathlib.Path(spec.directory, sight).exists)
    os.kill(maker.pid or 0, signal.SIGKILL)
    maker.join()
    assert leftovers(spec.directory), "the control: something was begun"
    assert lifecycle.destroy(spec.directory)
    assert leftovers(spec.directory) == []


def test_a_persons_shell_in_the_data_directory_survives(spec: SandboxSpec) -> None:
    info = lifecycle.create(spec).info
    person, terminal = pty.fork()
    if person == 0:
        os.chdir(info.data_directory)
        os.execvp("sleep", ["sleep", "60"])
    eventually(lambda: (found := processes.look(person)) is not None and found.program == "sleep")
    assert lifecycle.destroy(spec.directory)
    survived = processes.look(person) is not None
    os.kill(person, signal.SIGKILL)
    os.waitpid(person, 0)
    os.close(terminal)
    assert survived


@pytest.mark.mutation
def test_a_server_that_no_marker_describes_is_ended_too(spec: SandboxSpec) -> None:
    info = lifecycle.create(spec).info
    layout = Layout.of(spec.directory)
    note = marker.read(layout)
    assert note is not None and processes.look(info.pid) is not None
    marker.write(layout, dataclasses.replace(note, info=None, start_time=0))
    assert lifecycle.destroy(spec.directory)
    assert processes.look(info.pid) is None and leftovers(spec.directory) == []


def test_after_another_boot_neither_pid_nor_uid_mean_anything(spec: SandboxSpec) -> None:
    lifecycle.create(spec)
    note = marker.read(Layout.of(spec.directory))
    assert note is not None and marker.running(note)
    later = dataclasses.replace(note, boot_id="another boot")
    assert not marker.running(later) and later.exclusive_uid is None
    assert not marker.running(dataclasses.replace(note, start_time=note.start_time + 1))


def test_two_runs_do_not_meet_in_one_directory(spec: SandboxSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "PATIENCE", 0.2)
    os.mkdir(spec.directory, mode=0o700)
    other = os.open(spec.directory, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    with pytest.raises(Busy, match="another run"):
        lifecycle.create(spec)
    os.close(other)
    assert lifecycle.create(spec).changed


@pytest.mark.parametrize("act", [lifecycle.create, lambda spec: lifecycle.destroy(spec.directory)], ids=["create", "destroy"])
@pytest.mark.parametrize("removed", [False, True])
def test_a_run_waits_for_the_one_before_it(
    spec: SandboxSpec, monkeypatch: pytest.MonkeyPatch, act: t.Callable[[SandboxSpec], object], removed: bool
) -> None:
    """The earlier run may remove the directory and the lock with it."""
    os.mkdir(spec.directory, mode=0o700)
    other, locked = [os.open(spec.directory, os.O_RDONLY)], removal._locked
    fcntl.flock(other[0], fcntl.LOCK_EX)

    def until_it_ends(layout: Layout, make: bool) -> int | None:
        found = locked(layout, make)
        while found is None and other:
            if removed:
                os.rmdir(spec.directory)
            os.close(other.pop())
        return found

    monkeypatch.setattr(removal, "_locked", until_it_ends)
    assert act(spec) and not other
    assert os.path.exists(spec.directory) == (act is lifecycle.create)


def test_full_disk_fails_with_one_line_and_leaves_nothing(spec: SandboxSpec) -> None:
    with pytest.raises(StageFailed, match=f"cannot create a PostgreSQL cluster in {spec.directory}") as caught:
        call_as_child(lifecycle.create, spec, limit=1 << 20)
    assert "\n" not in str(caught.value) and leftovers(spec.directory) == []


def test_failed_server_start_reports_reason(spec: SandboxSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cluster.SETTINGS, "shared_buffers", "many")
    with pytest.raises(StageFailed, match="did not start: ") as caught:
        lifecycle.create(spec)
    assert "\n" not in caught.value.msg and leftovers(spec.directory) == []


def test_a_sandbox_that_is_not_there(sandbox_directory: str) -> None:
    with pytest.raises(ObjectMissing, match="contains no sandbox"):
        lifecycle.attach(sandbox_directory)
    assert not lifecycle.exists(sandbox_directory)


def test_an_install_out_of_reach_is_copied_or_bound(spec: SandboxSpec, server_install: Install, tmp_path: pathlib.Path) -> None:
    hidden = cluster.copy_install(server_install, Layout(str(tmp_path / "hidden")))
    tmp_path.chmod(0o700)
    before = os.umask(0o077)
    try:
        info = lifecycle.create(dataclasses.replace(spec, install=hidden)).info
    finally:
        os.umask(before)
    assert ask(info, "SELECT 1") == 1
    copied = os.path.isdir(os.path.join(spec.directory, "install"))
    assert copied == (os.geteuid() == 0 and info.isolation == NONE)
    assert lifecycle.destroy(spec.directory) and leftovers(spec.directory) == []


def test_an_ordinary_user_makes_one_too(spec: SandboxSpec, server_install: Install, tmp_path: pathlib.Path) -> None:
    """As a user with a name and without rights. The user gets programs that it can reach."""
    programs = Layout(f"{spec.directory}-programs")
    reachable = dataclasses.replace(spec, install=cluster.copy_install(server_install, programs))
    os.chmod(programs.root, 0o755)
    try:
        uid, isolation, left = call_as_child(_live_as_ordinary, reachable, user="nobody")
    finally:
        shutil.rmtree(programs.root)
    assert uid != 0 and isolation in (BUBBLEWRAP, NONE)
    assert left == []


def _live_as_ordinary(spec: SandboxSpec) -> tuple[int, str, list[str]]:
    info = lifecycle.create(spec).info
    server = processes.look(info.pid)
    assert server is not None and ask(info, "SELECT 1") == 1 and lifecycle.destroy(spec.directory)
    return server.uid, info.isolation, leftovers(spec.directory)


def call_as_child(function: t.Callable[..., t.Any], *args: t.Any, limit: int | None = None, user: str | None = None) -> t.Any:
    """Call it in a child process that may write files of `limit` bytes, or that is `user` if we are root."""
    load_codecs()
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=FORK, initializer=_restrict, initargs=(limit, user)) as pool:
        return pool.submit(function, *args).result()


def _restrict(limit: int | None, user: str | None) -> None:
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    if user is not None and os.geteuid() == 0:
        entry = pwd.getpwnam(user)
        os.setgroups([])
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
