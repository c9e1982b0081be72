# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Services that are started from images: those that the operator names, or those that ran when the set was made."""

from __future__ import annotations

import typing as t

from .._drivers.engine.engine import Engine
from .._errors import MissingDependency, OptionError, TamperedData
from .._images import cache
from .._images.cache import Unpacked
from .._report.check import NOT_APPLICABLE, PASS, UNPROVEN, Check
from . import service_option

Given = t.Mapping[str, t.Any]
CHECK_ID = "services.release"


def recorded(services: t.Sequence[Given]) -> list[dict[str, t.Any]]:
    """The option `services` that starts what a set says ran: of each service of the product its first replica."""
    first: dict[str, dict[str, t.Any]] = {}
    for one in services:
        if one["service"] in service_option.NAMES:
            how = {"command": list(one["command"]), "directory": one["working_directory"], "environment": {}, "readable": []}
            first.setdefault(one["service"], {"name": one["service"], "image": one["image_id"], **how})
    return list(first.values())


def compare(given: t.Sequence[Given], services: t.Sequence[Given]) -> Check:
    """Whether what is started is what ran when the set was made, by digest."""
    ran = {name: {one["image_id"] for one in services if one["service"] == name} for name in service_option.NAMES}
    if not any(ran.values()):
        return Check(CHECK_ID, NOT_APPLICABLE, "the set does not say which images ran when it was made", required=False)
    others = sorted(one["name"] for one in given if one["image"] and one["image"] not in ran[one["name"]])
    if others:
        words = f"{', '.join(others)}: another image than ran when the set was made; leave services out, and the drill starts those"
        return Check(CHECK_ID, UNPROVEN, words, details={"others": others})
    by_path = sorted(one["name"] for one in given if not one["image"])
    if by_path:
        words = f"{', '.join(by_path)}: programs by path, of which nobody knows whether they are those that ran when the set was made"
        return Check(CHECK_ID, UNPROVEN, words, required=False, details={"by_path": by_path})
    return Check(CHECK_ID, PASS, "each service is of the very image that ran when the set was made")


def bring(services: t.Sequence[Given], directory: str, engine: str | None) -> dict[str, Unpacked]:
    """The images of services by the service's name, unpacked below `directory`; an engine of this host hands out those that are not yet.

    Raises MissingDependency for one that cannot be had, OptionError.
    """
    found: dict[str, Unpacked] = {}
    for one in services:
        if not (one["command"] or one["image"]):
            raise OptionError(f"service {one['name']} has neither command nor image; name one of them")
        if one["image"]:
            found[one["name"]] = _unpacked(one["name"], one["image"], directory, engine)
    return found


def _unpacked(service: str, image: str, directory: str, engine: str | None) -> Unpacked:
    try:
        return cache.unpacked(directory, image, lambda: Engine(engine).saved(image))[0]
    except TamperedData as exc:
        # An engine that hands out something else says nothing of the set.
        raise MissingDependency(f"the image of {service} cannot be had: {exc.msg}") from exc


def command(image: Unpacked) -> list[str]:
    """What the image itself starts. Raises MissingDependency for one that says nothing."""
    config = image.config()
    words = [*(config.get("Entrypoint") or []), *(config.get("Cmd") or [])]
    if not words:
        raise MissingDependency(f"image {image.image_id[:19]} does not say what it starts; name a command")
    return [str(word) for word in words]
