# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the quickstart playbook, print one line for each step, and end with the summary.

Ansible's output goes to `quickstart.log` next to the directory. The exit status is the playbook's, or 1 if a locked set
was deleted or a Compose project cannot be created here. The Compose project is removed in all cases, after Ctrl-C too.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

from tools import quickstart_project
from tools.quickstart_bucket import bucket

TASK = re.compile(r"^TASK \[(?:caracal_ops\.backup\.(?P<role>\w+) : )?(?P<name>.+)\] \**$")
# Steps that take less time are not shown.
SHOWN_SECONDS = 1.0
LAST_LINES = 15
# The playbook writes this file into directories that it may empty.
MARKER = ".caracal-quickstart"


def command(directory: Path, events: int, others: t.Sequence[str] = ()) -> list[str]:
    settings = [f"quickstart_directory={directory}", f"quickstart_events={events}", *others]
    return ["ansible-playbook", "caracal_ops.backup.quickstart", *(part for one in settings for part in ("--extra-vars", one))]


def environment() -> dict[str, str]:
    """Return variables for a readable log, without warnings about an inventory, which is not needed here."""
    plain = {"ANSIBLE_NOCOLOR": "true", "ANSIBLE_NOCOWS": "true", "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml", "PYTHONUNBUFFERED": "1"}
    quiet = {"ANSIBLE_LOCALHOST_WARNING": "false", "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false"}
    return {**os.environ, **plain, **quiet}


class Progress:
    """Shows a task with its seconds when the next task begins, if it took long enough."""

    def __init__(self, show: t.Callable[[str], None], clock: t.Callable[[], float] = time.monotonic) -> None:
        self._show = show
        self._clock = clock
        self._task: str | None = None
        self._since = clock()

    def line(self, text: str) -> None:
        """Process one line of Ansible's output."""
        found = TASK.match(text)
        if found:
            self._begin(f"{found['role'] or 'quickstart'}: {found['name']}")
        elif text.startswith("PLAY RECAP"):
            self._begin(None)

    def _begin(self, task: str | None) -> None:
        now = self._clock()
        if self._task and now - self._since >= SHOWN_SECONDS:
            self._show(f"{now - self._since:6.1f} s  {self._task}")
        self._task, self._since = task, now


def play(directory: Path, events: int, log: Path, others: t.Sequence[str] = ()) -> int:
    """Run the playbook with further settings; return its exit status."""
    progress = Progress(lambda text: print(text, flush=True))
    with open(log, "w", encoding="utf-8", buffering=1) as copy:
        child = subprocess.Popen(
            command(directory, events, others),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=environment(),
            text=True,
        )
        with child:
            try:
                for text in t.cast(t.TextIO, child.stdout):
                    copy.write(text)
                    progress.line(text.rstrip("\n"))
            except BaseException:
                child.terminate()
                child.wait()
                raise
    return child.returncode


def stop(_signal: int, _frame: t.Any) -> t.NoReturn:
    """Exit on SIGTERM as on Ctrl-C."""
    raise KeyboardInterrupt


def main(arguments: t.Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="quickstart", description=__doc__)
    parser.add_argument("--directory", required=True, type=Path, help="for keys, repository, reports and summary; created again each time")
    parser.add_argument("--events", type=int, default=200_000, help="audit events of the database (%(default)s)")
    parser.add_argument(
        "--repository", choices=("local", "s3"), default="local", help="a directory, or a bucket with Object Lock (%(default)s)"
    )
    parser.add_argument(
        "--deployment", choices=("host", "compose"), default="host", help="of programs on this host, or a Compose project (%(default)s)"
    )
    options = parser.parse_args(arguments)
    if options.deployment == "compose" and options.repository != "local":
        parser.error("a Compose project is backed up into a directory; leave --repository out")
    directory = options.directory.absolute()
    directory.parent.mkdir(parents=True, exist_ok=True)
    try:
        return round_trip(directory, options.events, options.repository, options.deployment)
    except quickstart_project.ProjectFailed as error:
        print(f"quickstart: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("quickstart: interrupted", file=sys.stderr)
        return 130


def round_trip(directory: Path, events: int, repository: str, deployment: str) -> int:
    """Run the playbook and print the result; return the exit status."""
    log, summary = directory.with_name(f"{directory.name}.log"), directory / "summary.txt"
    if (directory / MARKER).exists():
        summary.unlink(missing_ok=True)
    with contextlib.ExitStack() as opened:
        place = opened.enter_context(bucket()) if repository == "s3" else None
        others = place.settings() if place else []
        if deployment == "compose":
            others = opened.enter_context(quickstart_project.project(directory)).settings()
        status = play(directory, events, log, others)
        locked, withstood = place.try_to_delete() if place and not status else ([], True)
    print()
    if (directory / MARKER).exists() and summary.is_file():
        print(summary.read_text(encoding="utf-8"), *(f"{line}\n" for line in locked), sep="", end="")
    else:
        print(*log.read_text(encoding="utf-8").splitlines()[-LAST_LINES:], sep="\n")
        print(f"no summary was written; all of it is in {log}")
        return status or 1
    return status or int(not withstood)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    sys.exit(main())
