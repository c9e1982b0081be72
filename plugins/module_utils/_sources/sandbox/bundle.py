# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The inside of a sandbox: the network and the files that its PostgreSQL server sees, shared by all that a drill starts.

A forked child joins the server's namespaces, so nothing has to be installed inside, and nothing outside has to be shown to it.
"""

from __future__ import annotations

import ctypes
import dataclasses
import fcntl
import os
import typing as t

from ..._errors import StageFailed
from ..._stream import workers
from . import lifecycle
from .info import SandboxInfo
from .isolation import NONE

# linux/nsfs.h: the user namespace that owns a namespace.
NS_GET_USERNS = 0xB701
NETWORK = ("net",)
ALL = ("net", "mnt")


@dataclasses.dataclass(frozen=True)
class Bundle:
    """A sandbox whose server runs."""

    info: SandboxInfo

    @classmethod
    def of(cls, directory: str) -> Bundle:
        """Raises ObjectMissing when there is no sandbox in `directory`, Unreachable when its server died."""
        return cls(lifecycle.attach(directory))

    @property
    def isolated(self) -> bool:
        return self.info.isolation != NONE

    def run(self, function: t.Callable[..., t.Any], *arguments: t.Any, namespaces: t.Sequence[str] = ALL) -> t.Any:
        """Result of `function(*arguments)`, called in a forked child inside the sandbox; in a sandbox without isolation, on this host.

        What the function imports must be loaded before, since the child does not see this Python's files. Its BackupErrors are raised.
        """
        return workers.run_all([(_inside, (self.info.pid if self.isolated else None, namespaces, function, arguments))], 1)[0]


def _inside(pid: int | None, namespaces: t.Sequence[str], function: t.Callable[..., t.Any], arguments: tuple[t.Any, ...]) -> t.Any:
    if pid is not None:
        _join(pid, namespaces)
    return function(*arguments)


def _join(pid: int, namespaces: t.Sequence[str]) -> None:
    """Enter the namespaces of a process. They belong to a user namespace, which an ordinary user must enter first."""
    folder = f"/proc/{pid}/ns"
    try:
        places = [os.open(f"{folder}/{name}", os.O_RDONLY) for name in namespaces]
        owner = fcntl.ioctl(places[0], NS_GET_USERNS)
        if not os.path.samestat(os.fstat(owner), os.stat("/proc/self/ns/user")):
            places.insert(0, owner)
        for place in places:
            _set_namespace(place)
        if "mnt" in namespaces:
            os.chdir("/")
    except OSError as exc:
        raise StageFailed(f"the sandbox of process {pid} cannot be entered: {exc.strerror}; work as the user who made it") from exc


def _set_namespace(place: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(place, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
