# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the replay directories in the options, given by path or by Compose project."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ..._deployment import compose
from ..._deployment.deployment import lost
from ..._drivers.engine.engine import Engine
from ..._errors import OptionError
from ..._options.declared import Options, Path, Suboptions

_REPLICA = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}\Z")


@dataclasses.dataclass(frozen=True, kw_only=True)
class VolumeOptions(Suboptions):
    """The replay directory of one replica of a service."""

    service: t.Literal["sts", "gateway"]
    replica: str = "1"
    path: Path


@dataclasses.dataclass(frozen=True, kw_only=True)
class NotDurableOptions(Suboptions):
    """A service that keeps unsent events only in its container, and the reason."""

    service: t.Literal["sts", "gateway"]
    reason: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class SourceOptions(Options):
    """The sources of replay directories: given by path, or found in a Compose project."""

    engine: str | None = None
    volumes: tuple[VolumeOptions, ...] = ()
    not_durable: tuple[NotDurableOptions, ...] = ()
    compose_project: str | None = None


@dataclasses.dataclass(frozen=True)
class Sources:
    """The sources. `volumes` are by their names in the set (`sts-1`)."""

    volumes: dict[str, VolumeOptions]
    not_durable: list[NotDurableOptions]


def source_of(service: str, replica: str) -> str:
    """Return the name of a volume in the set, `sts-1`. Raises OptionError."""
    if not _REPLICA.match(replica):
        raise OptionError(f"replica {replica[:80]!a} contains characters other than letters, digits, '_' and '-'; rename it")
    return f"{service}-{replica}"


def collect(given: SourceOptions, warn: t.Callable[[str], None]) -> Sources:
    """Return the sources from the options. Raise OptionError, and the errors of the container engine."""
    volumes, not_durable = list(given.volumes), list(given.not_durable)
    if given.compose_project:
        found = compose.replay(Engine(given.engine).project(given.compose_project))
        covered = {*(one.service for one in volumes), *(one.service for one in not_durable)}
        gone = [one for one in found.not_durable if one["service"] not in covered]
        for one in gone:
            warn(lost(one))
        volumes += [VolumeOptions.of(one) for one in found.volumes]
        not_durable += [NotDurableOptions.of(one) for one in gone]
    if not volumes and not not_durable:
        raise OptionError(
            "volumes, compose_project and not_durable are all empty; set the directory of each replica, or name the service in not_durable"
        )
    named = {source_of(one.service, one.replica): one for one in volumes}
    if len(named) != len(volumes):
        raise OptionError("volumes and compose_project contain the same service and replica twice; use a different name for each replica")
    return Sources(named, not_durable)
