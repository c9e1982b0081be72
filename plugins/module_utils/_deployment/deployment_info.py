# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Use case of the module of the same name: where everything of a deployment is."""

from __future__ import annotations

import typing as t

from .._ansible import argspec
from .._ansible.boundary import Invocation
from .._drivers.engine.engine import Engine
from . import compose
from .deployment import Deployment


def argument_spec() -> argspec.ArgumentSpec:
    return argspec.ArgumentSpec({"compose_project": {"type": "str", "required": True}, "engine": {"type": "str"}})


def run(invocation: Invocation) -> dict[str, t.Any]:
    """Ask the engine, and nobody else."""
    project = invocation.options["compose_project"]
    engine = Engine(invocation.options["engine"])
    found = compose.find(project, engine.containers(project))
    return {"changed": False, "deployment": found.to_result(), "summary": f"Compose project {project}: {_summary(found)}"}


def _summary(found: Deployment) -> str:
    database, redis = found.database, found.redis
    replays = ", ".join(f"{one['service']}-{one['replica']}" for one in found.replay.volumes) or "none"
    return (
        f"PostgreSQL at {database.login_host}:{database.login_port} as {database.login_user}, "
        f"Redis at {redis.redis_host}:{redis.redis_port}, secrets in {found.secrets_directory}, replay directories of {replays}"
    )
