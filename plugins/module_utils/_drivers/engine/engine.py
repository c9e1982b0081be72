# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Compose project, as the container engine knows it. Docker and Podman answer the same questions on their socket.

The engine is asked. It is told one thing only: to start a container that is there. It pulls no image, and makes and removes nothing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import typing as t

from ..._deps import require_docker
from ..._errors import OptionError, PermissionMissing, StageFailed, Unreachable
from ..._stream import pipes
from . import answers
from .answers import PROJECT, Project, State

# Where the engines listen, the first that is there.
SOCKETS = ("/var/run/docker.sock", "/run/podman/podman.sock")
TIMEOUT = 60
# Docker lays a whole image down beside its own before it hands out the first byte.
SAVE_TIMEOUT = 900
_LOCAL = "unix://"
# As Compose itself allows; nothing else goes into a filter.
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,127}\Z")


class Engine:
    """`address` is that of a socket on this host, `unix:///var/run/docker.sock`; the first of the usual ones without.

    Raises MissingDependency, OptionError, PermissionMissing, StageFailed, Unreachable.
    """

    def __init__(self, address: str | None) -> None:
        if address is None:
            found = next((path for path in SOCKETS if os.path.exists(path)), None)
            if found is None:
                raise Unreachable(f"no container engine listens on {' or '.join(SOCKETS)}; start it, or set engine to its socket")
            address = f"{_LOCAL}{found}"
        if not address.startswith(f"{_LOCAL}/"):
            words = "is not a socket on this host, so its paths cannot be used here; run the module on the engine's host"
            raise OptionError(f"engine {address[:200]!a} {words}")
        self.address = address

    def project(self, name: str) -> Project:
        """All of a project but containers of single commands. Raises OptionError for one that the engine does not know."""
        _check_name(name)
        with self._asked() as api:
            mine = f"{PROJECT}={name}"
            found = [answers.container(one.seen, one.labels, one.image.get("RepoDigests") or []) for one in _created(api, [mine])]
            volumes = api.volumes(filters={"label": mine})["Volumes"] or []
            if not found and not volumes:
                raise OptionError(f"{self.address} has no Compose project {name}; {_known(api)}")
            return Project(
                name,
                tuple(sorted(found, key=lambda one: (one.service, len(one.number), one.number))),
                tuple(sorted((answers.volume(one) for one in volumes), key=lambda one: one.full_name)),
            )

    def states(self, name: str, service: str = "") -> list[State]:
        """How the containers of a project, or of one service of it, do; by service and number. Raises OptionError where there is none."""
        _check_name(name)
        mine = [f"{PROJECT}={name}", *([f"{answers.SERVICE}={service}"] if service else [])]
        with self._asked() as api:
            found = [answers.state(one.seen, one.labels) for one in _created(api, mine)]
            if not found:
                raise OptionError(f"{self.address} has no container of Compose project {name}; {_known(api)}")
            return sorted(found, key=lambda one: (one.service, len(one.number), one.number))

    def start(self, container: str) -> None:
        """One that runs already is left alone."""
        with self._asked() as api:
            api.start(container)

    def environment(self, image_id: str) -> dict[str, str]:
        """The variables that an image gives to what it starts."""
        with self._asked() as api:
            return answers.variables(api.inspect_image(image_id)["Config"])

    def has(self, image_id: str) -> bool:
        """Whether an image is here. One that a container runs from may have been removed under it."""
        with self._asked() as api:
            try:
                api.inspect_image(image_id)
            except require_docker().errors.NotFound:
                return False
        return True

    @contextlib.contextmanager
    def saved(self, image_id: str) -> t.Iterator[pipes.Reader]:
        """The image as `docker image save` writes it, on its way."""
        with self._asked(SAVE_TIMEOUT) as api:
            yield pipes.Pieces(api.get_image(image_id, chunk_size=pipes.CHUNK))

    @contextlib.contextmanager
    def _asked(self, timeout: int = TIMEOUT) -> t.Iterator[t.Any]:
        docker = require_docker()
        path = self.address.removeprefix(_LOCAL)
        try:
            with contextlib.closing(docker.APIClient(base_url=self.address, version="auto", timeout=timeout)) as api:
                yield api
        except docker.errors.APIError as exc:
            raise StageFailed(f"{self.address} refuses the request: {str(exc.explanation or exc)[:200]!a}; check the engine's log") from exc
        except (KeyError, TypeError, AttributeError, ValueError, IndexError, OverflowError) as exc:
            raise StageFailed(f"{self.address} does not answer like Docker; set engine to the socket of Docker or Podman") from exc
        except (docker.errors.DockerException, OSError) as exc:
            if os.path.exists(path) and not os.access(path, os.R_OK | os.W_OK):
                raise PermissionMissing(f"this user cannot use {path}; run as root (become), who can also read the volumes") from exc
            raise Unreachable(f"no container engine answers at {self.address}; start it, or set engine to another socket") from exc


def _check_name(name: str) -> None:
    if not _NAME.match(name):
        raise OptionError(f"{name[:80]!a} is not a valid name of a Compose project; use the name that `docker compose ls` shows")


@dataclasses.dataclass(frozen=True)
class _Created:
    """A container of a service as the engine inspects it, with the labels that Compose gave it, and its image."""

    seen: t.Mapping[str, t.Any]
    labels: t.Mapping[str, str]
    image: t.Mapping[str, t.Any]


def _created(api: t.Any, wanted: t.Sequence[str]) -> t.Iterator[_Created]:
    """Containers with these labels that Compose created. One that goes away meanwhile is none, and neither is one without its image."""
    missing = require_docker().errors.NotFound
    for one in api.containers(all=True, filters={"label": list(wanted)}):
        with contextlib.suppress(missing):
            seen = api.inspect_container(one["Id"])
            image = api.inspect_image(seen["Image"])
            own = answers.labels(seen, image)
            if own is not None:
                yield _Created(seen, own, image)


def _known(api: t.Any) -> str:
    found = {one.labels[PROJECT] for one in _created(api, [PROJECT])}
    found.update(map(answers.project_of, api.volumes(filters={"label": PROJECT})["Volumes"] or []))
    if found:
        return f"it has {', '.join(sorted(found))[:200]}; use one of these"
    return "run the module where the project runs, or create its containers first (docker compose create); only containers of Compose count"
