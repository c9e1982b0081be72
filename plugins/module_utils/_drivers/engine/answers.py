# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a container engine answers about a Compose project, in our words."""

from __future__ import annotations

import dataclasses
import re
import typing as t

PROJECT, SERVICE, NUMBER, ONE_OFF, VOLUME = (
    f"com.docker.compose.{name}" for name in ("project", "service", "container-number", "oneoff", "volume")
)
DIRECTORY, ENVIRONMENT_FILES = f"{PROJECT}.working_dir", f"{PROJECT}.environment_file"
DEPENDS_ON = "com.docker.compose.depends_on"
# Docker's Compose and Podman's write a hash of the service's settings on each container that they create.
CONFIG_HASHES = ("com.docker.compose.config-hash", "io.podman.compose.config-hash")
# Both write these, too, on every container. An image that Compose built may have the first two as well.
ALWAYS = (PROJECT, SERVICE, NUMBER, DIRECTORY)
_REPLICA = re.compile(r"[1-9][0-9]{0,5}\Z")
_HASH = re.compile(r"[0-9a-f]{64}\Z")
# What another service must have come to before one is started, in the words of Compose.
STARTED, HEALTHY, COMPLETED = "service_started", "service_healthy", "service_completed_successfully"


@dataclasses.dataclass(frozen=True)
class Mount:
    """`kind` is `bind`, `volume` or another; `source` is a path on the engine's host, empty where there is none."""

    kind: str
    source: str
    target: str


@dataclasses.dataclass(frozen=True)
class Container:
    """`ports` by `5432/tcp`: address and port on the host. `addresses` are its own, none while it does not run.

    `digest` is the registry's, `image_id` that of its configuration; without a registry they are the same.
    `command` is all of it, entry point and arguments.
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
    """How a container does. `health` is healthy, unhealthy or starting, if it is `checked` at all; `needs` are conditions by service."""

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
    """`name` is what the project calls it (`stsReplay`), `full_name` what the engine does, `path` where its files are, if there."""

    name: str
    full_name: str
    driver: str
    path: str


@dataclasses.dataclass(frozen=True)
class Project:
    """Containers that run or not, and volumes with and without a container."""

    name: str
    containers: t.Sequence[Container]
    volumes: t.Sequence[Volume]


def labels(seen: t.Mapping[str, t.Any], image: t.Mapping[str, t.Any]) -> dict[str, str] | None:
    """Labels of a container that Compose created for a service; None for any other, such as one of a single command. `seen` and its `image`
    are as the engine inspects them.

    A container inherits the labels of its image, and anyone can build an image with labels of Compose. So what the image has as well does
    not count, and a container without a hash of its own was started in another way.
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
    """`seen` as the engine inspects a container, and its `own` labels; `digests` are those of its image."""
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
    """`seen` as the engine inspects a container, and its `own` labels."""
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
    """As Compose writes it: `service:condition:restart`, separated by commas."""
    parts = [one.split(":") for one in label.split(",") if one]
    return {one[0]: one[1] if len(one) > 1 else STARTED for one in parts}


def variables(config: t.Mapping[str, t.Any]) -> dict[str, str]:
    """The environment in a configuration, of a container or of an image."""
    return {name: value for name, _equals, value in (str(one).partition("=") for one in config.get("Env") or [])}


def image_id(told: str) -> str:
    """As Docker tells it; Podman leaves out the kind of digest."""
    return told if ":" in told else f"sha256:{told}"


def volume(seen: t.Mapping[str, t.Any]) -> Volume:
    """`seen` as the engine lists volumes."""
    return Volume(_labels(seen).get(VOLUME, ""), str(seen["Name"]), str(seen["Driver"]), str(seen.get("Mountpoint") or ""))


def project_of(seen: t.Mapping[str, t.Any]) -> str:
    """That of a volume, as the engine lists it."""
    return _labels(seen).get(PROJECT, "")


def _ports(found: t.Mapping[str, t.Any]) -> dict[str, tuple[str, int]]:
    """The first address of each that is published; one that means every address is that of the loopback."""
    named = {port: bound[0] for port, bound in found.items() if bound}
    return {port: (_reached(str(one.get("HostIp") or "")), int(one["HostPort"])) for port, one in named.items()}


def _reached(address: str) -> str:
    return {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)
