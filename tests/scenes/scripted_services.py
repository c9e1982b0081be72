# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Services that answer from a script, over real HTTP, to test requests and the use of answers without the product."""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import json
import re
import threading
import typing as t

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.canary.asking import SERVICES, Services
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.services import http as client

ADMIN_TOKEN = "admin-token-of-the-script"


@dataclasses.dataclass(frozen=True)
class Question:
    """One received request."""

    service: str
    method: str
    path: str
    headers: t.Mapping[str, str]
    body: str

    @property
    def json(self) -> t.Any:
        return json.loads(self.body)


@dataclasses.dataclass(frozen=True)
class Line:
    """An answer to requests to `service` that match `method` and the pattern of the whole path with its query."""

    service: str
    method: str
    path: str
    status: int
    body: t.Any = None
    headers: t.Mapping[str, str] = dataclasses.field(default_factory=dict)


class Script:
    """Matching lines are used in order, each once; the last one is used repeatedly. Without a line the answer is 404 with `unscripted`."""

    def __init__(self, *lines: Line) -> None:
        self.lines = list(lines)
        self.asked: list[Question] = []

    def answer(self, question: Question) -> tuple[int, t.Mapping[str, str], bytes]:
        self.asked.append(question)
        fitting = [line for line in self.lines if (line.service, line.method) == (question.service, question.method)]
        fitting = [line for line in fitting if re.fullmatch(line.path, question.path)]
        if not fitting:
            return 404, {}, b'{"error": "unscripted"}'
        line = fitting[0]
        if len(fitting) > 1:
            self.lines.remove(line)
        body = line.body.encode() if isinstance(line.body, str) else b"" if line.body is None else json.dumps(line.body).encode()
        return line.status, line.headers, body

    def steps(self) -> list[str]:
        return [f"{one.service} {one.method} {one.path}" for one in self.asked]


def ask(method: str, url: str, headers: t.Mapping[str, str], body: bytes | None) -> client.Answer:
    """Send a request like a module outside a sandbox."""
    return client.ask(client.Request(method, url, headers, body, timeout=60))


@contextlib.contextmanager
def play(script: Script) -> t.Iterator[dict[str, str]]:
    """Yield the base URLs of the services while they run: one server, a folder for each."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def _any(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            _empty, service, rest = self.path.split("/", 2)
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, sent, body = script.answer(Question(service, self.command, f"/{rest}", headers, content))
            self.send_response(status)
            for name, value in {**sent, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = do_PATCH = _any

        def log_message(self, *_arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield {service: f"http://127.0.0.1:{server.server_port}/{service}" for service in SERVICES}
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def services(*lines: Line) -> t.Iterator[tuple[Services, Script]]:
    """Yield the client side and the script."""
    script = Script(*lines)
    with play(script) as urls:
        yield Services(ask, urls, ADMIN_TOKEN), script
