# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A sandbox that is killed, and what remains of it."""

from __future__ import annotations

import os
from pathlib import Path

from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import marker, processes
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import Layout
from harness import sandbox_uids
from scenes import kill_runner


class Box:
    """The directory of a sandbox, and its servers' resources: uids of their own (if root), shared memory."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._uids: set[int] = set()
        self._segments: list[list[str]] = []

    def note(self) -> bool:
        """Record the current resources for `left`; return whether a server has its shared memory."""
        found = marker.read(Layout.of(self.directory))
        if found is not None and found.own_uid:
            self._uids.add(found.server_uid)
        try:
            self._segments.append(Path(self.directory, "data", "postmaster.pid").read_text().splitlines()[6].split())
        except (OSError, IndexError):
            return False
        return True

    def make(self) -> None:
        self.note()
        kill_runner.sandbox_state(self.directory, "present")

    def remove(self) -> None:
        self.note()
        kill_runner.sandbox_state(self.directory, "absent")

    def left(self) -> list[str]:
        """Return remaining processes, sockets, shared memory and files."""
        uids = self._uids - sandbox_uids.of_others(self.directory)
        found = [f"{one.pid} {' '.join(one.argv)}" for one in processes.everyone() if one.uid in uids or self._works_here(one)]
        found += [line for line in Path("/proc/net/unix").read_text().splitlines() if self.directory in line]
        found += [line for line in Path("/proc/sysvipc/shm").read_text().splitlines() if line.split()[:2] in self._segments]
        found += [str(path) for path in Path("/dev/shm").iterdir() if path.lstat().st_uid in uids]
        return found + [self.directory] * os.path.lexists(self.directory)

    def _works_here(self, process: processes.Process) -> bool:
        try:
            folder = os.readlink(f"/proc/{process.pid}/cwd")
        except OSError:
            folder = ""
        return folder.startswith(self.directory) or any(self.directory in word for word in process.argv)
