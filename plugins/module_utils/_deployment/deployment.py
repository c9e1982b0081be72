# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The locations of a deployment's parts, named like the options of modules.

Each platform has its own file that finds them.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._repository.services import Service

# Parts that an operator may name instead.
PARTS = DATABASE, REDIS, SECRETS, ENVIRONMENT_FILE, REPLAY = "database", "redis", "secrets", "environment_file", "replay"


def project() -> dict[str, dict[str, object]]:
    """Return the options of fragment `_compose`."""
    return {"compose_project": {"type": "str", "required": True}}


@dataclasses.dataclass(frozen=True)
class Database:
    """A PostgreSQL server. `image` is the ID of its image. Host and port are unknown if it does not run."""

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
    """A service with a replay directory that is removed with its container, and the reason."""

    service: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Replay:
    """Directories of unsent audit events, and the services without a durable directory."""

    volumes: t.Sequence[ReplayVolume]
    not_durable: t.Sequence[NotDurable]


def lost(one: NotDurable) -> str:
    """Return a warning about a service that is not durable."""
    words = "so events that it could not send are lost with its container; if they are kept elsewhere, name that directory in volumes"
    return f"the replay directory of {one['service']} is not durable ({one['reason']}), {words}"


@dataclasses.dataclass(frozen=True)
class Deployment:
    """The parts of a deployment. Parts that were not found are empty.

    `settings` are the retention variables in effect, or None if unknown. `extra_files` are existing files, and
    `extra_directories` maps the name of each such file to its directory. `running` are the running services. `stopped`
    are services that must be started before a restore.
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
