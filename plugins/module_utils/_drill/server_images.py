# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Servers of a drill out of the images that ran when the set was made, and whether it was those."""

from __future__ import annotations

import dataclasses
import typing as t

from .._errors import BackupError
from .._images import options as images
from .._report.check import NOT_APPLICABLE, PASS, UNPROVEN, Check
from . import service_images

Given = t.Mapping[str, t.Any]
Result = dict[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Server:
    """`service` is what the product's Compose file calls it, `check` what says which one ran."""

    service: str
    check: str
    words: str


DATABASE = Server("postgres", "sandbox.server", "PostgreSQL")
REDIS = Server("redis", "redis.server", "Redis")


def start(
    server: Server, given: Given, services: t.Sequence[Given], named: str | None, call: t.Callable[..., Result]
) -> tuple[Result, str]:
    """What `call` makes with the image that ran; where that cannot be, or a program is `named`, with what this host has. And why it is so.

    `services` are those of the set, and `given` says where images are.
    """
    ran = [one for one in services if one["service"] == server.service]
    if named or not ran:
        return call(), ""
    try:
        return call(**service_images.image_of(ran[0]), **{name: given[name] for name in images.images()}), ""
    except BackupError as exc:
        refused = exc.msg
    try:
        return call(), f"{server.words} is not that of the set: {refused}"
    except BackupError as exc:
        # What is wrong with the host is said once.
        words = exc.msg if exc.msg == refused else f"{exc.msg}; and of the image of the set: {refused}"
        raise type(exc)(words, **exc.details) from exc


def compare(server: Server, version: str, image: str, services: t.Sequence[Given]) -> Check:
    """Whether it was the server that ran when the set was made, by digest."""
    ran = {one["image_id"] for one in services if one["service"] == server.service}
    what = f"{server.words} {version}"
    if not ran:
        words = f"the set does not say of which image its {server.words} ran; in the drill it was {version}"
        return Check(server.check, NOT_APPLICABLE, words, required=False)
    if image not in ran:
        where = f"image {image[:19]}" if image else "this host"
        return Check(server.check, UNPROVEN, f"{what} of {where}, not of the image that ran when the set was made", required=False)
    return Check(server.check, PASS, f"{what} of the very image that ran when the set was made", required=False)
