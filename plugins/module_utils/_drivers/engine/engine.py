# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Compose project, as the container engine knows it.

Docker and Podman have the same API on their socket. All requests are read-only, except one that starts an existing container.
Nothing here pulls images, or creates or removes anything.
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

# The sockets of Docker and Podman. The first one that exists is used.
SOCKETS = ("/var/run/docker.sock", "/run/podman/podman.sock")
TIMEOUT = 60
# Docker writes a copy of the whole image to its disk before it sends the first byte.
SAVE_TIMEOUT = 900
_LOCAL = "unix://"
# The names that Compose itself allows. No other text is used in a filter.
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,127}\Z")


class Engine:
    """A client of the container engine.

    `address` is a socket on this host, such as `unix:///var/run/docker.sock`. Without one, the first socket of `SOCKETS` that
    exists is used.

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
        """Return a project without its one-off containers.

        Raises OptionError if the engine does not know the project.
        """
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
        """Return the states of the containers of a project, or of one service in it, sorted by service and number.

        Raises OptionError if there are none.
        """
        _check_name(name)
        mine = [f"{PROJECT}={name}", *([f"{answers.SERVICE}={service}"] if service else [])]
        with self._asked() as api:
            found = [answers.state(one.seen, one.labels) for one in _created(api, mine)]
            if not found:
                raise OptionError(f"{self.address} has no container of Compose project {name}; {_known(api)}")
            return sorted(found, key=lambda one: (one.service, len(one.number), one.number))

    def start(self, container: str) -> None:
        """Start a container. A running container is not changed."""
        with self._asked() as api:
            api.start(container)

    def environment(self, image_id: str) -> dict[str, str]:
        """Return the environment variables that an image sets for its containers."""
        with self._asked() as api:
            return answers.variables(api.inspect_image(image_id)["Config"])

    def has(self, image_id: str) -> bool:
        """Return True if the engine has an image. The image of a running container may have been removed."""
        with self._asked() as api:
            try:
                api.inspect_image(image_id)
            except require_docker().errors.NotFound:
                return False
        return True

    @contextlib.contextmanager
    def saved(self, image_id: str) -> t.Iterator[pipes.Reader]:
        """Stream an image in the format of `docker image save`."""
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
    """A container of a service and its image, as the engine inspects them, with the labels that Compose wrote."""

    seen: t.Mapping[str, t.Any]
    labels: t.Mapping[str, str]
    image: t.Mapping[str, t.Any]


def _created(api: t.Any, wanted: t.Sequence[str]) -> t.Iterator[_Created]:
    """Yield the containers with these labels that Compose created.

    A container that is removed meanwhile is omitted, and so is one whose image is missing.
    """
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
