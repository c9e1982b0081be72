# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tiny services with answers that a test sets, started like in a drill."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import typing as t

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible.boundary import Invocation, answer
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import services as table
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill import service_sandbox
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.services import http
from ansible_collections.caracal_ops.backup.plugins.module_utils._options.declared import Options
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import judged
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import programs
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.bundle import Bundle
from harness.small_programs import python
from scenes.drilled_services import SERVICES, Drilled, drill
from scenes.twin_database import TwinCluster

# `/ready` answers with ANSWER_STATUS and ANSWER_BODY; `/seen` returns its environment and its files. On SIGTERM it writes its
# unsent events. With LAST_WORDS it prints them and its database's address, and exits.
SERVICE = r"""
import http.server, json, os, signal, sys
environment = dict(os.environ)
files = {}
for name, path in environment.items():
    if name.endswith("_FILE"):
        with open(path, encoding="utf-8") as text:
            files[name] = [text.read(), oct(os.fstat(text.fileno()).st_mode & 0o777), os.fstat(text.fileno()).st_uid]

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        ready = self.path == "/ready"
        self.send_response(int(environment.get("ANSWER_STATUS", 200)) if ready else 200)
        self.end_headers()
        said = environment.get("ANSWER_BODY", '{"ok":true}') if ready else json.dumps([environment, files, os.getuid()])
        self.wfile.write(said.encode())

def end(*_):
    if "AUDIT_REPLAY_DIR" in environment:
        with open(os.path.join(environment["AUDIT_REPLAY_DIR"], "pending-1-1.ndjson"), "w") as out:
            out.write("{}\n")
    print("ended", flush=True)
    os._exit(0)

if "LAST_WORDS" in environment:
    print("starting\n" + environment["LAST_WORDS"], files.get("DATABASE_URL_FILE", [""])[0], flush=True)
    sys.exit(1)
signal.signal(signal.SIGTERM, end)
http.server.HTTPServer(("127.0.0.1", int(environment["PORT"])), Answer).serve_forever()
"""


def service(name: str, **environment: str) -> dict[str, t.Any]:
    """Return the settings of a service as an operator writes them. The environment sets its behavior."""
    return {"name": name, "command": python(SERVICE), "environment": environment}


def all_but(*left_out: str, **changed: dict[str, str]) -> list[dict[str, t.Any]]:
    """Return every service except some, a few with their own environment."""
    return [service(name, **changed.get(name, {})) for name in SERVICES if name not in left_out]


@dataclasses.dataclass(frozen=True)
class Stage:
    """A restored copy with its secrets and a Redis."""

    drilled: Drilled

    @property
    def bundle(self) -> Bundle:
        return self.drilled.bundle

    def run(self, services: t.Sequence[dict[str, t.Any]] = (), **own: t.Any) -> dict[str, t.Any]:
        """Start the services; return checks, verdict, and names and addresses of running services, or the error that a module returns."""

        def start(_invocation: Invocation) -> dict[str, t.Any]:
            started = service_sandbox.start(self.bundle, self.drilled.terms(services, **own))
            urls = {one.name: one.url for one in table.services(self.drilled.family) if one.name in started.running}
            return {**judged(started.checks, require_valid=False), "running": started.running, "urls": urls}

        return answer(start, Invocation(Options(), check_mode=False, warn=lambda _text: None))

    def stop(self) -> None:
        """Stop everything that was started, as at the end of a drill."""
        self.drilled.stop("web", *SERVICES[::-1])

    def running(self) -> list[str]:
        return [name for name in SERVICES if programs.alive(self.bundle, name)]

    def seen(self, url: str) -> tuple[dict[str, str], dict[str, list[t.Any]], int]:
        """Return environment, files (content, mode, owner) by variable, and uid of a service."""
        answer = self.bundle.run(http.ask, http.Request("GET", f"{url}/seen"))
        assert answer.status == 200, answer
        environment, files, uid = json.loads(answer.body)
        return environment, files, uid


@contextlib.contextmanager
def stage(cluster: TwinCluster) -> t.Iterator[Stage]:
    with drill(cluster) as drilled:
        yield Stage(drilled)


def checks(result: dict[str, t.Any]) -> dict[str, dict[str, t.Any]]:
    return {one["id"]: one for one in result["checks"]}
