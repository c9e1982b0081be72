# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Servers of a drill: this host's own, or out of the images that ran when the set was made.

Who made the set chose those images, and a server can answer whatever it likes. So this host's own comes first.
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
    """`service` is what the product's Compose file calls it, `check` what says which one ran."""

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
    """What `make` makes with what this host has; where nothing of it fits and nothing is `named`, with the image that ran.

    `services` are those of the set; `sources` say where images are.
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
        # What is wrong with the host is said once.
        words = exc.msg if exc.msg == lacking.msg else f"{lacking.msg}; for the image of the set: {exc.msg}"
        raise exc.reworded(words) from exc


def told(server: Server, version: str, image: str) -> Check:
    """Whose server it was that all other checks of the copy have asked."""
    if not image:
        return Check(server.check, PASS, f"{server.words} {version} is installed on this host", required=False)
    words = f"{server.words} {version} is from an image in the set, so the creator of the set chose the program that answers for the copy"
    return Check(server.check, WARN, f"{words}; if you install {server.words} on this host, the drill uses it instead", required=False)
