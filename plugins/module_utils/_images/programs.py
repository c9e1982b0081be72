# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds programs in the files of an image. Nothing is started here."""

from __future__ import annotations

import os
import typing as t

from .._errors import MissingDependency
from .cache import Unpacked

# The usual directories in official images and in images of distributions, in addition to PATH.
FOLDERS = ("/usr/local/bin", "/usr/bin", "/usr/local/pgsql/bin")


def folder(image: Unpacked, names: t.Sequence[str], remedy: str) -> str:
    """Return the first directory, as named in the image, that has all of these programs. Raises MissingDependency with the `remedy`."""
    path = image.environment().get("PATH", "")
    places = [place for place in (*path.split(":"), *FOLDERS) if place.startswith("/")]
    for place in places:
        if all(_is_itself(image, f"{place}/{name}") for name in names):
            return place
    searched = ":".join(dict.fromkeys(places))[:200]
    raise MissingDependency(f"image {image.image_id[:19]} has no {', '.join(names)} in {searched}; {remedy}")


def _is_itself(image: Unpacked, path: str) -> bool:
    """Return whether it is the program itself, not a script of a distribution that selects a version."""
    where = image.tree.resolve(path)
    same = where is not None and os.path.basename(where) == os.path.basename(path)
    return where is not None and same and is_program(where)


def is_program(where: str) -> bool:
    return os.path.isfile(where) and os.access(where, os.X_OK)
