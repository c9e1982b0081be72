# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tiny services that say what a test tells them, started by the module as a user calls it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.services import http
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import programs
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.bundle import Bundle
from ansible_collections.caracal_ops.backup.plugins.modules import service_sandbox
from harness.small_programs import python
from scenes.drilled_services import SERVICES, Drilled, drill
from scenes.module_args import patch_module_args
from scenes.twin_database import TwinCluster

# `/ready` answers as ANSWER_STATUS and ANSWER_BODY say, `/seen` tells its environment and its files; SIGTERM makes it write its
# unsent events. With LAST_WORDS it says those, its database's address and ends.
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
    """How an operator would name it; the environment says how it is to behave."""
    return {"name": name, "command": python(SERVICE), "environment": environment}


def all_but(*left_out: str, **changed: dict[str, str]) -> list[dict[str, t.Any]]:
    """Every service but some; a few with an environment of their own."""
    return [service(name, **changed.get(name, {})) for name in SERVICES if name not in left_out]


@dataclasses.dataclass(frozen=True)
class Stage:
    """A restored copy with its secrets and a Redis, and the module beside it."""

    drilled: Drilled
    capture: pytest.CaptureFixture[str]

    @property
    def bundle(self) -> Bundle:
        return self.drilled.bundle

    def run(self, services: t.Sequence[dict[str, t.Any]] = (), **given: t.Any) -> dict[str, t.Any]:
        """The module's result."""
        usual = {"sandbox": self.bundle.info.directory, "services": list(services), "ready_timeout": 120}
        if given.get("state") != "stopped":
            usual |= {"secrets_directory": str(self.drilled.secrets), "replay_directory": str(self.drilled.replay)}
        with patch_module_args({**usual, **given}), pytest.raises(SystemExit):
            service_sandbox.main()
        result: dict[str, t.Any] = json.loads(self.capture.readouterr().out)
        return result

    def running(self) -> list[str]:
        return [name for name in SERVICES if programs.alive(self.bundle, name)]

    def seen(self, url: str) -> tuple[dict[str, str], dict[str, list[t.Any]], int]:
        """Environment, files (content, mode, owner) by variable, and uid of a service."""
        answer = self.bundle.run(http.ask, http.Request("GET", f"{url}/seen"))
        assert answer.status == 200, answer
        environment, files, uid = json.loads(answer.body)
        return environment, files, uid


@contextlib.contextmanager
def stage(cluster: TwinCluster, capture: pytest.CaptureFixture[str]) -> t.Iterator[Stage]:
    with drill(cluster) as drilled:
        yield Stage(drilled, capture)


def checks(result: dict[str, t.Any]) -> dict[str, dict[str, t.Any]]:
    return {one["id"]: one for one in result["checks"]}
