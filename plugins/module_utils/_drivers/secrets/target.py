# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restore secrets into files. Each file is complete at any time, old or new, and a replaced file is kept first."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import grp
import os
import pwd
import stat
import typing as t

from ..._errors import OptionError, StorageError, TargetRefused
from ..._files import paths
from ..._files.folder import AS_IT_IS, TEMPORARY, Folder, Owner
from .files import FILE_LIMIT

NEW, SAME, MODE, OTHER = "new", "same", "mode", "other"
INNER_MODE = 0o755  # as the product creates them; the directory above them protects them from other users
SPACE = "check space and owner of its directory"


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A file to restore: its name in the bundle, the target directory and the path below it, permission bits, content."""

    name: str
    top: str
    below: str
    mode: int
    content: bytes = dataclasses.field(repr=False)

    @property
    def path(self) -> str:
        return os.path.join(self.top, self.below)


@dataclasses.dataclass(frozen=True)
class Directory:
    """A directory to restore, with or without files: its name in the bundle, and the fields of `Wanted`. `below` is a single name."""

    name: str
    top: str
    below: str
    mode: int

    @property
    def path(self) -> str:
        return os.path.join(self.top, self.below)


def owner(user: str | None, group: str | None) -> Owner:
    """Return the owner for names or numbers. Raises OptionError."""
    try:
        uid = -1 if user is None else int(user) if user.isdigit() else pwd.getpwnam(user).pw_uid
        gid = -1 if group is None else int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    except KeyError as exc:
        raise OptionError(f"owner or group does not exist here ({exc.args[0]}); create it, or use a numeric ID") from exc
    return Owner(uid, gid)


@contextlib.contextmanager
def _translated_errors(path: str, remedy: str) -> t.Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise StorageError(f"{path}: {exc.strerror}; {remedy}") from exc


@contextlib.contextmanager
def _parent(top: str, below: str) -> t.Iterator[Folder | None]:
    """Open the directory that contains a file, or yield None if that directory or one above it is missing.

    A service may own the target directory, and could replace a directory in it by a link.
    """
    path = os.path.join(top, below)
    with _translated_errors(path, "check the path and its owner"):
        try:
            found = paths.descend(paths.folder(top), os.path.dirname(below), Folder.child)
        except FileNotFoundError:
            yield None
            return
        except NotADirectoryError as exc:
            raise TargetRefused(f"the parent of {path} is not a directory; remove it or restore elsewhere") from exc
        with found:
            yield found


def examine(wanted: Wanted, who: Owner) -> str:
    """Compare a file with its target: NEW (missing), SAME, MODE (only permissions or owner differ) or OTHER.

    Raises TargetRefused for a link.
    """
    with _parent(wanted.top, wanted.below) as parent:
        about = parent.stat(os.path.basename(wanted.below)) if parent else None
        if not parent or not about:
            return NEW
        if not stat.S_ISREG(about.st_mode):
            raise TargetRefused(f"{wanted.path} is not a regular file; remove it or restore elsewhere")
        if about.st_size != len(wanted.content) or _content(parent, wanted) != wanted.content:
            return OTHER
    return SAME if _fits(about, wanted.mode, who) else MODE


def examine_folder(wanted: Directory, who: Owner) -> str:
    """Compare a directory with its target: NEW, SAME or MODE. Raise TargetRefused for a link."""
    with _parent(wanted.top, wanted.below) as parent:
        about = parent.stat(wanted.below) if parent else None
    if about is None:
        return NEW
    if not stat.S_ISDIR(about.st_mode):
        raise TargetRefused(f"{wanted.path} is not a directory; remove it or restore elsewhere")
    return SAME if _fits(about, wanted.mode, who) else MODE


def _fits(about: os.stat_result, mode_bits: int, who: Owner) -> bool:
    return (about.st_mode & 0o777, about.st_uid, about.st_gid) == (
        mode_bits,
        about.st_uid if who.uid < 0 else who.uid,
        about.st_gid if who.gid < 0 else who.gid,
    )


def _content(parent: Folder, wanted: Wanted) -> bytes:
    with _translated_errors(wanted.path, "check its owner"), parent.read(os.path.basename(wanted.below)) as stream:
        return stream.read(FILE_LIMIT + 1)


def foreign(top: str, wanted: t.Sequence[Wanted]) -> list[str]:
    """Return the files in a directory that the set does not contain."""
    mine = {one.below for one in wanted if one.top == top}
    found = [os.path.relpath(os.path.join(parent, name), top) for parent, _folders, names in os.walk(top) for name in names]
    return sorted(name for name in found if name not in mine and not os.path.basename(name).startswith(TEMPORARY))


def keep(path: str, wanted: Wanted) -> None:
    """Copy the file that will be replaced to a path below `path`, under its name in the bundle."""
    with _parent(wanted.top, wanted.below) as parent:
        about = parent.stat(os.path.basename(wanted.below)) if parent else None
        if not parent or not about:
            raise StorageError(f"{wanted.path} was removed during the restore; find out who removed it, then restore again")
        old = _content(parent, wanted)
    # A file of another user must not become readable for the owner of the directory.
    who = Owner(about.st_uid, about.st_gid) if os.geteuid() == 0 else AS_IT_IS
    with _translated_errors(path, SPACE), paths.descend(paths.make(path), os.path.dirname(wanted.name), Folder.make) as folder:
        folder.replace(os.path.basename(wanted.name), old, about.st_mode & 0o777, who)


def put(wanted: Wanted, top_mode: int, inner_mode: int, who: Owner) -> None:
    """Write a file in one step, replacing any existing one. Missing directories are created."""
    make = functools.partial(Folder.make, mode=inner_mode, owner=who)
    with _translated_errors(wanted.path, SPACE):
        parent = paths.descend(paths.make(wanted.top, top_mode, who), os.path.dirname(wanted.below), make)
        with parent:
            parent.replace(os.path.basename(wanted.below), wanted.content, wanted.mode, who)


def put_folder(wanted: Directory, top_mode: int, who: Owner) -> None:
    """Create a directory if it is missing, and set its permissions and owner."""
    with (
        _translated_errors(wanted.path, SPACE),
        paths.make(wanted.top, top_mode, who) as top,
        top.make(wanted.below, wanted.mode, who) as made,
    ):
        made.settle(wanted.mode, who)


def is_loose(path: str, mode_bits: int) -> bool:
    """Return True if a directory exists and has other permissions."""
    with _translated_errors(path, "check the path and its owner"), contextlib.suppress(FileNotFoundError), paths.folder(path) as found:
        return found.mode & 0o777 != mode_bits
    return False


def permit(path: str, mode_bits: int) -> None:
    """Set the permissions of an existing directory."""
    with _translated_errors(path, "run as its owner"), paths.folder(path) as found:
        found.settle(mode_bits)
