# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where images come from, and where they are kept unpacked: options of whoever starts programs of one."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from .cache import Unpacked
    from .sources import Sources

DIRECTORY = "/var/cache/caracal_backup/images"


def images() -> dict[str, t.Any]:
    """Fragment `_images`."""
    return {
        "engine": {"type": "str"},
        "image_archives": {"type": "list", "elements": "path", "default": []},
        "images_directory": {"type": "path", "default": DIRECTORY},
    }


def sources(given: t.Mapping[str, t.Any]) -> Sources:
    from .sources import Sources

    return Sources(given["images_directory"], given["engine"], given["image_archives"])


def bring(given: t.Mapping[str, t.Any]) -> Unpacked:
    """The image that the options `image` and `reference` name, unpacked. Raises what `cache.unpacked` raises."""
    from . import cache

    places = sources(given)
    found, _new = cache.unpacked(places.directory, given["image"], places.of(given["image"], *given["reference"].split("@", 1)))
    return found
