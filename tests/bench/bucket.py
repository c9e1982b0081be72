# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stream of some MiB into a bucket and back, with its speed and memory, and a long journal in a bucket.

Run as a program, this is the stream itself in a separate process.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from ansible_collections.caracal_ops.backup.plugins.module_utils._options.shared import BucketOptions
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.schemes import open_store
from bench import memory
from scenes import s3_server, scene
from unit.plugins.module_utils._repository.conftest import ROLES, World

MEBIBYTE = 1 << 20
KEY = "objects/audit/bench/stream"


def measure(mebibytes: int) -> tuple[float, float]:
    """Return MiB per second of writing and reading together, and the peak memory in bytes."""
    with s3_server.start() as server:
        place = json.dumps({"repository": f"s3://{server.bucket()}/bench", **server.options(), "lock_mode": "GOVERNANCE"})
        started = time.monotonic()
        peak = memory.peak([sys.executable, "-m", "bench.bucket", str(mebibytes)], {**os.environ, "BENCH_BUCKET": place})
        return 2 * mebibytes / (time.monotonic() - started), peak


def journal(entries: int) -> float:
    """Return entries per second of reading and verifying all of them, which every module does first."""
    with s3_server.start() as server, tempfile.TemporaryDirectory() as folder:
        for role in ROLES:
            scene.new_ssh_key(Path(folder) / role)
        world = World(Path(folder), Path(folder))
        world.store = open_store(f"s3://{server.bucket()}/bench", BucketOptions(**server.options()))
        world.create()
        made = world.journal()
        while made.head.sequence < entries:
            world.append(journal=made)
        started = time.monotonic()
        if world.journal().head != made.head:
            raise SystemExit("the journal is not what was written")
        return entries / (time.monotonic() - started)


def stream(mebibytes: int) -> None:
    """Write and read bytes that differ in every part, and compare them. The key is known only at the end, so the object is copied."""
    given = json.loads(os.environ["BENCH_BUCKET"])
    store = open_store(given.pop("repository"), BucketOptions(**given))
    piece, there, back = os.urandom(MEBIBYTE), hashlib.sha256(), hashlib.sha256()
    with store.writer(KEY.rpartition("/")[0]) as out:
        for number in range(mebibytes):
            data = number.to_bytes(8, "big") + piece[8:]
            there.update(data)
            out.write(data)
        out.publish(KEY)
    with store.open(KEY) as source:
        while data := source.read(MEBIBYTE):
            back.update(data)
    if there.digest() != back.digest():
        raise SystemExit("the downloaded data differs from the uploaded data")


if __name__ == "__main__":
    stream(int(sys.argv[1]))
