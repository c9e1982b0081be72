# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a path to an open directory, one component at a time from the root.

A link is followed if root or this user created it and no other user can exchange it, such as `/var/run`. Any other link
is an error.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import typing as t

from .._errors import BackupError, UnsafePath
from .folder import AS_IT_IS, ENTER, OWN, PRIVATE, Folder, Owner

_LINKS = 40


@contextlib.contextmanager
def translated_errors(path: str, problem: t.Callable[[str, OSError], BackupError]) -> t.Iterator[None]:
    """Convert OSError to the error returned by `problem`, which names the path and the remedy."""
    try:
        yield
    except OSError as exc:
        raise problem(path, exc) from exc


def folder(path: str) -> Folder:
    """Open a directory. Raises OSError, UnsafePath."""
    return _Walk(path).folder()


def parent(path: str) -> tuple[Folder, str]:
    """Return the open parent directory of a file, and the file's name, which may be a link. Raises OSError, UnsafePath."""
    above, name = os.path.split(os.path.abspath(path))
    return folder(above), name


def real_parent(path: str) -> tuple[Folder, str]:
    """Like `parent`, but for the target if the path is a link."""
    return _Walk(path).file()


def reading(path: str) -> t.BinaryIO:
    """Open a regular file, or the target of a link. Raises OSError, UnsafePath."""
    above, name = real_parent(path)
    with above:
        return above.read(name)


def make(path: str, mode: int = PRIVATE, owner: Owner = AS_IT_IS) -> Folder:
    """Open a directory. The last component is created if it is missing, the others must exist. Raises OSError, UnsafePath."""
    with contextlib.suppress(FileNotFoundError):
        return folder(path)
    above, name = parent(path)
    with above:
        return above.make(name, mode, owner)


def make_all(path: str, mode: int = PRIVATE) -> Folder:
    """Open a directory. Each missing component is created. Raises OSError, UnsafePath."""
    found, missing = _nearest(path)
    return descend(found, missing, lambda above, name: above.make(name, mode))


def nearest(path: str) -> Folder:
    """Open a directory, or the nearest existing one above it. Raises OSError, UnsafePath."""
    return _nearest(path)[0]


def _nearest(path: str) -> tuple[Folder, str]:
    """Open a directory, or the nearest existing one above it, and return the rest of the path too."""
    wanted = found = os.path.abspath(path)
    while True:
        try:
            return folder(found), wanted[len(found) :].strip("/")
        except FileNotFoundError:
            found = os.path.dirname(found)


def descend(found: Folder, below: str, step: t.Callable[[Folder, str], Folder]) -> Folder:
    """Go from one directory, which is closed, to another one below it. No link is followed."""
    for name in below.split("/") if below else ():
        with found:
            inner = step(found, name)
        found = inner
    return found


@contextlib.contextmanager
def replacing(path: str, mode: int = OWN) -> t.Iterator[t.BinaryIO]:
    """See Folder.replacing."""
    above, name = parent(path)
    with above, above.replacing(name, mode) as out:
        yield out


def replace(path: str, data: bytes, mode: int = OWN) -> None:
    with replacing(path, mode) as out:
        out.write(data)


def add(path: str, data: bytes, mode: int = OWN) -> bool:
    """See Folder.add."""
    above, name = parent(path)
    with above:
        return above.add(name, data, mode)


def unlink(path: str) -> None:
    above, name = parent(path)
    with above:
        above.unlink(name)


def sync(path: str) -> None:
    with folder(path) as found:
        found.sync()


class _Walk:
    """Walks along a path. `_here` is held open; `_left` are the remaining components, the next one last."""

    def __init__(self, path: str) -> None:
        if "\0" in path:
            raise OSError(errno.EINVAL, "a file name cannot contain a null byte")
        self._here = _root()
        self._left = _components(os.path.abspath(path))
        self._links = 0

    def folder(self) -> Folder:
        with self._closing():
            while self._left:
                self._step(self._left.pop())
            return self._here

    def file(self) -> tuple[Folder, str]:
        with self._closing():
            while self._left:
                name = self._left.pop()
                about = self._here.stat(name)
                if not self._left and not (about and stat.S_ISLNK(about.st_mode)):
                    return self._here, name
                self._step(name)
            # The path leads to a directory, not to a name in one.
            raise OSError(errno.EINVAL, "it is not a regular file", self._here.path)

    @contextlib.contextmanager
    def _closing(self) -> t.Iterator[None]:
        try:
            yield
        except BaseException:
            self._here.close()
            raise

    def _step(self, name: str) -> None:
        try:
            self._enter(self._here.child(name))
        except OSError as exc:
            about = self._here.stat(name) if isinstance(exc, NotADirectoryError) else None
            if about is None or not stat.S_ISLNK(about.st_mode):
                raise OSError(exc.errno, exc.strerror, self._here.of(name)) from exc
            self._follow(name, about.st_uid)

    def _enter(self, inner: Folder) -> None:
        self._here.close()
        self._here = inner

    def _follow(self, name: str, owner: int) -> None:
        link, target = self._here.of(name), os.readlink(name, dir_fd=self._here.descriptor)
        doubt = self._here.doubt
        self._links += 1
        if doubt or owner not in (0, os.geteuid()) or self._links > _LINKS:
            words = doubt.words if doubt else f"it belongs to user {owner}" if self._links <= _LINKS else "it leads through too many links"
            raise UnsafePath(f"{link} is a symbolic link, and {words}; give the directory that it leads to, or remove it")
        self._left += _components(target)
        if target.startswith("/"):
            self._enter(_root())


def _components(path: str) -> list[str]:
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]


def _root() -> Folder:
    return Folder(os.open("/", ENTER), "/")
