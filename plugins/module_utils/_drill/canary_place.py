# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The destinations of the canaries' requests: in the network of a drill's sandbox, or to the addresses of a real restore."""

from __future__ import annotations

import dataclasses
import http.server
import os
import socket
import threading
import typing as t
import urllib.parse

from .._caracal import services
from .._caracal.canary import asking
from .._caracal.canary.asking import SERVICES
from .._caracal.canary.gateway import Upstream
from .._drivers.services import http as client
from .._errors import Busy, OptionError
from .._sandbox.bundle import NETWORK, Bundle


@dataclasses.dataclass(frozen=True)
class Place:
    """The addresses of the services.

    `bundle` is None after a real restore, where the canaries only read and use the operator's own application.
    """

    urls: dict[str, str]
    bundle: Bundle | None

    def ask(self, method: str, url: str, headers: t.Mapping[str, str], body: bytes | None) -> client.Answer:
        return self._run(client.ask, client.Request(method, url, headers, body))

    def upstream(self, port: int) -> Upstream:
        """Return the canary's own upstream, at the loopback address that the Gateway of the sandbox can reach."""
        nonce = os.urandom(16).hex()

        def ask(method: str, url: str, headers: t.Mapping[str, str], body: bytes | None) -> client.Answer:
            return self._run(_ask_with_upstream, port, nonce, client.Request(method, url, headers, body))

        return Upstream(t.cast(asking.Ask, ask), nonce)

    def free_port(self) -> int:
        return int(self._run(_free_port))

    def _run(self, function: t.Callable[..., t.Any], *arguments: t.Any) -> t.Any:
        return self.bundle.run(function, *arguments, namespaces=NETWORK) if self.bundle else function(*arguments)


def of(urls: t.Mapping[str, str], sandbox: str | None, family: str) -> Place:
    """Return the place of the canaries. Raise OptionError for an invalid address of a service."""
    given = {service: url for service, url in urls.items() if url}
    for service, url in given.items():
        if not _is_address(url):
            raise OptionError(f"urls.{service} is not the address of a service; use one such as http://127.0.0.1:8080")
    if not sandbox:
        return Place(given, None)
    local = {one.name: one.url for one in services.services(family) if one.name in SERVICES}
    return Place({**local, **given}, Bundle.of(sandbox))


def _is_address(url: str) -> bool:
    """Return True for an address without user, password, query and fragment, any of which may be a secret."""
    try:
        parts = urllib.parse.urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return fits and not (parts.query or parts.fragment or "@" in parts.netloc)


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answer every GET with the nonce. Nothing of the request is stored."""

    nonce = ""

    def do_GET(self) -> None:
        body = self.nonce.encode("ascii")
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        pass


def _ask_with_upstream(port: int, nonce: str, request: client.Request) -> client.Answer:
    """Send a request while an upstream listens on `port`."""
    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), type("Handler", (_Handler,), {"nonce": nonce}))
    except OSError as exc:
        raise Busy(f"the canary cannot listen on port {port} of the sandbox: {exc.strerror}; end the process that listens there") from exc
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            return client.ask(request)
        finally:
            server.shutdown()
            thread.join()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
