# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A socket that answers our requests to a container engine, as Docker 20 does for a project of Caracal v1.0.0, and starts containers.

It refuses all other requests.
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import json
import socketserver
import threading
import typing as t
import urllib.parse
from pathlib import Path

LABEL = "com.docker.compose."
IMAGE = "sha256:" + "ab" * 32
Seen = dict[str, t.Any]


def container(service: str, number: int = 1, project: str = "caracal", **changes: t.Any) -> Seen:
    """Return a running container as `GET /containers/<id>/json` shows it.

    `changes` are `env`, `mounts`, `ports`, `addresses`, `labels`, `running`.
    """
    labels = {
        f"{LABEL}project": project,
        f"{LABEL}service": service,
        f"{LABEL}container-number": str(number),
        f"{LABEL}oneoff": "False",
        f"{LABEL}config-hash": "c0" * 32,
        **changes.get("labels", {}),
    }
    mounts = [
        {"Type": kind, "Source": source, "Destination": to, "Mode": "", "RW": True, "Propagation": ""}
        for kind, source, to in changes.get("mounts", ())
    ]
    return {
        "Id": f"{project}{service}{number}",
        "Name": f"/{project}-{service}-{number}",
        "Image": IMAGE,
        "Path": f"/usr/local/bin/{service}",
        "Args": list(changes.get("args", ())),
        "State": state("running" if changes.get("running", True) else "created"),
        "Config": {"Image": f"caracal-{service}:v1.0.0", "Env": list(changes.get("env", ())), "Labels": labels},
        "Mounts": mounts,
        "NetworkSettings": {
            "Ports": changes.get("ports", {}),
            "Networks": {f"net{at}": {"IPAddress": one} for at, one in enumerate(changes.get("addresses", ["172.18.0.9"]))},
        },
    }


def state(status: str, exit_code: int = 0, health: str = "") -> Seen:
    """Return the state of a container. It has no health check unless `health` is given."""
    return {"Running": status == "running", "Status": status, "ExitCode": exit_code, **({"Health": {"Status": health}} if health else {})}


def volume(name: str, path: str, project: str = "caracal", driver: str = "local") -> Seen:
    """Return a volume as `GET /volumes` lists it. `name` is the project's name of it; without a name it has no such label."""
    labels = {f"{LABEL}project": project, **({f"{LABEL}volume": name} if name else {})}
    return {
        "Name": f"{project}_{name or 'unnamed'}",
        "Driver": driver,
        "Mountpoint": path,
        "Labels": labels,
        "Scope": "local",
        "Options": None,
    }


def published(port: str, address: str = "127.0.0.1", at: int = 15432) -> Seen:
    return {port: [{"HostIp": address, "HostPort": str(at)}]}


@dataclasses.dataclass
class Engine:
    """`asked` are the requested paths. `images` have an environment and the bytes that `save` returns.

    `broken` replaces every answer except the version's. Without a status there is no answer. Containers in `gone`
    disappear after they were listed. A container in `started` moves with every request to the next of its service's
    states in `becomes`, and stays in the last. `baked` are labels of the image of all containers. The function in
    `runs` is called when the container of its service is started.
    """

    socket: Path
    containers: list[Seen] = dataclasses.field(default_factory=list)
    volumes: list[Seen] = dataclasses.field(default_factory=list)
    gone: set[str] = dataclasses.field(default_factory=set)
    digests: list[str] = dataclasses.field(default_factory=list)
    images: dict[str, tuple[list[str], bytes]] = dataclasses.field(default_factory=dict)
    broken: tuple[int | None, t.Any] | None = None
    asked: list[str] = dataclasses.field(default_factory=list)
    becomes: dict[str, list[Seen]] = dataclasses.field(default_factory=dict)
    started: list[str] = dataclasses.field(default_factory=list)
    baked: dict[str, str] = dataclasses.field(default_factory=dict)
    runs: dict[str, t.Callable[[], None]] = dataclasses.field(default_factory=dict)
    _looks: dict[str, int] = dataclasses.field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"unix://{self.socket}"

    def answer(self, path: str) -> tuple[int | None, t.Any]:
        url = urllib.parse.urlsplit(path)
        name = url.path.removeprefix("/v1.41")
        if name == "/version":
            return 200, {"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12"}
        if self.broken:
            return self.broken
        query = urllib.parse.parse_qs(url.query)
        wanted = json.loads(query["filters"][0])["label"] if "filters" in query else []
        if name == "/containers/json":
            assert query["all"] == ["1"], query
            labelled = [{"Id": one["Id"], "Labels": one["Config"]["Labels"]} for one in self.containers]
            return 200, [one for one in labelled if _has(one["Labels"], wanted)]
        if name == "/volumes":
            return 200, {"Volumes": [one for one in self.volumes if _has(one["Labels"], wanted)] or None, "Warnings": None}
        if name == f"/images/{IMAGE}/json" and IMAGE not in self.gone:
            return 200, {"Id": IMAGE, "RepoDigests": self.digests, "Config": {"Env": ["PG_MAJOR=17"], "Labels": self.baked}}
        for image, (environment, saved) in self.images.items():
            if name == f"/images/{image}/json":
                return 200, {"Id": image, "Config": {"Env": environment}}
            if name == f"/images/{image}/get":
                return 200, saved
        found = [one for one in self.containers if name == f"/containers/{one['Id']}/json" and one["Id"] not in self.gone]
        return (200, self._now(found[0])) if found else (404, {"message": f"no user may ask {name}"})

    def _now(self, one: Seen) -> Seen:
        states = self.becomes.get(one["Config"]["Labels"][f"{LABEL}service"], [])
        if one["Id"] in self.started and states:
            one["State"] = states[min(self._looks[one["Id"]], len(states) - 1)]
            self._looks[one["Id"]] += 1
        return one

    def start(self, path: str) -> tuple[int, t.Any]:
        for one in self.containers:
            if path.endswith(f"/containers/{one['Id']}/start") and one["Id"] not in self.gone:
                self.started.append(one["Id"])
                self._looks[one["Id"]] = 0
                self.runs.get(one["Config"]["Labels"][f"{LABEL}service"], lambda: None)()
                one["State"] = state("running")
                return 204, b""
        return 404, {"message": f"no user may do {path}"}


def _has(labels: t.Mapping[str, str], wanted: t.Sequence[str]) -> bool:
    pairs = [one.partition("=") for one in wanted]
    return all(name in labels and (not equals or labels[name] == value) for name, equals, value in pairs)


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    engine: Engine


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.server.engine.asked.append(self.path)
        self._say(*self.server.engine.answer(self.path))

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._say(*self.server.engine.start(self.path))

    def _say(self, status: int | None, body: t.Any) -> None:
        if status is None:
            return
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def address_string(self) -> str:
        return "a client"

    def log_message(self, *_about: t.Any) -> None:
        return


@contextlib.contextmanager
def start(folder: Path) -> t.Iterator[Engine]:
    engine = Engine(folder / "engine.sock")
    with _Server(str(engine.socket), _Handler) as server:
        server.engine = engine
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield engine
        finally:
            server.shutdown()
            thread.join()


def deployment(folder: Path, replay: Path) -> list[Seen]:
    """Return the containers of a complete project in `folder`, which has its secrets; `replay` has the volumes."""
    secrets = folder / "secrets"
    of_project = {f"{LABEL}project.working_dir": str(folder), f"{LABEL}project.environment_file": str(folder / "caracal.env")}

    def made(service: str, *names: str, **changes: t.Any) -> Seen:
        mounts = [("bind", str(secrets / name), f"/run/secrets/{name}") for name in names]
        return container(service, labels=of_project, mounts=[*mounts, *changes.pop("mounts", ())], **changes)

    def state(name: str) -> tuple[str, str, str]:
        return "volume", str(replay / name), "/var/lib/caracal"

    postgres = ["POSTGRES_USER=caracal", "POSTGRES_PASSWORD_FILE=/run/secrets/postgresPassword", "PATH=/usr/bin"]
    return [
        made("postgres", "postgresPassword", env=postgres, ports=published("5432/tcp")),
        made("redis", "redisPassword", env=["REDIS_PASSWORD_FILE=/run/secrets/redisPassword"], ports=published("6379/tcp", at=16379)),
        made("sts", "secretStoreKek", mounts=[state("sts"), ("bind", str(folder / "ca"), "/etc/caracal/ca")]),
        made("gateway", "auditHmacKey", mounts=[state("gateway")]),
        made("audit", "auditHmacKey", env=["AUDIT_RETENTION_DAYS=400", "AUDIT_ADMIN_TOKEN=a secret"]),
        made("coordinator", env=["SESSION_RETENTION_DAYS=30", "DELEGATION_RETENTION_DAYS="]),
    ]
