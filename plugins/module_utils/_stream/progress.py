# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reports the progress of long work to an observer outside, and ends the work when the observer is gone.

The observer sets a directory in the environment. The directory contains a lease file that the observer renews. A
watcher process writes the progress into that directory. It ends this process when the lease is removed, or was renewed
before but is not renewed any more. The watcher is a process, because no threads may exist when workers are forked. Only
the watcher accesses these files, since a full disk must not stop a backup.
"""

from __future__ import annotations

import contextlib
import gc
import mmap
import os
import signal
import threading
import time
import typing as t

from .._errors import UnsafePath
from .._files import paths
from . import pipes, workers

FOLDER = "CARACAL_OPS_PROGRESS"
STATUS, LEASE = "progress", "lease"
# The console shows one of these words. `LINE` bytes hold one word and two numbers.
PHASES = ("verifying", "dumping", "restoring", "indexing", "copying")
LINE = 64
# In bytes. Servers and stores report sizes, which can have any value.
LARGEST = 10**17
PAUSE = 0.5
# In seconds: how long a lease may not be renewed after it was renewed before, and how long a process may take to end.
TERM = 180.0
GRACE = 5.0

_PHASE, _TOTAL, _SLOTS = 0, 1, 64


class Progress:
    """Counts bytes of a phase, in all processes forked later. Without cells it counts nothing."""

    def __init__(self, cells: memoryview | None = None) -> None:
        self._cells = cells

    def begin(self, phase: str, total: int = 0) -> None:
        """Start a phase, with its number of bytes if known. Must not be called while others count."""
        if self._cells is not None:
            self._cells[_PHASE] = 0
            self._cells[_TOTAL] = _bounded(total)
            for slot in range(_SLOTS):
                self._cells[_TOTAL + 1 + slot] = 0
            self._cells[_PHASE] = PHASES.index(phase) + 1

    def count(self, size: int) -> None:
        """Add bytes. Each thread of each process has its own cell; if two share one, a few bytes may not be counted."""
        if self._cells is not None:
            slot = _TOTAL + 1 + threading.get_native_id() % _SLOTS
            self._cells[slot] = _bounded(self._cells[slot] + size)

    def share(self, size: int) -> Share:
        """Return a sink that represents `size` bytes of the total, independent of how many bytes are written to it."""
        return Share(self, size)

    def end(self) -> None:
        """Stop counting. Later calls of `count` have no effect."""
        self._cells = None

    def line(self) -> bytes:
        """Return a line of fixed length with the phase, its total bytes and the counted bytes."""
        if self._cells is None or not self._cells[_PHASE]:
            return b" " * (LINE - 1) + b"\n"
        words = f"{PHASES[self._cells[_PHASE] - 1]} {self._cells[_TOTAL]} {_bounded(sum(self._cells[_TOTAL + 1 :]))}"
        return words.ljust(LINE - 1).encode() + b"\n"


SILENT = Progress()


def _bounded(size: int) -> int:
    return min(max(0, size), LARGEST)


class Share:
    """A sink that counts its bytes up to its size, and the rest at a successful end. After a failure, nothing is counted."""

    def __init__(self, progress: Progress, size: int) -> None:
        self._progress = progress
        self._left = self._size = size

    def write(self, data: bytes) -> None:
        self._count(len(data))

    def _count(self, size: int) -> None:
        counted = min(size, self._left)
        self._left -= counted
        self._progress.count(counted)

    def __enter__(self) -> Share:
        return self

    def __exit__(self, kind: object, *_exc_info: object) -> None:
        if kind is None:
            self._count(self._left)
        else:
            self._progress.count(self._left - self._size)
            self._left = self._size


class Counted:
    """A stream that counts the bytes read from it."""

    def __init__(self, stream: t.BinaryIO, progress: Progress) -> None:
        self._stream, self._progress = stream, progress

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._progress.count(len(data))
        return data

    def close(self) -> None:
        self._stream.close()

    def __enter__(self) -> Counted:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


@contextlib.contextmanager
def shown(term: float = TERM) -> t.Iterator[Progress]:
    """Report progress while the block runs. Enter it before any thread is started.

    Without an observer, or if its directory is not private to this user, nothing is reported and nothing ends this
    process.
    """
    folder = os.environ.get(FOLDER, "")
    if not _ours(folder):
        yield SILENT
        return
    import multiprocessing

    with mmap.mmap(-1, 8 * (_TOTAL + 1 + _SLOTS)) as memory, memoryview(memory) as plain, plain.cast("Q") as cells:
        progress = Progress(cells)
        watcher = multiprocessing.get_context("fork").Process(target=_watch, args=(os.getpid(), folder, progress, term), daemon=True)
        watcher.start()
        try:
            yield progress
        finally:
            progress.end()
            watcher.kill()
            watcher.join()
            watcher.close()


def _ours(folder: str) -> bool:
    try:
        above, name = paths.parent(folder)
        with above, above.child(name) as found:
            return found.doubt is None and not found.mode & 0o077 and found.stat(LEASE) is not None
    except (OSError, UnsafePath):
        return False


def _watch(worker: int, folder: str, progress: Progress, term: float) -> None:
    """Run the watcher.

    It lives longer than the worker, until the directory is removed. Signals for the whole process group or terminal
    must therefore not reach it.
    """
    gc.freeze()
    os.setsid()
    # A reader of the module's output waits until all processes have closed it.
    workers.strip()
    _until_left(worker, folder, progress, term)
    _clear(folder)
    for what in (signal.SIGTERM, signal.SIGKILL):
        if os.getppid() == worker:
            os.kill(worker, what)
            time.sleep(GRACE)


def _until_left(worker: int, folder: str, progress: Progress, term: float) -> None:
    """Write the progress until the worker ends or the lease is gone.

    An observer that has never renewed the lease has no access to it, and does not end the worker.
    """
    lease = os.path.join(folder, LEASE)
    first = seen = _renewed(lease)
    since = time.monotonic()
    while os.getppid() == worker and seen is not None and (seen == first or time.monotonic() - since <= term):
        with contextlib.suppress(OSError):
            _tell(folder, progress.line())
        time.sleep(min(PAUSE, term / 4))
        now = _renewed(lease)
        if now != seen:
            seen, since = now, time.monotonic()


def _clear(folder: str) -> None:
    with contextlib.suppress(OSError, UnsafePath):
        above, name = paths.parent(folder)
        with above, paths.folder(folder) as found:
            for one in found.names():
                found.unlink(one)
            above.rmdir(name)


def _renewed(lease: str) -> int | None:
    try:
        return os.lstat(lease).st_mtime_ns
    except FileNotFoundError:
        return None


def _tell(folder: str, line: bytes) -> None:
    """Overwrite the previous line in a single write."""
    with paths.folder(folder) as found:
        out = found.open(STATUS, os.O_WRONLY) if found.stat(STATUS) else found.create(STATUS)
    try:
        pipes.write_all(out, line)
    finally:
        os.close(out)
