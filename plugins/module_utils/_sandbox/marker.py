# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The marker file of a sandbox. Without it, no file is removed and no process is ended."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import stat

from .._errors import BackupError, TargetRefused, VersionMismatch
from .._files import paths
from . import processes
from .info import Layout, SandboxInfo

FORMAT = "caracal-ops-postgres-sandbox"
VERSION = 1


@dataclasses.dataclass(frozen=True)
class Marker:
    """The user of the server, the boot in which it was started, and the description of the sandbox once the server runs.

    `own_uid` means that only this sandbox uses its uid. `id` identifies the sandbox, `token` its drill. `controller` is the
    process that created it (see `lease`). `watcher` is the process ID and start time of its watcher.
    """

    server_uid: int
    own_uid: bool
    boot_id: str
    start_time: int = 0
    id: str = ""
    token: str = ""
    controller: str = ""
    watcher: tuple[int, int] = (0, 0)
    info: SandboxInfo | None = None

    @property
    def exclusive_uid(self) -> int | None:
        """The uid whose processes all belong to the sandbox. After a reboot another program may have it."""
        return self.server_uid if self.own_uid and self.boot_id == processes.boot_id() else None


def unmarked(layout: Layout) -> bool:
    """Return True if the directory belongs to this user and is empty.

    A run that was killed before it wrote the marker, or after it removed it, leaves such a directory.
    """
    about = os.lstat(layout.root)
    return (
        stat.S_ISDIR(about.st_mode) and about.st_uid == os.geteuid() and set(os.listdir(layout.root)) <= {os.path.basename(_fresh(layout))}
    )


def remove(layout: Layout) -> None:
    """Remove the marker, or its unfinished new version."""
    for path in (_fresh(layout), layout.marker):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def _fresh(layout: Layout) -> str:
    return f"{layout.marker}.new"


def write(layout: Layout, marker: Marker) -> None:
    """Replace the marker in one step. Only its owner can read it."""
    content = {"format": FORMAT, "version": VERSION, **dataclasses.asdict(marker)}
    paths.replace(layout.marker, f"{json.dumps(content, indent=1)}\n".encode())


def read(layout: Layout) -> Marker | None:
    """Return the marker, or None if there is none.

    Raises TargetRefused if it was not written by this user and collection, VersionMismatch for another release.
    """
    try:
        above, name = paths.parent(layout.marker)
        with above, above.read(name) as stream:
            about = os.fstat(stream.fileno())
            content = stream.read().decode()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        raise TargetRefused(f"cannot read {layout.marker}: {exc.strerror}; run as the user who created the sandbox") from exc
    if about.st_uid != os.geteuid() or not stat.S_ISREG(about.st_mode):
        raise TargetRefused(f"{layout.marker} belongs to uid {about.st_uid}; remove the sandbox as that user")
    return _parse(layout, content)


def _parse(layout: Layout, text: str) -> Marker:
    try:
        content = json.loads(text)
        if content.pop("format") != FORMAT:
            raise ValueError("another format")
        if content.pop("version") != VERSION:
            raise VersionMismatch(
                f"{layout.marker} was written by another release of this collection; remove the sandbox with that release"
            )
        info = content.pop("info")
        if info is not None:
            info = SandboxInfo.of(info)
        watcher = content.pop("watcher", (0, 0))
        return Marker(**content, watcher=(int(watcher[0]), int(watcher[1])), info=info)
    except BackupError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as exc:
        raise TargetRefused(f"{layout.marker} is not the marker of a sandbox; inspect the directory and remove it manually") from exc


def running(marker: Marker) -> bool:
    """Return True if the server in the marker still runs: same boot, same process, same start time."""
    if marker.info is None or marker.boot_id != processes.boot_id():
        return False
    process = processes.look(marker.info.pid)
    return process is not None and process.start_time == marker.start_time
