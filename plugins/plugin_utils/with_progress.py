# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action of a module that takes long: it runs as ever, and on a terminal somebody looks meanwhile how far it is.

The module stays in the foreground of its connection, so that its result, its failure and its end with the play are Ansible's own. Who looks
is a thread with a connection of its own; with each look it renews a lease, and a module whose lease is gone ends itself.
"""

from __future__ import annotations

import contextlib
import contextvars
import copy
import os
import re
import shlex
import signal
import sys
import threading
import time
import typing as t

from ansible.module_utils.parsing.convert_bool import boolean

from ..module_utils._stream.progress import FOLDER, LEASE, LINE, STATUS
from .console_line import Course, parse
from .guard import ActionModule as Plain

VARIABLE = "caracal_ops_progress"
# Of the controller, which reads this before it forks workers; theirs is no terminal.
ON_TERMINAL = sys.stdout.isatty()
# Who has one of these keeps what is displayed, though he gives it a terminal: ansible-runner, AWX, and what runs jobs of CI.
KEPT = ("AWX_ISOLATED_DATA_DIR", "AWX_HOST", "JOB_ID", "CI")
# In seconds: between looks at first and at last, between lines of several hosts, and how long an unanswered look is waited for at the end.
SOON, SELDOM, LINES, PATIENCE = 2.0, 10.0, 30.0, 5.0
_STEP = 0.5
_MADE = re.compile(r"/tmp/caracal-ops-progress\.[A-Za-z0-9]{10}")


class ActionModule(Plain):
    """Nothing differs from a module without an action but what a terminal shows."""

    _folder = ""

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        given = task_vars or {}
        wanted = is_wanted(ON_TERMINAL, os.environ, self._templar.template(given.get(VARIABLE, True)))
        if not wanted or self._task.check_mode or self._task.async_val or self._task.no_log:
            return self._plainly(task_vars)
        self._folder = self._made()
        if not self._folder:
            return self._plainly(task_vars)
        with self._observed(given):
            return self._plainly(task_vars)

    def _plainly(self, task_vars: dict[str, t.Any] | None) -> dict[str, t.Any]:
        found: dict[str, t.Any] = super().run(None, task_vars)
        return found

    def _compute_environment_string(self, raw_environment_out: dict[str, t.Any] | None = None) -> str:
        """With the folder beside what the task has."""
        own = self._connection._shell.env_prefix(**{FOLDER: self._folder}) if self._folder else ""
        return f"{super()._compute_environment_string(raw_environment_out)} {own}".strip()

    def _made(self) -> str:
        """A folder on the host, of the user as whom the module runs; nothing where it could not be made."""
        made = f'umask 077 && folder=$(mktemp -d /tmp/caracal-ops-progress.XXXXXXXXXX) && : > "$folder/{LEASE}" && echo "$folder"'
        found = [line for line in self._output(self, made).splitlines() if _MADE.fullmatch(line)]
        return found[-1] if found else ""

    def _output(self, by: Plain, command: str) -> str:
        """What a command said; progress that cannot be had is none, and no failure."""
        try:
            return str(by._low_level_execute_command(command)["stdout"])
        except Exception as exc:  # noqa: BLE001 - whatever a connection raises
            self._display.debug(f"progress: {type(exc).__name__}")
            return ""

    def _separate(self) -> Plain:
        """The same action with a connection that nobody else talks through."""
        other = copy.copy(self)
        other._folder = ""
        other._connection = copy.copy(self._connection)
        if self._connection.become:
            other._connection.become = copy.copy(self._connection.become)
        return other

    @contextlib.contextmanager
    def _observed(self, task_vars: t.Mapping[str, t.Any]) -> t.Iterator[None]:
        over = threading.Event()
        alone = len(task_vars.get("ansible_play_batch", ())) == 1 and self._display.verbosity < 2
        screen = InPlace(self._display.display) if alone else Lines(self._display.display, str(task_vars.get("inventory_hostname")))
        observer = threading.Thread(
            target=contextvars.copy_context().run, args=(self._observe, self._separate(), over, screen), daemon=True
        )
        observer.start()
        try:
            with self._let_go():
                yield
        finally:
            over.set()
            observer.join(PATIENCE)
            screen.clear()
            # A module that still runs, since its connection or its time is over, loses its lease with it.
            self._output(self, self._removal())

    @contextlib.contextmanager
    def _let_go(self) -> t.Iterator[None]:
        """A worker that is told to end does so at once, and its module would not hear of it where a connection has no terminal."""

        def ended(number: int, _frame: t.Any) -> None:
            # The controller tells it twice. A host that cannot be reached in time is left to the lease.
            for one in before:
                signal.signal(one, lambda *_again: None)
            signal.signal(signal.SIGALRM, given_up)
            signal.alarm(int(PATIENCE))
            self._output(self._separate(), self._removal())
            signal.alarm(0)
            restore()
            os.kill(os.getpid(), number)

        def given_up(*_signal: t.Any) -> None:
            raise TimeoutError

        def restore() -> None:
            for number, handler in before.items():
                signal.signal(number, handler)

        before = {number: signal.signal(number, ended) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            restore()

    def _removal(self) -> str:
        return f"rm -rf -- {shlex.quote(self._folder)}"

    def _observe(self, separate: Plain, over: threading.Event, screen: InPlace | Lines) -> None:
        """Until it is over. Where the controller is killed, nobody will ever want the result."""
        controller, course, began = os.getppid(), Course(), time.monotonic()
        command = f"cd {shlex.quote(self._folder)} && touch -c {LEASE} && head -c {LINE} {STATUS}"
        due = began + SOON
        while not over.wait(_STEP):
            if os.getppid() != controller:
                self._output(separate, self._removal())
                return
            if time.monotonic() >= due:
                status = parse(self._output(separate, command))
                now = time.monotonic()
                if status and not over.is_set():
                    screen.show(course.line(status, now), now)
                due = now + min(SELDOM, SOON + (now - began) / LINES)


def is_wanted(on_terminal: bool, environment: t.Mapping[str, str], asked: t.Any) -> bool:
    """Whether anybody sees it who would not rather have it away."""
    return on_terminal and not any(environment.get(name) for name in KEPT) and bool(boolean(asked, strict=False))


Display = t.Callable[..., None]


class InPlace:
    """One line that is written over, and leaves nothing. A terminal shows it at once for its carriage return."""

    WIDTH = 78

    def __init__(self, display: Display) -> None:
        self._display = display
        self._shown = 0

    def show(self, line: str, _now: float) -> None:
        text = line[: self.WIDTH]
        self._display(f"{text.ljust(self._shown)}\r", screen_only=True, newline=False)
        self._shown = len(text)

    def clear(self) -> None:
        if self._shown:
            self.show("", 0.0)


class Lines:
    """Now and then a line that says of which host it is, since others write too."""

    def __init__(self, display: Display, host: str) -> None:
        self._display, self._host = display, host
        self._due = 0.0

    def show(self, line: str, now: float) -> None:
        if now >= self._due:
            self._display(f"[{self._host}] {line}", screen_only=True)
            self._due = now + LINES

    def clear(self) -> None:
        """What was said stays."""
