# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The processes and shared memory of a sandbox, found without trusting anything that its server could have written."""

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
# On a busy host a killed process, bubblewrap above all, needs its time to be gone.
KILL_SECONDS = 60.0
IPC_RMID = 0
# More than any server writes into its postmaster.pid, and than it may make us read.
_PID_FILE = 64 * 1024
# What we start, and whose command line names the data directory.
LAUNCHED = ("bwrap", "initdb")
# What a drill starts beside the server has this in its environment, with the sandbox's folder as value.
MARK = "CARACAL_OPS_SANDBOX"


@dataclasses.dataclass(frozen=True)
class Process:
    """`start_time` is in clock ticks since boot; with it a pid means one process. `uid` is the real one, `name` what it calls itself."""

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
    """A living process, or None when it is gone or only waits for its parent to notice."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat_file:
            head, _close, rest = stat_file.read().rpartition(b")")
            fields = rest.split()
        with open(f"/proc/{pid}/status", "rb") as status:
            # The owner of /proc/PID would be root for a process that has made itself undumpable.
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
    """All living processes but ourselves."""
    for name in os.listdir("/proc"):
        process = look(int(name)) if name.isdigit() and int(name) != os.getpid() else None
        if process is not None:
            yield process


def of_sandbox(layout: Layout, own_uid: int | None) -> list[Process]:
    """Every process of the sandbox: those that work in its data directory, those that we started and theirs, all of its own uid."""
    try:
        data = os.stat(layout.data)
    except OSError:
        data = None

    def ours(process: Process) -> bool:
        return (
            process.uid == own_uid
            or (process.program in LAUNCHED and layout.data in process.argv)
            or (data is not None and _works_in(process, data))
            or told(process, MARK) == layout.root
            or works_below(process, layout.programs)
        )

    return with_children(ours)


def with_children(wanted: t.Callable[[Process], bool]) -> list[Process]:
    """The processes that are wanted, and all that they started: a program may write over its own environment, as Redis does."""
    living = {process.pid: process for process in everyone()}
    found = {pid for pid, process in living.items() if wanted(process)}
    while more := {pid for pid, process in living.items() if process.parent in found} - found:
        found |= more
    return [living[pid] for pid in sorted(found)]


def told(process: Process, name: str) -> str | None:
    """Value of a variable in the environment that a process was started with; None where it has none, or may not be looked at."""
    try:
        with open(f"/proc/{process.pid}/environ", "rb") as environment:
            pairs = (pair.partition(b"=") for pair in environment.read().split(b"\0"))
            return next((os.fsdecode(value) for key, _equals, value in pairs if key == name.encode()), None)
    except OSError:
        return None


def _works_in(process: Process, folder: os.stat_result) -> bool:
    """PostgreSQL works in its data directory, and so does what it starts; a person's shell there has a terminal and is spared."""
    if process.has_terminal and process.program != "postgres":
        return False
    try:
        return os.path.samestat(os.stat(f"/proc/{process.pid}/cwd"), folder)
    except OSError:
        return False


def works_below(process: Process, folder: str) -> bool:
    """Whether it works in that folder or below, and is no person's shell."""
    try:
        place = os.readlink(f"/proc/{process.pid}/cwd")
    except OSError:
        return False
    return not process.has_terminal and (place == folder or place.startswith(f"{folder}/"))


def postmaster(layout: Layout, own_uid: int | None) -> Process | None:
    """The server's first process: the one whose command line names the data directory."""
    return next((process for process in of_sandbox(layout, own_uid) if process.argv[1:3] == ("-D", layout.data)), None)


def kill_all(layout: Layout, own_uid: int | None) -> None:
    """SIGKILL, again and again until nothing is left, since backends may start others. Raises Busy when that never ends."""
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
    """Bytes of memory that the sandbox's processes use, what they share counted once."""
    return sum(_share(process.pid) for process in of_sandbox(layout, own_uid))


def _share(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as lines:
            return next((int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:")), 0)
    except OSError:
        return 0


def raise_oom_score(layout: Layout, own_uid: int | None, score: int) -> bool:
    """Offer the sandbox to the kernel before anything else when memory runs out; later processes inherit it."""
    done = True
    for process in of_sandbox(layout, own_uid):
        try:
            with open(f"/proc/{process.pid}/oom_score_adj", "w", encoding="ascii") as score_file:
                score_file.write(str(score))
        except OSError:
            done = done and look(process.pid) is None
    return done


def remove_shared_memory(layout: Layout) -> None:
    """Remove the System V segment that a killed server leaves; `postmaster.pid` names it.

    A server can name there what it likes, but the segment must belong to the owner of the file. That is the server's uid,
    or that of the named user whom root lends to initdb.
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
    """[key, id] of the segments that `uid` owns and nobody uses."""
    try:
        with open(SHARED_MEMORY, encoding="ascii") as lines:
            rows = [line.split() for line in lines.readlines()[1:]]
    except OSError:
        return []
    return [row[:2] for row in rows if int(row[7]) == uid and int(row[6]) == 0]
