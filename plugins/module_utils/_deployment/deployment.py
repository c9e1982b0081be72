# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where everything of a deployment is: what a backup reads, in the words of the modules' options.

A platform has a file of its own that finds it.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._repository.services import Service

# Parts that an operator may name instead.
PARTS = DATABASE, REDIS, SECRETS, ENVIRONMENT_FILE, REPLAY = "database", "redis", "secrets", "environment_file", "replay"


def project() -> dict[str, dict[str, object]]:
    """Fragment `_compose`."""
    return {"compose_project": {"type": "str", "required": True}}


@dataclasses.dataclass(frozen=True)
class Database:
    """`image` is the id of what the server runs from. Host and port are unknown where it does not run."""

    login_host: str
    login_port: int
    login_user: str
    login_password_file: str
    image: str


@dataclasses.dataclass(frozen=True)
class Redis:
    redis_host: str
    redis_port: int
    redis_password_file: str


class ReplayVolume(t.TypedDict):
    """A directory of unsent audit events."""

    service: str
    replica: str
    path: str


class NotDurable(t.TypedDict):
    """A service whose directory goes with its container, and why."""

    service: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Replay:
    """Directories of unsent audit events, and the services that have none that outlives their container."""

    volumes: t.Sequence[ReplayVolume]
    not_durable: t.Sequence[NotDurable]


def lost(one: NotDurable) -> str:
    """What it means that a service is not durable, for a warning."""
    words = "so events that it could not send are lost with its container; if they are kept elsewhere, name that directory in volumes"
    return f"the replay directory of {one['service']} is not durable ({one['reason']}), {words}"


@dataclasses.dataclass(frozen=True)
class Deployment:
    """What is not found is empty. `settings` are the variables in force that say how long what is kept; None if unknown.

    `extra_files` are those that there are, `extra_directories` say where each such file belongs, by its name.
    `running` are services, and `stopped` those that must be started before anything can be restored.
    """

    directory: str
    database: Database | None
    redis: Redis | None
    secrets_directory: str
    environment_file: str
    extra_files: t.Sequence[str]
    extra_directories: t.Mapping[str, str]
    replay: Replay
    settings: t.Mapping[str, str] | None
    services: t.Sequence[Service]
    running: t.Sequence[str]
    stopped: t.Sequence[str]

    def to_result(self) -> dict[str, object]:
        return dataclasses.asdict(self)
