# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The replay directories that the options name, by path or as those of a Compose project."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ..._deployment import compose
from ..._deployment.deployment import Named, lost
from ..._drivers.engine.engine import Engine
from ..._errors import OptionError

_REPLICA = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}\Z")


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
    """From the options. Raises OptionError, and what the container engine is asked in vain for."""
    volumes, not_durable = list(given["volumes"]), list(given["not_durable"])
    if given["compose_project"]:
        found = compose.replay(Engine(given["engine"]).project(given["compose_project"]))
        told = {one["service"] for one in (*volumes, *not_durable)}
        gone = [one for one in found.not_durable if one["service"] not in told]
        for one in gone:
            warn(lost(one))
        volumes += found.volumes
        not_durable += gone
    if not volumes and not not_durable:
        raise OptionError(
            "volumes, compose_project and not_durable are all empty; name each replica's directory, or the service that has none"
        )
    named = {source_of(one): one for one in volumes}
    if len(named) != len(volumes):
        raise OptionError("a service and replica is named twice, in volumes or by compose_project; give each replica its own name")
    return Sources(named, not_durable)
