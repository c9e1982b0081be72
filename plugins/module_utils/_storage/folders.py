# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Directories below a root, entered part by part: a symbolic link on the way is an error and never followed.

Whoever can plant a link in a repository could otherwise make us read or write anywhere.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import os
import secrets
import typing as t

from .._errors import BackupError, ObjectMissing, StorageError

_CHUNK = 1 << 20
OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_LINK = "it is a symbolic link or no directory, which a repository has none of; remove it and find out who made it"
_REMEDIES = {
    errno.ENOSPC: "the disk is full; make room",
    errno.EDQUOT: "the quota is used up; raise it or make room",
    errno.EFBIG: "the file size limit is reached; raise it (ulimit -f)",
    errno.EROFS: "the file system is read-only; mount it writable",
    errno.EACCES: "permission denied; run as the owner of the repository",
    errno.EPERM: "not permitted; run as the owner of the repository, on a file system with hard links",
    errno.EOPNOTSUPP: "the file system has no hard links; use another one",
    errno.EXDEV: "it lies on another file system than its neighbours; keep the repository on one",
    errno.ELOOP: _LINK,
    errno.ENOTDIR: _LINK,
}


@contextlib.contextmanager
def told(path: str) -> t.Iterator[None]:
    """OSError as a StorageError that names the path and the remedy, or as ObjectMissing."""
    try:
        yield
    except FileNotFoundError as exc:
        raise ObjectMissing(f"{path} does not exist; check the repository's path, or use another copy of it") from exc
    except OSError as exc:
        raise problem(path, exc.errno or 0, exc.strerror or "it failed") from exc


def problem(path: str, number: int, words: str = "") -> BackupError:
    return StorageError(f"{path}: {_REMEDIES.get(number, f'{words}; check the disk')}")


def enter(root: str, folder: str) -> int:
    """A descriptor of an existing folder below `root`. Raises OSError."""
    return walk(root, folder, lambda name, fd: None)


def make(root: str, folder: str) -> int:
    """The same; what is missing is made, of mode 0700 and durable. The root's own parent must exist. Raises OSError."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(root, 0o700)
        sync(os.path.dirname(root))
    return walk(root, folder, _make_one)


def walk(root: str, folder: str, before: t.Callable[[str, int], None]) -> int:
    """The same; `before` is called with each part and a descriptor of the folder that it lies in. Raises OSError."""
    # The operator's own path may lead over links; what lies inside the repository may not.
    fd = os.open(root, OPEN_FOLDER)
    for name in folder.split("/") if folder else ():
        try:
            before(name, fd)
            inner = os.open(name, OPEN_FOLDER | os.O_NOFOLLOW, dir_fd=fd)
        finally:
            os.close(fd)
        fd = inner
    return fd


def _make_one(name: str, fd: int) -> None:
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=fd)
        os.fsync(fd)


def clock(folder: str) -> datetime.datetime | None:
    """The file system's, which is another host's where it is mounted: by the time of a file that is written and never seen. None where
    nothing can be written."""
    name = f"{folder}/.{secrets.token_hex(8)}.partial"
    try:
        try:
            fd = os.open(folder, os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
        except OSError:  # such as over NFS
            fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, b"x")
            os.fsync(fd)
            return datetime.datetime.fromtimestamp(os.fstat(fd).st_mtime, datetime.timezone.utc)
        finally:
            os.close(fd)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
    except OSError:
        return None


@contextlib.contextmanager
def replacing(path: str) -> t.Iterator[t.BinaryIO]:
    """A file of mode 0600 that takes its place in one step and for good once it is whole: whoever reads finds all of the old one or all
    of the new. Only for one writer at a time, who removes what a killed one has left. Raises OSError."""
    fresh = f"{path}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(fresh)
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb", _CHUNK) as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        os.replace(fresh, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(fresh)
        raise
    sync(os.path.dirname(os.path.abspath(path)))


def replace(path: str, data: bytes) -> None:
    """The same with bytes that are there already."""
    with replacing(path) as out:
        out.write(data)


def sync(path: str) -> None:
    """Make the names in a directory durable. Raises OSError."""
    fd = os.open(path, OPEN_FOLDER)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
