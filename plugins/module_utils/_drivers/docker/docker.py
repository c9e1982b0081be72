# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The volumes of a Compose project, as Docker knows them by their labels. Docker is only asked, never told to do anything.

Another platform gets a file of its own that answers in `Volume`s too.
"""

from __future__ import annotations

import dataclasses
import json
import re
import typing as t

from ..._errors import (
    BackupError,
    MissingDependency,
    OptionError,
    PermissionMissing,
    StageFailed,
    Unreachable,
)
from ..._stream import process

PROJECT, VOLUME = "com.docker.compose.project", "com.docker.compose.volume"
TIMEOUT = 60.0
# As Compose itself allows; nothing else goes into a filter.
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,127}\Z")
_REFUSED = "permission denied"
_DEAD = ("Cannot connect to the Docker daemon", "failed to connect to the docker API")


@dataclasses.dataclass(frozen=True)
class Volume:
    """`name` is what the deployment calls it (`stsReplay`), `full_name` what the platform does, `path` where its files are here."""

    name: str
    full_name: str
    path: str


class Docker:
    """`program` is a name or a path. Raises MissingDependency, PermissionMissing, Unreachable, StageFailed."""

    def __init__(self, program: str) -> None:
        self._program = program

    def volumes(self, project: str) -> list[Volume]:
        """Every volume of a project; none for one that has only containers. Raises OptionError for a project that Docker does not know."""
        if not _NAME.match(project):
            raise OptionError(f"{project[:80]!a} is no name of a Compose project; give it as `docker compose ls` shows it")
        self._check_local()
        seen = self._inspect(self._lines("volume", "ls", "--quiet", "--filter", f"label={PROJECT}"))
        found = [one for one in seen if one["Labels"][PROJECT] == project]
        if not found and not self._lines("ps", "--all", "--quiet", "--filter", f"label={PROJECT}={project}"):
            known = sorted({one["Labels"][PROJECT] for one in seen})
            raise OptionError(
                f"{self._program} knows no Compose project {project}; "
                + (f"it knows {', '.join(known)[:200]}; name one of these" if known else "run the module where the project runs")
            )
        return [self._volume(one) for one in found if one["Labels"].get(VOLUME)]

    def _check_local(self) -> None:
        """Paths that a daemon on another host names mean nothing here, or worse, something else."""
        where = "".join(self._lines("context", "inspect", "--format", "{{.Endpoints.docker.Host}}"))
        if not where.startswith("unix://"):
            raise OptionError(f"{self._program} talks to a daemon whose volumes are not on this host; run the module on that host")

    def _inspect(self, names: t.Sequence[str]) -> list[dict[str, t.Any]]:
        if not names:
            return []
        said = self._ask("volume", "inspect", *names)
        try:
            found = [{**one, "Labels": dict(one["Labels"])} for one in json.loads(said)]
        except (ValueError, TypeError, KeyError) as exc:
            raise StageFailed(f"{self._program} volume inspect answered otherwise than Docker does; name Docker's own client") from exc
        return [one for one in found if PROJECT in one["Labels"]]

    def _volume(self, one: t.Mapping[str, t.Any]) -> Volume:
        full_name, path = str(one.get("Name")), one.get("Mountpoint")
        if not isinstance(path, str) or not path.startswith("/"):
            raise OptionError(
                f"volume {full_name} of driver {one.get('Driver')} has no directory on this host; mount it, and name the mount in volumes"
            )
        return Volume(one["Labels"][VOLUME], full_name, path)

    def _lines(self, *arguments: str) -> list[str]:
        return self._ask(*arguments).decode("utf-8", "replace").split()

    def _ask(self, *arguments: str) -> bytes:
        try:
            return process.run([self._program, *arguments], timeout=TIMEOUT)
        except MissingDependency as exc:
            raise MissingDependency(f"{exc.msg.partition(';')[0]}; install Docker's client, or name its path in docker") from exc
        except StageFailed as exc:
            raise self._explained(exc) from exc

    def _explained(self, error: StageFailed) -> BackupError:
        if _REFUSED in error.msg:
            return PermissionMissing(f"{self._program} may not reach Docker's socket; run as root (become), who can read the volumes too")
        if any(words in error.msg for words in _DEAD):
            return Unreachable(f"{self._program} reaches no Docker daemon; start it, or name the directories in volumes")
        return error
