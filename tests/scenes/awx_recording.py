# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for AWX that replays recorded answers of a real one.

A recording contains the requests of one play and their answers, in order. If a request is repeated, it gets its
recorded answers one after the other, and then always the last of them. An unrecorded request gets status 599 and is
added to `strange`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import http.client
import http.server
import json
import threading
import typing as t
import urllib.parse
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Exchange:
    """A request with its body (empty for none), and its answer."""

    method: str
    path: str
    body: str
    status: int
    answer: str

    @property
    def question(self) -> tuple[str, str, str]:
        return self.method, self.path, self.body


def read(path: Path) -> list[Exchange]:
    return [Exchange(*row) for row in json.loads(gzip.decompress(path.read_bytes()))]


# Fields of a job with its start and its path on the recorded machine. They are not used.
_OF_ITS_MACHINE = ("job_args", "job_cwd", "job_env")


def _anywhere(answer: str) -> str:
    """Return an answer without the fields that are specific to that machine."""

    def bare(value: t.Any) -> t.Any:
        if isinstance(value, dict):
            return {name: bare(one) for name, one in value.items() if name not in _OF_ITS_MACHINE}
        return [bare(one) for one in value] if isinstance(value, list) else value

    return json.dumps(bare(json.loads(answer))) if any(name in answer for name in _OF_ITS_MACHINE) else answer


def write(path: Path, exchanges: t.Iterable[Exchange]) -> None:
    kept = [dataclasses.replace(one, answer=_anywhere(one.answer)) for one in exchanges]
    rows = json.dumps([dataclasses.astuple(one) for one in kept], separators=(",", ":"))
    path.write_bytes(gzip.compress(rows.encode(), mtime=0))


@dataclasses.dataclass
class Awx:
    """The server at `address`."""

    answer: t.Callable[[str, str, str, str], tuple[int, str]]
    address: str = ""
    asked: list[Exchange] = dataclasses.field(default_factory=list)
    strange: list[tuple[str, str, str]] = dataclasses.field(default_factory=list)

    def sent(self, method: str, path: str) -> list[t.Any]:
        """Return the bodies of the requests for one kind of object."""
        return [json.loads(one.body) for one in self.asked if one.method == method and one.path == path and one.body]


@contextlib.contextmanager
def _serving(awx: Awx) -> t.Iterator[Awx]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            status, answer = awx.answer(self.command, self.path, body, self.headers.get("Authorization") or "")
            awx.asked.append(Exchange(self.command, self.path, body, status, answer))
            content = answer.encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            # The product identifies itself like this.
            self.send_header("X-API-Product-Name", "AWX")
            self.send_header("X-API-Product-Version", "24.6.1")
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = do_HEAD = _do

        def log_message(self, *_arguments: t.Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        awx.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield awx
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def replaying(path: Path) -> t.Iterator[Awx]:
    known: dict[tuple[str, str, str], list[Exchange]] = {}
    for one in read(path):
        known.setdefault(one.question, []).append(one)

    def answer(method: str, where: str, body: str, _authorization: str) -> tuple[int, str]:
        answers = known.get((method, where, body))
        if not answers:
            awx.strange.append((method, where, body))
            return 599, '{"detail": "never asked"}'
        one = answers.pop(0) if len(answers) > 1 else answers[0]
        return one.status, one.answer

    awx = Awx(answer)
    with _serving(awx):
        yield awx


@contextlib.contextmanager
def recording(path: Path, upstream: str) -> t.Iterator[Awx]:
    """Forward all requests to a real AWX, and write the recording to `path` at the end."""

    def answer(method: str, where: str, body: str, authorization: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(upstream).netloc, timeout=120)
        headers = {"Authorization": authorization, "Content-Type": "application/json"}
        connection.request(method, where, body or None, headers)
        given = connection.getresponse()
        text = given.read().decode()
        connection.close()
        return given.status, text

    awx = Awx(answer)
    with _serving(awx):
        yield awx
    write(path, awx.asked)
