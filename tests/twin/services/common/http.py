# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An HTTP service: routes, JSON answers, refusals, and a shutdown that leaves nothing running."""

from __future__ import annotations

import dataclasses
import json
import re
import signal
import threading
import typing as t
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg2
import redis

from .identity import compact, new_id
from .journal import log
from .keyring import SealError

ID_HEADER = "X-Request-Id"
GOOD_ID = re.compile(r"[A-Za-z0-9_.\-:]{1,128}")
BODY_LIMIT = 1 << 20
LOOPBACK = "127.0.0.1"
TROUBLE = (psycopg2.Error, redis.exceptions.RedisError, OSError, ValueError, SealError)


@dataclasses.dataclass
class Request:
    """A request. `url` is the path with its query as sent. `params` come from the route, and `actor` from the service's own check."""

    method: str
    url: str
    headers: t.Mapping[str, str]
    body: bytes
    id: str
    params: dict[str, str] = dataclasses.field(default_factory=dict)
    actor: t.Any = None

    @property
    def path(self) -> str:
        return self.url.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        return dict(urllib.parse.parse_qsl(self.url.partition("?")[2]))

    @property
    def bearer(self) -> str:
        scheme, _space, token = (self.headers.get("Authorization") or "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    def json(self) -> dict[str, t.Any]:
        """Return the body as an object. Raises Refusal if it is not one."""
        try:
            found = json.loads(self.body or b"{}")
        except ValueError:
            raise Refusal(400, {"error": "invalid_request"}) from None
        if not isinstance(found, dict):
            raise Refusal(400, {"error": "invalid_request"})
        return found


@dataclasses.dataclass
class Response:
    """An answer. A `body` of bytes is sent unchanged, None is empty, anything else is JSON."""

    status: int = 200
    body: t.Any = None
    headers: dict[str, str] = dataclasses.field(default_factory=dict)

    def encoded(self) -> bytes:
        if self.body is None:
            return b""
        if isinstance(self.body, bytes):
            return self.body
        self.headers.setdefault("Content-Type", "application/json")
        return compact(self.body).encode()


class Refusal(Exception):
    """An answer that ends the request when it is raised."""

    def __init__(self, status: int, body: t.Any, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{status} {body}")
        self.response = Response(status, body, headers or {})


Handler = t.Callable[[Request], Response]


class App:
    """Routes of a service. `around` wraps every request, so that a service can authenticate and record."""

    def __init__(self) -> None:
        self._routes: list[tuple[str, re.Pattern[str], Handler]] = []
        self.around: t.Callable[[Request, Handler], Response] = lambda request, handler: handler(request)

    def route(self, method: str, path: str, handler: Handler) -> None:
        """Add a route. `{name}` in the path is a parameter; the method `*` matches all."""
        parts = [f"(?P<{part[1:-1]}>[^/]+)" if part.startswith("{") else re.escape(part) for part in path.split("/")]
        self._routes.append((method, re.compile("/".join(parts)), handler))

    def fallback(self, handler: Handler) -> None:
        """Add a handler for all requests without a route. It must be added last."""
        self._routes.append(("*", re.compile(".*"), handler))

    def answer(self, request: Request) -> Response:
        """Return the response; refusals and failures of the stores are converted to responses."""
        try:
            return self.around(request, self._find(request))
        except Refusal as refusal:
            return refusal.response
        except TROUBLE as error:
            log("error", "unhandled route error", err=str(error), path=request.path)
            body = {"error": "internal_error", "error_description": "The service failed to process the request", "requestId": request.id}
            return Response(500, body)

    def _find(self, request: Request) -> Handler:
        for method, pattern, handler in self._routes:
            if method in ("*", request.method) and (found := pattern.fullmatch(request.path)):
                request.params = {name: urllib.parse.unquote(value) for name, value in found.groupdict().items()}
                return handler
        return _not_found


def _not_found(request: Request) -> Response:
    return Response(404, {"message": f"Route {request.method}:{request.url} not found", "error": "Not Found", "statusCode": 404})


def serve(app: App, host: str, port: int, closers: t.Sequence[t.Callable[[], None]] = ()) -> None:
    """Serve at an address until SIGTERM or SIGINT, then call the closers in order."""

    class Connection(_Connection):
        application = app

    server = ThreadingHTTPServer((host, port), Connection)
    server.daemon_threads = True

    def stop(*_signal: t.Any) -> None:
        # `shutdown` waits for the loop that this handler interrupts, so it needs a thread.
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    log("info", "listening", port=port)
    server.serve_forever(poll_interval=0.05)
    server.server_close()
    for close in closers:
        close()
    log("info", "stopped")


class _Connection(BaseHTTPRequestHandler):
    application: App
    protocol_version = "HTTP/1.1"
    timeout = 30

    def _take(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        given = self.headers.get(ID_HEADER) or ""
        request = Request(
            self.command,
            self.path,
            t.cast(t.Mapping[str, str], self.headers),
            self.rfile.read(min(length, BODY_LIMIT)),
            given if GOOD_ID.fullmatch(given) else new_id(),
        )
        response = self.application.answer(request)
        body = response.encoded()
        self.send_response(response.status)
        for name, value in {ID_HEADER: request.id, **response.headers}.items():
            self.send_header(name, value)
        if response.status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _take

    def log_message(self, format: str, *args: t.Any) -> None:
        """Do not log requests."""
