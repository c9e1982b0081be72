# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that define what this host trusts, or what it remembers.

The file and each directory above it must belong to root or to the current user, and only they may write to them. A
group may write if it is root's own, or if it has the user's name and no other member. For a file in a directory with
the sticky bit, the owner of the file counts.
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
    """Open a file, or the target of a link. Raises OSError, and KeyProblem if another user could exchange it."""
    with _translated_errors():
        above, name = paths.real_parent(path)
    with above:
        return reading_in(above, name)


def reading_in(above: Folder, name: str) -> t.BinaryIO:
    """Open a file in an open directory; links are refused. Raises as `reading`."""
    return os.fdopen(own(above, name), "rb")


@contextlib.contextmanager
def _translated_errors() -> t.Iterator[None]:
    try:
        yield
    except UnsafePath as exc:
        raise KeyProblem.caused_by(exc, exc.msg) from exc


def folder(path: str) -> Folder:
    """Open a directory. Raises as `reading`."""
    with _translated_errors():
        found = paths.folder(path)
    try:
        require(found.doubt, path)
    except KeyProblem:
        found.close()
        raise
    return found


def workplace(path: str, mode: int = PRIVATE) -> None:
    """Create a directory if it is missing. No other user can exchange it or a directory above it, so its files can be used by path.

    Raises OSError, UnsafePath.
    """
    check_workplace(path)
    with paths.make_all(path, mode) as made:
        # Another user may have created a directory on the way in the meantime, such as in /tmp.
        _require_workplace(made.doubt, path)


def check_workplace(path: str) -> None:
    """Check a directory that exists or will be created. Raises OSError, UnsafePath."""
    with paths.nearest(path) as found:
        _require_workplace(found.doubt, path)


def _require_workplace(found: Doubt | None, path: str) -> None:
    if found:
        raise UnsafePath(f"{found.words}, so files in {path} can be exchanged; {found.remedy}, or name another directory")


def own(above: Folder, name: str, flags: int = os.O_RDONLY) -> int:
    """Return a descriptor of a file in a directory. Raises as `reading`."""
    require(above.doubt, above.of(name))
    with _translated_errors():
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
    """Return whether it is a regular file of this user that no other user may write."""
    about = os.fstat(descriptor)
    return stat.S_ISREG(about.st_mode) and about.st_uid == os.geteuid() and not about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
