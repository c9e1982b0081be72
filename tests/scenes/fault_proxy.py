# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A proxy between a client and an S3 server. It forwards every request, except those that a fault matches."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import http.server
import re
import socket
import struct
import threading
import typing as t

Headers = t.Sequence[tuple[str, str]]


@dataclasses.dataclass
class Answer:
    """The server's answer."""

    status: int
    headers: Headers
    body: bytes

    def header(self, name: str, value: str) -> Answer:
        """Return the answer with one header changed, if it was present."""
        return Answer(self.status, [(key, value if key.lower() == name else old) for key, old in self.headers], self.body)


@dataclasses.dataclass
class Fault:
    """A fault for requests that match as `METHOD path?query`: after `skip` of them, for `times` of them (None: all others).

    Exactly one of these is set. `status` and `code` answer without the server. `cut` closes the connection after this
    number of bytes of the request's body. With `lost`, the server acts, but its answer is not delivered. `change`
    modifies the answer. `short` ends the answer after this number of bytes of its body.
    """

    request: str
    status: int = 0
    code: str = ""
    cut: int | None = None
    lost: bool = False
    change: t.Callable[[Answer], Answer] | None = None
    short: int | None = None
    skip: int = 0
    times: int | None = None
    hits: int = 0

    def meets(self, line: str) -> bool:
        if not re.search(self.request, line):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None and self.hits >= self.times:
            return False
        self.hits += 1
        return True


class FaultProxy(http.server.ThreadingHTTPServer):
    """`faults` may be added and cleared while it runs; `seen` contains every request."""

    daemon_threads = True

    def __init__(self, upstream: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = upstream
        self.faults: list[Fault] = []
        self.seen: list[str] = []
        self._lock = threading.Lock()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def add(self, request: str, **of: t.Any) -> Fault:
        self.faults.append(Fault(request, **of))
        return self.faults[-1]

    def count(self, request: str) -> int:
        return len([line for line in self.seen if re.search(request, line)])

    def choose(self, line: str) -> Fault | None:
        with self._lock:
            self.seen.append(line)
            return next((one for one in self.faults if one.meets(line)), None)

    def handle_error(self, *_arguments: t.Any) -> None:
        """Do nothing: the tests close connections on purpose."""


@contextlib.contextmanager
def start(upstream: int) -> t.Iterator[FaultProxy]:
    with FaultProxy(upstream) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultProxy

    def log_message(self, *_arguments: t.Any) -> None:
        """Do not log requests."""

    def _any(self) -> None:
        fault = self.server.choose(f"{self.command} {self.path}")
        size = int(self.headers.get("Content-Length") or 0)
        if fault is None:
            self._send(self._ask(self.rfile.read(size)))
        elif fault.cut is not None:
            self.rfile.read(min(size, fault.cut))
            self._break()
        else:
            self._fail(fault, self.rfile.read(size))

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _any

    def _fail(self, fault: Fault, body: bytes) -> None:
        if fault.status:
            self._send(_error(fault))
            return
        answer = self._ask(body)
        if fault.lost:
            self._break()
            return
        self._send(fault.change(answer) if fault.change else answer, fault.short)

    def _ask(self, body: bytes) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.upstream, timeout=60)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("connection", "expect"):
                    connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            return Answer(response.status, response.getheaders(), response.read())
        finally:
            connection.close()

    def _send(self, answer: Answer, short: int | None = None) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            if name.lower() not in ("transfer-encoding", "connection"):
                self.send_header(name, value)
        if not any(name.lower() == "content-length" for name, _value in answer.headers):
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body if short is None else answer.body[:short])
        if short is not None:
            self._break()

    def _break(self) -> None:
        """Reset the connection instead of closing it."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.connection.close()
        self.close_connection = True


def _error(fault: Fault) -> Answer:
    body = f"<?xml version='1.0'?><Error><Code>{fault.code}</Code><Message>made by a test</Message></Error>".encode()
    return Answer(fault.status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))], body)
