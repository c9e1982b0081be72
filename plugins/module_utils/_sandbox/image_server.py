# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the PostgreSQL server of an image in its files. It runs only in bubblewrap, since an image is not trusted."""

from __future__ import annotations

import os
import typing as t

from .._drivers.postgres.installs import Version, parse_version
from .._drivers.postgres.server_binaries import Install, shared_folders
from .._errors import MissingDependency, StageFailed
from .._images import programs as image_programs
from .._images.cache import Unpacked
from . import isolation, users

PROGRAMS = ("postgres", "initdb")
EXTENSION = "pgcrypto"
REMEDY = "install PostgreSQL's server programs on this host"


def find(image: Unpacked, minimum_major: int) -> Install:
    """Return the image's server.

    Raises MissingDependency if the image has no server that a sandbox can run, or without bubblewrap.
    """
    bindir = _folder(image)
    variables = own(image)
    version = _version(image, bindir, variables)
    text = f"the PostgreSQL {version[0]}.{version[1]} of image {image.image_id[:19]}"
    if version[0] < minimum_major:
        raise MissingDependency(f"{text} is older than {minimum_major}; {REMEDY}, version {minimum_major} or later")
    if not any(_has(image, f"{folder}/extension/{EXTENSION}.control") for folder in shared_folders(bindir, version[0])):
        raise MissingDependency(f"{text} has no extension {EXTENSION}; {REMEDY}")
    return Install(bindir, "", "", version, f"image {image.image_id[:19]}", image.image_id, image.rootfs, variables)


def own(image: Unpacked) -> dict[str, str]:
    """Return the variables of the image for its programs, without PostgreSQL's own variables and those that the sandbox sets."""
    ours = isolation.ENVIRONMENT.keys() - {"PATH"}
    return {name: value for name, value in image.environment().items() if name not in ours and not name.startswith("PG")}


def _folder(image: Unpacked) -> str:
    """Return the real directory of the programs, since PostgreSQL finds its other files relative to it."""
    named = image_programs.folder(image, PROGRAMS, REMEDY)
    found = {os.path.dirname(image.tree.resolve(f"{named}/{name}") or "") for name in PROGRAMS}
    if len(found) > 1:
        raise MissingDependency(f"image {image.image_id[:19]} has {' and '.join(PROGRAMS)} in different directories; {REMEDY}")
    return f"/{os.path.relpath(found.pop(), image.rootfs)}"


def _has(image: Unpacked, path: str) -> bool:
    where = image.tree.resolve(path)
    return where is not None and os.path.isfile(where)


def _version(image: Unpacked, bindir: str, variables: t.Mapping[str, str]) -> Version:
    program = f"{bindir}/postgres"
    try:
        output = isolation.version_output(
            isolation.Launcher(users.server_identity(), isolation.find_bwrap()), program, (), image.rootfs, variables
        )
    except StageFailed as exc:
        raise MissingDependency.caused_by(exc, f"{program} of image {image.image_id[:19]} does not run: {exc.msg}; {REMEDY}") from exc
    return parse_version(output.decode("utf-8", "replace"), f"{program} of image {image.image_id[:19]}")
