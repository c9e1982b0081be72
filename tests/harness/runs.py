# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The name of a test run, in the environment and the folders of all that it starts: so `leftovers` knows what is whose.

A run is one process of pytest; each worker of xdist is one of its own. So is a process that runs no tests but creates such folders.
"""

from __future__ import annotations

import dataclasses
import os
import re
import stat
import tempfile
import typing as t

from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import processes

# In the environment of everything that a run starts and does not start without it on purpose.
VARIABLE = "CARACAL_OPS_RUN"
# Parents of the folders of runs: in memory, or on disk with a short path that every user may enter.
MEMORY = "/dev/shm"
DISK = "/var/tmp"
PLACES = (MEMORY, DISK)
_NAME = r"(\d+)\.(\d+)\.([0-9a-f]+)"
_FOLDER = re.compile(rf"(?:{'|'.join(PLACES)})/caracal-[a-z0-9]+-({_NAME})-")


@dataclasses.dataclass(frozen=True)
class Run:
    """PID and start time of its process in its PID namespace. In another namespace the same numbers mean another process."""

    pid: int
    start_time: int
    namespace: int

    def __str__(self) -> str:
        return f"{self.pid}.{self.start_time}.{self.namespace:x}"

    @property
    def over(self) -> bool:
        """Return False for a run of another namespace, such as another container: its processes cannot be seen from here."""
        if self.namespace != _namespace():
            return False
        found = processes.look(self.pid)
        return found is None or found.start_time != self.start_time


def parse(text: str | None) -> Run | None:
    """Return the run with that name, or None if the name is invalid."""
    found = re.fullmatch(_NAME, text or "")
    return Run(int(found[1]), int(found[2]), int(found[3], 16)) if found else None


def named_in(text: str) -> Run | None:
    """The first run whose folder a path or a command line names."""
    found = _FOLDER.search(text)
    return parse(found[1]) if found else None


def mark() -> Run:
    """This process is a run from now on, and what it starts belongs to it."""
    found = processes.look(os.getpid())
    assert found, "a process finds itself"
    made = Run(found.pid, found.start_time, _namespace())
    os.environ[VARIABLE] = str(made)
    _marked[:] = [made]
    return made


def own() -> Run:
    """The run that this process is or belongs to."""
    return _marked[0] if _marked else parse(os.environ.get(VARIABLE)) or mark()


def path(kind: str, place: str) -> str:
    """A path of this run that is free, short enough for a socket, and whose parents every user may enter."""
    return f"{place}/{_prefix(kind)}{os.urandom(4).hex()}"


def folder(kind: str, place: str = DISK) -> str:
    """A new private folder of this run."""
    return tempfile.mkdtemp(prefix=_prefix(kind), dir=place)


def folders() -> t.Iterator[tuple[str, Run]]:
    """Return the folders of all runs of this user. Every user can create a folder or link with such a name."""
    for place in filter(os.path.isdir, PLACES):
        for name in os.listdir(place):
            found = f"{place}/{name}"
            if (run := named_in(found)) is not None and is_own(found):
                yield found, run


def is_own(path: str) -> bool:
    """Return whether it is a folder of this user, and not a link to one."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


# Also where a test has emptied the environment, and in what this process forks.
_marked: list[Run] = []


def _prefix(kind: str) -> str:
    return f"caracal-{kind}-{own()}-"


def _namespace() -> int:
    return os.stat("/proc/self/ns/pid").st_ino
