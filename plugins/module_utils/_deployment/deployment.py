# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Where everything of a deployment is: what a backup reads, in the words of the modules' options.

A platform has a file of its own that finds it.
"""

from __future__ import annotations

import dataclasses
import typing as t


@dataclasses.dataclass(frozen=True)
class Database:
    login_host: str
    login_port: int
    login_user: str
    login_password_file: str


@dataclasses.dataclass(frozen=True)
class Redis:
    redis_host: str
    redis_port: int
    redis_password_file: str


@dataclasses.dataclass(frozen=True)
class Replay:
    """Directories of unsent audit events, and the services that have none that outlives their container."""

    volumes: t.Sequence[t.Mapping[str, str]]
    not_durable: t.Sequence[t.Mapping[str, str]]


@dataclasses.dataclass(frozen=True)
class Program:
    """What runs as a service. Its environment and its command may hold secrets, and are not told."""

    service: str
    replica: str
    image: str
    digest: str


@dataclasses.dataclass(frozen=True)
class Deployment:
    """`settings` are the variables in force that say how long what is kept."""

    directory: str
    database: Database
    redis: Redis
    secrets_directory: str
    environment_file: str
    extra_files: t.Sequence[str]
    replay: Replay
    settings: t.Mapping[str, str]
    programs: t.Sequence[Program]

    def to_result(self) -> dict[str, t.Any]:
        return dataclasses.asdict(self)
