# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Removes a sandbox: its processes, its shared memory, its files. One run at a time."""

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

# How long whoever comes waits for a run that makes or removes the sandbox, in seconds: one that was killed may still be dying.
PATIENCE = 60.0
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextlib.contextmanager
def storage(layout: Layout) -> t.Iterator[None]:
    """What the file system refuses, in words."""
    try:
        yield
    except OSError as exc:
        raise StorageError(
            f"{exc.filename or layout.root}: {exc.strerror}; correct this, or use another directory than {layout.root}"
        ) from exc


@contextlib.contextmanager
def alone(layout: Layout, patience: float = 0.0, *, make: bool = False) -> t.Iterator[None]:
    """One run at a time makes or removes a sandbox; the kernel ends the lock with the process that holds it.

    With `make`, a folder that is not there, or that the run before us took away, is made. Raises ObjectMissing without it, and Busy.
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
    """The folder of the sandbox, locked; None while another run has it, or has just put another in its place."""
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
    """Remove the sandbox with that id, and no other."""
    with alone(layout):
        note = marker.read(layout)
        if note is not None and note.id == sandbox:
            clear(layout)
            remove_root(layout)


def clear(layout: Layout) -> None:
    """Remove all of a sandbox but its folder; of a folder without a marker, only a marker that was never finished."""
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
    """A folder that its own programs have filled: so deep that no path and no recursion leads down, with modes that keep us out.

    What lies in it is brought up before it is removed, one level at a time. Nobody works there any more.
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
    """Empty a folder; the new names, above, of the folders that were in it."""
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
    """See that we may read a folder and write in it, as it is written in when it is moved."""
    with contextlib.suppress(PermissionError):
        os.chmod(name, 0o700, dir_fd=above)


def remove_root(layout: Layout) -> None:
    try:
        os.rmdir(layout.root)
    except OSError as exc:
        if exc.errno not in (errno.EBUSY, errno.ENOTEMPTY, errno.ENOENT):  # a mount point stays, empty; what is not ours stays as it is
            raise StorageError(f"cannot remove {layout.root}: {exc.strerror}; remove the empty directory manually") from exc
