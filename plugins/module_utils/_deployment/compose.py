# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find everything in a Compose project that uses Caracal's Compose file. Names of project, directory, ports and volumes may differ."""

from __future__ import annotations

import glob
import itertools
import os
import typing as t

from .._caracal import releases
from .._caracal import replay as replays
from .._caracal import services as caracal
from .._caracal.canary import asking
from .._caracal.retention import settings
from .._drivers.engine.answers import Container, Project, Volume
from .._errors import OptionError
from .._repository import services
from .._repository.services import Service
from .deployment import DATABASE, ENVIRONMENT_FILE, REDIS, REPLAY, SECRETS, Database, Deployment, NotDurable, Redis, Replay, ReplayVolume

SECRETS_FOLDER = "/run/secrets"
# Files outside the secrets that a deployment requires, by mounted directory: certificates, and the control gate file.
EXTRA = {"/etc/caracal/ca": "extra-ca.pem", "/run/caracal-control": "enabled"}
# Files that Compose reads by default in the project's directory.
ENVIRONMENTS = ("caracal.env", ".env")
STATE = "/var/lib/caracal"
FIRST = "1"
# Services that a restore needs before any Caracal service runs: PostgreSQL, Redis, and the folders of the replay
# volumes.
SERVERS = ("postgres", "redis")
FOLDERS = "replayVolumeInit"
DATA = (*SERVERS, FOLDERS)
# Locations of a database cluster in the volume of PostgreSQL images.
CLUSTERS = ("PG_VERSION", "*/PG_VERSION", "*/*/PG_VERSION")
# Ports of the services that canaries use, for all releases.
ASKED = {one.name: one.port for one in caracal.services(releases.SECRET_STORE) if one.name in asking.SERVICES}
# Services that exit when their work is done.
ONCE = (FOLDERS, "dbMigrate")
Found = t.TypeVar("Found")


def find(project: Project, named: t.Collection[str], stopped: bool = False) -> Deployment:
    """Find the parts of a project.

    `named` are parts that need not be found. With `stopped`, PostgreSQL and Redis need not run, and their addresses may
    be unknown. Raises OptionError that lists all parts that are neither found nor named.
    """
    faults: list[str] = []

    def part(name: str, find_it: t.Callable[[Project], Found], otherwise: Found) -> Found:
        try:
            return find_it(project)
        except OptionError as exc:
            if name not in named:
                faults.append(exc.msg)
            return otherwise

    extra = _extra(project.containers)
    found = Deployment(
        directory=next((one.directory for one in project.containers if one.directory), ""),
        database=part(DATABASE, lambda of: _database(of, stopped), None),
        redis=part(REDIS, lambda of: _redis(of, stopped), None),
        secrets_directory=part(SECRETS, _secrets, ""),
        environment_file=part(ENVIRONMENT_FILE, _environment_file, ""),
        extra_files=sorted(path for path in map(os.path.join, extra.values(), extra) if os.path.isfile(path)),
        extra_directories=extra,
        replay=part(REPLAY, lambda of: replay(of, made=not stopped), Replay([], [])),
        settings=_settings(project.containers),
        services=[_service(one) for one in project.containers],
        running=sorted({one.service for one in project.containers if one.running}),
        stopped=_stopped(project, named) if stopped else [],
    )
    if faults:
        raise OptionError("; also, ".join(faults))
    return found


def _stopped(project: Project, named: t.Collection[str]) -> list[str]:
    """Return the services in `DATA` that must be started first, if one of the servers does not run. Named parts are excluded."""
    own = {"postgres": DATABASE, "redis": REDIS, FOLDERS: REPLAY}
    still = {one.service for one in project.containers if not one.running and own.get(one.service, "") not in named}
    return [name for name in DATA if name in still] if still.intersection(SERVERS) else []


def replay(project: Project, made: bool = True) -> Replay:
    """Find replay directories by containers and by volumes, because a volume outlives its container and may contain unsent
    events.

    Raises OptionError, also for a volume without its folder if the folder must already be `made`. Replicas that share a
    volume have one directory.
    """
    volumes: list[ReplayVolume] = []
    not_durable: list[NotDurable] = []
    for service, name in replays.COMPOSE_VOLUMES.items():
        containers = [one for one in project.containers if one.service == service]
        labelled = [one for one in project.volumes if one.name == name]
        volumes += _directories(service, containers, labelled, made)
        reasons = [f"no volume is mounted at {STATE} of container {one.name}" for one in containers if not _state(one)]
        if not containers and not labelled:
            reasons = [f"it has neither a container of {service} nor a volume {name}"]
        not_durable += [{"service": service, "reason": f"Compose project {project.name}: {reason}"} for reason in reasons]
    return Replay(volumes, not_durable)


def _directories(service: str, containers: t.Sequence[Container], labelled: t.Sequence[Volume], made: bool) -> list[ReplayVolume]:
    """Return the directories. The project's own volume is replica 1, independent of containers. Other directories have
    their container's number.
    """
    own = [_path(one) for one in labelled]
    elsewhere: dict[str, str] = {}
    for one in containers:
        if _state(one) and _state(one) not in own:
            elsewhere.setdefault(_state(one), one.number)
    free = (name for name in itertools.chain([FIRST], (f"volume{at}" for at in itertools.count(1))) if name not in elsewhere.values())
    replicas = {**dict(zip(own, free, strict=False)), **elsewhere}
    return [{"service": service, "replica": replica, "path": _folder(source, made)} for source, replica in replicas.items()]


def _state(container: Container) -> str:
    mount = container.mounted(STATE)
    return mount.source if mount else ""


def _path(volume: Volume) -> str:
    if not volume.path.startswith("/"):
        raise OptionError(
            f"volume {volume.full_name} of driver {volume.driver} has no directory on this host; mount it, and name the mount in volumes"
        )
    return volume.path


def _folder(source: str, made: bool) -> str:
    """Return the folder in a volume. If it is missing, the volume was never used, or its file system is not mounted."""
    path = os.path.join(source, replays.FOLDER)
    if made and os.access(source, os.X_OK) and not os.path.lexists(path):
        raise OptionError(f"{source} has no folder {replays.FOLDER}; start the project, which creates the folder, or mount the volume")
    return path


def urls(project: Project) -> dict[str, str]:
    """Return the URLs at which this host reaches the running services for canaries, using the first replica. Some may be unreachable."""
    found: dict[str, str] = {}
    for one in project.containers:
        port = f"{ASKED.get(one.service)}/tcp"
        if one.service in ASKED and one.running and (port in one.ports or one.addresses):
            host, number = _address(project, one, port)
            found.setdefault(one.service, f"http://{f'[{host}]' if ':' in host else host}:{number}")
    return found


def _database(project: Project, stopped: bool) -> Database:
    server = _one(project, "postgres", stopped)
    user = server.environment.get("POSTGRES_USER", "postgres")
    return Database(*_address(project, server, "5432/tcp"), user, _secret(server, "POSTGRES_PASSWORD"), server.image_id)


def _redis(project: Project, stopped: bool) -> Redis:
    server = _one(project, "redis", stopped)
    return Redis(*_address(project, server, "6379/tcp"), _secret(server, "REDIS_PASSWORD"))


def _one(project: Project, service: str, stopped: bool) -> Container:
    found = [one for one in project.containers if one.service == service]
    if not found:
        known = ", ".join(sorted({one.service for one in project.containers})) or "no container"
        raise OptionError(f"Compose project {project.name} has no service {service}, only {known[:200]}; start it, or name the server")
    running = [one for one in found if one.running]
    refuse_several(project.name, service, [one.name for one in running])
    if not running and (not stopped or _holds_a_cluster(found[0])):
        how = f"docker compose -p {project.name} up -d {service}"
        raise OptionError(f"service {service} of Compose project {project.name} is not running; start it: {how}")
    return (running or found)[0]


def refuse_several(project: str, service: str, names: t.Sequence[str]) -> None:
    """Raise OptionError if a service has several containers but may only have one: it is unclear which one has the data."""
    if len(names) > 1:
        raise OptionError(
            f"service {service} of Compose project {project} has {len(names)} containers, {', '.join(names)[:300]}; keep the one "
            "that has the data, and remove the others (docker rm)"
        )


def _holds_a_cluster(server: Container) -> bool:
    """Return whether PostgreSQL has used one of its volumes. If so, it keeps its old password, and must be checked first."""
    patterns = [os.path.join(glob.escape(one.source), place) for one in server.mounts if one.source for place in CLUSTERS]
    return any(glob.glob(pattern) for pattern in patterns)


def _address(project: Project, container: Container, port: str) -> tuple[str, int]:
    """Return the published address, or else the container's own, which this host reaches over the bridge."""
    if port in container.ports:
        return container.ports[port]
    if not container.running:
        return "", 0
    if not container.addresses:
        raise OptionError(
            f"service {container.service} of Compose project {project.name} has no address that this host reaches; publish {port}"
        )
    return container.addresses[0], int(port.partition("/")[0])


def _secret(container: Container, variable: str) -> str:
    """Return the file on this host from which a container reads its password, or an empty string."""
    path = container.environment.get(f"{variable}_FILE", "")
    mount = container.mounted(path)
    return mount.source if path and mount else ""


def _secrets(project: Project) -> str:
    """Return the directory of the secrets. Each secret is mounted separately, but all come from one directory."""
    mounts = [one for container in project.containers for one in container.mounts]
    found = {os.path.dirname(one.source) for one in mounts if os.path.dirname(one.target) == SECRETS_FOLDER}
    if len(found) != 1:
        where = f"are in several directories ({', '.join(sorted(found))[:300]})" if found else "are not mounted from files"
        raise OptionError(f"the secrets of Compose project {project.name} {where}; set secrets_directory to their directory")
    return found.pop()


def _environment_file(project: Project) -> str:
    """Return the file with which the project was started, or an existing default file if there is no label.

    Raises OptionError if there are several files or if the file is missing.
    """
    labelled = {name for one in project.containers for name in one.environment_files}
    usual = [os.path.join(one.directory, name) for one in project.containers if one.directory for name in ENVIRONMENTS]
    found = labelled or set([path for path in usual if os.path.isfile(path)][:1])
    if len(found) > 1:
        raise OptionError(
            f"Compose project {project.name} was started with {', '.join(sorted(found))[:300]}; set one, and add the others as extra files"
        )
    if lost := [path for path in found if not os.path.isfile(path)]:
        raise OptionError(f"Compose project {project.name} was started with {lost[0]}, which does not exist; set its environment file")
    return found.pop() if found else ""


def _extra(containers: t.Sequence[Container]) -> dict[str, str]:
    """Return the directory of each file in `EXTRA`, even if the file does not exist."""
    mounts = [one for container in containers for one in container.mounts]
    return {EXTRA[one.target]: one.source for one in mounts if one.target in EXTRA and one.source}


def _settings(containers: t.Sequence[Container]) -> dict[str, str] | None:
    """Return the settings of the running services, or None if one of them does not run or its replicas differ."""
    found: dict[str, str] = {}
    for service, names in settings.SERVICES.items():
        running = [one.environment for one in containers if one.service == service and one.running]
        environments = [{name: environment[name] for name in names if environment.get(name)} for environment in running]
        if not environments or any(one != environments[0] for one in environments):
            return None
        found.update(environments[0])
    return found


def _service(one: Container) -> Service:
    command = services.paths_only(one.command)
    return Service(one.service, one.number, one.image, one.digest, one.image_id, command, services.path(one.working_directory))
