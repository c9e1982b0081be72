# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small HTTP server that receives notifications and stores them."""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import json
import re
import threading
import time
import typing as t

# Seconds to wait for a notification. On a busy machine a playbook takes long.
LONGEST = 120
MOVED = re.compile("/moved/([0-9]+)")


@dataclasses.dataclass
class Hook:
    """`paths` and `bodies` in order of arrival. Answers wait while `hold` is set.

    A path that begins with `/moved/` and a status redirects to `/elsewhere`.
    """

    address: str = ""
    sent: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    hold: threading.Event = dataclasses.field(default_factory=threading.Event)
    come: threading.Condition = dataclasses.field(default_factory=threading.Condition)

    @property
    def paths(self) -> list[str]:
        return [path for path, _body in self.sent]

    def body(self, path: str) -> str:
        """Return the last body that was sent to this path."""
        return [body for one, body in self.sent if one == path][-1]

    def json(self, path: str) -> t.Any:
        return json.loads(self.body(path))

    def wait(self, path: str) -> None:
        """Wait for a request to this path."""
        with self.come:
            assert self.come.wait_for(lambda: path in self.paths, LONGEST), f"nothing came to {path}: {self.paths}"


@contextlib.contextmanager
def listening() -> t.Iterator[Hook]:
    hook = Hook()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            with hook.come:
                hook.sent.append((self.path, body))
                hook.come.notify_all()
            until = time.monotonic() + LONGEST
            while hook.hold.is_set() and time.monotonic() < until:
                time.sleep(0.05)
            with contextlib.suppress(OSError):
                moved = MOVED.match(self.path)
                self.send_response(int(moved[1]) if moved else 500 if "broken" in self.path else 200)
                if moved:
                    self.send_header("Location", f"{hook.address}/elsewhere")
                self.end_headers()

        # A redirect can change the method to GET.
        do_GET = do_POST

        def log_message(self, *_given: t.Any) -> None:
            """Do not write to the output of tests."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield hook
    finally:
        hook.hold.clear()
        server.shutdown()
        server.server_close()
        thread.join()
