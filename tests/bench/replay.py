# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A replay directory of one GiB, and the cost of its archive."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import sys
import time

from bench import memory
from bench.scene import Scene

MEBIBYTE = 1 << 20
FILES = 8
FILE_MEBIBYTES = 128


def fill(volume: pathlib.Path) -> None:
    """Write files of events of half a KiB. Their IDs cannot be compressed, like real ones."""
    (volume / "audit-replay").mkdir(parents=True)
    rest = {"zone_id": "zone", "event_type": "token_exchange", "decision": "allow", "evaluation_status": "complete"}
    for number in range(FILES):
        with open(volume / "audit-replay" / f"pending-7-{number}.ndjson", "wb") as out:
            while out.tell() < FILE_MEBIBYTES * MEBIBYTE:
                event = {"id": os.urandom(16).hex(), "request_id": os.urandom(100).hex(), "occurred_at": "2026-06-04T10:11:12Z", **rest}
                out.write(json.dumps(event).encode() + b"\n")


def measure(place: Scene) -> tuple[float, float]:
    """Return MiB per second, and the peak memory in bytes, of the first pass."""
    volume = place.folder / "replay"
    fill(volume)
    try:
        environment = {**os.environ, "BENCH_FOLDER": str(place.folder), "BENCH_SOCKET": place.socket, "BENCH_BINDIR": place.bindir}
        started = time.monotonic()
        peak = memory.peak([sys.executable, "-m", "bench.one", "replay"], environment)
        return FILES * FILE_MEBIBYTES / (time.monotonic() - started), peak
    finally:
        shutil.rmtree(volume)
