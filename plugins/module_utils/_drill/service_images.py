# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Services that are started from images: images that the operator configures, or images that ran when the set was created."""

from __future__ import annotations

import dataclasses
import typing as t

from .._errors import MissingDependency
from .._reasons import OTHER_IMAGE, because
from .._report.check import NOT_APPLICABLE, PASS, UNPROVEN, Check
from .._repository.services import RecordedService
from . import service_option
from .service_option import ServiceStart

if t.TYPE_CHECKING:
    from .._images.cache import Unpacked
    from .._images.sources import Sources

CHECK_ID = "services.release"


def recorded(services: t.Sequence[RecordedService]) -> list[ServiceStart]:
    """Return how to start the recorded services: the first replica of each service of the product."""
    first: dict[str, ServiceStart] = {}
    for one in services:
        if one["service"] in service_option.NAMES:
            found = dataclasses.replace(image_of(one), command=tuple(one["command"]), directory=one["working_directory"])
            first.setdefault(found.name, found)
    return list(first.values())


def image_of(one: RecordedService) -> ServiceStart:
    """Return the image of a recorded service, and its reference in a registry."""
    return ServiceStart(name=one["service"], image=one["image_id"], reference=f"{one['image'].partition('@')[0]}@{one['digest']}")


def compare(given: t.Sequence[ServiceStart], services: t.Sequence[RecordedService]) -> Check:
    """Compare the images that are started with those that ran when the set was created, by digest."""
    ran = {name: {one["image_id"] for one in services if one["service"] == name} for name in service_option.NAMES}
    if not any(ran.values()):
        return Check(CHECK_ID, NOT_APPLICABLE, "the set does not record which images ran when it was created", required=False)
    others = sorted(one.name for one in given if one.image and one.image not in ran[one.name])
    if others:
        words = (
            f"{', '.join(others)}: not the image that ran when the set was "
            "created; remove the option services to start the images of the set"
        )
        return Check(CHECK_ID, UNPROVEN, words, details={**because(OTHER_IMAGE), "others": others})
    by_path = sorted(one.name for one in given if not one.image)
    if by_path:
        words = f"{', '.join(by_path)}: configured by path, so the drill cannot verify that these programs ran when the set was created"
        return Check(CHECK_ID, UNPROVEN, words, required=False, details={"by_path": by_path})
    return Check(CHECK_ID, PASS, "each service runs from the image that ran when the set was created")


def bring(services: t.Sequence[ServiceStart], sources: Sources) -> dict[str, Unpacked]:
    """Return the unpacked images by service name. An image that is not unpacked yet is fetched from `sources`.

    Raises MissingDependency if an image is not available, and OptionError.
    """
    from .._images import cache

    found: dict[str, Unpacked] = {}
    for one in services:
        service_option.refuse_empty(one)
        if one.image:
            saves = sources.of(one.image, *one.reference.split("@", 1))
            found[one.name], _new = cache.unpacked(sources.directory, one.image, saves)
    return found


def command(image: Unpacked) -> list[str]:
    """Return the image's own command. Raise MissingDependency if the image does not define one."""
    words = image.command()
    if not words:
        raise MissingDependency(f"image {image.image_id[:19]} does not define a command to start; set command")
    return words
