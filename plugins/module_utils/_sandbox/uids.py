# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which uids the sandboxes of this host have: no two have the same, for to end one is to end all processes of its uid.

Whether processes run says too little: a sandbox that is being made has none yet, and one whose server died has none any more. So each
uid has a link to its sandbox, which counts as long as the marker there says the same.
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

# Only root may write above it, and it does not outlive a boot.
PLACE = "/run/caracal_backup.uids"


@contextlib.contextmanager
def claimed(layout: Layout) -> t.Iterator[Identity | None]:
    """A uid for the sandbox, whose marker must name it before the block ends; None for whoever is not root. Raises as
    `users.server_identity`, and StorageError where no links can be made."""
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
    """Whether the sandbox still has it; of one whose marker cannot be read nobody knows."""
    try:
        found = marker.read(Layout.of(os.readlink(_path(uid))))
    except BackupError:
        return True
    return found is not None and found.exclusive_uid == uid


def _link(uid: int, root: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_path(uid))
    os.symlink(root, _path(uid))
