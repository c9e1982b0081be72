# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Combine a role's settings with the values found in a Compose project into the arguments of its modules. A setting has
precedence.

Settings come from the operator. `found` comes from the host for which the arguments are meant. Only the options below
are used from it, and only for modules on that host.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .deployment import DATABASE, ENVIRONMENT_FILE, PARTS, REDIS, REPLAY, SECRETS

Options = t.Mapping[str, object]
# The default PostgreSQL user of the roles.
USUAL_USER = "caracal"
# Option for secrets → the value in `found` that fills it.
_SECRETS = {
    "directory": "secrets_directory",
    "environment_file": "environment_file",
    "extra_files": "extra_files",
    "extra_directories": "extra_directories",
}


def arguments(settings: Options, found: object) -> dict[str, object]:
    """Return the options of each module, without empty ones. `named`, `assets`, `image`, `replay_here` and `confirm` are
    for the role's tasks.
    """
    return Completion(settings, _options(found)).arguments()


@dataclasses.dataclass(frozen=True)
class Completion:
    """`settings` has a mapping with module options for each of `database`, `secrets`, `redis`, `replay`, `images` and
    `environment`.

    `needed` lists the parts that a role reads. `left_out` lists the assets that the operator leaves out.
    """

    settings: Options
    found: Options

    def arguments(self) -> dict[str, object]:
        database, secrets, redis, replay = self._database(), self._secrets(), self._redis(), self._replay()
        assets = {
            SECRETS: bool(secrets.get("directory") or secrets.get("files")),
            REPLAY: self._replay_is_named() or _has_directories(replay),
            REDIS: self._is_named(REDIS) or bool(self._of(REDIS)),
        }
        return {
            "named": self._named(),
            "assets": [name for name, has in assets.items() if has],
            "image": "" if self._is_named(DATABASE) else self._of(DATABASE).get("image", ""),
            "database": _without_empty(database),
            "secrets": _without_empty(secrets),
            "redis": _without_empty(redis),
            "replay": _without_empty(replay),
            "replay_here": _has_directories(replay) or bool(replay.get("compose_project")),
            "images": _without_empty({**self._given("images"), "services": self.found.get("services") or []}),
            "environment": _without_empty(self._environment()),
            "confirm": self._confirmed(),
        }

    def _given(self, part: str) -> Options:
        return _options(self.settings.get(part))

    def _left_out(self, part: str) -> bool:
        left_out = self.settings.get("left_out")
        return isinstance(left_out, t.Iterable) and part in left_out

    def _of(self, part: str) -> Options:
        """Return the values found for a part, unless the settings name it or leave it out."""
        return {} if self._is_named(part) or self._left_out(part) else _options(self.found.get(part))

    def _is_named(self, part: str) -> bool:
        """Return whether the settings name a server, or replay directories."""
        given = self._given(part)
        if part == REPLAY:
            return self._replay_is_named()
        prefix = {DATABASE: "login", REDIS: "redis"}[part]
        return bool(given.get(f"{prefix}_host") or given.get(f"{prefix}_unix_socket"))

    def _replay_is_named(self) -> bool:
        """Return whether the settings name replay directories, including those on other hosts."""
        return any(self._given(REPLAY).get(option) for option in ("volumes", "not_durable", "compose_project"))

    def _secrets_are_named(self) -> bool:
        return any(self._given(SECRETS).get(option) for option in ("directory", "files"))

    def _named(self) -> list[str]:
        """Return the parts that need not be found in the project."""
        named = {
            DATABASE: self._is_named(DATABASE),
            REDIS: self._is_named(REDIS) or self._left_out(REDIS),
            SECRETS: self._secrets_are_named() or self._left_out(SECRETS),
            ENVIRONMENT_FILE: bool(self._given(SECRETS).get("environment_file")) or self._left_out(SECRETS),
            REPLAY: self._replay_is_named() or self._left_out(REPLAY),
        }
        needed = self.settings.get("needed", PARTS)
        return [part for part in PARTS if named[part] or (isinstance(needed, list) and part not in needed)]

    def _database(self) -> dict[str, object]:
        """Return the options for the database. User and password are used together, so that neither password is sent to
        the wrong server.
        """
        given, found = self._given(DATABASE), self._of(DATABASE)
        own = given.get("login_user", USUAL_USER) != USUAL_USER or given.get("login_password_file") or given.get("ssl_cert")
        login = {} if own else found
        return {
            **given,
            "login_host": given.get("login_host") or found.get("login_host", ""),
            "login_port": found.get("login_port", given.get("login_port", "")),
            "login_user": login.get("login_user", given.get("login_user", "")),
            "login_password_file": given.get("login_password_file") or login.get("login_password_file", ""),
        }

    def _redis(self) -> dict[str, object]:
        given, found = self._given(REDIS), self._of(REDIS)
        return {
            **given,
            "redis_host": given.get("redis_host") or found.get("redis_host", ""),
            "redis_port": found.get("redis_port", given.get("redis_port", "")),
            "redis_password_file": given.get("redis_password_file") or found.get("redis_password_file", ""),
        }

    def _confirmed(self) -> list[str]:
        """Return the Redis database to confirm. Naming the project confirms its Redis. A Redis that is not empty is refused anyway."""
        found, number = self._of(REDIS), self._given(REDIS).get("redis_db", 0)
        return [f"{found['redis_host']}:{found.get('redis_port', '')}/{number}"] if "redis_host" in found else []

    def _secrets(self) -> dict[str, object]:
        given = self._given(SECRETS)
        found: dict[str, object] = (
            {} if self._left_out(SECRETS) else {option: self.found.get(name, "") for option, name in _SECRETS.items()}
        )
        if self._secrets_are_named():
            found["directory"] = ""
        if given.get("extra_directory"):
            found["extra_directories"] = ""
        return {option: value or found.get(option) or value for option, value in given.items()}

    def _replay(self) -> dict[str, object]:
        """Return the options for the directories of this host."""
        given, found = dict(self._given(REPLAY)), self._of(REPLAY)
        volumes = given.get("volumes")
        if isinstance(volumes, list):
            given["volumes"] = [one for one in volumes if "host" not in _options(one)]
        if given.pop("compose_host", ""):
            given["compose_project"] = ""
        return {option: found.get(option, value) if option in ("volumes", "not_durable") else value for option, value in given.items()}

    def _environment(self) -> dict[str, object]:
        """Return the settings in effect, unless the operator gives them or a file with them."""
        given, found = self._given("environment"), self.found.get("settings")
        named = isinstance(given.get("effective_environment"), dict) or given.get("effective_environment_file")
        return {**given} if named or not isinstance(found, dict) else {**given, "effective_environment": found}


def _options(given: object) -> Options:
    return given if isinstance(given, t.Mapping) else {}


def _has_directories(replay: Options) -> bool:
    return bool(replay.get("volumes") or replay.get("not_durable"))


def _without_empty(options: Options) -> dict[str, object]:
    return {name: value for name, value in options.items() if value != ""}
