# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run code inside a sandbox: in the network of its PostgreSQL server, which all programs of a drill share.

A forked child joins the server's network, so nothing has to be installed inside. It never joins the mount namespace, because
code in a restored database could have placed files there that the child would load.
"""

from __future__ import annotations

import ctypes
import dataclasses
import fcntl
import os
import typing as t

from .._drivers.postgres.server import Server
from .._errors import StageFailed
from .._stream import workers
from . import lifecycle
from .info import SandboxInfo
from .isolation import NONE

# linux/nsfs.h: returns the user namespace that owns a namespace.
NS_GET_USERNS = 0xB701
NETWORK = ("net",)


@dataclasses.dataclass(frozen=True)
class Bundle:
    """A sandbox with a running server."""

    info: SandboxInfo

    @classmethod
    def of(cls, directory: str) -> Bundle:
        """Return the sandbox in `directory`. Raise ObjectMissing if there is none, Unreachable if its server died."""
        return cls(lifecycle.attach(directory))

    @property
    def server(self) -> Server:
        """The sandbox's PostgreSQL, with the superuser as login."""
        return Server(host=self.info.socket_dir, port=self.info.port, user=self.info.superuser, ssl_mode="disable")

    @property
    def isolated(self) -> bool:
        return self.info.isolation != NONE

    def run(self, function: t.Callable[..., t.Any], *arguments: t.Any, namespaces: t.Sequence[str] = NETWORK) -> t.Any:
        """Return the result of `function(*arguments)`, called in a forked child in the sandbox's network.

        Without isolation, that is this host's network. The child has an empty environment and no open files of this process.
        BackupErrors in the child are raised here.
        """
        task = (_inside, (self.info.pid if self.isolated else None, namespaces, function, arguments))
        return workers.run_all([task], 1, bare=True)[0]


def _inside(pid: int | None, namespaces: t.Sequence[str], function: t.Callable[..., t.Any], arguments: tuple[t.Any, ...]) -> t.Any:
    if pid is not None:
        _join(pid, namespaces)
    return function(*arguments)


def _join(pid: int, namespaces: t.Sequence[str]) -> None:
    """Enter the namespaces of a process. An ordinary user must first enter the user namespace that owns them."""
    folder = f"/proc/{pid}/ns"
    places: list[int] = []
    try:
        places += [os.open(f"{folder}/{name}", os.O_RDONLY) for name in namespaces]
        owner = fcntl.ioctl(places[0], NS_GET_USERNS)
        places.insert(0, owner)
        if os.path.samestat(os.fstat(owner), os.stat("/proc/self/ns/user")):
            os.close(places.pop(0))
        for place in places:
            _set_namespace(place)
    except OSError as exc:
        raise StageFailed(f"cannot enter the sandbox of process {pid}: {exc.strerror}; run as the user who created it") from exc
    finally:
        for place in places:
            os.close(place)


def _set_namespace(place: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(place, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
