# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import socket
import stat
import tempfile
import typing as t

import pytest
import redis

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server_binaries import Install
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import MissingDependency, ObjectMissing, OptionError, StageFailed
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import lifecycle, processes, programs, redis_program, redis_server
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.bundle import Bundle
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import SandboxSpec
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.redis_server import RedisInfo
from harness.small_programs import as_nobody, bearing
from harness.waiting import eventually
from scenes import redis_server as servers
from unit.plugins.module_utils._sandbox.test_bundle import reaches


def client(info: RedisInfo, password: str | None = None) -> redis.Redis:
    known = pathlib.Path(info.password_file).read_text(encoding="utf-8")
    return redis.Redis(unix_socket_path=info.unix_socket, password=known if password is None else password or None, protocol=2)


def environment(pid: int) -> bytes:
    """Return the environment with which a process was started, or nothing if we may not read it."""
    try:
        return pathlib.Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def stand_in(path: pathlib.Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def version_of(path: pathlib.Path, text: str) -> str:
    return stand_in(path, f"echo 'Redis server v={text} sha=00000000:0 malloc=libc bits=64 build=0'")


@pytest.fixture
def reachable() -> t.Iterator[pathlib.Path]:
    """Yield a directory that every user may enter."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        os.chmod(folder, 0o755)
        yield pathlib.Path(folder)


def test_from_its_start_to_its_end(own_bundle: Bundle) -> None:
    with pytest.raises(ObjectMissing, match="has no Redis; run the step prepare of the drill"):
        redis_server.attach(own_bundle)
    info, changed = redis_server.start(own_bundle, None)
    assert changed and redis_server.attach(own_bundle) == info
    assert redis_server.start(own_bundle, "/not/looked/at") == (info, False)
    [only] = programs.running(own_bundle, redis_server.NAME)
    assert only.uid == own_bundle.info.uid
    ask = client(info)
    assert ask.ping() and ask.info("server")["redis_version"] == info.version
    settings = {name: ask.config_get(name)[name] for name in ("maxmemory-policy", "appendonly", "save", "protected-mode")}
    assert settings == {"maxmemory-policy": "noeviction", "appendonly": "no", "save": "", "protected-mode": "yes"}
    ask.set("key", "value")
    assert programs.stop(own_bundle, redis_server.NAME, 10)
    home = pathlib.Path(programs.folder(own_bundle, redis_server.NAME))
    assert list(home.iterdir()) == [], "it wrote to disk"
    with pytest.raises(ObjectMissing):
        redis_server.attach(own_bundle)


def test_redis_requires_password_and_does_not_expose_it(own_bundle: Bundle) -> None:
    info, _changed = redis_server.start(own_bundle, None)
    with pytest.raises(redis.exceptions.AuthenticationError):
        client(info, "").ping()
    with pytest.raises(redis.exceptions.AuthenticationError):
        client(info, "wrong").ping()
    password = pathlib.Path(info.password_file).read_text(encoding="utf-8")
    assert len(password) >= 40 and bearing(password) == []
    assert [one for one in processes.everyone() if password.encode() in environment(one.pid)] == []
    assert password not in str(info.to_result()) + "\n".join(programs.log_lines(own_bundle, redis_server.NAME, 100))
    above = pathlib.Path(info.password_file).parent
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in above.iterdir() if path.is_file()} == {
        "redis.conf": 0o600,
        "redis.json": 0o600,
        "redis.log": 0o600,
        "redis.password": 0o600,
    }
    assert os.stat(info.unix_socket).st_mode & 0o077 == 0


def test_its_port_is_the_networks_own(own_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program on this host may use the same port, for example Redis' usual one."""
    with socket.create_server(("127.0.0.1", 0)) as ours:
        ours.setblocking(False)
        monkeypatch.setattr(redis_server, "PORT", ours.getsockname()[1])
        info, _changed = redis_server.start(own_bundle, None)
        assert own_bundle.run(reaches, info.port)
        assert (info.port == redis_server.PORT) == own_bundle.isolated
        with pytest.raises(BlockingIOError):
            ours.accept()
        assert reaches(info.port)
        with contextlib.nullcontext() if own_bundle.isolated else pytest.raises(BlockingIOError):
            ours.accept()[0].close()


def test_the_end_of_the_sandbox_is_its_end(own_bundle: Bundle) -> None:
    """Redis overwrites its environment with its title, so the environment cannot identify it."""
    redis_server.start(own_bundle, None)
    [only] = programs.running(own_bundle, redis_server.NAME)
    assert lifecycle.destroy(own_bundle.info.directory)
    assert processes.look(only.pid) is None and bearing(own_bundle.info.directory) == []


@pytest.mark.mutation
def test_killed_redis_is_started_again_with_new_password(own_bundle: Bundle) -> None:
    first, _changed = redis_server.start(own_bundle, None)
    before = pathlib.Path(first.password_file).read_text(encoding="utf-8")
    for process in programs.running(own_bundle, redis_server.NAME):
        os.kill(process.pid, signal.SIGKILL)
    eventually(lambda: not programs.alive(own_bundle, redis_server.NAME))
    assert os.path.exists(first.unix_socket), "the control: its socket is still there"
    second, changed = redis_server.start(own_bundle, None)
    assert changed and client(second).ping()
    assert pathlib.Path(second.password_file).read_text(encoding="utf-8") != before


def test_our_umask_shuts_it_not_out(own_bundle: Bundle) -> None:
    before = os.umask(0o077)
    try:
        info, _changed = redis_server.start(own_bundle, None)
    finally:
        os.umask(before)
    assert client(info).ping()


@pytest.mark.mutation
def test_failed_redis_start_reports_reason(bundle: Bundle, reachable: pathlib.Path) -> None:
    sick = stand_in(reachable / "sick", 'case "$1" in --version) echo "Redis server v=7.2.5";; *) echo "out of luck" >&2; exit 1;; esac')
    with pytest.raises(StageFailed, match=r"Redis in .* did not start: .*out of luck"):
        redis_server.start(bundle, sick)
    assert not programs.alive(bundle, redis_server.NAME)
    with pytest.raises(ObjectMissing):
        redis_server.attach(bundle)


def test_the_first_that_is_new_enough_is_taken(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        redis_program, "USUAL", (str(tmp_path / "none"), version_of(tmp_path / "old", "6.2.14"), version_of(tmp_path / "new", "7.0.15"))
    )
    monkeypatch.setattr(redis_program.shutil, "which", lambda _name, path=None: None)
    assert redis_program.find(None) == (str(tmp_path / "new"), "7.0.15")


def test_the_program_that_is_named_is_taken() -> None:
    assert redis_program.find(servers.program(8))[0] == servers.program(8)
    assert redis_program.find(servers.program(7))[1].startswith("7.")


def test_old_redis_or_other_program_is_refused(tmp_path: pathlib.Path) -> None:
    for script, words in (
        (version_of(tmp_path / "old", "6.2.14"), "old is 6.2.14"),
        (stand_in(tmp_path / "other", "echo Valkey"), "other is not"),
        (str(tmp_path / "none"), "none is not a program"),
    ):
        with pytest.raises(MissingDependency, match=words) as caught:
            redis_program.find(script)
        assert "\n" not in caught.value.msg


def test_missing_redis_raises_missing_dependency(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_program, "USUAL", ())
    monkeypatch.setattr(redis_program.sys, "path", [])
    monkeypatch.setattr(redis_program.shutil, "which", lambda _name, path=None: None)
    with pytest.raises(MissingDependency):
        redis_program.find(None)


def test_a_socket_path_that_is_too_long_is_refused(server_install: Install) -> None:
    directory = "/var/tmp/" + "x" * 76
    info = lifecycle.predict(SandboxSpec(directory, server_install)).info
    with pytest.raises(OptionError, match="longer than 107 bytes"):
        redis_server.predict(Bundle(info), "8.0.0", 6379)


def test_an_ordinary_user_has_one_too(server_install: Install, sandbox_directory: str) -> None:
    alive, stopped, left = as_nobody(_as_ordinary, SandboxSpec(sandbox_directory, server_install), servers.program(8))
    assert alive and stopped and left == []


def _as_ordinary(spec: SandboxSpec, program: str) -> tuple[bool, bool, list[processes.Process]]:
    lifecycle.create(spec)
    try:
        bundle = Bundle.of(spec.directory)
        info, _changed = redis_server.start(bundle, program)
        alive = bool(client(info).ping())
        stopped = programs.stop(bundle, redis_server.NAME, 10)
        return alive, stopped, bearing(f"{spec.directory}/programs")
    finally:
        lifecycle.destroy(spec.directory)
