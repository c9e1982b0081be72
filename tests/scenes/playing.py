# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks of this collection, run by a real ansible-playbook with the keys and the repository of a scene."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import typing as t
import uuid
from pathlib import Path

from ansible_collections.caracal_ops.backup.plugins.module_utils import _errors
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import processes
from scenes.scene import BACKUP_HOST, DEPLOYMENT, DRILL_HOST, Scene
from scenes.terminal import Terminal

COLLECTIONS = Path(_errors.__file__).parents[5]
# All processes of a play inherit it, in any session and process group.
MARK = "CARACAL_TEST_PLAY"
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
# Seconds of a play. On a busy machine a drill takes minutes.
LONGEST = 900


def backup_settings(scene: Scene) -> dict[str, t.Any]:
    return {
        "caracal_ops_repository": str(scene.repository),
        "caracal_ops_deployment": DEPLOYMENT,
        "caracal_backup_create_repository": True,
        "caracal_backup_signing_key": str(scene.key(BACKUP_HOST)),
        "caracal_ops_allowed_signers": str(scene.root / "allowed_signers"),
        "caracal_ops_high_water_mark": str(scene.mark(BACKUP_HOST)),
        "caracal_backup_recipients_files": [str(scene.recipients)],
        "caracal_ops_login_unix_socket": scene.socket,
    }


def drill_settings(scene: Scene, sandbox: str) -> dict[str, t.Any]:
    return {
        "caracal_ops_repository": str(scene.repository),
        "caracal_ops_deployment": DEPLOYMENT,
        "caracal_drill_signing_key": str(scene.key(DRILL_HOST)),
        "caracal_ops_allowed_signers": str(scene.root / "allowed_signers"),
        "caracal_ops_high_water_mark": str(scene.mark(DRILL_HOST)),
        "caracal_drill_identity_files": [str(scene.identity)],
        "caracal_drill_recipients_files": [str(scene.recipients)],
        "caracal_drill_sandbox_directory": sandbox,
        "caracal_drill_minimum_free_mb": 100,
        "caracal_drill_allow_shared_filesystem": True,
    }


@dataclasses.dataclass
class Play:
    """`ansible-playbook caracal_ops.backup.<name>`, in a separate process group, with its output in a file in `folder`.

    Without an `inventory` it runs on this machine only. With one, the inventory also sets how its hosts are reached.
    `collections` are folders with other collections. With `on_terminal` its output goes to a terminal.
    """

    name: str
    settings: dict[str, t.Any]
    folder: Path
    options: tuple[str, ...] = ()
    inventory: Path | None = None
    collections: tuple[Path, ...] = ()
    on_terminal: bool = False

    def __post_init__(self) -> None:
        self.mark = uuid.uuid4().hex
        self._log = self.folder / f"{self.mark}.log"
        given = self.settings if self.inventory else {**LOCAL, **self.settings}
        command = [
            *(
                sys.executable,
                "-m",
                "ansible.cli.playbook",
                f"caracal_ops.backup.{self.name}",
                "--inventory",
                str(self.inventory or "localhost,"),
            ),
            *("--extra-vars", json.dumps(given), *self.options),
        ]
        with open(self._log, "wb") as log:
            self._terminal = Terminal(log) if self.on_terminal else None
            out = self._terminal.fd if self._terminal else log
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=self._environment(), cwd=self.folder, start_new_session=True
            )
        if self._terminal:
            self._terminal.given()

    def _environment(self) -> dict[str, str]:
        settings = self.folder / "ansible.cfg"
        settings.touch()
        home = {"ANSIBLE_HOME": str(self.folder), "ANSIBLE_REMOTE_TEMP": str(self.folder / "tmp"), "ANSIBLE_CONFIG": str(settings)}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        plain = {"ANSIBLE_NOCOLOR": "true", "PYTHONPATH": os.pathsep.join(sys.path), MARK: self.mark}
        return {**kept, **home, **plain, "ANSIBLE_COLLECTIONS_PATH": os.pathsep.join(map(str, [COLLECTIONS, *self.collections]))}

    def output(self) -> str:
        with open(self._log, encoding="utf-8", newline="") as log:
            return log.read()

    def ended(self) -> int:
        """Wait for the end; return the exit status."""
        status = self.process.wait(LONGEST)
        if self._terminal:
            self._terminal.ended()
        return status

    def kill(self, group: bool) -> bool:
        """Kill with SIGKILL now: the controller alone or its whole group. Return whether it was still running."""
        before = self.process.poll() is None
        if group:
            os.killpg(self.process.pid, signal.SIGKILL)
        else:
            self.process.kill()
        self.process.wait()
        return before

    def environments(self) -> list[str]:
        """Return the environment of each running process that this play started."""
        return [found for one in processes.everyone() if self.mark in (found := _environ(one.pid))]

    def left(self) -> list[str]:
        """Return the running processes that this play started."""
        return [f"{one.pid} {' '.join(one.argv)}" for one in processes.everyone() if self.mark in _environ(one.pid)]


def stats_of(output: str) -> dict[str, t.Any]:
    """Return the statistics that a play with `show_custom_stats` has set by `set_stats`."""
    _before, found, after = output.partition("CUSTOM STATS:")
    stats: dict[str, t.Any] = json.loads(after.partition("RUN:")[2]) if found else {}
    return stats


def _environ(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/environ").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
