# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the processes and shared memory of a sandbox without trusting any data that its server could have written."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import os
import signal
import time
import typing as t

from .._errors import Busy
from .info import Layout

BOOT_ID = "/proc/sys/kernel/random/boot_id"
SHARED_MEMORY = "/proc/sysvipc/shm"
# On a busy host, a killed process takes time to disappear, especially bubblewrap.
KILL_SECONDS = 60.0
IPC_RMID = 0
# More than any server writes into its postmaster.pid, and a limit for the data that is read.
_PID_FILE = 64 * 1024
# Programs that this collection starts with the data directory in the command line.
LAUNCHED = ("bwrap", "initdb")
# Programs that a drill starts next to the server have this variable, with the sandbox's directory as value.
MARK = "CARACAL_OPS_SANDBOX"


@dataclasses.dataclass(frozen=True)
class Process:
    """A process. `start_time` is in clock ticks since boot. A pid with its start time identifies one process.

    `uid` is the real one, `name` the name that the process gave itself.
    """

    pid: int
    parent: int
    start_time: int
    uid: int
    has_terminal: bool
    name: str
    argv: tuple[str, ...]

    @property
    def program(self) -> str:
        return os.path.basename(self.argv[0])


def boot_id() -> str:
    with open(BOOT_ID, encoding="ascii") as text:
        return text.read().strip()


def look(pid: int) -> Process | None:
    """Return a living process, or None if it has ended or is a zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat_file:
            head, _close, rest = stat_file.read().rpartition(b")")
            fields = rest.split()
        with open(f"/proc/{pid}/status", "rb") as status:
            # The owner of /proc/PID is root for a process that made itself undumpable.
            uid = next(int(line.split()[1]) for line in status if line.startswith(b"Uid:"))
        with open(f"/proc/{pid}/cmdline", "rb") as cmdline:
            argv = cmdline.read().decode("utf-8", "surrogateescape").rstrip("\0").split("\0")
    except (OSError, StopIteration):
        return None
    if fields[0] in (b"Z", b"X"):
        return None
    name = os.fsdecode(head.partition(b"(")[2])
    return Process(pid, int(fields[1]), int(fields[19]), uid, fields[4] != b"0", name, tuple(argv))


def everyone() -> t.Iterator[Process]:
    """Yield all living processes except this one."""
    for name in os.listdir("/proc"):
        process = look(int(name)) if name.isdigit() and int(name) != os.getpid() else None
        if process is not None:
            yield process


def of_sandbox(layout: Layout, own_uid: int | None) -> list[Process]:
    """Return every process of the sandbox.

    They are the processes in its data directory, those that this collection started, their children, and all processes of the
    sandbox's own uid.
    """
    try:
        data = os.stat(layout.data)
    except OSError:
        data = None

    def ours(process: Process) -> bool:
        return (
            process.uid == own_uid
            or (process.program in LAUNCHED and layout.data in process.argv)
            or (data is not None and _works_in(process, data))
            or variable(process, MARK) == layout.root
            or works_below(process, layout.programs)
        )

    return with_children(ours)


def with_children(wanted: t.Callable[[Process], bool]) -> list[Process]:
    """Return the wanted processes and all their descendants.

    A program can overwrite its own environment, as Redis does, so variables alone are not sufficient.
    """
    living = {process.pid: process for process in everyone()}
    found = {pid for pid, process in living.items() if wanted(process)}
    while more := {pid for pid, process in living.items() if process.parent in found} - found:
        found |= more
    return [living[pid] for pid in sorted(found)]


def variable(process: Process, name: str) -> str | None:
    """Return the value of a variable in the initial environment of a process.

    Returns None if it is not set, or if the environment cannot be read.
    """
    try:
        with open(f"/proc/{process.pid}/environ", "rb") as environment:
            pairs = (pair.partition(b"=") for pair in environment.read().split(b"\0"))
            return next((os.fsdecode(value) for key, _equals, value in pairs if key == name.encode()), None)
    except OSError:
        return None


def _works_in(process: Process, folder: os.stat_result) -> bool:
    """Return True if the process works in that directory, as PostgreSQL and its children do.

    The shell of a person there has a terminal and is not included.
    """
    if process.has_terminal and process.program != "postgres":
        return False
    try:
        return os.path.samestat(os.stat(f"/proc/{process.pid}/cwd"), folder)
    except OSError:
        return False


def works_below(process: Process, folder: str) -> bool:
    """Return True if the process works in that directory or below, and is not the shell of a person."""
    try:
        place = os.readlink(f"/proc/{process.pid}/cwd")
    except OSError:
        return False
    return not process.has_terminal and (place == folder or place.startswith(f"{folder}/"))


def postmaster(layout: Layout, own_uid: int | None) -> Process | None:
    """Return the server's first process, whose command line contains the data directory."""
    return next((process for process in of_sandbox(layout, own_uid) if process.argv[1:3] == ("-D", layout.data)), None)


def kill_all(layout: Layout, own_uid: int | None) -> None:
    """Kill all processes repeatedly until none is left, since backends may start others. Raise Busy if that does not end."""
    deadline = time.monotonic() + KILL_SECONDS
    while True:
        left = of_sandbox(layout, own_uid)
        if not left:
            return
        for process in left:
            try:
                os.kill(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            except PermissionError as exc:
                raise Busy(
                    f"process {process.pid} of {layout.root} belongs to uid {process.uid}; remove the sandbox as that user or root"
                ) from exc
        if time.monotonic() > deadline:
            raise Busy(f"process {left[0].pid} of {layout.root} does not end; check for a hanging disk, then remove the sandbox again")
        time.sleep(0.02)


def send_kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def memory(layout: Layout, own_uid: int | None) -> int:
    """Return the memory of the sandbox's processes in bytes. Shared memory is counted once."""
    return sum(_share(process.pid) for process in of_sandbox(layout, own_uid))


def _share(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as lines:
            return next((int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:")), 0)
    except OSError:
        return 0


def raise_oom_score(layout: Layout, own_uid: int | None, score: int) -> bool:
    """Make the kernel kill the sandbox's processes first if memory runs out. Later processes inherit the setting."""
    done = True
    for process in of_sandbox(layout, own_uid):
        try:
            with open(f"/proc/{process.pid}/oom_score_adj", "w", encoding="ascii") as score_file:
                score_file.write(str(score))
        except OSError:
            done = done and look(process.pid) is None
    return done


def remove_shared_memory(layout: Layout) -> None:
    """Remove the System V shared memory segment that a killed server leaves, as named in `postmaster.pid`.

    A server can write any name there, but the segment must have the same owner as the file. That is the server's uid, or the
    uid of the named user that root uses for initdb.
    """
    path = os.path.join(layout.data, "postmaster.pid")
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), encoding="ascii", errors="replace") as lines:
            owner = os.fstat(lines.fileno()).st_uid
            named = lines.read(_PID_FILE).splitlines()[6].split()
    except (OSError, IndexError):
        return
    if len(named) == 2 and named in _segments_of(owner):
        ctypes.CDLL(None).shmctl(int(named[1]), IPC_RMID, None)


def _segments_of(uid: int) -> list[list[str]]:
    """Return [key, id] of the segments that `uid` owns and no process uses."""
    try:
        with open(SHARED_MEMORY, encoding="ascii") as lines:
            rows = [line.split() for line in lines.readlines()[1:]]
    except OSError:
        return []
    return [row[:2] for row in rows if int(row[7]) == uid and int(row[6]) == 0]
