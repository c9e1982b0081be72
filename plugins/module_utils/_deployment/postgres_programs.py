# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: find PostgreSQL's client programs on this host or in the server's image."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from .._ansible.boundary import Invocation
from .._drivers.engine.engine import Engine
from .._drivers.postgres import client_binaries, tools
from .._drivers.postgres.client_binaries import ClientTools
from .._errors import MissingDependency
from .._images import cache
from .._options import declared
from .._options.declared import Path
from .._sandbox import image_clients

# Variable with the server's release in the official images and in images based on them.
MAJOR = "PG_MAJOR"
_NUMBER = re.compile(r"[0-9]{1,6}\Z")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    engine: str | None = None
    image: str
    directory: Path = "/var/cache/caracal_backup/images"


class ProgramsResult(t.TypedDict):
    """`pg_bin` is the folder of the client programs, and `version` their version. `summary` is one line for the console."""

    changed: bool
    pg_bin: str
    version: str
    summary: str


def run(invocation: Invocation[Options]) -> ProgramsResult:
    """Search this host first, and unpack the image only if necessary. If this host has matching programs, they are used."""
    options = invocation.options
    image, engine = options.image, Engine(options.engine)
    major = engine.environment(image).get(MAJOR, "")
    found = _installed(int(major)) if _NUMBER.match(major) else None
    if found is not None:
        return _result(found, changed=False, where="this host")
    unpacked, new = cache.unpacked(options.directory, image, [lambda: engine.saved(image)])
    own = client_binaries.find(image_clients.programs(unpacked), minimum_major=0, tools=tools.PROGRAMS)
    found = _installed(own.version[0])
    return _result(found or own, changed=new, where="this host" if found else f"image {image[:19]}")


def _installed(major: int) -> ClientTools | None:
    """Return this host's programs that can dump a server of this major version, or None."""
    try:
        return client_binaries.find(None, minimum_major=major, tools=tools.PROGRAMS)
    except MissingDependency:
        return None


def _result(found: ClientTools, *, changed: bool, where: str) -> ProgramsResult:
    summary = f"PostgreSQL's client programs {found.version_text} of {where}, in {found.bindir}"
    return {"changed": changed, "pg_bin": found.bindir, "version": found.version_text, "summary": summary}
