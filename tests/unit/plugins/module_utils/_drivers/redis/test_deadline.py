# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server that sends the same answer forever, byte by byte, so that a socket timeout never occurs."""

from __future__ import annotations

import contextlib
import socket
import threading
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.redis import connection
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.redis.connection import Address, Session
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import Unreachable

PAUSE = 0.01
# Bytes. Sending them takes many times as long as the limit in these tests.
LONGEST = 2000
BOUND = 0.3


class Trickling:
    """Answers OK to every command before `at`. It answers `at` with `head` and then `length` bytes, with a pause after each byte."""

    def __init__(self, at: bytes, head: bytes, length: int = LONGEST) -> None:
        self._at, self._head, self._length = at, head, length
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.sent = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            guest, _address = self._listener.accept()
            with guest:
                while data := guest.recv(4096):
                    before, at, _after = data.partition(self._at)
                    # Each command begins with the number of its words.
                    guest.sendall(b"+OK\r\n" * (before.count(b"*") - bool(at)))
                    if at:
                        self._trickle(guest)

    def _trickle(self, guest: socket.socket) -> None:
        guest.sendall(self._head)
        while self.sent < self._length and not self._over.wait(PAUSE):
            guest.sendall(b"x")
            self.sent += 1
        guest.sendall(b"\r\n")

    def close(self) -> None:
        self._over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture(autouse=True)
def bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "ANSWER_SECONDS", BOUND)


@contextlib.contextmanager
def trickling(at: bytes, head: bytes, length: int = LONGEST) -> t.Iterator[tuple[Trickling, Address]]:
    server = Trickling(at, head, length)
    try:
        yield server, Address("127.0.0.1", server.port, None, None, None, 0, False, None, None, None)
    finally:
        server.close()


@pytest.mark.mutation
@pytest.mark.parametrize("head", [b"+", b"$1000000\r\n", b"*2\r\n$1000000\r\n"], ids=["line", "string", "array"])
def test_an_answer_without_an_end(head: bytes) -> None:
    with trickling(b"SCAN", head) as (server, address), Session(address, "s") as session:
        with pytest.raises(Unreachable):
            session.call("SCAN", 0)
        assert session.lost and server.sent < LONGEST


@pytest.mark.mutation
def test_a_greeting_without_an_end() -> None:
    with trickling(b"CLIENT", b"+") as (server, address):
        with pytest.raises(Unreachable):
            Session(address, "s")
        assert server.sent < LONGEST


@pytest.mark.mutation
def test_answers_to_a_batch_without_an_end() -> None:
    with trickling(b"XADD", b"+") as (server, address), Session(address, "s") as session:
        with pytest.raises(Unreachable):
            session.pipeline(b"*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nXADD\r\n", ["PING", "XADD"])
        assert server.sent < LONGEST


@pytest.mark.no_false_alarm
def test_each_answer_has_its_own_time() -> None:
    """Several slow answers together take longer than the limit for one answer."""
    length = int(BOUND / PAUSE / 4)
    with trickling(b"SLOW", b"+", length) as (server, address), Session(address, "s") as session:
        for _number in range(6):
            server.sent = 0
            assert session.call("SLOW") == b"x" * length
