# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A file system below one directory, created from untrusted paths.

Links are followed as inside the image: `/` is the directory, and nothing is above it. New files are readable by all
users and writable by this user. They belong to this user and have no special bits, since an image contains programs,
but no secrets and no privileges.
"""

from __future__ import annotations

import contextlib
import os
import stat
import typing as t

from .._errors import TamperedData, storage_error
from .._stream import pipes
from . import removal, room

# Limits for the links in a path, and for the components of a path after resolving links.
HOPS = 40
STEPS = 1000
NAME_LIMIT = 255
# Limit for nested directories: more than any image has, and few enough to be removed again.
DEPTH = 200


class Tree:
    """A tree. `root` is an empty directory, and no other process writes below it. `name` describes the image in messages.

    Raises TamperedData for paths that lead out or through files, and StorageError for errors of the disk.
    """

    def __init__(self, root: str, name: str) -> None:
        self.root = root
        self._name = name
        # The last directory that was found, by its path in the archive: most entries are in the same directory as the entry before.
        self._last: tuple[str, str] | None = None

    def needs(self, files: int, size: int) -> None:
        """Raise StorageError unless there is space for this number of files and bytes, in addition to the reserve."""
        room.check(self.root, files, size)

    def folder(self, path: str) -> str:
        """Create a directory, or keep an existing one. Returns its real path."""
        where = self._place(path)
        if where == self.root:
            return where
        with self._translated_errors(path):
            if not _is_folder(where):
                self._clear(where)
                _make(where)
        return where

    def file(self, path: str, source: pipes.Reader, *, executable: bool) -> str:
        """Create a file, and replace an existing entry."""
        where = self._new(path)
        with self._translated_errors(path):
            descriptor = os.open(where, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with open(descriptor, "wb", buffering=0) as out:
                os.fchmod(out.fileno(), 0o755 if executable else 0o644)
                while data := source.read(pipes.CHUNK):
                    pipes.write_all(out.fileno(), data)
        return where

    def symlink(self, path: str, target: str) -> str:
        """Create a link. Its target may be any path, because links are only followed inside the tree."""
        if not target:
            raise self._fault(path, "is a link with an empty target")
        where = self._new(path)
        with self._translated_errors(path):
            os.symlink(target, where)
        return where

    def hard_link(self, path: str, target: str) -> str:
        """Create a second name for an existing file."""
        source = self._found(target)
        if source is None or not stat.S_ISREG(os.lstat(source).st_mode):
            raise self._fault(path, f"is a hard link to {target[:200]!a}, which is not a file in the image")
        where = self._place(path)
        if source.startswith(f"{where}/"):
            raise self._fault(path, "is a hard link to a file that it would replace")
        if where != source:
            where = self._new(path)
            with self._translated_errors(path):
                os.link(source, where, follow_symlinks=False)
        return where

    def remove(self, path: str) -> None:
        """Remove the entry, if it exists."""
        where = self._found(path)
        if where == self.root:
            raise self._fault(path, "would remove the whole image")
        if where is not None:
            with self._translated_errors(path):
                self._clear(where)

    def empty(self, path: str) -> None:
        """Remove everything in a directory, if it exists."""
        parts = self._parts(path)
        where = self._walk(path, parts, make=False)
        if where and _is_folder(where):
            with self._translated_errors(path):
                removal.empty(where)
            self._last = None

    def _new(self, path: str) -> str:
        """Return the real path for a new entry, after removing an existing one."""
        where = self._place(path)
        if where == self.root:
            raise self._fault(path, "would replace the whole image")
        with self._translated_errors(path):
            self._clear(where)
        return where

    def _clear(self, where: str) -> None:
        if _is_folder(where):
            removal.remove(where)
        else:
            try:
                os.unlink(where)
            except FileNotFoundError:
                return
        self._last = None

    def _place(self, path: str) -> str:
        """Return the real path of an entry, which need not exist. Missing directories above it are created."""
        parts = self._parts(path)
        if not parts:
            return self.root
        above = "/".join(parts[:-1])
        if self._last is None or self._last[0] != above:
            self._last = (above, self._walk(path, parts[:-1], make=True))
        return os.path.join(self._last[1], parts[-1])

    def _found(self, path: str) -> str | None:
        """Return the real path of an entry without following a link in the last component, or None if it does not exist."""
        parts = self._parts(path)
        if not parts:
            return self.root
        above = self._walk(path, parts[:-1], make=False)
        where = os.path.join(above, parts[-1]) if above else ""
        return where if where and os.path.lexists(where) else None

    def resolve(self, path: str) -> str | None:
        """Return the real path of a file or directory of the image, with all links followed, or None if it does not exist."""
        return self._walk(path, self._parts(path), make=False) or None

    def _parts(self, path: str) -> list[str]:
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise self._fault(path, "leads out of the image")
        if any(len(os.fsencode(part)) > NAME_LIMIT for part in parts):
            raise self._fault(path, "has a name that is too long")
        return parts

    def _walk(self, path: str, parts: t.Sequence[str], *, make: bool) -> str:
        """Follow links inside the tree. Returns an empty string if a component is missing and `make` is not set."""
        stack: list[str] = []
        left = list(reversed(parts))
        hops = steps = 0
        while left:
            part = left.pop()
            steps += 1
            if part == "..":
                del stack[-1:]
            if part in ("", ".", ".."):
                continue
            where = os.path.join(self.root, *stack, part)
            mode = self._mode(where, path, make=make)
            if stat.S_ISDIR(mode):
                stack.append(part)
            elif stat.S_ISLNK(mode):
                target = os.readlink(where)
                stack = [] if target.startswith("/") else stack
                left += reversed(target.split("/"))
                hops += 1
            elif make:
                raise self._fault(path, "has a file in its path")
            else:
                return where if mode and not left else ""
            if hops > HOPS or steps > STEPS or len(stack) > DEPTH:
                raise self._fault(path, f"leads through more than {HOPS} links or {DEPTH} directories")
        return os.path.join(self.root, *stack)

    def _mode(self, where: str, path: str, *, make: bool) -> int:
        """Return the mode of an entry, after creating it with `make`, or 0 if it does not exist."""
        try:
            return os.lstat(where).st_mode
        except FileNotFoundError:
            if not make:
                return 0
        except OSError as exc:
            raise self._fault(path, f"is not a valid path: {exc.strerror}") from exc
        with self._translated_errors(path):
            _make(where)
        return stat.S_IFDIR

    @contextlib.contextmanager
    def _translated_errors(self, path: str) -> t.Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise storage_error(exc)(f"cannot unpack {path[:200]!a} of {self._name}: {exc.strerror}; make room there") from exc

    def _fault(self, path: str, what: str) -> TamperedData:
        return TamperedData(f"{self._name}: {path[:200]!a} {what}, so the image is malicious or damaged; use another image")


def _make(where: str) -> None:
    """Create a directory that all users can read, regardless of the umask."""
    os.mkdir(where, 0o700)
    os.chmod(where, 0o755)


def _is_folder(where: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(where).st_mode)
    except OSError:
        return False
