# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One HTTP request to a service. Redirects are not followed and no proxy is used: the answer must be the service's own."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import socket
import ssl
import threading
import time
import typing as t
import urllib.parse

from ..._report.text import one_line

BODY_LIMIT = 1 << 20


@dataclasses.dataclass(frozen=True)
class Request:
    """A request.

    `timeout` in seconds applies to the connection, and again to the whole answer, even if it arrives slowly.
    """

    method: str
    url: str
    headers: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    body: bytes | None = None
    timeout: float = 30.0


@dataclasses.dataclass(frozen=True)
class Answer:
    """The answer to a request.

    If there was none, `status` is None and `error` is the reason. Names of `headers` are in lower case, `body` has at most 1
    MiB, `seconds` is the elapsed time.
    """

    status: int | None
    headers: t.Mapping[str, str]
    body: bytes
    error: str
    seconds: float


def ask(request: Request) -> Answer:
    """Return the answer, or the reason why there was none. Network errors are reported in the answer and raise nothing."""
    started = time.monotonic()
    try:
        status, headers, body = _exchange(request)
        error = ""
    except (OSError, http.client.HTTPException, ValueError) as exc:
        status, headers, body = None, {}, b""
        error = f"{_place(request.url)} does not answer: {_reason(exc, request.timeout)}"
    return Answer(status, headers, body, error, time.monotonic() - started)


def _exchange(request: Request) -> tuple[int, dict[str, str], bytes]:
    parts = urllib.parse.urlsplit(request.url)
    if parts.scheme not in ("http", "https") or parts.hostname is None:
        raise ValueError("it is not an http or https URL")
    if parts.scheme == "https":
        line: http.client.HTTPConnection = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=request.timeout, context=ssl.create_default_context()
        )
    else:
        line = http.client.HTTPConnection(parts.hostname, parts.port, timeout=request.timeout)
    line.connect()
    try:
        with _ended(line.sock, request.timeout):
            return _answer(line, request)
    finally:
        line.close()


def _answer(line: http.client.HTTPConnection, request: Request) -> tuple[int, dict[str, str], bytes]:
    parts = urllib.parse.urlsplit(request.url)
    target = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
    line.request(request.method, target, request.body, dict(request.headers))
    reply = line.getresponse()
    body = reply.read(BODY_LIMIT)
    if len(body) < BODY_LIMIT and reply.length:
        raise http.client.IncompleteRead(body, reply.length)
    return reply.status, {name.lower(): value for name, value in reply.getheaders()}, body


@contextlib.contextmanager
def _ended(line: socket.socket, seconds: float) -> t.Iterator[None]:
    """Limit the time of an answer, since an untrusted service could send single bytes forever. Raise TimeoutError if the answer is late."""
    over = threading.Event()

    def end() -> None:
        over.set()
        with contextlib.suppress(OSError):
            socket.socket.shutdown(line, socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if over.is_set():
            raise TimeoutError


def _place(url: str) -> str:
    try:
        parts = urllib.parse.urlsplit(url)
        return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
    except ValueError:  # the URL has no valid address, and could contain a password
        return "the service"


def _reason(exc: Exception, timeout: float) -> str:
    if isinstance(exc, TimeoutError):
        return f"no answer within {timeout:g} s"
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror
    return one_line(str(exc))[:200] or type(exc).__name__
