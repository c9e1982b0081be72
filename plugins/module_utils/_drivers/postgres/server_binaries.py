# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find a PostgreSQL server for a sandbox: new enough, and with the extensions that a set needs."""

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
    """A server installation: absolute directories of its programs, its loadable libraries and its shared files.

    With `rootfs`, it is from an image that is unpacked there. The directories are then inside it, and it runs only in
    bubblewrap, with the `variables` of the image.
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
        """Return the directories of this host that the server needs."""
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
    """Return the installation with the lowest major version that is at least `minimum_major` and has the programs and the extension.

    `places` replaces the usual directories. Raises MissingDependency with all installations found and why each was refused.
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


# pg_config reports these directories, but it belongs to the development packages and is often absent. So the code searches for
# one file of each directory in the locations that the known distributions use.


def library_folders(bindir: str) -> list[str]:
    """Return the possible directories of the loadable modules of a server whose programs are in `bindir`."""
    above = os.path.dirname(bindir)
    release = re.sub(r"\D", "", os.path.basename(bindir))
    return [os.path.join(above, part) for part in ("lib", "lib64", "lib/postgresql", "lib/pgsql", "lib64/pgsql")] + [
        f"/usr/lib/postgresql{release}"
    ]


def shared_folders(bindir: str, major: int) -> list[str]:
    """Return the possible directories of its shared files."""
    above = os.path.dirname(bindir)
    alongside = [os.path.join(above, part) for part in ("share", "share/postgresql", "share/pgsql")]
    return [*alongside, f"/usr/share/postgresql/{major}", f"/usr/share/postgresql{major}"]


def _with_own_libraries(libdir: str) -> str:
    """Return the directory that also contains the server's shared libraries.

    A relocatable build has the libraries that it links to next to the directory of its modules, and needs both.
    """
    above = os.path.dirname(libdir)
    if os.path.basename(libdir) != "postgresql" or above.startswith("/usr/") or not glob.glob(os.path.join(above, "lib*.so*")):
        return libdir
    return above


def _first_with(folders: t.Sequence[str], name: str) -> str | None:
    return next((os.path.realpath(folder) for folder in folders if os.path.exists(os.path.join(folder, name))), None)
