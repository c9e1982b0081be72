# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Replay directories for tests: a service's files in them, and a service that writes while they are read."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import sys
import time
import typing as t
import uuid
from pathlib import Path

TIME = 1_767_323_045_123_456_789
BUFFER = 4096


def event(identifier: str, size: int = 0) -> bytes:
    """Return a line as the services write it, with `size` bytes of padding."""
    found: dict[str, t.Any] = {
        "id": identifier,
        "zone_id": "zone-1",
        "event_type": "token_exchange",
        "request_id": f"request-{identifier}",
        "decision": "allow",
        "evaluation_status": "complete",
        "determining_policies_json": [],
        "diagnostics_json": {"padding": "x" * size} if size else None,
        "occurred_at": "2026-06-04T10:11:12.123456789Z",
    }
    return json.dumps(found, separators=(",", ":")).encode() + b"\n"


@dataclasses.dataclass(frozen=True)
class ReplayFolder:
    """A volume and the folder `audit-replay` in it."""

    volume: Path

    @property
    def path(self) -> Path:
        return self.volume / "audit-replay"

    def file(self, name: str, content: bytes, mtime_ns: int = TIME, mode: int = 0o600) -> Path:
        path = self.path / name
        path.write_bytes(content)
        path.chmod(mode)
        os.utime(path, ns=(mtime_ns, mtime_ns))
        return path

    def append(self, name: str, content: bytes) -> None:
        with open(self.path / name, "ab") as out:
            out.write(content)

    def content(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(self.path.iterdir()) if path.is_file() and not path.is_symlink()}


def folder(volume: Path) -> ReplayFolder:
    (volume / "audit-replay").mkdir(parents=True, mode=0o700)
    return ReplayFolder(volume)


def events(contents: t.Iterable[bytes]) -> list[str]:
    """Return the IDs of all lines. Each line must be complete."""
    lines = [line for content in contents for line in content.split(b"\n")]
    return [json.loads(line)["id"] for line in lines if line]


def serve(path: Path, log: Path, seed: int) -> None:
    """Run a service at full speed until it is killed. It appends events in pieces of 4 KiB, creates files, and sometimes drains some.

    In `log`: `w <id>` before an event is written, `d <id>` when a file with it was deleted, `f <id>` once it is durable.
    """
    dice = random.Random(seed)
    with open(log, "w", buffering=1, encoding="ascii") as journal:
        while True:
            name = path / f"pending-7-{time.time_ns()}.ndjson"
            with open(name, "ab", buffering=0) as out:
                for _flush in range(dice.choice((1, 3, 30))):
                    _flush_some(out, journal, dice)
            pending = sorted(path.glob("pending-*.ndjson"))
            if len(pending) > 8:
                for one in dice.sample(pending, 6):
                    ids = events([one.read_bytes()])
                    journal.write("".join(f"d {identifier}\n" for identifier in ids))
                    one.unlink()


def _flush_some(out: t.BinaryIO, journal: t.TextIO, dice: random.Random) -> None:
    ids = [str(uuid.UUID(int=dice.getrandbits(128))) for _event in range(dice.randrange(1, 80))]
    journal.write("".join(f"w {identifier}\n" for identifier in ids))
    data = b"".join(event(identifier, dice.randrange(600)) for identifier in ids)
    for at in range(0, len(data), BUFFER):
        out.write(data[at : at + BUFFER])
    os.fsync(out.fileno())
    journal.write("".join(f"f {identifier}\n" for identifier in ids))


if __name__ == "__main__":
    serve(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
