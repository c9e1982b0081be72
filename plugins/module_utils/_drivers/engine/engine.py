# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The containers of a Compose project, as the container engine knows them. Docker and Podman answer the same questions on their socket.

The engine is only asked, never told to do anything.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import typing as t

from ..._deps import require_docker
from ..._errors import OptionError, PermissionMissing, StageFailed, Unreachable

PROJECT, SERVICE, NUMBER, ONE_OFF = (f"com.docker.compose.{name}" for name in ("project", "service", "container-number", "oneoff"))
DIRECTORY, ENVIRONMENT_FILE = f"{PROJECT}.working_dir", f"{PROJECT}.environment_file"
# Where the engines listen, the first that is there.
SOCKETS = ("/var/run/docker.sock", "/run/podman/podman.sock")
TIMEOUT = 60
_LOCAL = "unix://"
# As Compose itself allows; nothing else goes into a filter.
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,127}\Z")


@dataclasses.dataclass(frozen=True)
class Mount:
    """`kind` is `bind`, `volume` or another; `source` is a path on the engine's host, empty where there is none."""

    kind: str
    source: str
    target: str


@dataclasses.dataclass(frozen=True)
class Container:
    """`ports` by `5432/tcp`: address and port on the host. `addresses` are its own, none while it does not run."""

    name: str
    service: str
    number: str
    running: bool
    directory: str
    environment_file: str
    environment: t.Mapping[str, str]
    mounts: t.Sequence[Mount]
    ports: t.Mapping[str, tuple[str, int]]
    addresses: t.Sequence[str]
    image: str
    digest: str

    def mounted(self, target: str) -> Mount | None:
        return next((one for one in self.mounts if one.target == target), None)


class Engine:
    """`address` is that of a socket on this host, `unix:///var/run/docker.sock`; the first of the usual ones without.

    Raises MissingDependency, OptionError, PermissionMissing, StageFailed, Unreachable.
    """

    def __init__(self, address: str | None) -> None:
        if address is None:
            found = next((path for path in SOCKETS if os.path.exists(path)), None)
            if found is None:
                raise Unreachable(f"no container engine listens on {' or '.join(SOCKETS)}; start it, or name its socket in engine")
            address = f"{_LOCAL}{found}"
        if not address.startswith(f"{_LOCAL}/"):
            words = "is no socket on this host, so its paths mean nothing here; run the module on its host"
            raise OptionError(f"engine {address[:200]!a} {words}")
        self.address = address

    def containers(self, project: str) -> list[Container]:
        """All of a project, running or not, but for those of single commands. Raises OptionError for a project that it does not know."""
        if not _NAME.match(project):
            raise OptionError(f"{project[:80]!a} is no name of a Compose project; give it as `docker compose ls` shows it")
        with self._asked() as api:
            found = [api.inspect_container(one["Id"]) for one in api.containers(all=True, filters={"label": f"{PROJECT}={project}"})]
            known = [] if found else sorted({one["Labels"][PROJECT] for one in api.containers(all=True, filters={"label": PROJECT})})
            made = [_container(one, api) for one in found if one["Config"]["Labels"].get(ONE_OFF) != "True"]
        if not made:
            words = f"it knows {', '.join(known)[:200]}; name one of these" if known else "run the module where the project runs"
            raise OptionError(f"{self.address} knows no Compose project {project}; {words}")
        return sorted(made, key=lambda one: (one.service, len(one.number), one.number))

    @contextlib.contextmanager
    def _asked(self) -> t.Iterator[t.Any]:
        docker = require_docker()
        path = self.address.removeprefix(_LOCAL)
        try:
            with contextlib.closing(docker.APIClient(base_url=self.address, version="auto", timeout=TIMEOUT)) as api:
                yield api
        except docker.errors.APIError as exc:
            raise StageFailed(f"{self.address} refuses to answer: {str(exc.explanation or exc)[:200]!a}; see the engine's log") from exc
        except docker.errors.DockerException as exc:
            if os.path.exists(path) and not os.access(path, os.R_OK | os.W_OK):
                raise PermissionMissing(f"{path} may not be used by this user; run as root (become), who can read the volumes too") from exc
            raise Unreachable(f"no container engine answers at {self.address}; start it, or name another socket in engine") from exc
        except (KeyError, TypeError, AttributeError, ValueError, IndexError) as exc:
            raise StageFailed(f"{self.address} answers otherwise than Docker does; name the socket of Docker or Podman in engine") from exc


def _container(seen: t.Mapping[str, t.Any], api: t.Any) -> Container:
    config, labels, network = seen["Config"], seen["Config"]["Labels"], seen["NetworkSettings"]
    digests = api.inspect_image(seen["Image"]).get("RepoDigests") or []
    return Container(
        name=str(seen["Name"]).lstrip("/"),
        service=str(labels[SERVICE]),
        number=str(labels.get(NUMBER, "1")),
        running=seen["State"]["Running"] is True,
        directory=str(labels.get(DIRECTORY, "")),
        environment_file=str(labels.get(ENVIRONMENT_FILE, "")),
        environment={name: value for name, _equals, value in (str(one).partition("=") for one in config.get("Env") or [])},
        mounts=tuple(Mount(str(one["Type"]), str(one.get("Source") or ""), str(one["Destination"])) for one in seen.get("Mounts") or []),
        ports=_ports(network.get("Ports") or {}),
        addresses=tuple(str(one["IPAddress"]) for one in (network.get("Networks") or {}).values() if one.get("IPAddress")),
        image=str(config["Image"]),
        digest=str(digests[0]).rpartition("@")[2] if digests else str(seen["Image"]),
    )


def _ports(found: t.Mapping[str, t.Any]) -> dict[str, tuple[str, int]]:
    """The first address of each that is published; one that means every address is that of the loopback."""
    named = {port: bound[0] for port, bound in found.items() if bound}
    return {port: (_reached(str(one.get("HostIp") or "")), int(one["HostPort"])) for port, one in named.items()}


def _reached(address: str) -> str:
    return {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)
