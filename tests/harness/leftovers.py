# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Removes the leftovers of ended test runs: servers and all other processes, shared memory, mounts, folders.

Each run does that at its start and end, and starts a companion that does it after the run was killed. Processes and folders of a
running run, and the ones that name no run, are left alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import glob
import os
import shutil
import signal
import subprocess
import sys
import time
import typing as t

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import lifecycle, processes
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import Layout
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.processes import Process
from harness import runs
from harness.runs import Run

PAUSE = 0.5
# How long what was killed may take to go away, in seconds.
PATIENCE = 20.0
MNT_DETACH = 2
# Paths of sandboxes and clusters within the folder of a run.
DEPTHS = ("", "/*")


def begin(with_companion: bool) -> None:
    """This process becomes a run, after those that are over were cleared away."""
    run = runs.mark()
    clear()
    if with_companion:
        _start_companion(run)


def clear(ended: Run | None = None) -> None:
    """End and remove all that belongs to runs that are over, or to `ended`, which is about to be."""

    def over(run: Run | None) -> bool:
        return run is not None and (run == ended or run.over)

    _kill(over)
    for folder, run in list(runs.folders()):
        if over(run):
            _remove(folder)


def _kill(over: t.Callable[[Run | None], bool]) -> None:
    """SIGKILL until nothing is left, since what is killed may have started more a moment ago; but ourselves and those above us."""
    spared = set(_line(os.getpid()))
    until = time.monotonic() + PATIENCE
    while left := [one for one in processes.with_children(lambda one: over(run_of(one))) if one.pid not in spared]:
        for one in left:
            try:
                processes.send_kill(one.pid)
            except PermissionError:  # another user's, who will clear it away
                spared.add(one.pid)
        if time.monotonic() > until:
            return
        time.sleep(0.02)


def _line(pid: int) -> t.Iterator[int]:
    """A process and all that it comes from."""
    while (found := processes.look(pid)) is not None:
        yield found.pid
        pid = found.parent


def run_of(one: Process) -> Run | None:
    """Return the run of a process: named by its environment, its working directory, or its command line.

    A sandbox gives its programs an environment of their own, and some servers overwrite theirs. A process with a terminal belongs to
    a developer who inspects such a folder, not to the run.
    """
    if run := runs.parse(processes.variable(one, runs.VARIABLE)):
        return run
    if one.has_terminal:
        return None
    place = ""
    with contextlib.suppress(OSError):
        place = os.readlink(f"/proc/{one.pid}/cwd")
    return runs.named_in(place) or runs.named_in(" ".join(one.argv))


def _remove(folder: str) -> None:
    """Sandboxes as they are always removed, with what runs as their own user; then the rest."""
    for depth in DEPTHS:
        for layout in (Layout(root) for root in glob.glob(f"{folder}{depth}")):
            if runs.is_own(layout.root) and os.path.lexists(layout.marker):
                with contextlib.suppress(BackupError, OSError):
                    lifecycle.destroy(layout.root)
            processes.remove_shared_memory(layout)
    _unmount(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _unmount(folder: str) -> None:
    """File systems that a test has mounted there, the innermost first."""
    with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as lines:
        points = [line.split()[1] for line in lines]
    for point in reversed(points):
        if point == folder or point.startswith(f"{folder}/"):
            ctypes.CDLL(None).umount2(os.fsencode(point), MNT_DETACH)


def _start_companion(run: Run) -> None:
    """No child of ours, in no session of ours, and of no run: nothing that ends us ends it, and no test waits for it by chance."""
    environment = {name: value for name, value in os.environ.items() if name != runs.VARIABLE}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    command = ["setsid", "--fork", sys.executable, "-m", "harness.leftovers", str(run)]
    nothing = subprocess.DEVNULL
    subprocess.run(command, check=True, stdin=nothing, stdout=nothing, stderr=nothing, cwd="/", env=environment)


def main(name: str) -> None:
    """The companion: waits until that run is over, and clears away what it and its workers have left."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    run = runs.parse(name)
    while run is not None and not run.over:
        time.sleep(PAUSE)
    clear()


if __name__ == "__main__":
    main(sys.argv[1])
