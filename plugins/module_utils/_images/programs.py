# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where an image has programs: looked for in its files, none of which is started here."""

from __future__ import annotations

import os
import typing as t

from .._errors import MissingDependency
from .cache import Unpacked

# Where official images and those of distributions have them, beside what PATH says.
FOLDERS = ("/usr/local/bin", "/usr/bin", "/usr/local/pgsql/bin")


def folder(image: Unpacked, names: t.Sequence[str], remedy: str) -> str:
    """The first folder, as the image names it, that has all of these. Raises MissingDependency with the `remedy`."""
    path = image.environment().get("PATH", "")
    places = [place for place in (*path.split(":"), *FOLDERS) if place.startswith("/")]
    for place in places:
        if all(_is_itself(image, f"{place}/{name}") for name in names):
            return place
    looked = ":".join(dict.fromkeys(places))[:200]
    raise MissingDependency(f"image {image.image_id[:19]} has no {', '.join(names)} in {looked}; {remedy}")


def _is_itself(image: Unpacked, path: str) -> bool:
    """Whether the program lies there, and no script of a distribution that chooses one."""
    where = image.tree.resolve(path)
    same = where is not None and os.path.basename(where) == os.path.basename(path)
    return where is not None and same and is_program(where)


def is_program(where: str) -> bool:
    return os.path.isfile(where) and os.access(where, os.X_OK)
