# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run programs next to the PostgreSQL server of a sandbox: same user and network, but each sees only the files it needs.

A program outlives the module that starts it. It is found by its environment, and ends with the sandbox at the latest.
"""

from __future__ import annotations

import collections
import dataclasses
import os
import signal
import time
import typing as t

from .._errors import MissingDependency, StageFailed, StorageError, storage_error
from .._stream.process import Child, Identity
from . import processes, users
from .bundle import NETWORK, Bundle
from .info import Layout
from .isolation import ENVIRONMENT, SHARED_NETWORK, Launcher, find_bwrap, limited, starter_source
from .processes import MARK, Process

NAME = "CARACAL_OPS_PROGRAM"
# Programs that wrap a program and end with it.
AROUND = ("bwrap", "prlimit", "setpriv", "setsid")
LOG_TAIL = 256 * 1024


@dataclasses.dataclass(frozen=True)
class Program:
    """A program to start.

    `readable` and `writable` are absolute paths that it may see in addition to the system's programs and libraries. With
    `rootfs`, an unpacked image, the program is from that image and starts in its `directory`. The image's own `variables` apply
    unless `environment` sets them too.
    """

    name: str
    argv: t.Sequence[str]
    environment: t.Mapping[str, str]
    readable: t.Sequence[str] = ()
    writable: t.Sequence[str] = ()
    rootfs: str = ""
    directory: str = "/"
    variables: t.Mapping[str, str] = dataclasses.field(default_factory=dict)


def folder(bundle: Bundle, name: str) -> str:
    """Return the program's own directory, with mode 0700 and owned by the program's user.

    It is created if it does not exist. Raises StorageError.
    """
    above = Layout.of(bundle.info.directory).programs
    path = os.path.join(above, name)
    try:
        make_above(above)
        if not os.path.isdir(path):
            os.mkdir(path, mode=0o700)
            users.give(path, identity(bundle))
    except OSError as exc:
        raise storage_error(exc)(f"cannot create {path}: {exc.strerror}; free space on its file system") from exc
    return path


def make_above(path: str) -> None:
    """Create a directory that programs can enter but not list, regardless of the umask."""
    os.makedirs(path, exist_ok=True)
    os.chmod(path, 0o711)


def _log(bundle: Bundle, name: str) -> str:
    """Return the path of the log.

    The program gets an open descriptor, but cannot access its directory, so it cannot replace files there.
    """
    return os.path.join(Layout.of(bundle.info.directory).programs, f"{name}.log")


def start(bundle: Bundle, program: Program) -> None:
    """Start a program with a new log, unless it runs already.

    Raises MissingDependency if the program or one of its files does not exist.
    """
    if alive(bundle, program.name):
        return
    if program.rootfs and not bundle.isolated:
        raise MissingDependency(f"{program.name} runs from an image, which needs bubblewrap; create the sandbox with bubblewrap")
    look(program.name, [] if program.rootfs else program.argv, program.readable)
    home = folder(bundle, program.name)
    who = identity(bundle)
    launcher = Launcher(who, find_bwrap() if bundle.isolated else None)
    command = launcher.command(
        program.argv,
        readable=[*_itself(program), *program.readable],
        writable=[home, *program.writable],
        passwd=Layout.of(bundle.info.directory).passwd,
        network=SHARED_NETWORK,
        rootfs=program.rootfs,
        directory=program.directory,
        variables=_inside(program),
    )
    # The wrapping programs are found on this host, regardless of the PATH in the image.
    around = {"PATH": ENVIRONMENT["PATH"]} if program.rootfs else {}
    environment = {**ENVIRONMENT, **program.environment, **around, MARK: bundle.info.directory, NAME: program.name}
    bundle.run(_start, limited(command, who), environment, home, _log(bundle, program.name), launcher.child_identity, namespaces=NETWORK)


def look(name: str, command: t.Sequence[str], readable: t.Sequence[str]) -> None:
    """Raise MissingDependency if a program of this host, or a file that it may read, does not exist."""
    if command and not (os.access(command[0], os.X_OK) and os.path.isabs(command[0])):
        raise MissingDependency(f"{command[0]!r} is not the absolute path of a program on this host; correct the command of {name}")
    gone = next((path for path in readable if not os.path.lexists(path)), None)
    if gone is not None:
        raise MissingDependency(f"{gone!r} does not exist; correct the list of files that {name} can read")


def _inside(program: Program) -> dict[str, str]:
    """Return the variables that only a program of an image gets, but not the programs that wrap it."""
    own = {name: value for name, value in program.variables.items() if name not in program.environment}
    search = {"PATH": program.environment["PATH"]} if program.rootfs and "PATH" in program.environment else {}
    return {**own, **search}


def _itself(program: Program) -> list[str]:
    """Return the program's file, unless a readable directory contains it."""
    shown = bool(program.rootfs) or any(os.path.commonpath([path, program.argv[0]]) == path for path in program.readable)
    return [] if shown else [program.argv[0]]


def _start(command: t.Sequence[str], environment: dict[str, str], home: str, log_path: str, identity: Identity | None) -> None:
    """Start the command in a child that has joined the sandbox's network."""
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    Child(["setsid", *command], stdout=log, stderr=log, env=environment, cwd=home, identity=identity, detached=True)
    os.close(log)


def identity(bundle: Bundle) -> Identity | None:
    """Return the user of the sandbox's programs if this process is root."""
    return Identity(bundle.info.uid, bundle.info.uid) if os.geteuid() == 0 else None


def running(bundle: Bundle, name: str) -> list[Process]:
    """Return the program's own processes, without the programs that wrap it."""
    return [process for process in _all(bundle, name) if process.program not in AROUND and starter_source() not in process.argv]


def alive(bundle: Bundle, name: str) -> bool:
    """Return True if any process of the program runs, even if it has not started the program yet."""
    return bool(_all(bundle, name))


def _all(bundle: Bundle, name: str) -> list[Process]:
    """Return the processes that are marked by their environment or work in the program's directory, and their descendants."""
    home = os.path.join(Layout.of(bundle.info.directory).programs, name)

    def ours(process: Process) -> bool:
        marked = processes.variable(process, MARK) == bundle.info.directory and processes.variable(process, NAME) == name
        return marked or processes.works_below(process, home)

    return processes.with_children(ours)


def stop(bundle: Bundle, name: str, patience: float) -> bool:
    """Send SIGTERM to a program, and SIGKILL after `patience` seconds.

    Returns False if it did not run. Raises StageFailed if it does not end.
    """
    if not _all(bundle, name):
        return False
    _send(running(bundle, name), signal.SIGTERM)
    deadline = time.monotonic() + patience
    while (left := _all(bundle, name)) and time.monotonic() < deadline + processes.KILL_SECONDS:
        if time.monotonic() > deadline:
            _send(left, signal.SIGKILL)
        time.sleep(0.02)
    if left:
        raise StageFailed(f"{name} (process {left[0].pid}) does not end; check for a hanging disk, then remove the sandbox")
    return True


def _send(to: t.Iterable[Process], what: signal.Signals) -> None:
    for process in to:
        try:
            os.kill(process.pid, what)
        except ProcessLookupError:
            continue


def log_lines(bundle: Bundle, name: str, most: int) -> list[str]:
    """Return the last lines of the program's log, at most `most`. They are not trusted, since the program's user can write anything."""
    try:
        with open(_log(bundle, name), "rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - LOG_TAIL))
            return list(collections.deque(log.read(LOG_TAIL).decode("utf-8", "replace").splitlines(), maxlen=most))
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise StorageError(f"cannot read the log of {name}: {exc.strerror}; run as the user who created the sandbox") from exc
