# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image's client program reaches its server and nothing else."""

from __future__ import annotations

import contextlib
import inspect
import os
import socket
import threading
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import guest, image_clients, isolation, processes
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream.process import run
from harness import runs, small_programs
from harness.waiting import eventually

PROGRAM = r"""
import os, socket, sys
def reached(address, port):
    with socket.socket() as one:
        one.settimeout(5)
        if one.connect_ex((address, port)) == 0:
            try:
                one.sendall(b"asked")
                one.shutdown(socket.SHUT_WR)
                return b"".join(iter(lambda: one.recv(99), b"")).decode()
            except OSError:
                return ""
    return "nothing"
addresses = os.environ.get("PGHOSTADDR", "127.0.0.1").split(",")
print(*(reached(one, int(port)) for one in addresses for port in sys.argv[1:]), os.environ.get("PGSSLMODE"))
"""


def run_it(starter: str, ports: t.Sequence[int], environment: dict[str, str]) -> str:
    """Start this host's Python like an image's program, with other files around it. Return its output about these ports."""
    plan = image_clients.plan(isolation.find_bwrap() or "", small_programs.PYTHON, "", {})
    words = [*isolation.python(), starter, plan, "-I", "-c", PROGRAM, *map(str, ports)]
    return run(words, env=environment, timeout=60).decode().strip("\n")


@pytest.fixture(scope="module")
def starter() -> str:
    """Return the starter in a directory that every user can read."""
    folder = runs.folder("guest")
    os.chmod(folder, 0o755)
    path = Path(folder, "guest.py")
    path.write_text(inspect.getsource(guest))
    path.chmod(0o644)
    return str(path)


@pytest.fixture
def started(starter: str) -> t.Callable[..., str]:
    return lambda *ports, **environment: run_it(starter, ports, environment)


@contextlib.contextmanager
def listening(made: socket.socket, answer: bytes) -> t.Iterator[None]:
    """Run a server that gives the same answer to every request."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                with made.accept()[0] as one:
                    while one.recv(99):
                        continue
                    one.sendall(answer)

    made.listen()
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        made.shutdown(socket.SHUT_RDWR)
        made.close()
        thread.join()


@pytest.fixture
def servers(tmp_path: Path) -> t.Iterator[tuple[int, int, str]]:
    """Yield the ports of two servers on this host's loopback, and the directory of a socket of the first port."""
    with contextlib.ExitStack() as opened:
        ports = []
        for answer in (b"first", b"second"):
            made = socket.socket()
            made.bind(("127.0.0.1", 0))
            ports.append(made.getsockname()[1])
            opened.enter_context(listening(made, answer))
        made = socket.socket(socket.AF_UNIX)
        made.bind(str(tmp_path / f".s.PGSQL.{ports[0]}"))
        opened.enter_context(listening(made, b"socket"))
        yield ports[0], ports[1], str(tmp_path)


@pytest.mark.mutation
def test_a_program_reaches_its_server_and_no_other(servers: tuple[int, int, str], started: t.Callable[..., str]) -> None:
    first, second, folder = servers
    assert started(first, second, PGHOST="127.0.0.1", PGPORT=str(first), PGSSLMODE="require") == "first nothing require"
    assert started(first, second, PGHOST=folder, PGPORT=str(first), PGSSLMODE="require") == "socket nothing disable"
    assert started(first, PGHOST=f"127.0.0.1,{folder}", PGPORT=str(first), PGSSLMODE="require") == "first socket require"
    assert started(first, second) == "nothing nothing None"


@pytest.mark.mutation
def test_a_server_that_is_not_there_is_an_end(servers: tuple[int, int, str], started: t.Callable[..., str]) -> None:
    assert started(servers[0], PGHOST="/no/such/folder", PGPORT=str(servers[0])) == " disable"


@pytest.mark.mutation
def test_for_an_ordinary_user_it_is_the_same(servers: tuple[int, int, str], starter: str) -> None:
    first, second, _folder = servers
    environment = {"PGHOST": "127.0.0.1", "PGPORT": str(first)}
    assert small_programs.as_nobody(run_it, starter, (first, second), environment) == "first nothing None"


@pytest.mark.mutation
def test_listeners_started_for_program_end_with_it(servers: tuple[int, int, str], started: t.Callable[..., str]) -> None:
    mark = f"/{os.getpid()}/caracal-guest-ends"
    assert started(servers[0], PGHOST="127.0.0.1", PGPORT=str(servers[0]), PGAPPNAME=mark) == "first None"
    eventually(lambda: not [one for one in processes.everyone() if processes.variable(one, "PGAPPNAME") == mark])
