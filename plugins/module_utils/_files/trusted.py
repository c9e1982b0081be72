# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that say whom or what this host trusts, or what it remembers.

The rule: the file and each directory above it belong to root or to the user who runs, and only those may write them. A group may write
if it is root's own, or if it has the name of the user and no other member. Of what is in a directory with the sticky bit, its own owner
counts.
"""

from __future__ import annotations

import contextlib
import os
import stat
import typing as t

from .._errors import KeyProblem, UnsafePath
from . import doubt, paths
from .doubt import Doubt
from .folder import PRIVATE, Folder


def reading(path: str) -> t.BinaryIO:
    """The file, or the one that a link leads to. Raises OSError, and KeyProblem when another user could exchange it."""
    with _told():
        above, name = paths.real_parent(path)
    with above:
        return reading_in(above, name)


def reading_in(above: Folder, name: str) -> t.BinaryIO:
    """A file in a directory that is held open, and no link. Raises the same."""
    return os.fdopen(own(above, name), "rb")


@contextlib.contextmanager
def _told() -> t.Iterator[None]:
    try:
        yield
    except UnsafePath as exc:
        raise KeyProblem.caused_by(exc, exc.msg) from exc


def folder(path: str) -> Folder:
    """A directory. Raises the same."""
    with _told():
        found = paths.folder(path)
    try:
        require(found.doubt, path)
    except KeyProblem:
        found.close()
        raise
    return found


def workplace(path: str, mode: int = PRIVATE) -> None:
    """A directory, made if it is missing, in which files may be found by path: no other user can exchange it or a directory above it.

    Raises OSError, UnsafePath.
    """
    check_workplace(path)
    with paths.make_all(path, mode) as made:
        # Meanwhile another user can have made a directory on the way, such as in /tmp.
        _require_workplace(made.doubt, path)


def check_workplace(path: str) -> None:
    """The same of a directory that exists or that will be made. Raises OSError, UnsafePath."""
    with paths.nearest(path) as found:
        _require_workplace(found.doubt, path)


def _require_workplace(found: Doubt | None, path: str) -> None:
    if found:
        raise UnsafePath(f"{found.words}, so files in {path} can be exchanged; {found.remedy}, or name another directory")


def own(above: Folder, name: str, flags: int = os.O_RDONLY) -> int:
    """A descriptor of a file in a directory. Raises the same."""
    require(above.doubt, above.of(name))
    with _told():
        descriptor = above.open(name, flags)
    try:
        require(doubt.of(descriptor, os.fstat(descriptor), above.of(name)), above.of(name))
    except KeyProblem:
        os.close(descriptor)
        raise
    return descriptor


def require(found: Doubt | None, path: str) -> None:
    if found and found.place == path:
        raise KeyProblem(f"{found.words}, so it proves nothing; check its content, then {found.remedy}")
    if found:
        raise KeyProblem(f"{found.words}, so {path} can be exchanged and proves nothing; check its content, then {found.remedy}")


def is_private(descriptor: int) -> bool:
    """Whether it is a plain file of this user that no other user may write."""
    about = os.fstat(descriptor)
    return stat.S_ISREG(about.st_mode) and about.st_uid == os.geteuid() and not about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
