# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The servers of a drill: programs of this host, or images that ran when the set was created.

The creator of the set chose those images, and a server can return any answer. So the programs of this host have priority.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._errors import BackupError, MissingDependency
from .._report.check import PASS, WARN, Check
from .._repository.services import RecordedService
from . import service_images

if t.TYPE_CHECKING:
    from .._images.cache import Unpacked
    from .._images.sources import Sources

Made = t.TypeVar("Made")


@dataclasses.dataclass(frozen=True)
class Server:
    """A server. `service` is its name in the product's Compose file, `check` the ID of the check that reports which one ran."""

    service: str
    check: str
    words: str


DATABASE = Server("postgres", "sandbox.server", "PostgreSQL")
REDIS = Server("redis", "redis.server", "Redis")


def start(
    server: Server,
    services: t.Sequence[RecordedService],
    named: str | None,
    make: t.Callable[[Unpacked | None], Made],
    sources: t.Callable[[], Sources],
) -> Made:
    """Return the result of `make` for this host's server, or for the recorded image if this host has none and none is `named`.

    `services` are the services of the set. `sources` returns where images can be found.
    """
    ran = [one for one in services if one["service"] == server.service]
    try:
        return make(None)
    except MissingDependency as exc:
        if named or not ran:
            raise
        lacking = exc
    try:
        return make(service_images.bring([service_images.image_of(ran[0])], sources())[server.service])
    except BackupError as exc:
        # A problem of the host is reported only once.
        words = exc.msg if exc.msg == lacking.msg else f"{lacking.msg}; for the image of the set: {exc.msg}"
        raise exc.reworded(words) from exc


def server_check(server: Server, version: str, image: str) -> Check:
    """Return the check that reports which server answered all other checks of the copy."""
    if not image:
        return Check(server.check, PASS, f"{server.words} {version} is installed on this host", required=False)
    words = f"{server.words} {version} is from an image in the set, so the creator of the set chose the program that answers the checks"
    return Check(server.check, WARN, f"{words}; if you install {server.words} on this host, the drill uses it instead", required=False)
