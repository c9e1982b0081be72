# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: notify when a play dies before it can report how it ended.

A process next to the play waits for the end of the controller. A play that ends normally stops this process. Otherwise
(SIGKILL, an unreachable host, an interrupt) the process runs the playbook `notify`. The contents of the notification
are in its environment, and in no file.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import time
import typing as t

from .._ansible.boundary import Invocation
from .._errors import BackupError, NotReady, OptionError
from .._options import declared
from .._options.declared import Is, Rules, needed
from .._sandbox import lease, processes
from .._stream import process, workers

PLAYBOOK = "caracal_ops.backup.notify"
SETTINGS = "CARACAL_OPS_NOTIFY"
PAUSE = 0.5
# Time limit in seconds for a notification.
LONGEST = 300
_WATCHER = re.compile(r"([1-9][0-9]{0,9})-([0-9]{1,20})\Z")
_PROGRAM = "ansible-playbook"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    RULES = Rules(required_if=(("state", "present", ("settings",)), ("state", "absent", ("watcher",))))

    state: t.Literal["present", "absent"] = "present"
    settings: t.Annotated[t.Mapping[str, object], Is(no_log=True)] | None = None
    watcher: str | None = None


class WatchResult(t.TypedDict):
    """The watcher of a play, or an empty string if none runs."""

    changed: bool
    watcher: str


def run(invocation: Invocation[Options]) -> WatchResult:
    """Start or stop the watcher of the current play."""
    given = invocation.options
    if given.state == "absent":
        return {"changed": _ended(needed(given.watcher, "watcher"), invocation.check_mode), "watcher": ""}
    controller = lease.controller()
    if not controller:
        raise NotReady("no parent process of this task is ansible-playbook, so its end cannot be detected; delegate the task to localhost")
    if invocation.check_mode:
        return {"changed": True, "watcher": ""}
    pid = int(controller.partition("-")[0])
    found = processes.look(pid)
    command = _command(found.argv if found else ())
    # The started playbook finds the collection, its settings and its vault as the play did.
    environment = {**os.environ, SETTINGS: json.dumps(given.settings)}
    started = workers.detach(_name(controller), _watch, controller, command, environment, os.readlink(f"/proc/{pid}/cwd"))
    watcher = processes.look(started)
    return {"changed": True, "watcher": f"{started}-{watcher.start_time}" if watcher else ""}


def _name(controller: str) -> str:
    """Return the process name of the controller's watcher, so that no other process is stopped by mistake."""
    return f"caracal-{controller.partition('-')[0]}"


def _command(argv: t.Sequence[str]) -> list[str]:
    """Return the play's ansible-playbook command, with its interpreter."""
    at = next((number for number, word in enumerate(argv) if os.path.basename(word) == _PROGRAM), None)
    return [*argv[: at + 1]] if at is not None else [argv[0] if argv else "python3", "-m", "ansible.cli.playbook"]


def _watch(controller: str, command: t.Sequence[str], environment: dict[str, str], cwd: str) -> None:
    while not lease.gone(controller):
        time.sleep(PAUSE)
    # The play has ended, so an error cannot be reported to it.
    with contextlib.suppress(BackupError):
        process.run([*command, PLAYBOOK], env=environment, cwd=cwd, timeout=LONGEST)


def _ended(watcher: str, check_mode: bool) -> bool:
    """Return whether a watcher was stopped. Processes that are not this play's and this user's watcher are never stopped."""
    named = _WATCHER.match(watcher)
    if named is None:
        raise OptionError(f"{watcher[:40]!a} is not a watcher; give the value that state=present returned")
    found, controller = processes.look(int(named[1])), lease.controller()
    if found is None or found.start_time != int(named[2]) or found.uid != os.getuid():
        return False
    if not controller or found.name != _name(controller):
        return False
    if not check_mode:
        processes.send_kill(found.pid)
    return True
