# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restore files into the directory of a service. Files are added, never overwritten, and not visible before they are complete.

A file is written under a name that services ignore, synced to disk, and linked to its final name. Linking fails if that name
exists. Other files there, including symbolic links, are neither followed nor changed.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat as stat_flags
import types
import typing as t

from ..._errors import BackupError, NoRoom, OptionError, PermissionMissing, StorageError
from ..._files import paths
from ..._files.folder import Folder
from ..._storage import folders
from ..._stream import pipes

TEMPORARY = ".restoring-"
ABSENT, SAME, OTHER = "absent", "same", "other"


def translated_errors(path: str) -> t.ContextManager[None]:
    """Convert an OSError to a one-line error of this collection."""
    return paths.translated_errors(path, _problem)


def _problem(path: str, exc: OSError) -> BackupError:
    if exc.errno in (errno.EACCES, errno.EPERM):
        return PermissionMissing(f"uid {os.geteuid()} cannot write to {path}; run as root (become), or as the owner of the directory")
    if exc.errno == errno.EEXIST:
        return StorageError(f"another process created {path} during the restore; stop the service and other restores, then run again")
    return folders.problem(path, exc.errno or 0, exc.strerror or "it failed")


def volume(path: str, inner: str) -> Folder:
    """Return the directory `inner` in `path`, or `path` itself if there is none. Raises OptionError, PermissionMissing, StorageError."""
    with translated_errors(path):
        try:
            outer = paths.folder(path)
        except FileNotFoundError:
            raise OptionError(f"{path} does not exist; give the directory where the service's volume is mounted") from None
        if outer.stat(inner) is None:
            return outer
        with outer:
            return outer.child(inner)


def open_private(path: str) -> Folder | None:
    """Open a directory, which may not be a symbolic link. Return None if it does not exist."""
    with translated_errors(path), contextlib.suppress(FileNotFoundError):
        above, name = paths.parent(path)
        with above:
            return above.child(name)
    return None


def make_private(path: str) -> None:
    """Create a directory of mode 0700 in an existing one, unless it exists."""
    with translated_errors(path):
        above, name = paths.parent(path)
        with above, above.make(name):
            pass


class Target:
    """An open directory, and the attributes of its new files: numeric owner and group, and permission bits."""

    def __init__(self, folder: Folder, owner: int, group: int, mode: int) -> None:
        self._folder = folder
        self.path = folder.path
        self._owner = owner
        self._group = group
        self._mode = mode
        self._made: list[str] = []
        about = os.fstat(folder.descriptor)
        self.identity = (about.st_dev, about.st_ino)

    def __enter__(self) -> Target:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: types.TracebackType | None) -> None:
        self._forget(self._made)
        self._folder.close()

    def check_may(self, size: int) -> None:
        """Check that `size` bytes can be written and given to their owner. Raises PermissionMissing, StorageError."""
        me = os.geteuid()
        if me != 0 and (self._owner != me or self._group not in (os.getegid(), *os.getgroups())):
            raise PermissionMissing(
                f"files in {self.path} must belong to {self._owner}:{self._group}, which uid {me} cannot give them; "
                "run as root (become), or set another owner and group"
            )
        with translated_errors(self.path):
            about = os.fstatvfs(self._folder.descriptor)
            if about.f_flag & os.ST_RDONLY:
                raise OSError(errno.EROFS, "read-only")
            if not os.access(".", os.W_OK | os.X_OK, dir_fd=self._folder.descriptor, effective_ids=True):
                raise OSError(errno.EACCES, "permission denied")
        free = about.f_bavail * about.f_frsize
        if free < size:
            raise NoRoom(f"{self.path} has {free >> 20} MiB free, but the files need {(size >> 20) + 1} MiB; free disk space")

    def holds(self, name: str, size: int, sha256: str) -> str:
        """Compare a file with `size` bytes of a digest: it begins with them (`SAME`) or not (`OTHER`), or does not exist (`ABSENT`)."""
        with translated_errors(os.path.join(self.path, name)):
            about = self._folder.stat(name)
            if about is None:
                return ABSENT
            if not stat_flags.S_ISREG(about.st_mode) or about.st_size < size:
                return OTHER
            with self._folder.read(name) as stream:
                digest, left = hashlib.sha256(), size
                while left and (data := stream.read(min(left, pipes.CHUNK))):
                    digest.update(data)
                    left -= len(data)
        return SAME if digest.hexdigest() == sha256 else OTHER

    def leftovers(self) -> list[str]:
        """Return the files that a killed restore left."""
        with translated_errors(self.path):
            return sorted(name for name in self._folder.names() if name.startswith(TEMPORARY))

    def clear(self) -> None:
        """Remove the files that a killed restore left."""
        self._forget(self.leftovers())

    def _forget(self, names: t.Iterable[str]) -> None:
        for name in names:
            with contextlib.suppress(FileNotFoundError), translated_errors(os.path.join(self.path, name)):
                self._folder.unlink(name)

    @contextlib.contextmanager
    def writing(self, name: str, mtime_ns: int) -> t.Iterator[pipes.Sink]:
        """Yield a sink. Afterwards the bytes are synced to disk, but not yet under their final name."""
        temporary = TEMPORARY + name
        with translated_errors(os.path.join(self.path, temporary)):
            fd = self._folder.create(temporary, as_owner=False)
        self._made.append(temporary)
        try:
            yield _Sink(fd, os.path.join(self.path, temporary))
            with translated_errors(os.path.join(self.path, temporary)):
                os.fchown(fd, self._owner, self._group)
                os.fchmod(fd, self._mode)
                os.utime(fd, ns=(mtime_ns, mtime_ns))
                os.fsync(fd)
        finally:
            os.close(fd)

    def publish(self, name: str) -> None:
        """Give a written file its final name."""
        with translated_errors(os.path.join(self.path, name)):
            self._folder.link(TEMPORARY + name, name)
            self._folder.unlink(TEMPORARY + name)
            self._made.remove(TEMPORARY + name)
            self._folder.sync()


class _Sink:
    def __init__(self, fd: int, path: str) -> None:
        self._fd = fd
        self._path = path

    def write(self, data: bytes) -> int:
        with translated_errors(self._path):
            pipes.write_all(self._fd, data)
        return len(data)
