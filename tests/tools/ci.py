# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gates of a change: `make lint`, then `make test`. The last line reports the processor time.

Servers that outlive their test count too, so this process adopts orphans and reaps them.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
import typing as t

TARGETS = ("lint", "test")
# Seconds of processor time: the target, and the value above which a warning is printed.
WANTED, WARNED = 600, 720
_PR_SET_CHILD_SUBREAPER = 36


def run(command: list[str]) -> int:
    """Run a command and return its status. Every process that ends meanwhile is reaped."""
    started = os.posix_spawnp(command[0], command, os.environ)
    while True:
        pid, status = os.wait()
        if pid == started:
            return os.waitstatus_to_exitcode(status)


def spent() -> float:
    """Return the seconds of processor time of all reaped processes."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def closing(seconds: t.Mapping[str, float]) -> str:
    """Return the last line of the output."""
    total = sum(seconds.values())
    parts = ", ".join(f"{name} {took:.0f} s" for name, took in seconds.items())
    verdict = "ok" if total <= WANTED else f"more than {WANTED / 60:.0f} minutes"
    warning = "warning: " if total > WARNED else ""
    return f"ci: {warning}{total / 60:.1f} minutes of processor time ({parts}): {verdict}"


def main(commands: t.Mapping[str, list[str]]) -> int:
    """Run the commands until one fails; return its status."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    seconds: dict[str, float] = {}
    status = 0
    for name, command in commands.items():
        before = spent()
        status = run(command)
        seconds[name] = spent() - before
        if status != 0:
            break
    print(closing(seconds), flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main({target: ["make", target] for target in TARGETS}))
