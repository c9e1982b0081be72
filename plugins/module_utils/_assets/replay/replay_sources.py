# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The replay directories that the options name, by path or as those of a Compose project."""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t

from ..._caracal import replay
from ..._drivers.docker.docker import Docker, Volume
from ..._errors import OptionError

COMPOSE_REPLICA = "1"
_REPLICA = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}\Z")
Named = dict[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Sources:
    """`volumes` by their names in the set (`sts-1`), each with `service`, `replica`, `path`; `not_durable` with `service`, `reason`."""

    volumes: dict[str, Named]
    not_durable: list[Named]


def source_of(volume: t.Mapping[str, t.Any]) -> str:
    """The name of a volume in the set, `sts-1`. Raises OptionError."""
    if not _REPLICA.match(volume["replica"]):
        raise OptionError(f"replica {volume['replica'][:80]!a} has other characters than letters, digits, '_' and '-'; rename it")
    return f"{volume['service']}-{volume['replica']}"


def collect(given: t.Mapping[str, t.Any], warn: t.Callable[[str], None]) -> Sources:
    """From the options. Raises OptionError, and what Docker is asked in vain for."""
    volumes, not_durable = list(given["volumes"]), list(given["not_durable"])
    if given["compose_project"]:
        _compose(given["compose_project"], Docker(given["docker"]).volumes(given["compose_project"]), volumes, not_durable, warn)
    if not volumes and not not_durable:
        raise OptionError(
            "volumes, compose_project and not_durable are all empty; name each replica's directory, or the service that has none"
        )
    named = {source_of(one): one for one in volumes}
    if len(named) != len(volumes):
        raise OptionError("a service and replica is named twice, in volumes or by compose_project; give each replica its own name")
    return Sources(named, not_durable)


def _compose(
    project: str, found: t.Sequence[Volume], volumes: list[Named], not_durable: list[Named], warn: t.Callable[[str], None]
) -> None:
    """Add what the project has. A service without a volume there is not durable, unless the options say where its files are."""
    paths = {one.name: one for one in found}
    told = {one["service"] for one in (*volumes, *not_durable)}
    for service, name in replay.COMPOSE_VOLUMES.items():
        volume = paths.get(name)
        if volume:
            volumes.append({"service": service, "replica": COMPOSE_REPLICA, "path": folder_of(volume)})
        elif service not in told:
            reason = f"Compose project {project} has no volume {name}"
            warn(f"{reason}, so events that {service} could not send are lost with its container; name their directory in volumes if not")
            not_durable.append({"service": service, "reason": reason})


def folder_of(volume: Volume) -> str:
    """The folder itself: a volume without it is one that never was used, or whose file system is not mounted now."""
    path = os.path.join(volume.path, replay.FOLDER)
    if os.access(volume.path, os.X_OK) and not os.path.lexists(path):
        raise OptionError(f"volume {volume.full_name} has no folder {replay.FOLDER} in {volume.path}; start the project, which makes it")
    return path
