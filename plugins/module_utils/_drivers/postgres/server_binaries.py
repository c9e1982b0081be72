# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds a PostgreSQL server that a sandbox can run: new enough, and with the extensions that a set needs."""

from __future__ import annotations

import dataclasses
import glob
import os
import re
import typing as t

from ..._errors import MissingDependency
from .installs import Candidate, Version, candidates, check_tools, lowest, version_of


@dataclasses.dataclass(frozen=True)
class Install:
    """One server install: absolute folders of its programs, its loadable libraries and its shared files.

    With `rootfs` it is one of an image that is unpacked there: the folders are inside, it runs in bubblewrap only, and with the `variables`
    of the image.
    """

    bindir: str
    libdir: str
    sharedir: str
    version: Version
    origin: str
    image_id: str = ""
    rootfs: str = ""
    variables: t.Mapping[str, str] = dataclasses.field(default_factory=dict)

    def program(self, name: str) -> str:
        return os.path.join(self.bindir, name)

    @property
    def folders(self) -> tuple[str, ...]:
        """Of this host, those that the server needs."""
        return () if self.rootfs else (self.bindir, self.libdir, self.sharedir)

    @property
    def version_text(self) -> str:
        return f"{self.version[0]}.{self.version[1]}"


def find(
    pg_bin: str | None,
    *,
    minimum_major: int,
    need: t.Sequence[str] = ("initdb", "postgres"),
    extension: str = "pgcrypto",
    places: t.Sequence[Candidate] | None = None,
) -> Install:
    """The install with the lowest major that is at least `minimum_major` and has the programs and the extension.

    Raises MissingDependency that lists what was found and why it was refused. `places` replaces the usual folders.
    """

    def examine(place: Candidate) -> tuple[Version, Install]:
        return _examine(place, need, extension)

    return lowest("PostgreSQL server", candidates(pg_bin) if places is None else places, minimum_major, examine)


def _examine(place: Candidate, need: t.Sequence[str], extension: str) -> tuple[Version, Install]:
    bindir = os.path.realpath(place.bindir)
    reason = check_tools(bindir, need)
    if reason:
        raise MissingDependency(reason)
    version = version_of(os.path.join(bindir, "postgres"))
    libdir = _first_with(library_folders(bindir), "plpgsql.so")
    sharedir = _first_with(shared_folders(bindir, version[0]), "postgres.bki")
    if libdir is None or sharedir is None:
        raise MissingDependency(f"{version[0]}.{version[1]} without its library or shared files")
    if not os.path.exists(os.path.join(sharedir, "extension", f"{extension}.control")):
        raise MissingDependency(f"{version[0]}.{version[1]} without the extension {extension}")
    return version, Install(bindir, _with_own_libraries(libdir), sharedir, version, place.origin)


# pg_config would say where these are, but belongs to the development packages and is often absent. We look for one file
# of each folder instead, where the builds of the known distributions put it.


def library_folders(bindir: str) -> list[str]:
    """Where the modules of a server can be whose programs are in `bindir`."""
    above = os.path.dirname(bindir)
    release = re.sub(r"\D", "", os.path.basename(bindir))
    return [os.path.join(above, part) for part in ("lib", "lib64", "lib/postgresql", "lib/pgsql", "lib64/pgsql")] + [
        f"/usr/lib/postgresql{release}"
    ]


def shared_folders(bindir: str, major: int) -> list[str]:
    """Where its shared files can be."""
    above = os.path.dirname(bindir)
    beside = [os.path.join(above, part) for part in ("share", "share/postgresql", "share/pgsql")]
    return [*beside, f"/usr/share/postgresql/{major}", f"/usr/share/postgresql{major}"]


def _with_own_libraries(libdir: str) -> str:
    """A relocatable build carries the shared libraries that it links to beside the folder of its modules, and needs both."""
    above = os.path.dirname(libdir)
    if os.path.basename(libdir) != "postgresql" or above.startswith("/usr/") or not glob.glob(os.path.join(above, "lib*.so*")):
        return libdir
    return above


def _first_with(folders: t.Sequence[str], name: str) -> str | None:
    return next((os.path.realpath(folder) for folder in folders if os.path.exists(os.path.join(folder, name))), None)
