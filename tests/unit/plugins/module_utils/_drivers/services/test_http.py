# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import http.server
import socket
import threading
import time
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.services import http as client
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.services.http import Answer, Request
from harness.waiting import PATIENCE


class Echo(http.server.BaseHTTPRequestHandler):
    """Returns the request in a form that a test can read."""

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = f"{self.command} {self.path} {self.headers.get('X-Asked')} {self.rfile.read(length).decode()}".encode()
        self.send_response(302 if self.path == "/away" else 503 if self.path == "/sick" else 200)
        self.send_header("X-MIXED-Case", "Value")
        self.send_header("Location", "/elsewhere")
        self.end_headers()
        if self.path == "/long":
            with contextlib.suppress(OSError):  # the client reads no more than the limit
                self.wfile.write(b"x" * (client.BODY_LIMIT + 5000))
        else:
            self.wfile.write(body)

    do_GET = do_POST = do_DELETE = _answer

    def log_message(self, *_words: t.Any) -> None:
        pass


@pytest.fixture(scope="module")
def service() -> t.Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@contextlib.contextmanager
def saying(words: bytes | None) -> t.Iterator[str]:
    """Run a server that sends this to every client and closes the connection. With None it sends nothing."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()

        def speak() -> None:
            line, _who = server.accept()
            with line:
                if words is not None:
                    line.recv(4096)
                    line.sendall(words)
                else:
                    line.recv(4096)
                    line.recv(4096)

        thread = threading.Thread(target=speak, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/ready"
        thread.join(PATIENCE)


@contextlib.contextmanager
def dripping(words: bytes, drop: bytes) -> t.Iterator[str]:
    """Run a server that sends this, and then single bytes until the client has gone."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def speak() -> None:
            line, _who = server.accept()
            with line, contextlib.suppress(OSError):
                line.recv(4096)
                line.sendall(words)
                while True:
                    line.sendall(drop)
                    time.sleep(0.05)

        thread = threading.Thread(target=speak, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/ready"
        thread.join(PATIENCE)
        assert not thread.is_alive()


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("words", "drop"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["a body", "a body without an end", "chunks", "a header", "asking for patience"],
)
def test_an_answer_that_comes_to_no_end_is_not_waited_for(words: bytes, drop: bytes) -> None:
    with dripping(words, drop) as url:
        answer = client.ask(Request("GET", url, timeout=1.0))
    assert answer.status is None and answer.seconds < PATIENCE
    silent(answer, "within 1 s")


def unused_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def silent(answer: Answer, words: str) -> None:
    assert answer.status is None and answer.body == b"" and dict(answer.headers) == {}
    assert words in answer.error and "\n" not in answer.error


def test_client_reports_status_headers_and_body_of_answer(service: str) -> None:
    answer = client.ask(Request("GET", f"{service}/ready?deep=1", {"X-Asked": "yes"}))
    assert (answer.status, answer.body, answer.error) == (200, b"GET /ready?deep=1 yes ", "")
    assert answer.headers["x-mixed-case"] == "Value" and not [name for name in answer.headers if name != name.lower()]
    assert 0 < answer.seconds < 60
    assert client.ask(Request("POST", service, body=b"words")).body == b"POST / None words"
    assert client.ask(Request("DELETE", f"{service}/x#fragment")).body == b"DELETE /x None "


@pytest.mark.parametrize(("path", "status"), [("/sick", 503), ("/away", 302)])
def test_error_status_and_redirect_are_answers_and_redirect_is_not_followed(service: str, path: str, status: int) -> None:
    answer = client.ask(Request("GET", service + path))
    assert answer.status == status and answer.body.startswith(f"GET {path} ".encode())


def test_a_body_has_a_limit(service: str) -> None:
    assert client.ask(Request("GET", f"{service}/long")).body == b"x" * (1 << 20)


def test_no_proxy_is_asked(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, unused_address())
    assert client.ask(Request("GET", f"{service}/ready")).status == 200


def test_unreachable_server_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    address = unused_address()
    silent(client.ask(Request("GET", address)), f"{address[7:]} does not answer: Connection refused")
    silent(client.ask(Request("GET", "http://no-such-host.invalid/")), "no-such-host.invalid:80 does not answer: ")


def test_silent_server_times_out() -> None:
    with saying(None) as address:
        answer = client.ask(Request("GET", address, timeout=0.2))
    silent(answer, "does not answer: no answer within 0.2 s")
    assert answer.seconds >= 0.2


@pytest.mark.parametrize(
    "words", [b"", b"* OK IMAP ready\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n", b"\xff" * 70000]
)
def test_garbage_counts_as_no_answer(words: bytes) -> None:
    with saying(words) as address:
        silent(client.ask(Request("GET", address)), "does not answer: ")


def test_truncated_answer_counts_as_no_answer() -> None:
    with saying(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf") as address:
        silent(client.ask(Request("GET", address)), "does not answer: ")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/ready",
        "ftp://127.0.0.1/",
        "http://",
        "http://[::1",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:x/",
        "http://a b/",
        "file:///etc/passwd",
        "http://127.0.0.1/a\nb",
        f"http://{'x' * 70}.example/",
        "http://user:pass-word@[::1/",
    ],
)
def test_invalid_address_is_reported_without_its_password(url: str) -> None:
    answer = client.ask(Request("GET", url))
    silent(answer, "does not answer: ")
    assert "pass-word" not in answer.error


def test_a_header_that_smuggles_is_not_sent(service: str) -> None:
    silent(client.ask(Request("GET", service, {"X-Asked": "a\r\nX-Other: b"})), "does not answer: ")


def test_https_request_to_server_without_certificate_is_refused(service: str) -> None:
    silent(client.ask(Request("GET", service.replace("http:", "https:"))), "does not answer: ")
