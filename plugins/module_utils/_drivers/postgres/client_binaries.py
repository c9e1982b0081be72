# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find PostgreSQL's client programs of one release: pg_dump, pg_restore, psql."""

from __future__ import annotations

import dataclasses
import os
import typing as t

from ..._errors import MissingDependency
from . import client_flaws
from .installs import Candidate, Version, candidates, check_tools, lowest, version_of

# Earlier versions of pg_dump lack --restrict-key. Without it, the texts of two schema dumps always differ.
LEAST_PG_DUMP = {13: 22, 14: 19, 15: 14, 16: 10, 17: 6}


@dataclasses.dataclass(frozen=True)
class ClientTools:
    """Client programs of one release. `paths` maps the name of a program to its absolute path."""

    bindir: str
    version: Version
    paths: dict[str, str]

    @property
    def version_text(self) -> str:
        return f"{self.version[0]}.{self.version[1]}"

    @property
    def flaws(self) -> tuple[client_flaws.Flaw, ...]:
        return client_flaws.of(self.paths, self.version)

    @property
    def doubt(self) -> str:
        """Return the known flaws and their remedy in one line, or an empty string if there are none."""
        if not self.flaws:
            return ""
        known = ", ".join(flaw.cve for flaw in self.flaws)
        return f"{' and '.join(self.paths)} {self.version_text} in {self.bindir}: {known}; {client_flaws.remedy(self.flaws, self.version)}"


def find(
    pg_bin: str | None,
    *,
    minimum_major: int,
    tools: t.Sequence[str],
    places: t.Sequence[Candidate] | None = None,
) -> ClientTools:
    """Return the programs of the lowest major version that is at least `minimum_major`, with its newest minor.

    The version is the one of the first tool. Raises MissingDependency with all installations found and the reason why each was
    refused.
    """

    def examine(place: Candidate) -> tuple[Version, ClientTools]:
        bindir = os.path.realpath(place.bindir)
        reason = check_tools(bindir, tools)
        if reason:
            raise MissingDependency(reason)
        paths = {tool: os.path.join(bindir, tool) for tool in tools}
        version = version_of(paths[tools[0]])
        if "pg_dump" in tools and version[1] < LEAST_PG_DUMP.get(version[0], 0):
            raise MissingDependency(f"{version[0]}.{version[1]} is older than {version[0]}.{LEAST_PG_DUMP[version[0]]}")
        return version, ClientTools(bindir, version, paths)

    return lowest(f"{' and '.join(tools)}", candidates(pg_bin) if places is None else places, minimum_major, examine)
