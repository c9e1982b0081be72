# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Remove a sandbox that is not used any more, or that exceeds its limits. The watcher runs outside, as long as the sandbox exists.

It relies only on the monotonic clock, and on no data that the sandbox could have written.
"""

from __future__ import annotations

import dataclasses
import os
import syslog
import time
import typing as t

from .._errors import BackupError, Busy
from .._stream import workers
from . import lease, marker, processes, space
from .info import Layout

# The process name in the kernel.
NAME = "caracal-sandbox"
PAUSE = 1.0
# The minimum time between two measurements in seconds, and its ratio to the duration of a measurement.
LEAST = 3.0
RATIO = 10


@dataclasses.dataclass(frozen=True)
class Bounds:
    """The limits of a sandbox.

    `term` is the time in seconds without a holder. In bytes, `disk` is the limit for the sandbox's directory, `free` the
    minimum free space on its file system, and `memory` the limit for its processes.
    """

    term: float
    disk: int
    free: int
    memory: int


End = t.Callable[[Layout, str], None]


def bounds(layout: Layout, term: float, disk: int | None) -> Bounds:
    """Return the limits. Without `disk`, it is nine tenths of the current free space.

    One hundredth of the free space must remain free. The sandbox may use three quarters of the memory.
    """
    free = space.free_bytes(layout.root)
    return Bounds(term, disk if disk is not None else free // 10 * 9, free // 100, space.memory_bytes() // 4 * 3)


def start(layout: Layout, sandbox: str, within: Bounds, end: End) -> tuple[int, int]:
    """Start a watcher of the sandbox with that ID, and return its process ID and start time. `end(layout, sandbox)` removes the sandbox."""
    pid = workers.detach(NAME, _watch, layout, sandbox, within, end)
    found = processes.look(pid)
    return pid, found.start_time if found else 0


def stop(note: marker.Marker) -> None:
    """End the watcher of a sandbox that is about to be removed, and wait until it has ended.

    Has no effect in the watcher itself. Raises Busy if it does not end.
    """
    pid, until = note.watcher[0], time.monotonic() + processes.KILL_SECONDS
    while note.watcher and pid != os.getpid() and _is(note.watcher):
        if time.monotonic() > until:
            raise Busy(f"process {pid}, which watches the sandbox, does not end; check for a hanging disk, then remove the sandbox again")
        processes.send_kill(pid)
        time.sleep(0.01)


def _is(watcher: tuple[int, int]) -> bool:
    found = processes.look(watcher[0])
    return found is not None and found.start_time == watcher[1]


def _watch(layout: Layout, sandbox: str, within: Bounds, end: End) -> None:
    seen = time.monotonic()
    measure = 0.0
    while (note := _note(layout, sandbox)) is not None:
        now = time.monotonic()
        reason = ""
        if _held(layout):
            seen = now
        elif now - seen > within.term:
            reason = f"no drill has used it for {within.term:.0f} s"
        if not reason and now >= measure:
            reason = _measured(layout, note, within)
            measure = time.monotonic() + max(LEAST, (time.monotonic() - now) * RATIO)
        if reason:
            _say(layout, f"{reason}; it is removed")
            if _ended(layout, sandbox, end):
                return
        time.sleep(min(PAUSE, within.term / 5))


def _note(layout: Layout, sandbox: str) -> marker.Marker | None:
    """Return the sandbox's marker, as long as it is the same sandbox."""
    try:
        found = marker.read(layout)
    except BackupError:
        return None
    return found if found is not None and found.id == sandbox else None


def _held(layout: Layout) -> bool:
    try:
        return lease.held(layout)
    except OSError:  # an unreadable directory does not prove that there is a holder
        return False


def _measured(layout: Layout, note: marker.Marker, within: Bounds) -> str:
    """Return the result of `_excess`. No content of the sandbox may end its watcher."""
    try:
        return _excess(layout, note, within)
    except Exception as exc:  # noqa: BLE001 - whatever it was, the next look may tell
        _say(layout, f"it could not be measured: {type(exc).__name__}")
        return ""


def _excess(layout: Layout, note: marker.Marker, within: Bounds) -> str:
    """Return which limit is exceeded, in words, or an empty string."""
    used = space.used_bytes(layout.root)
    if used is None:
        return f"it has directories more than {space.DEEPEST} levels deep, whose size cannot be measured"
    if used > within.disk:
        return f"it uses {used >> 20} MiB of disk space, but the limit is {within.disk >> 20} MiB"
    free = space.free_bytes(layout.root)
    if free < within.free:
        return f"its file system has {free >> 20} MiB free, but {within.free >> 20} MiB must stay free"
    memory = processes.memory(layout, note.exclusive_uid)
    if memory > within.memory:
        return f"its processes use {memory >> 20} MiB of memory, but the limit is {within.memory >> 20} MiB"
    return ""


def _ended(layout: Layout, sandbox: str, end: End) -> bool:
    try:
        end(layout, sandbox)
    except Busy:  # another run is creating or removing the sandbox
        return False
    except Exception as exc:  # noqa: BLE001 - whatever it was, we try again
        _say(layout, exc.msg if isinstance(exc, BackupError) else f"it could not be removed: {type(exc).__name__}")
        return False
    return True


def _say(layout: Layout, words: str) -> None:
    syslog.openlog("caracal-ops")
    syslog.syslog(syslog.LOG_WARNING, f"sandbox {layout.root}: {words}")
