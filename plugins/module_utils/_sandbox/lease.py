# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who holds a sandbox: a note for each process that works with it, in a folder that nobody inside can reach.

A holder is a process with all of Ansible's above it on this host, so that what goes on after its controller was killed holds nothing.
Notes are empty files whose names say it all: they can be made on a full disk, and need no clock.
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
    """Note that this process works with the sandbox, until it ends."""
    os.makedirs(layout.holders, mode=0o700, exist_ok=True)
    name = "_".join(f"{one.pid}-{one.start_time}" for one in _line())
    os.close(os.open(os.path.join(layout.holders, name), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))


def held(layout: Layout) -> bool:
    """Whether somebody holds it, or did since the last call. Notes of those who are gone are removed."""
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
    """The controller above us, as `gone` takes it; empty where it is none of this host's processes."""
    above = [one for one in _line() if _is_controller(one.argv)]
    return f"{above[-1].pid}-{above[-1].start_time}" if above else ""


def _is_controller(argv: t.Sequence[str]) -> bool:
    """Whether its program is one, or what its Python runs. A home or a user that bears such a name makes no controller of a module."""
    program, *rest = argv
    if PYTHON in os.path.basename(program):
        program = next((one for one in rest if not one.startswith("-")), "")
    return os.path.basename(program) in CONTROLLERS


def own() -> str:
    """This process, as `gone` takes it."""
    found = processes.look(os.getpid())
    return f"{found.pid}-{found.start_time}" if found else ""


def here() -> str:
    """Where `own` and `controller` name processes: this container of this host, since it was started."""
    return f"{processes.boot_id()}-{os.stat(PID_NAMESPACE).st_ino}"


def gone(named: str) -> bool:
    """Whether a controller that was here is not any more; of another host's nobody knows."""
    return bool(named) and not _live(named)


def _line() -> list[Process]:
    """This process, and those of Ansible that it comes from."""
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
    except ValueError:  # nobody of ours has written it
        return False
