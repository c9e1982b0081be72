# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The twin's services with a twin's database and a Redis: started on free ports, stopped at the end."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
import typing as t
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from harness import runs
from harness.waiting import PATIENCE
from scenes.redis_server import RedisServer
from scenes.twin_database import TwinCluster
from twin import keys
from twin.facts import SECRET_STORE
from twin.releases.known import RELEASES

TESTS = Path(__file__).resolve().parents[1]
# The order of starts: audit first, so that its group exists before the first event.
SERVICES = ("audit", "sts", "api", "coordinator", "gateway")
ISSUER = "https://sts.twin.example"
SECRETS = {
    "SECRET_STORE_KEK": "secretStoreKek",
    "ZONE_KEK": "zoneKek",
    "AUDIT_HMAC_KEY": "auditHmacKey",
    "STREAMS_HMAC_KEY": "streamsHmacKey",
    "GATEWAY_STS_HMAC_KEY": "gatewayStsHmacKey",
    "IDEMPOTENCY_HMAC_KEY": "idempotencyHmacKey",
    "CARACAL_ADMIN_TOKEN": "caracalAdminToken",
    "CARACAL_COORDINATOR_TOKEN": "caracalCoordinatorToken",
    "METRICS_BEARER": "metricsBearer",
    "AUDIT_ADMIN_TOKEN": "auditAdminToken",
}
Answer = tuple[int, t.Any, dict[str, str]]


@dataclasses.dataclass
class Service:
    """One running service. `log` is its output so far."""

    name: str
    url: str
    environment: dict[str, str]
    log_file: Path
    process: subprocess.Popen[bytes]

    @property
    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8")

    def stop(self) -> int:
        """Stop it like an orchestrator; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=PATIENCE)

    def call(self, method: str, path: str, body: t.Any = None, **headers: str) -> Answer:
        """Return status, body (parsed if it is JSON, else text) and headers in lower case. A list is sent as a form, all else as JSON."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        data = None
        if body is not None:
            form = isinstance(body, list)
            data = urllib.parse.urlencode(body).encode() if form else json.dumps(body).encode()
            given.setdefault("Content-Type", "application/x-www-form-urlencoded" if form else "application/json")
        request = urllib.request.Request(self.url + path, data=data, headers=given, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
                return reply.status, _value(reply.read()), _headers(reply)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _value(error.read()), _headers(error)

    def metric(self, name: str) -> float:
        _status, text, _headers = self.call("GET", "/metrics", Authorization=f"Bearer {BEARER}")
        return next(float(line.split()[1]) for line in text.splitlines() if line.partition(" ")[0] == name)


BEARER = "metrics-of-the-twin"
AUDITOR = "auditor-of-the-twin"


@dataclasses.dataclass
class Deployment:
    """A database, a Redis and a folder with secrets. Started services are in `services` by name."""

    cluster: TwinCluster
    redis: RedisServer
    folder: Path
    database: str = "caracal"
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    services: dict[str, Service] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        release = RELEASES[self.cluster.spec.release]
        self.family = release.family
        self.keys = keys.for_seed(self.cluster.spec.seed)
        self.secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
        files = {**self.keys.as_files(self.family), "metricsBearer": BEARER, "auditAdminToken": AUDITOR}
        for name, text in files.items():
            self.write_secret(name, text)
        self._held = {name: _reserved() for name in SERVICES}

    @property
    def secrets(self) -> Path:
        return self.folder / "secrets"

    def write_secret(self, name: str, text: str) -> None:
        (self.secrets / name).write_text(text, encoding="ascii")

    def url(self, service: str) -> str:
        return f"http://127.0.0.1:{self.port(service)}"

    def port(self, service: str) -> int:
        return int(self._held[service].getsockname()[1])

    def replay(self, service: str) -> Path:
        """Return the folder in which a service keeps the events that it could not send."""
        return self.folder / f"replay-{service}"

    def variables(self, service: str) -> dict[str, str]:
        """Return the environment of the service. Secrets are only names of files."""
        info = self.cluster.info
        query = urllib.parse.urlencode({"host": info.socket_dir, "port": info.port})
        found = {
            "PORT": str(self.port(service)),
            "DATABASE_URL": f"postgresql://{info.superuser}@/{self.database}?{query}",
            "REDIS_URL": f"unix://{self.redis.socket}",
            "ISSUER_URL": ISSUER,
            "STS_URL": self.url("sts"),
            "CARACAL_GATEWAY_URL": self.url("gateway"),
            "CARACAL_COORDINATOR_URL": self.url("coordinator"),
            "AUDIT_REPLAY_DIR": str(self.replay(service)),
            "AUDIT_RETENTION_DAYS": "3650",
            "UPSTREAM_HOST_ALLOWLIST": "127.0.0.1",
            "ALLOW_PRIVATE_UPSTREAMS": "true",
            "READY_RATE_LIMIT_PER_MIN": "0",
            "API_READY_OUTBOX_DEAD_MAX": "1000",
        }
        files = {f"{name}_FILE": str(self.secrets / file) for name, file in SECRETS.items() if (self.secrets / file).exists()}
        return {**found, **files, **self.environment}

    def start(self, *names: str, wait: bool = True, **changes: str) -> None:
        """Start these services (or all), with changes to their environment; with `wait`, wait until each is ready."""
        order = names or SERVICES
        for name in order:
            service = self._spawn(name, changes)
            # The group of the audit service must exist before the first event.
            if wait and name == "audit":
                self.wait_ready(service)
        for name in order if wait else ():
            self.wait_ready(self.services[name])

    def _spawn(self, name: str, changes: dict[str, str]) -> Service:
        environment = {**self.variables(name), **changes}
        log_file = self.folder / f"{name}.log"
        path = {"PATH": os.environ["PATH"], "PYTHONPATH": str(TESTS), "PYTHONDONTWRITEBYTECODE": "1", runs.VARIABLE: str(runs.own())}
        with open(log_file, "wb") as log:
            command = [sys.executable, "-m", f"twin.services.{name}"]
            process = subprocess.Popen(command, env={**path, **environment}, stdout=log, stderr=log, cwd=self.folder)
        self.services[name] = Service(name, self.url(name), environment, log_file, process)
        return self.services[name]

    def wait_ready(self, service: Service) -> None:
        last: t.Any = None
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            assert service.process.poll() is None, f"{service.name} ended: {service.log}"
            with contextlib.suppress(OSError):
                last = service.call("GET", "/ready")
                if last[0] == 200:
                    return
            time.sleep(0.05)
        raise AssertionError(f"{service.name} is not ready: {last}\n{service.log}")

    def __getitem__(self, name: str) -> Service:
        return self.services[name]

    def stop(self, *names: str) -> None:
        for name in names or [*reversed(SERVICES)]:
            if name in self.services:
                self.services.pop(name).stop()

    def kill(self) -> None:
        for service in self.services.values():
            service.process.kill()
            service.process.wait()
        for held in self._held.values():
            held.close()

    def sql(self, *statements: str) -> list[tuple[t.Any, ...]]:
        return self.cluster.execute(*statements, database=self.database)


@contextlib.contextmanager
def deployment(
    cluster: TwinCluster, redis: RedisServer, folder: Path, database: str = "caracal", **environment: str
) -> t.Iterator[Deployment]:
    """Yield a deployment without running services; those that run at the end are stopped."""
    made = Deployment(cluster, redis, folder, database, environment)
    try:
        yield made
        made.stop()
    finally:
        made.kill()


def secret_store(deployed: Deployment) -> bool:
    return deployed.family == SECRET_STORE


def _reserved() -> socket.socket:
    """Return an open socket that reserves its port against other processes, but lets a service listen on it."""
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return held


def _value(body: bytes) -> t.Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode()


def _headers(reply: t.Any) -> dict[str, str]:
    return {name.lower(): value for name, value in reply.headers.items()}
