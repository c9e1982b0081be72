# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Memory of a process and its children, without PostgreSQL's own programs."""

from __future__ import annotations

import contextlib
import pathlib
import subprocess
import threading
import typing as t

POSTGRES = ("postgres", "pg_dump", "pg_restore", "psql")


def tree(pid: int) -> list[int]:
    """Return `pid` and all its descendants that still run."""
    found = [pid]
    with contextlib.suppress(OSError):
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += tree(int(child))
    return found


def proportional_bytes(pid: int) -> int:
    """Return the PSS. Pages that forked processes share are counted once in the sum over all of them."""
    with contextlib.suppress(OSError):
        if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() in POSTGRES:
            return 0
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def peak(argv: t.Sequence[str], env: t.Mapping[str, str]) -> int:
    """Run a command to its end; return the largest sum over its process tree that was measured, in bytes."""
    process = subprocess.Popen(list(argv), env=dict(env), stdout=subprocess.DEVNULL)
    seen = [0]
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.05):
            seen.append(sum(proportional_bytes(one) for one in tree(process.pid)))

    watcher = threading.Thread(target=look)
    watcher.start()
    code = process.wait()
    done.set()
    watcher.join()
    if code != 0:
        raise SystemExit(f"{' '.join(argv)} ended with {code}")
    return max(seen)
