# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Remove a sandbox: its processes, its shared memory, its files. Only one run at a time does this."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import time
import typing as t

from .._errors import Busy, ObjectMissing, StorageError
from .._files import trusted
from . import marker, processes, watcher
from .info import Layout

# How long a run waits for another run that creates or removes the sandbox, in seconds. A killed run may not have ended yet.
PATIENCE = 60.0
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextlib.contextmanager
def storage(layout: Layout) -> t.Iterator[None]:
    """Convert an OSError of the file system to a StorageError."""
    try:
        yield
    except OSError as exc:
        raise StorageError(
            f"{exc.filename or layout.root}: {exc.strerror}; correct this, or use another directory than {layout.root}"
        ) from exc


@contextlib.contextmanager
def alone(layout: Layout, patience: float = 0.0, *, make: bool = False) -> t.Iterator[None]:
    """Lock the sandbox, so that only one run at a time creates or removes it. The kernel releases the lock when its process ends.

    With `make`, the directory is created if it does not exist or the previous run removed it. Without, that raises
    ObjectMissing. Raises Busy.
    """
    until = time.monotonic() + patience
    while (folder := _locked(layout, make)) is None:
        if time.monotonic() > until:
            raise Busy(f"another run is creating or removing the sandbox in {layout.root}; wait for it, or use another directory")
        time.sleep(0.02)
    try:
        yield
    finally:
        os.close(folder)


def _locked(layout: Layout, make: bool) -> int | None:
    """Return the locked directory of the sandbox, or None if another run has locked it or has just replaced it."""
    with storage(layout):
        if make:
            trusted.workplace(layout.root)
        try:
            folder = os.open(layout.root, _FOLDER)
        except FileNotFoundError as exc:
            if make:
                return None
            raise ObjectMissing(f"another run has removed {layout.root}; drill again") from exc
    with contextlib.suppress(BlockingIOError, FileNotFoundError):
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(folder), os.stat(layout.root)):
            return folder
    os.close(folder)
    return None


def end(layout: Layout, sandbox: str) -> None:
    """Remove the sandbox with that ID, and no other."""
    with alone(layout):
        note = marker.read(layout)
        if note is not None and note.id == sandbox:
            clear(layout)
            remove_root(layout)


def clear(layout: Layout) -> None:
    """Remove everything in a sandbox except its directory. Without a marker, remove only an unfinished marker."""
    note = marker.read(layout)
    if note is None:
        with storage(layout):
            marker.remove(layout)
        return
    watcher.stop(note)
    processes.kill_all(layout, note.exclusive_uid)
    processes.remove_shared_memory(layout)
    with storage(layout):
        for entry in os.scandir(layout.root):
            if entry.is_dir(follow_symlinks=False):
                _remove_tree(layout.root, entry.name)
            elif entry.path != layout.marker:
                os.unlink(entry.path)
        marker.remove(layout)


def _remove_tree(root: str, name: str) -> None:
    """Remove a directory that the sandbox's programs have filled.

    It may be so deep that no path or recursion reaches the end, and its modes may deny access. So each directory in it is moved
    to the top before it is removed, one level at a time. No process uses it any more.
    """
    top = os.open(root, _FOLDER)
    try:
        waiting = [name]
        while waiting:
            name = waiting.pop()
            _enter(name, top)
            folder = os.open(name, _FOLDER, dir_fd=top)
            try:
                waiting += _bring_up(folder, top)
            finally:
                os.close(folder)
            os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)


def _bring_up(folder: int, top: int) -> t.Iterator[str]:
    """Empty a directory. Yield the new names of its subdirectories, which are moved to `top`."""
    with os.scandir(folder) as entries:
        found = [(one.name, one.is_dir(follow_symlinks=False)) for one in entries]
    for name, is_folder in found:
        if not is_folder:
            os.unlink(name, dir_fd=folder)
            continue
        _enter(name, folder)
        new = f".removed-{secrets.token_hex(8)}"
        os.rename(name, new, src_dir_fd=folder, dst_dir_fd=top)
        yield new


def _enter(name: str, above: int) -> None:
    """Make a directory readable and writable. Moving a directory writes to it."""
    with contextlib.suppress(PermissionError):
        os.chmod(name, 0o700, dir_fd=above)


def remove_root(layout: Layout) -> None:
    try:
        os.rmdir(layout.root)
    except OSError as exc:
        if exc.errno not in (errno.EBUSY, errno.ENOTEMPTY, errno.ENOENT):  # a mount point remains empty, other files stay
            raise StorageError(f"cannot remove {layout.root}: {exc.strerror}; remove the empty directory manually") from exc
