# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The holders of a sandbox: one file for each process that uses it, in a directory that programs inside cannot access.

A holder is a process together with Ansible's processes above it on this host. So a process that continues after its controller
was killed does not hold the sandbox. The files are empty, and their names contain all the information. They can be created on a
full disk and need no clock.
"""

from __future__ import annotations

import contextlib
import os
import typing as t

from . import processes
from .info import Layout
from .processes import Process

ANSIBLE, PYTHON = "ansible", "python"
CONTROLLERS = ("ansible-playbook", "ansible.cli.playbook", "ansible-runner")
PID_NAMESPACE = "/proc/self/ns/pid"
# A file name has at most 255 bytes.
_LONGEST = 10


def hold(layout: Layout) -> None:
    """Record that this process uses the sandbox, until it ends."""
    os.makedirs(layout.holders, mode=0o700, exist_ok=True)
    name = "_".join(f"{one.pid}-{one.start_time}" for one in _line())
    os.close(os.open(os.path.join(layout.holders, name), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))


def held(layout: Layout) -> bool:
    """Return True if a process holds the sandbox, or did since the last call. Files of ended processes are removed."""
    try:
        names = os.listdir(layout.holders)
    except FileNotFoundError:
        return False
    for name in names:
        if not _live(name):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(layout.holders, name))
    return bool(names)


def controller() -> str:
    """Return the controller above this process in the format of `gone`, or an empty string if it is not a process of this host."""
    above = [one for one in _line() if _is_controller(one.argv)]
    return f"{above[-1].pid}-{above[-1].start_time}" if above else ""


def _is_controller(argv: t.Sequence[str]) -> bool:
    """Return True if the program, or the script that its Python runs, is a controller.

    The name of a home directory or user in the arguments of a module does not make it a controller.
    """
    program, *rest = argv
    if PYTHON in os.path.basename(program):
        program = next((one for one in rest if not one.startswith("-")), "")
    return os.path.basename(program) in CONTROLLERS


def own() -> str:
    """Return this process in the format of `gone`."""
    found = processes.look(os.getpid())
    return f"{found.pid}-{found.start_time}" if found else ""


def here() -> str:
    """Return the context in which `own` and `controller` identify processes: this container on this host, since it was started."""
    return f"{processes.boot_id()}-{os.stat(PID_NAMESPACE).st_ino}"


def gone(named: str) -> bool:
    """Return True if a controller on this host has ended. For a controller on another host, it is unknown."""
    return bool(named) and not _live(named)


def _line() -> list[Process]:
    """Return this process and the Ansible processes above it."""
    found: list[Process] = []
    one = processes.look(os.getpid())
    while one is not None and len(found) < _LONGEST and (not found or any(ANSIBLE in part for part in one.argv)):
        found.append(one)
        one = processes.look(one.parent)
    return found


def _live(name: str) -> bool:
    try:
        pairs = [tuple(int(number) for number in part.split("-")) for part in name.split("_")]
        return all((one := processes.look(pid)) is not None and one.start_time == start for pid, start in pairs)
    except ValueError:  # not a name that this collection wrote
        return False
