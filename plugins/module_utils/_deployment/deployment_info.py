# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: find the parts of a deployment."""

from __future__ import annotations

import dataclasses
import typing as t

from .._ansible.boundary import Invocation
from .._drivers.engine.engine import Engine
from .._options import declared
from . import compose
from .deployment import ENVIRONMENT_FILE, REPLAY, Deployment, lost


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    engine: str | None = None
    compose_project: str
    named: tuple[t.Literal["database", "redis", "secrets", "environment_file", "replay"], ...] = ()
    accept_stopped: bool = False


class InfoResult(t.TypedDict):
    """`deployment` has the paths and addresses that are options of other modules. `summary` is one line for the console."""

    changed: bool
    deployment: dict[str, object]
    summary: str


def run(invocation: Invocation[Options]) -> InfoResult:
    """Query the container engine only."""
    name, named = invocation.options.compose_project, invocation.options.named
    found = compose.find(Engine(invocation.options.engine).project(name), named, invocation.options.accept_stopped)
    for one in () if REPLAY in named else found.replay.not_durable:
        invocation.warn(lost(one))
    if not found.environment_file and ENVIRONMENT_FILE not in named:
        invocation.warn(f"Compose project {name} has no environment file, so no set contains one; if the project has one, set its path")
    return {"changed": False, "deployment": found.to_result(), "summary": f"Compose project {name}: {_summary(found)}"}


def _summary(found: Deployment) -> str:
    database, redis = found.database, found.redis
    replays = ", ".join(f"{one['service']}-{one['replica']}" for one in found.replay.volumes)
    parts = {
        "PostgreSQL": f"{_at(database.login_host, database.login_port)} as {database.login_user}" if database else "",
        "Redis": _at(redis.redis_host, redis.redis_port) if redis else "",
        "secrets": f"in {found.secrets_directory}" if found.secrets_directory else "",
        "settings": f"in {found.environment_file}" if found.environment_file else "",
        "replay directories": f"of {replays}" if replays else "",
    }
    return ", ".join(f"{name} {where or 'not found'}" for name, where in parts.items())


def _at(host: str, port: int) -> str:
    return f"at {host}:{port}" if host else "(not running)"
