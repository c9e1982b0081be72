# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A directory that is held open. Operations use names relative to it, so exchanging a directory above it has no effect.

No link is followed. In another user's directory, root creates, renames and removes with the rights of that user. So the
result is always something that this user could have done alone. The one exception is a file with an explicit owner:
root creates it under a random name, and changes its owner before renaming it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import stat
import types
import typing as t

from .._errors import UnsafePath
from . import doubt, rights
from .doubt import Doubt

# Prefix of temporary files. Leftovers of killed writers are removed by the next writer in that directory.
TEMPORARY = ".caracal-ops-"
PRIVATE, OWN = 0o700, 0o600
ENTER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A planted FIFO must not block the open call.
PLAIN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 20
# Another process can lock or remove each new file first.
_ATTEMPTS = 100


class Owner(t.NamedTuple):
    """Numeric user and group; -1 means unchanged."""

    uid: int = -1
    gid: int = -1


AS_IT_IS = Owner()


class Folder:
    """An open directory. `doubt` describes how other users could exchange it or a directory above it. Methods raise OSError, UnsafePath."""

    def __init__(self, descriptor: int, path: str, above: Folder | None = None) -> None:
        about = os.fstat(descriptor)
        self.descriptor = descriptor
        self.path = path
        self.doubt: Doubt | None = (above and above.doubt) or doubt.of(descriptor, about, path)
        self.is_new = False
        self._owner = about.st_uid
        # Shared: another user may have created entries in this directory. Chosen: another user may have moved this directory here.
        self._is_shared = bool(self.doubt or about.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
        self._is_chosen = bool(above and above._is_shared and above._owner != about.st_uid)

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: types.TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def of(self, name: str) -> str:
        """Return the path of a name in the directory, for messages."""
        return os.path.join(self.path, name)

    def child(self, name: str) -> Folder:
        """Open a directory in it."""
        return Folder(os.open(name, ENTER, dir_fd=self.descriptor), self.of(name), self)

    def make(self, name: str, mode: int = PRIVATE, owner: Owner = AS_IT_IS) -> Folder:
        """Open a directory in it. If it is missing, create it durably, with this mode and owner, and set `is_new`."""
        try:
            with rights.of(self._owner):
                os.mkdir(name, PRIVATE, dir_fd=self.descriptor)
        except FileExistsError:
            return self.child(name)
        made = self.child(name)
        try:
            if made._owner != self._creator:
                raise UnsafePath(f"{made.path} was exchanged while it was created; find out who did it, then run this again")
            made.is_new = True
            made.settle(mode, owner)
            self.sync()
        except BaseException:
            made.close()
            raise
        return made

    @property
    def mode(self) -> int:
        return stat.S_IMODE(os.fstat(self.descriptor).st_mode)

    @property
    def _creator(self) -> int:
        """The owner of new files in it."""
        return self._owner if os.geteuid() == 0 else os.geteuid()

    def settle(self, mode: int, owner: Owner = AS_IT_IS) -> None:
        """Set the permissions and owner of the directory itself.

        Raises UnsafePath instead if other users can write to the parent directory and it has another owner. A rename by
        another user may then have moved any directory of its owner to this path.
        """
        about = os.fstat(self.descriptor)
        uid = about.st_uid if owner.uid < 0 else owner.uid
        gid = about.st_gid if owner.gid < 0 else owner.gid
        if (uid, gid, mode) == (about.st_uid, about.st_gid, stat.S_IMODE(about.st_mode)):
            return
        if self._is_chosen and not self.is_new:
            raise UnsafePath(
                f"{self.path} is in a directory of another user and belongs to user {about.st_uid}; change its owner to {uid} and its mode "
                f"to {mode:04o} yourself"
            )
        if (uid, gid) != (about.st_uid, about.st_gid):
            os.chown(".", uid, gid, dir_fd=self.descriptor)
        if stat.S_IMODE(os.fstat(self.descriptor).st_mode) != mode:
            os.chmod(".", mode, dir_fd=self.descriptor)

    def stat(self, name: str) -> os.stat_result | None:
        """Return the status of a name, without following a link; None if it does not exist."""
        try:
            return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def names(self) -> list[str]:
        with self._listing() as descriptor:
            return os.listdir(descriptor)

    @contextlib.contextmanager
    def entries(self) -> t.Iterator[t.Iterator[os.DirEntry[str]]]:
        """Yield the entries with their types."""
        with self._listing() as descriptor, os.scandir(descriptor) as found:
            yield found

    def sync(self) -> None:
        """Make the directory's entries durable."""
        with self._listing() as descriptor:
            os.fsync(descriptor)

    @contextlib.contextmanager
    def _listing(self) -> t.Iterator[int]:
        descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.descriptor)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def open(self, name: str, flags: int = os.O_RDONLY) -> int:
        """Return a descriptor of an existing regular file.

        If another user may have put it there, a hard link is refused, unless the file belongs to that user.
        """
        descriptor = os.open(name, PLAIN | flags, dir_fd=self.descriptor)
        try:
            about = os.fstat(descriptor)
            if not stat.S_ISREG(about.st_mode):
                raise OSError(errno.EINVAL, "it is not a regular file")
            is_theirs = about.st_uid == self._owner != os.geteuid()
            if self._is_shared and about.st_nlink > 1 and not is_theirs:
                raise UnsafePath(f"{self.of(name)} has a second hard link, which another user may have created; remove it")
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def read(self, name: str) -> t.BinaryIO:
        return os.fdopen(self.open(name), "rb")

    def create(self, name: str, mode: int = OWN, *, as_owner: bool = True) -> int:
        """Create a file that must not exist, and return its descriptor."""
        with rights.of(self._owner if as_owner else os.geteuid()):
            return os.open(name, NEW, mode, dir_fd=self.descriptor)

    def unlink(self, name: str) -> None:
        with rights.of(self._owner):
            os.unlink(name, dir_fd=self.descriptor)

    def rmdir(self, name: str) -> None:
        with rights.of(self._owner):
            os.rmdir(name, dir_fd=self.descriptor)

    def rename(self, name: str, new: str) -> None:
        with rights.of(self._owner):
            os.rename(name, new, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def link(self, name: str, new: str, into: Folder | None = None) -> None:
        """Create another name, here or in another directory. It must not exist."""
        # Only root may link a file that was given to another user.
        target = into or self
        os.link(name, new, src_dir_fd=self.descriptor, dst_dir_fd=target.descriptor, follow_symlinks=False)

    @contextlib.contextmanager
    def replacing(self, name: str, mode: int = OWN, owner: Owner = AS_IT_IS) -> t.Iterator[t.BinaryIO]:
        """Yield a file that replaces `name` atomically and durably when it is complete. A reader sees either the old or the new content."""
        with self._fresh(mode, owner) as (fresh, out):
            yield out
            _finish(out)
            self.rename(fresh, name)
        self.sync()

    def replace(self, name: str, data: bytes, mode: int = OWN, owner: Owner = AS_IT_IS) -> None:
        with self.replacing(name, mode, owner) as out:
            out.write(data)

    def add(self, name: str, data: bytes, mode: int = OWN) -> bool:
        """Write a new file like `replace`. If it exists already, return False and write nothing."""
        with self._fresh(mode, AS_IT_IS) as (fresh, out):
            out.write(data)
            _finish(out)
            try:
                self.link(fresh, name)
            except FileExistsError:
                return False
        self.sync()
        return True

    @contextlib.contextmanager
    def _fresh(self, mode: int, owner: Owner) -> t.Iterator[tuple[str, t.BinaryIO]]:
        """Yield a new file with a temporary name, which is removed afterwards unless it was renamed."""
        self._clear()
        name, descriptor = self._locked(owner)
        try:
            with os.fdopen(descriptor, "wb", _CHUNK) as out:
                if owner != AS_IT_IS:
                    os.fchown(descriptor, *owner)
                os.fchmod(descriptor, mode)
                yield name, out
        finally:
            with contextlib.suppress(OSError):
                self.unlink(name)

    def _locked(self, owner: Owner) -> tuple[str, int]:
        """Create a locked temporary file. The lock shows that its writer is running.

        Another user can lock it first and keep the lock, so this function does not wait.
        """
        for _attempt in range(_ATTEMPTS):
            name = f"{TEMPORARY}{secrets.token_hex(8)}"
            descriptor = self.create(name, as_owner=owner == AS_IT_IS)
            if _lock(descriptor) and os.fstat(descriptor).st_nlink:
                return name, descriptor
            os.close(descriptor)
            with contextlib.suppress(OSError):
                self.unlink(name)
        raise UnsafePath(f"another process locks or removes each new file in {self.path}; find out which one, and end it")

    def _clear(self) -> None:
        """Remove leftovers of killed writers. Files of running writers are locked."""
        for name in self.names():
            if name.startswith(TEMPORARY):
                with contextlib.suppress(OSError, UnsafePath):
                    descriptor = self.open(name)
                    try:
                        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        self.unlink(name)
                    finally:
                        os.close(descriptor)


def _finish(out: t.BinaryIO) -> None:
    out.flush()
    os.fsync(out.fileno())


def _lock(descriptor: int) -> bool:
    """Lock a file. Returns False if another process has locked it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        # Other errors mean that locks are not supported, such as on NFS.
        return not isinstance(exc, BlockingIOError)
    return True
