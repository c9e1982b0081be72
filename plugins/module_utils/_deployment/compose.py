# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Where everything of a Compose project is: Caracal's own Compose file, whatever its project, directory, ports and volumes are called."""

from __future__ import annotations

import os
import typing as t

from .._caracal import replay
from .._caracal.retention import settings
from .._drivers.engine.engine import Container
from .._errors import OptionError
from .deployment import Database, Deployment, Program, Redis, Replay

POSTGRES, REDIS = "postgres", "redis"
SECRETS = "/run/secrets"
# Files beside the secrets that a deployment cannot do without, by the directory that is mounted: certificates, and the gate of control.
EXTRA = {"/etc/caracal/ca": "extra-ca.pem", "/run/caracal-control": "enabled"}
ENVIRONMENT = "caracal.env"
STATE = "/var/lib/caracal"
REPLAYS = tuple(replay.COMPOSE_VOLUMES)


def find(project: str, containers: t.Sequence[Container]) -> Deployment:
    """Raises OptionError for a project that is not Caracal's, or whose databases do not run."""
    postgres, redis = _one(project, containers, POSTGRES), _one(project, containers, REDIS)
    user = postgres.environment.get("POSTGRES_USER", "postgres")
    database = Database(*_address(project, postgres, "5432/tcp"), user, _secret(postgres, "POSTGRES_PASSWORD"))
    return Deployment(
        directory=postgres.directory,
        database=database,
        redis=Redis(*_address(project, redis, "6379/tcp"), _secret(redis, "REDIS_PASSWORD")),
        secrets_directory=_secrets(project, containers),
        environment_file=_environment_file(postgres),
        extra_files=_extra(containers),
        replay=_replay(project, containers),
        settings={name: one.environment[name] for one in containers for name in settings.VARIABLES if one.environment.get(name)},
        programs=[_program(one) for one in containers],
    )


def _one(project: str, containers: t.Sequence[Container], service: str) -> Container:
    found = [one for one in containers if one.service == service]
    if not found:
        known = ", ".join(sorted({one.service for one in containers}))
        raise OptionError(f"Compose project {project} has no service {service}, so it is not Caracal's own; it has {known[:200]}")
    if not found[0].running:
        how = f"docker compose -p {project} up -d {service}"
        raise OptionError(f"service {service} of Compose project {project} does not run; start it: {how}")
    return found[0]


def _address(project: str, container: Container, port: str) -> tuple[str, int]:
    """The published one; else the container's own, which this host reaches over the bridge."""
    if port in container.ports:
        return container.ports[port]
    if not container.addresses:
        raise OptionError(f"service {container.service} of Compose project {project} has no address that this host reaches; publish {port}")
    return container.addresses[0], int(port.partition("/")[0])


def _secret(container: Container, variable: str) -> str:
    """The file on this host that a container has its password from; empty where it has it otherwise."""
    path = container.environment.get(f"{variable}_FILE", "")
    mount = container.mounted(path)
    return mount.source if path and mount else ""


def _secrets(project: str, containers: t.Sequence[Container]) -> str:
    """Each secret is mounted for itself, all from one directory."""
    found = {os.path.dirname(one.source) for container in containers for one in container.mounts if os.path.dirname(one.target) == SECRETS}
    if len(found) != 1:
        where = f"lie in {', '.join(sorted(found))[:300]}" if found else "are not mounted from files"
        raise OptionError(f"the secrets of Compose project {project} {where}; name their directory, which the project does not tell")
    return found.pop()


def _environment_file(container: Container) -> str:
    named = container.environment_file or os.path.join(container.directory, ENVIRONMENT)
    return named if os.path.isfile(named) else ""


def _extra(containers: t.Sequence[Container]) -> list[str]:
    mounts = [one for container in containers for one in container.mounts]
    paths = {os.path.join(one.source, EXTRA[one.target]) for one in mounts if one.target in EXTRA and one.source}
    return sorted(path for path in paths if os.path.isfile(path))


def _replay(project: str, containers: t.Sequence[Container]) -> Replay:
    """Replicas that share a volume have one directory."""
    volumes: dict[str, dict[str, str]] = {}
    gone = []
    for service in REPLAYS:
        for one in (one for one in containers if one.service == service):
            mount = one.mounted(STATE)
            if mount is None or not mount.source:
                reason = f"container {one.name} of Compose project {project} keeps {STATE} for itself"
                gone.append({"service": service, "reason": reason})
            else:
                named = {"service": service, "replica": one.number, "path": os.path.join(mount.source, replay.FOLDER)}
                volumes.setdefault(mount.source, named)
    return Replay(list(volumes.values()), gone)


def _program(one: Container) -> Program:
    return Program(one.service, one.number, one.image, one.digest)
