# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the Redis of an image in its files. It runs only in bubblewrap, since an image is not trusted."""

from __future__ import annotations

import os
import typing as t

from .._errors import MissingDependency, StageFailed
from .._images import programs as image_programs
from .._images.cache import Unpacked
from . import isolation, programs, redis_program
from .bundle import Bundle
from .redis_program import Found

PROGRAM = "redis-server"
REMEDY = "install Redis on this host, or set the path of redis-server"


def find(bundle: Bundle, bring: t.Callable[[], Unpacked]) -> Found:
    """Return the image's Redis.

    Raises MissingDependency if the image has no Redis that can read the restored data, or without bubblewrap.
    """
    if not bundle.isolated:
        raise MissingDependency(
            "an image runs only in bubblewrap; create the sandbox with bubblewrap, or set the path of a redis-server on this host"
        )
    image = bring()
    program = os.path.join(image_programs.folder(image, (PROGRAM,), REMEDY), PROGRAM)
    launcher = isolation.Launcher(programs.identity(bundle), isolation.find_bwrap())
    name = f"{program} of image {image.image_id[:19]}"
    try:
        output = isolation.version_output(launcher, program, (), image.rootfs, image.environment())
    except StageFailed as exc:
        raise MissingDependency.caused_by(exc, f"{name} does not run: {exc.msg}; {REMEDY}") from exc
    version, fits = redis_program.parse_version(output)
    if not fits:
        raise MissingDependency(f"{name} is {version or 'not a Redis server'}, but at least 7.0 is required; {REMEDY}")
    return Found(program, version, image.image_id, image.rootfs, image.environment())
