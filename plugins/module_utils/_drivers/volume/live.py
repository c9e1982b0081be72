# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read a directory that a running service uses, without leaving a trace: no lock, no rename, no access time.

Files are append-only. The content up to the size of the file when it was opened does not change, and can be read later.
"""

from __future__ import annotations

import contextlib
import errno
import os
import typing as t

from ..._errors import BackupError, OptionError, PermissionMissing, StageFailed, StorageError
from ..._files import paths
from ..._files.folder import Folder

STEP = 1 << 16
# A symbolic link, a socket, or another file that is not a regular one.
_OTHER_KINDS = (errno.ELOOP, errno.ENXIO, errno.EINVAL)


def open_folder(path: str, inner: str) -> tuple[Folder, str]:
    """Return the directory `inner` in `path`, or `path` itself if there is none, and its path for messages.

    `inner` may not be a symbolic link. Raises OptionError, PermissionMissing, UnsafePath.
    """
    with translated_errors(path):
        outer = paths.folder(path)
    with contextlib.ExitStack() as opened, translated_errors(os.path.join(path, inner)):
        opened.enter_context(outer)
        if outer.stat(inner) is None:
            opened.pop_all()
            return outer, path
        return outer.child(inner), os.path.join(path, inner)


def translated_errors(path: str) -> t.ContextManager[None]:
    """Convert an OSError to a one-line error of this collection."""
    return paths.translated_errors(path, _problem)


def _problem(path: str, exc: OSError) -> BackupError:
    if isinstance(exc, FileNotFoundError):
        return OptionError(f"{path} does not exist; give the directory where the service's volume is mounted")
    if isinstance(exc, PermissionError):
        return PermissionMissing(f"uid {os.geteuid()} cannot read {path}; run as {_owner(path)} or as root (become)")
    if isinstance(exc, NotADirectoryError):
        return OptionError(f"{path} is not a directory, or is a symbolic link; give the directory where the service's volume is mounted")
    return StorageError(f"{path}: {exc.strerror or 'it failed'}; check the volume")


def _owner(path: str) -> str:
    try:
        return f"uid {os.stat(path, follow_symlinks=False).st_uid}"
    except OSError:
        return "its owner"


class Directory:
    """An open directory. `path` is for messages. `identity` is the same for all paths that lead to it."""

    def __init__(self, path: str, inner: str) -> None:
        self._folder, self.path = open_folder(path, inner)
        about = os.fstat(self._folder.descriptor)
        self.identity = (about.st_dev, about.st_ino)

    def __enter__(self) -> Directory:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._folder.close()

    def names(self) -> list[tuple[str, bool]]:
        """Return every name, sorted, and whether it is a regular file. Bytes that are not UTF-8 become surrogates."""
        with translated_errors(self.path), self._folder.entries() as entries:
            return sorted((entry.name, entry.is_file(follow_symlinks=False)) for entry in entries)

    def size(self, name: str) -> int | None:
        """Return the size of a file in bytes, or None if it does not exist any more."""
        with translated_errors(self.path):
            about = self._folder.stat(name)
        return None if about is None else about.st_size

    def open(self, name: str) -> LiveFile | None:
        """Open a file, or return None if it does not exist any more or is not a regular file."""
        path = os.path.join(self.path, name)
        try:
            fd = self._open(name)
        except FileNotFoundError:
            return None
        except OSError as exc:
            if exc.errno in _OTHER_KINDS:
                return None
            raise _problem(path, exc) from exc
        return LiveFile(fd, path)

    def _open(self, name: str) -> int:
        try:
            return self._folder.open(name, os.O_RDONLY | os.O_NOATIME)
        except PermissionError:
            return self._folder.open(name)  # only the owner of a file may open it with O_NOATIME


class LiveFile:
    """An open file, up to its size when it was opened (`about`). It can still be read after it was deleted."""

    def __init__(self, fd: int, path: str) -> None:
        self._fd = fd
        self.path = path
        self.about = os.fstat(fd)

    def close(self) -> None:
        os.close(self._fd)

    def __enter__(self) -> LiveFile:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def whole_lines(self) -> int:
        """Return the number of bytes up to the last newline.

        A long last line does not use memory, and a long hole does not take time.
        """
        end, step = self.about.st_size, STEP
        while end:
            start = max(0, end - step)
            if self._is_hole(start, end):
                end, step = start, 2 * step
            elif step > STEP:
                step = STEP
            elif (found := self._read(end - start, start).rfind(b"\n")) >= 0:
                return start + found + 1
            else:
                end = start
        return 0

    def _is_hole(self, start: int, end: int) -> bool:
        """Return True if a range was never written."""
        try:
            return os.lseek(self._fd, start, os.SEEK_DATA) >= end
        except OSError as exc:
            # Some file systems do not support holes.
            return exc.errno == errno.ENXIO

    def part(self, start: int, end: int, look: t.Callable[[bytes], object] | None = None) -> Part:
        """Return a reader of the bytes from `start` to `end`. `look` receives each chunk."""
        return Part(self._read, start, end, look)

    def same_now(self) -> bool:
        """Return True if the file was not written since it was opened."""
        now = os.fstat(self._fd)
        return (now.st_size, now.st_mtime_ns) == (self.about.st_size, self.about.st_mtime_ns)

    def check_whole(self) -> None:
        """Raise StageFailed if the file became shorter, since an append-only file does not shrink."""
        if os.fstat(self._fd).st_size < self.about.st_size:
            raise StageFailed(
                f"{self.path} became shorter while it was read, which the service never does; check which other process writes to it"
            )

    def _read(self, size: int, offset: int) -> bytes:
        try:
            data = os.pread(self._fd, size, offset)
        except OSError as exc:
            raise StageFailed(f"cannot read {self.path}: {exc.strerror}; check the volume") from exc
        if not data:
            self.check_whole()
        return data


class Part:
    """A reader of a range of bytes in a file."""

    def __init__(self, read: t.Callable[[int, int], bytes], start: int, end: int, look: t.Callable[[bytes], object] | None) -> None:
        self._read = read
        self._at = start
        self._end = end
        self._look = look

    def read(self, size: int) -> bytes:
        data = self._read(min(size, self._end - self._at), self._at) if self._at < self._end else b""
        self._at += len(data)
        if self._look:
            self._look(data)
        return data
