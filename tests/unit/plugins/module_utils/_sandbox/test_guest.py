# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way of an image's client program to its server, and to nothing else."""

from __future__ import annotations

import contextlib
import inspect
import socket
import threading
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import guest, image_clients, isolation
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream.process import run
from harness import small_programs

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


@pytest.fixture
def started(tmp_path: Path) -> t.Callable[..., str]:
    """Starts this host's Python as a program of an image is started, with other files around it; what it says of these ports."""
    starter = tmp_path / "guest.py"
    starter.write_text(inspect.getsource(guest))
    bwrap = isolation.find_bwrap() or ""
    planned = image_clients.plan(bwrap, small_programs.PYTHON, "", {})

    def run_it(*ports: int, **environment: str) -> str:
        words = [*isolation.python(), str(starter), planned, "-I", "-c", PROGRAM, *map(str, ports)]
        return run(words, env=environment, timeout=60).decode().strip("\n")

    return run_it


@contextlib.contextmanager
def listening(made: socket.socket, answer: bytes) -> t.Iterator[None]:
    """A server that answers whatever it is asked with the same."""

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
    """Ports of two servers on this host's loopback, and the folder of a socket of the first port."""
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
