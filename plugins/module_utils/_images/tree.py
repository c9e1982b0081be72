# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A file system that grows below one directory of ours, out of paths that nobody vouches for.

Links are followed as the image itself would follow them, inside: `/` is the directory, and above it is nothing. What is made can be read by
everybody and written by us, has no owner but us and no special bit: an image holds programs, no secrets and no rights.
"""

from __future__ import annotations

import contextlib
import os
import stat
import typing as t

from .._errors import TamperedData, storage_error
from .._stream import pipes
from . import removal, room

# Links that a path goes through, and parts of names that these have.
HOPS = 40
STEPS = 1000
NAME_LIMIT = 255
# Folders in each other: more than any image has, and few enough to be removed again.
DEPTH = 200


class Tree:
    """`root` is an empty directory, and nobody else writes below it. `name` is what messages call what we unpack.

    Raises TamperedData for paths that lead out or through files, StorageError where the disk refuses.
    """

    def __init__(self, root: str, name: str) -> None:
        self.root = root
        self._name = name
        # The last folder that was found, by how it was written: most entries lie beside the one before.
        self._last: tuple[str, str] | None = None

    def needs(self, files: int, size: int) -> None:
        """Raises StorageError unless there is room for so many files, and bytes in them, beside what must stay free."""
        room.check(self.root, files, size)

    def folder(self, path: str) -> str:
        """Make a directory, or keep the one that is there; where it is."""
        where = self._place(path)
        if where == self.root:
            return where
        with self._told(path):
            if not _is_folder(where):
                self._clear(where)
                _make(where)
        return where

    def file(self, path: str, source: pipes.Reader, *, executable: bool) -> str:
        """A new file instead of whatever is there."""
        where = self._new(path)
        with self._told(path):
            descriptor = os.open(where, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with open(descriptor, "wb", buffering=0) as out:
                os.fchmod(out.fileno(), 0o755 if executable else 0o644)
                while data := source.read(pipes.CHUNK):
                    pipes.write_all(out.fileno(), data)
        return where

    def symlink(self, path: str, target: str) -> str:
        """It may lead anywhere: it is followed inside only."""
        if not target:
            raise self._fault(path, "is a link with an empty target")
        where = self._new(path)
        with self._told(path):
            os.symlink(target, where)
        return where

    def hard_link(self, path: str, target: str) -> str:
        """A second name for a file that is there."""
        source = self._found(target)
        if source is None or not stat.S_ISREG(os.lstat(source).st_mode):
            raise self._fault(path, f"is a hard link to {target[:200]!a}, which is not a file in the image")
        where = self._place(path)
        if source.startswith(f"{where}/"):
            raise self._fault(path, "is a hard link to a file that it would replace")
        if where != source:
            where = self._new(path)
            with self._told(path):
                os.link(source, where, follow_symlinks=False)
        return where

    def remove(self, path: str) -> None:
        """Whatever is there, if anything."""
        where = self._found(path)
        if where == self.root:
            raise self._fault(path, "would remove the whole image")
        if where is not None:
            with self._told(path):
                self._clear(where)

    def empty(self, path: str) -> None:
        """Remove all that is in a directory, if there is one."""
        parts = self._parts(path)
        where = self._walk(path, parts, make=False)
        if where and _is_folder(where):
            with self._told(path):
                removal.empty(where)
            self._last = None

    def _new(self, path: str) -> str:
        """Where something is made instead of what is there."""
        where = self._place(path)
        if where == self.root:
            raise self._fault(path, "would replace the whole image")
        with self._told(path):
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
        """Where a path is or would be; folders above it are made."""
        parts = self._parts(path)
        if not parts:
            return self.root
        above = "/".join(parts[:-1])
        if self._last is None or self._last[0] != above:
            self._last = (above, self._walk(path, parts[:-1], make=True))
        return os.path.join(self._last[1], parts[-1])

    def _found(self, path: str) -> str | None:
        """Where a path is, its last part not followed; None where nothing is."""
        parts = self._parts(path)
        if not parts:
            return self.root
        above = self._walk(path, parts[:-1], make=False)
        where = os.path.join(above, parts[-1]) if above else ""
        return where if where and os.path.lexists(where) else None

    def resolve(self, path: str) -> str | None:
        """Where the file or directory is that a path of the image leads to, all links followed; None where nothing is."""
        return self._walk(path, self._parts(path), make=False) or None

    def _parts(self, path: str) -> list[str]:
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise self._fault(path, "leads out of the image")
        if any(len(os.fsencode(part)) > NAME_LIMIT for part in parts):
            raise self._fault(path, "has a name that is too long")
        return parts

    def _walk(self, path: str, parts: t.Sequence[str], *, make: bool) -> str:
        """Follow links inside. Empty where something is not there and not made."""
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
        """That of what is there or is made, 0 for nothing."""
        try:
            return os.lstat(where).st_mode
        except FileNotFoundError:
            if not make:
                return 0
        except OSError as exc:
            raise self._fault(path, f"is not a valid path: {exc.strerror}") from exc
        with self._told(path):
            _make(where)
        return stat.S_IFDIR

    @contextlib.contextmanager
    def _told(self, path: str) -> t.Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise storage_error(exc)(f"cannot unpack {path[:200]!a} of {self._name}: {exc.strerror}; make room there") from exc

    def _fault(self, path: str, what: str) -> TamperedData:
        return TamperedData(f"{self._name}: {path[:200]!a} {what}, so the image is malicious or damaged; use another image")


def _make(where: str) -> None:
    """A folder that everybody may read, whatever our umask."""
    os.mkdir(where, 0o700)
    os.chmod(where, 0o755)


def _is_folder(where: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(where).st_mode)
    except OSError:
        return False
