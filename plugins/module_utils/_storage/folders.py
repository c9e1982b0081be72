# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Directories below a root, opened one path component at a time. A symbolic link on the way is an error and is never followed.

Otherwise an attacker who plants a link in a repository could redirect reads and writes to any path.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import os
import secrets
import typing as t

from .._errors import BackupError, NoRoom, ObjectMissing, StorageError
from .._files import paths
from .._files.folder import Folder

_LINK = "it is not a directory, or it is a symbolic link, which a repository never contains; remove it and find out who created it"
_REMEDIES = {
    errno.ENOSPC: "the disk is full; make room",
    errno.EDQUOT: "the quota is used up; raise it or make room",
    errno.EFBIG: "the file size limit is reached; raise it (ulimit -f)",
    errno.EROFS: "the file system is read-only; mount it writable",
    errno.EACCES: "permission denied; run as the owner of the repository",
    errno.EPERM: "not permitted; run as the owner of the repository, on a file system with hard links",
    errno.EOPNOTSUPP: "the file system has no hard links; use another one",
    errno.EXDEV: "it is on another file system than the rest of the repository; keep the repository on one file system",
    errno.ELOOP: _LINK,
    errno.ENOTDIR: _LINK,
}


def translated_errors(path: str) -> t.ContextManager[None]:
    """Convert OSError to a StorageError that names the path and the remedy, or to ObjectMissing."""
    return paths.translated_errors(path, _problem)


def _problem(path: str, exc: OSError) -> BackupError:
    if isinstance(exc, FileNotFoundError):
        return ObjectMissing(f"{path} does not exist; check the repository's path, or use another copy of it")
    return problem(path, exc.errno or 0, exc.strerror or "unknown error")


def problem(path: str, number: int, words: str = "") -> BackupError:
    kind = NoRoom if number in (errno.ENOSPC, errno.EDQUOT) else StorageError
    return kind(f"{path}: {_REMEDIES.get(number, f'{words}; check the disk')}")


def enter(root: str, folder: str) -> Folder:
    """Open an existing directory below `root`. Raises OSError, UnsafePath."""
    # The operator's own path may contain links created by root. Links inside the repository are refused.
    return paths.descend(paths.folder(root), folder, Folder.child)


def make(root: str, folder: str) -> Folder:
    """Open a directory below `root` and create missing ones with mode 0700, durably. Raises as `enter`.

    The parent directory of `root` must exist.
    """
    return paths.descend(paths.make(root), folder, Folder.make)


def nearest(path: str) -> str:
    """Return the path itself, or the nearest existing directory above it."""
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    return path


def check_parent(root: str) -> None:
    """Raise ObjectMissing if the parent directory of `root` is missing: its disk may not be mounted."""
    above = os.path.dirname(root)
    if not os.path.lexists(root) and not os.path.lexists(above):
        raise ObjectMissing(f"{above} does not exist, so {root} cannot be created; mount or create {above}, or correct the path")


def check_may_write(place: str) -> None:
    """Raise StorageError if this user cannot write into a directory. Writes nothing."""
    with translated_errors(place):
        if not os.path.isdir(place):
            raise problem(place, errno.ENOTDIR)
        if os.statvfs(place).f_flag & os.ST_RDONLY:
            raise problem(place, errno.EROFS)
        if not os.access(place, os.W_OK | os.X_OK, effective_ids=True):
            raise problem(place, errno.EACCES)


def clock(place: str) -> datetime.datetime | None:
    """Return the time of the file system's clock, or None if nothing can be written.

    On a network mount, this is the clock of another host. The time is taken from a new file that has no visible name.
    """
    try:
        with paths.folder(place) as folder:
            descriptor = _unseen(folder)
            try:
                os.write(descriptor, b"x")
                os.fsync(descriptor)
                return datetime.datetime.fromtimestamp(os.fstat(descriptor).st_mtime, datetime.timezone.utc)
            finally:
                os.close(descriptor)
    except (OSError, BackupError):
        return None


def _unseen(folder: Folder) -> int:
    with contextlib.suppress(OSError):
        return os.open(".", os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, 0o600, dir_fd=folder.descriptor)
    name = f".{secrets.token_hex(8)}.partial"  # such as over NFS
    descriptor = folder.create(name)
    folder.unlink(name)
    return descriptor
