# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Redis from an image works like any other, and cannot redirect a client to a socket of this host."""

from __future__ import annotations

import os
import stat
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import MissingDependency, StageFailed
from ansible_collections.caracal_ops.backup.plugins.module_utils._images import cache
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import before, processes, programs, redis_server
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.bundle import Bundle
from harness import small_programs
from scenes import image_scene
from scenes import redis_server as servers

Bring = t.Callable[..., t.Callable[[], cache.Unpacked]]
SERVER = "usr/local/bin/redis-server"
SAYS = "echo 'Redis server v=7.2.0 sha=00000000:0 malloc=libc bits=64 build=0'"


@pytest.fixture
def bring(tmp_path: Path) -> Bring:
    """Return an image with the real program, or with a script in its place."""
    (tmp_path / "images").mkdir(mode=0o755)

    def of(script: str = "") -> t.Callable[[], cache.Unpacked]:
        if script:
            tools = ["/bin/sh", "/bin/ln", "/bin/sleep"]
            image, data = image_scene.programs(tools, "/bin", (SERVER, f"#!/bin/sh\n{script}\n".encode()))
        else:
            image, data = image_scene.programs([servers.program(8)], "/usr/local/bin")
        return lambda: cache.unpacked(str(tmp_path / "images"), image, [image_scene.saver(data)])[0]

    return of


def test_from_its_start_to_its_end(own_bundle: Bundle, bring: Bring) -> None:
    if not own_bundle.isolated:
        with pytest.raises(MissingDependency, match="bubblewrap"):
            redis_server.start(own_bundle, None, bring())
        return
    for _again in range(2):
        info, changed = redis_server.start(own_bundle, None, bring())
        assert changed and info.image == bring()().image_id and redis_server.attach(own_bundle) == info
        [server] = programs.running(own_bundle, redis_server.NAME)
        assert server.uid == own_bundle.info.uid and Path(f"/proc/{server.pid}/root/etc/os").exists()
        home = os.stat(os.path.dirname(info.unix_socket))
        assert home.st_uid == os.geteuid() and not home.st_mode & stat.S_IRWXO
        with before.redis(own_bundle) as session:
            assert session.call("SET", "key", "value") and session.call("GET", "key") == b"value"
        assert programs.stop(own_bundle, redis_server.NAME, 10)
        assert processes.look(server.pid) is None


@pytest.fixture
def shut(server_install: t.Any, sandbox_directory: str) -> Bundle:
    return small_programs.make("bubblewrap", sandbox_directory, server_install)


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("script", "words"),
    [
        (SAYS.replace("7.2", "6.2"), "is 6.2.0, but at least 7.0"),
        ("echo something else", "is not a Redis server"),
        ("exit 3", "does not run"),
    ],
)
def test_one_that_does_not_fit(shut: Bundle, bring: Bring, script: str, words: str) -> None:
    with pytest.raises(MissingDependency, match=words):
        redis_server.start(shut, None, bring(script))
    assert not programs.alive(shut, redis_server.NAME)


@pytest.mark.mutation
def test_a_link_in_the_place_of_its_socket(shut: Bundle, bring: Bring) -> None:
    """The link leads to the socket of the sandbox's PostgreSQL, which represents a socket of this host."""
    home = programs.folder(shut, redis_server.NAME)
    listening = os.path.join(shut.info.socket_dir, f".s.PGSQL.{shut.info.port}")
    script = f'[ "$1" = --version ] && {SAYS} && exit; ln -s {listening} {home}/redis.sock; while :; do sleep 9; done'
    with pytest.raises(StageFailed, match="is not a socket"):
        redis_server.start(shut, None, bring(script))
    assert not programs.alive(shut, redis_server.NAME)
