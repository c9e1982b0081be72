# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The uids of this host's sandboxes. They are unique, because ending a sandbox ends all processes of its uid.

Running processes are not a sufficient criterion. A sandbox that is being created has none yet, and one whose server died has
none any more. So each uid has a link to its sandbox. The link counts while the marker there has the same uid.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import typing as t

from .._errors import BackupError, StorageError
from .._stream.process import Identity
from . import marker, users
from .info import Layout

# Only root can write to its parent directory, and it does not survive a reboot.
PLACE = "/run/caracal_backup.uids"


@contextlib.contextmanager
def claimed(layout: Layout) -> t.Iterator[Identity | None]:
    """Reserve a uid for the sandbox, whose marker must contain it before the block ends. Yields None if this user is not root.

    Raises the errors of `users.server_identity`, and StorageError if links cannot be created.
    """
    if os.geteuid() != 0:
        yield None
        return
    with _alone():
        taken = {uid for uid in _linked() if _stands(uid)}
        identity = users.server_identity(taken)
        if identity:
            _link(identity.uid, layout.root)
        yield identity


@contextlib.contextmanager
def _alone() -> t.Iterator[None]:
    try:
        os.makedirs(PLACE, mode=0o700, exist_ok=True)
        place = os.open(PLACE, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as exc:
        raise StorageError(f"cannot create {PLACE}: {exc.strerror}; allow root to write to {os.path.dirname(PLACE)}") from exc
    try:
        fcntl.flock(place, fcntl.LOCK_EX)
        yield
    finally:
        os.close(place)


def _linked() -> list[int]:
    return [int(name) for name in os.listdir(PLACE) if name.isdecimal()]


def _path(uid: int) -> str:
    return os.path.join(PLACE, str(uid))


def _stands(uid: int) -> bool:
    """Return True if the sandbox still has the uid, or if its marker cannot be read."""
    try:
        found = marker.read(Layout.of(os.readlink(_path(uid))))
    except BackupError:
        return True
    return found is not None and found.exclusive_uid == uid


def _link(uid: int, root: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_path(uid))
    os.symlink(root, _path(uid))
