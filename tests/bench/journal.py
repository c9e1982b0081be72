# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A journal of ten years of hourly checkpoints and nightly sets, and the cost of a call that finds one new entry in it."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import datetime
import hashlib
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import typing as t
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key

from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto.sshsig import armor, wire_string
from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import access
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import entry as entries
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import layout
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.entry import Draft
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.records import Checkpoint
from scenes import s3_server, scene
from unit.plugins.module_utils._repository.conftest import ROLES, World

CALLS = 5
THREADS = 16
HOUR = datetime.timedelta(hours=1)


@dataclasses.dataclass(frozen=True)
class Figures:
    """Wall-clock and processor seconds of a call, and entries per second of a pass that verifies all."""

    wall: float
    processor: float
    whole: float


class Quick:
    """Signs like `Signer`, which starts a program for each signature."""

    def __init__(self, path: Path, principal: str) -> None:
        self.principal = principal
        self._key = t.cast("Ed25519PrivateKey", load_ssh_private_key(path.read_bytes(), None))
        public = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self._blob = wire_string(b"ssh-ed25519") + wire_string(public)

    def sign(self, data: bytes, namespace: str) -> bytes:
        about = [namespace.encode(), b"", b"sha512"]
        covered = b"SSHSIG" + b"".join(map(wire_string, [*about, hashlib.sha512(data).digest()]))
        proof = wire_string(b"ssh-ed25519") + wire_string(self._key.sign(covered))
        return armor(b"SSHSIG" + struct.pack(">I", 1) + b"".join(map(wire_string, [self._blob, *about, proof])))


class Long:
    """A repository with entries written without our own code, which would verify all of them before each new entry."""

    def __init__(self, folder: Path, count: int) -> None:
        for role in ROLES:
            scene.new_ssh_key(folder / role)
        self.world = World(folder, folder)
        self.world.clock.now = access.now() - (count + 2 * CALLS) * HOUR
        self.world.create()
        self._repository = self.world.load()
        self._last = self.world.journal().entries[0]
        self._signers = {role: Quick(folder / role, f"{role}@prod") for role in ("backup", "drill")}
        while self._last.sequence < count:
            self.grow()

    def grow(self) -> list[Path]:
        """Add one more entry: 23 checkpoints, a set, and sometimes a drill. Its signature comes first."""
        number = self._last.sequence + 1
        self.world.clock.now += HOUR
        made_id = f"{self.world.clock.now:%Y%m%dT%H%M%SZ}-aaaa"
        role, kind, subjects = "backup", entries.CHECKPOINT, [layout.checkpoint_key(made_id)]
        body = _checkpoint(made_id, self.world.clock.now)
        if number % 24 == 0:
            kind, subjects = entries.SET, [layout.manifest_key(made_id)]
            body = {"set": made_id, "source": [{"database": "caracal", "system_identifier": "7711926877081726986"}], "bytes": number}
        elif number % 168 == 1:
            role, kind, subjects = "drill", entries.DRILL, [layout.manifest_key(made_id), layout.drill_report_key(made_id)]
            body = {"drill": made_id, "set": made_id, "verdict": "pass"}
        entered = [entries.subject(key, entries.sha256(key.encode())) for key in subjects]
        signer, repository = self._signers[role], self._repository
        draft = Draft(kind, entered, body, self.world.time(), "bench")
        data = entries.to_bytes(draft, repository.id, repository.deployment, number, self._last.sha256, signer.principal)
        self._last = entries.parse(data, "made", repository.id, repository.deployment)
        keys = (layout.entry_signature_key(number, self._last.sha256), layout.entry_key(number))
        for key, content in zip(keys, (signer.sign(data, layout.NAMESPACE_JOURNAL), data), strict=True):
            self.world.path(key).write_bytes(content)
        return [self.world.path(key) for key in keys]

    def options(self) -> dict[str, t.Any]:
        return {
            "repository": self.world.store.location,
            "deployment": "prod",
            "allowed_signers": str(self.world.allowed),
            "revoked_keys": str(self.world.revoked),
            "high_water_mark": str(self.world.folder / "mark"),
            "signing_key": str(self.world.keys / "backup"),
            "state": "open",
        }


def _checkpoint(made_id: str, now: datetime.datetime) -> dict[str, t.Any]:
    """Return a checkpoint that extends the one before, as nearly all do."""
    return Checkpoint(made_id, 1, "caracal", "7711926877081726986", "secret_store", "v1.0.0", now, "0/16B3748", False).to_body()


def measure(count: int) -> dict[str, Figures]:
    """Measure a directory and a bucket."""
    with tempfile.TemporaryDirectory(prefix="caracal-bench-", dir="/var/tmp") as folder, s3_server.start() as server:
        long = Long(Path(folder), count)
        whole = count / _seconds(long.options(), "everything")[0]
        local = _calls(long, long.options(), lambda _made: None)
        bucket = server.bucket()

        def put(path: Path) -> None:
            key = str(path.relative_to(long.world.store.location))
            server.client.put_object(Bucket=bucket, Key=f"bench/{key}", Body=path.read_bytes())

        everything = sorted(one for one in Path(long.world.store.location).rglob("*") if one.is_file())
        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            for _done in pool.map(put, everything):
                pass
        there = {**long.options(), "repository": f"s3://{bucket}/bench", **server.options()}
        remote = _calls(long, there, lambda made: [put(one) for one in made])
        return {"local": Figures(*local, whole), "bucket": Figures(*remote, 0)}


def _calls(long: Long, given: dict[str, t.Any], carry: t.Callable[[list[Path]], t.Any]) -> tuple[float, float]:
    """Return the medians of some calls, each of which finds one entry more."""
    found = []
    for _call in range(CALLS):
        carry(long.grow())
        found.append(_seconds(given, "call"))
    times = ", ".join(f"{wall:.2f} s ({processor:.2f} of the processor)" for wall, processor in found)
    print(f"# calls on {given['repository']}: {times}", flush=True)
    return statistics.median(wall for wall, _processor in found), statistics.median(processor for _wall, processor in found)


def _seconds(given: dict[str, t.Any], what: str) -> tuple[float, float]:
    env = {**os.environ, "BENCH_JOURNAL": json.dumps(given)}
    done = subprocess.run([sys.executable, "-m", "bench.journal_call", what], env=env, check=True, capture_output=True, text=True)
    wall, processor = json.loads(done.stdout)
    return wall, processor
