# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The input of each service of a drill: secrets and addresses in files, directories, and an environment without secrets."""

from __future__ import annotations

import dataclasses
import os
import secrets as random
import typing as t
import urllib.parse

from .._caracal import replay
from .._caracal import services as table
from .._caracal.releases import ZONE_KEK
from .._caracal.services import Service
from .._errors import OptionError, StorageError
from .._files import paths
from .._files.folder import Owner
from .._reasons import MISSING_SECRET
from .._sandbox import programs, redis_server
from .._sandbox.bundle import Bundle
from .._sandbox.info import Layout
from .._sandbox.programs import Program
from . import service_option
from .service_option import ServiceStart

if t.TYPE_CHECKING:
    from .._images.cache import Unpacked

GIVEN = "given"


@dataclasses.dataclass(frozen=True)
class Own:
    """The operator's settings for one service: its command, and additional environment and paths.

    `variables` are from the image, and have the lowest priority.
    """

    command: t.Sequence[str]
    environment: t.Mapping[str, str]
    readable: t.Sequence[str]
    rootfs: str = ""
    directory: str = "/"
    variables: t.Mapping[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, start: ServiceStart, image: Unpacked | None) -> Own:
        """Return the settings, with defaults from the image."""
        if image is None:
            return cls(start.command, start.environment, start.readable)
        from . import service_images

        command = start.command or service_images.command(image)
        directory = start.directory or image.working_directory()
        return cls(command, start.environment, start.readable, image.rootfs, directory, image.environment())


@dataclasses.dataclass(frozen=True)
class Restored:
    """Directories that were restored for the services: the secrets of the set, and the unsent audit events."""

    secrets: str
    replay: str


def given_secret(bundle: Bundle, directory: str, name: str) -> str:
    """Return a secret of the services, either restored or created for the drill. Raises OptionError."""
    places = [os.path.join(directory, name), os.path.join(Layout.of(bundle.info.directory).programs, GIVEN, name)]
    for path in places:
        if os.path.exists(path):
            return _read(path)
    raise OptionError(f"secret {places[0]} is missing; restore the secrets of the set there first", reason=MISSING_SECRET)


def _read(path: str) -> str:
    try:
        with paths.reading(path) as stream:
            value = stream.read().decode().strip()
    except (OSError, UnicodeDecodeError) as exc:
        words = f"cannot read secret {path}: {exc}; restore the secrets of the set there first"
        raise OptionError(words, reason=MISSING_SECRET) from exc
    if not value:
        raise OptionError(f"secret {path} is empty; restore the secrets of the set there first", reason=MISSING_SECRET)
    return value


class Plan:
    """The programs of a drill. `passwords` maps each role that logs in to its password, after `program` was called for its service."""

    def __init__(
        self, bundle: Bundle, family: str, restored: Restored, starts: t.Sequence[ServiceStart], images: t.Mapping[str, Unpacked]
    ) -> None:
        self.family = family
        self._bundle = bundle
        self._secrets = restored.secrets
        self._replay = restored.replay
        self._folder = os.path.join(Layout.of(bundle.info.directory).programs, GIVEN)
        self.services = table.services(family)
        self.own = {one.name: Own.of(one, images.get(one.name)) for one in starts}
        unknown = self.own.keys() - {service.name for service in self.services}
        if unknown:
            raise OptionError(f"family {family} has no service {min(unknown)}; remove it from services")
        self._values: set[str] = set()
        self.passwords: dict[str, str] = {}
        self._owner_only = family == ZONE_KEK

    def program(self, service: Service, dead_rows: int) -> Program:
        """Write the files of a service, and return how to start it.

        The API accepts `dead_rows` as normal. Raises OptionError for a missing secret.
        """
        own = self.own[service.name]
        files = {variable: self._secret(name) for variable, name in service.secrets.items() if self._wanted(name)}
        files[service.database_variable] = self._file(f"{service.name}.databaseUrl", self._database_url(service))
        files[service_option.REDIS_VARIABLE] = self._file("redisUrl", self._redis_url())
        folder = os.path.join(self._replay, service.name, replay.FOLDER) if service.replays else None
        environment = {
            **table.COMMON,
            "PORT": str(service.port),
            **service.environment,
            **{f"{variable}_FILE": path for variable, path in files.items()},
            **({service_option.REPLAY_VARIABLE: folder} if folder else {}),
            **({service_option.DEAD_ROWS_VARIABLE: str(dead_rows)} if service.name == "api" else {}),
            **own.environment,
        }
        readable, writable = [*files.values(), *own.readable], [folder] if folder else []
        return Program(service.name, own.command, environment, readable, writable, own.rootfs, own.directory, own.variables)

    def redact(self, text: str) -> str:
        """Return the text without any secret that a service received."""
        for value in sorted(self._values, key=len, reverse=True):
            text = text.replace(value, "***")
        return text

    def _wanted(self, name: str) -> bool:
        return name not in table.OPTIONAL or os.path.exists(os.path.join(self._secrets, name))

    def _secret(self, name: str) -> str:
        """Return the path of a restored secret. A secret that the product does not have is created."""
        path = os.path.join(self._secrets, name)
        if name in table.MADE and not os.path.exists(path):
            return self._made(name)
        self.restored(name)
        return path

    def _made(self, name: str) -> str:
        """Return the path of a secret that is created for the drill. It is created only once, since a running service has read it."""
        path = os.path.join(self._folder, name)
        if not os.path.exists(path):
            return self._file(name, random.token_urlsafe(32))
        self._values.add(_read(path))
        return path

    def restored(self, name: str) -> str:
        """Return the value of a secret, which is redacted in reports from now on."""
        value = _read(os.path.join(self._secrets, name))
        self._values.add(value)
        return value

    def _database_url(self, service: Service) -> str:
        info = self._bundle.info
        role, secret = (info.superuser, "postgresPassword") if self._owner_only else (service.role, service.password)
        if role not in self.passwords:
            known = os.path.exists(os.path.join(self._secrets, secret))
            self.passwords[role] = self.restored(secret) if known else _read(self._made(secret))
        quoted = urllib.parse.quote(self.passwords[role], safe="")
        self._values.add(quoted)
        login = f"{urllib.parse.quote(role, safe='')}:{quoted}"
        if self._bundle.isolated:
            return f"postgres://{login}@{table.LOOPBACK}:{info.port}/{service.database}?sslmode=disable"
        return f"postgres://{login}@/{service.database}?host={urllib.parse.quote(info.socket_dir, safe='')}&sslmode=disable"

    def _redis_url(self) -> str:
        found = redis_server.attach(self._bundle)
        with paths.reading(found.password_file) as stream:
            password = stream.read().decode()
        self._values.add(password)
        return f"redis://:{urllib.parse.quote(password, safe='')}@{table.LOOPBACK}:{found.port}/0"

    def _file(self, name: str, content: str) -> str:
        """Write a file that only the services' user can read."""
        path = os.path.join(self._folder, name)
        self._values.add(content)
        try:
            for folder in (os.path.dirname(self._folder), self._folder):
                programs.make_above(folder)
            with paths.folder(self._folder) as held:
                held.replace(name, content.encode(), 0o400, Owner(self._bundle.info.uid))
        except OSError as exc:
            raise StorageError(f"{path}: {exc.strerror}; correct this, or use another directory for the sandbox") from exc
        return path
