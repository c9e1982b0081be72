# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parse what a container engine reports about a Compose project."""

from __future__ import annotations

import dataclasses
import re
import typing as t

PROJECT, SERVICE, NUMBER, ONE_OFF, VOLUME = (
    f"com.docker.compose.{name}" for name in ("project", "service", "container-number", "oneoff", "volume")
)
DIRECTORY, ENVIRONMENT_FILES = f"{PROJECT}.working_dir", f"{PROJECT}.environment_file"
DEPENDS_ON = "com.docker.compose.depends_on"
# Docker Compose and Podman Compose write a hash of the service's settings as a label on each container that they create.
CONFIG_HASHES = ("com.docker.compose.config-hash", "io.podman.compose.config-hash")
# Compose writes these labels on every container. An image built by Compose can have the first two as well.
ALWAYS = (PROJECT, SERVICE, NUMBER, DIRECTORY)
_REPLICA = re.compile(r"[1-9][0-9]{0,5}\Z")
_HASH = re.compile(r"[0-9a-f]{64}\Z")
# Conditions of `depends_on`, as Compose names them: the state that a dependency must reach before the service is started.
STARTED, HEALTHY, COMPLETED = "service_started", "service_healthy", "service_completed_successfully"


@dataclasses.dataclass(frozen=True)
class Mount:
    """A mount of a container.

    `kind` is `bind`, `volume` or another. `source` is a path on the engine's host, or empty if there is none.
    """

    kind: str
    source: str
    target: str


@dataclasses.dataclass(frozen=True)
class Container:
    """A container of a service, with its configuration.

    `ports` maps a container port such as `5432/tcp` to an address and port on the host. `addresses` are the container's own
    addresses, none while it is stopped.

    `digest` is the image's digest in the registry, `image_id` the digest of its configuration. Without a registry they are
    equal. `command` is the whole command line: entry point and arguments.
    """

    name: str
    service: str
    number: str
    running: bool
    directory: str
    environment_files: t.Sequence[str]
    environment: t.Mapping[str, str]
    mounts: t.Sequence[Mount]
    ports: t.Mapping[str, tuple[str, int]]
    addresses: t.Sequence[str]
    image: str
    digest: str
    image_id: str
    command: t.Sequence[str]
    working_directory: str

    def mounted(self, target: str) -> Mount | None:
        return next((one for one in self.mounts if one.target == target), None)


@dataclasses.dataclass(frozen=True)
class State:
    """The state of a container.

    `health` is healthy, unhealthy or starting. It is empty unless `checked`, which means that a health check is configured.
    `needs` maps a service to the condition that it must meet.
    """

    container: str
    name: str
    service: str
    number: str
    running: bool
    ended: bool
    exit_code: int
    health: str
    checked: bool
    needs: t.Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Volume:
    """A volume of a project.

    `name` is its name in the project (`stsReplay`), `full_name` its name in the engine. `path` is the directory with its files,
    if it exists.
    """

    name: str
    full_name: str
    driver: str
    path: str


@dataclasses.dataclass(frozen=True)
class Project:
    """A Compose project: its containers, running or stopped, and its volumes, with or without a container."""

    name: str
    containers: t.Sequence[Container]
    volumes: t.Sequence[Volume]


def labels(seen: t.Mapping[str, t.Any], image: t.Mapping[str, t.Any]) -> dict[str, str] | None:
    """Return the labels of a container that Compose created for a service, or None for any other container.

    A container of `docker compose run` is not one of a service. `seen` and `image` are the container and its image as the
    engine inspects them.

    A container inherits the labels of its image, and anyone can build an image with Compose labels. So labels that the image
    has as well do not count, and a container without its own configuration hash was not started by Compose.
    """
    inherited, found = _labels(image["Config"]), _labels(seen["Config"])
    own = {name: value for name, value in found.items() if inherited.get(name) != value}
    if not any(_HASH.match(own.get(name, "")) for name in CONFIG_HASHES) or found.get(ONE_OFF) == "True":
        return None
    given = {**own, **{name: found[name] for name in ALWAYS if name in found}}
    return given if PROJECT in given and SERVICE in given and _REPLICA.match(given.get(NUMBER, "")) else None


def _labels(about: t.Mapping[str, t.Any] | None) -> dict[str, str]:
    return {str(name): str(value) for name, value in ((about or {}).get("Labels") or {}).items()}


def container(seen: t.Mapping[str, t.Any], own: t.Mapping[str, str], digests: t.Sequence[t.Any]) -> Container:
    """Return the container that `seen` describes, in the format of the engine's inspection.

    `own` are its labels, `digests` the digests of its image.
    """
    config, network = seen["Config"], seen["NetworkSettings"]
    return Container(
        name=str(seen["Name"]).lstrip("/"),
        service=own[SERVICE],
        number=own[NUMBER],
        running=seen["State"]["Running"] is True,
        directory=own.get(DIRECTORY, ""),
        environment_files=tuple(one for one in own.get(ENVIRONMENT_FILES, "").split(",") if one),
        environment=variables(config),
        mounts=tuple(Mount(str(one["Type"]), str(one.get("Source") or ""), str(one["Destination"])) for one in seen.get("Mounts") or []),
        ports=_ports(network.get("Ports") or {}),
        addresses=tuple(str(one["IPAddress"]) for one in (network.get("Networks") or {}).values() if one.get("IPAddress")),
        image=str(config["Image"]),
        digest=str(digests[0]).rpartition("@")[2] if digests else image_id(str(seen["Image"])),
        image_id=image_id(str(seen["Image"])),
        command=[str(seen.get("Path") or ""), *map(str, seen.get("Args") or [])],
        working_directory=str(config.get("WorkingDir") or "/"),
    )


def state(seen: t.Mapping[str, t.Any], own: t.Mapping[str, str]) -> State:
    """Return the state of the container that `seen` describes, in the format of the engine's inspection. `own` are its labels."""
    config, now = seen["Config"], seen["State"]
    check = (config.get("Healthcheck") or {}).get("Test") or []
    return State(
        container=str(seen["Id"]),
        name=str(seen["Name"]).lstrip("/"),
        service=own[SERVICE],
        number=own[NUMBER],
        running=now["Running"] is True,
        ended=now["Status"] in ("exited", "dead"),
        exit_code=int(now["ExitCode"]),
        health=str((now.get("Health") or {}).get("Status") or ""),
        checked=bool(check) and check[0] != "NONE",
        needs=_needs(own.get(DEPENDS_ON, "")),
    )


def _needs(label: str) -> dict[str, str]:
    """Parse Compose's format: `service:condition:restart`, separated by commas."""
    parts = [one.split(":") for one in label.split(",") if one]
    return {one[0]: one[1] if len(one) > 1 else STARTED for one in parts}


def variables(config: t.Mapping[str, t.Any]) -> dict[str, str]:
    """Return the environment variables in the configuration of a container or an image."""
    return {name: value for name, _equals, value in (str(one).partition("=") for one in config.get("Env") or [])}


def image_id(reported: str) -> str:
    """Return an image ID with its digest algorithm, as Docker reports it. Podman omits the algorithm."""
    return reported if ":" in reported else f"sha256:{reported}"


def volume(seen: t.Mapping[str, t.Any]) -> Volume:
    """Return the volume that `seen` describes, in the format of the engine's list of volumes."""
    return Volume(_labels(seen).get(VOLUME, ""), str(seen["Name"]), str(seen["Driver"]), str(seen.get("Mountpoint") or ""))


def project_of(seen: t.Mapping[str, t.Any]) -> str:
    """Return the project of a volume, from the engine's list of volumes."""
    return _labels(seen).get(PROJECT, "")


def _ports(found: t.Mapping[str, t.Any]) -> dict[str, tuple[str, int]]:
    """Return the first address of each published port. A wildcard address is replaced by the loopback address."""
    named = {port: bound[0] for port, bound in found.items() if bound}
    return {port: (_reached(str(one.get("HostIp") or "")), int(one["HostPort"])) for port, one in named.items()}


def _reached(address: str) -> str:
    return {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)
