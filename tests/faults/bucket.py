# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Attacks by a party that may write to a bucket with versions: lay versions and delete markers over objects, and end versions for good."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import shutil
import time
import typing as t
from pathlib import Path

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError
from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import access
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import layout, objects
from faults.tally import LOST, Outcome, Tally
from faults.world import Truth, World
from scenes import s3_server
from scenes.s3_server import S3Server

KIND = "bucket"
PREFIX = "prod"


@dataclasses.dataclass
class Bucket:
    """A copy of the world's repository. `kept` has the version of each key that was copied, and its bytes."""

    world: World
    s3: S3Server
    name: str
    mark: Path
    kept: dict[str, tuple[str, bytes]] = dataclasses.field(default_factory=dict)
    dirty: bool = False

    @property
    def place(self) -> dict[str, t.Any]:
        return {"repository": f"s3://{self.name}/{PREFIX}", "high_water_mark": str(self.mark), **self.s3.options()}

    def put(self, key: str, data: bytes) -> str:
        version: str = self.s3.client.put_object(Bucket=self.name, Key=key, Body=data)["VersionId"]
        return version

    def cover(self, key: str) -> None:
        self.s3.client.delete_object(Bucket=self.name, Key=key)

    def end(self, key: str, version: str) -> None:
        self.s3.client.delete_object(Bucket=self.name, Key=key, VersionId=version)

    def versions(self) -> list[tuple[str, str]]:
        """Keys and versions of all that is there, delete markers too."""
        pages = self.s3.client.get_paginator("list_object_versions").paginate(Bucket=self.name)
        found = [one for page in pages for kind in ("Versions", "DeleteMarkers") for one in page.get(kind, [])]
        return [(one["Key"], one["VersionId"]) for one in found]

    def keep(self) -> None:
        for key, version in self.versions():
            self.kept[key] = (version, self.s3.client.get_object(Bucket=self.name, Key=key)["Body"].read())
        shutil.copy2(self.mark, self.mark.with_suffix(".kept"))

    def mend(self) -> None:
        """End what is not kept, and put again what is gone."""
        there = self.versions()
        for key, version in there:
            if self.kept.get(key, ("", b""))[0] != version:
                self.end(key, version)
        for key, (version, data) in self.kept.items():
            if (key, version) not in there:
                self.kept[key] = (self.put(key, data), data)
        shutil.copy2(self.mark.with_suffix(".kept"), self.mark)

    def truth(self) -> Truth:
        """The data that a restore of each set would read. Raises BackupError if the restore would fail."""
        opened = access.open_repository(self.world.scene.access(**self.place))
        found: Truth = {}
        for set_id in self.world.truth:
            signed = opened.catalog.read(set_id).manifest.artifacts
            store = objects.SignedObjects(opened.store, signed)
            found[set_id] = {}
            for one in signed:
                with store.open(one.path) as stream:
                    stream.read()
                found[set_id][one.path] = one.sha256
        return found

    def judge(self, ended: bool) -> Outcome:
        """`ended`: whether a version that was signed is gone, so that nothing but the notice can be asked for."""
        outcome = self.world.noticed(**self.place)
        if outcome and outcome != Outcome():
            return outcome
        try:
            same = self.truth() == self.world.truth
        except BackupError as exc:
            if ended and outcome:
                return outcome
            return Outcome(LOST, f"{'no verifier noticed' if not outcome else 'what was signed is there'}, and a restore ends: {exc.msg}")
        except Exception as exc:  # noqa: BLE001 - a traceback is a finding
            return Outcome(LOST, f"a reader ended in a traceback: {type(exc).__name__}: {exc}")
        return Outcome() if same else Outcome(LOST, "other bytes than were signed would be restored")


Change = t.Callable[[Bucket, str, bytes, random.Random], None]
# Changes to an object, some with the bytes of another one. The ones in `ENDING` remove signed content.
CHANGES: dict[str, Change] = {
    "covered by a delete marker": lambda bucket, key, _other, _dice: bucket.cover(key),
    "covered by nothing": lambda bucket, key, _other, _dice: _put(bucket, key, b""),
    "covered by noise": lambda bucket, key, _other, dice: _put(bucket, key, dice.randbytes(len(bucket.kept[key][1]))),
    "covered by another's bytes": lambda bucket, key, other, _dice: _put(bucket, key, other),
    "covered by its half": lambda bucket, key, _other, _dice: _put(bucket, key, bucket.kept[key][1][: len(bucket.kept[key][1]) // 2]),
    "covered by itself": lambda bucket, key, _other, _dice: _put(bucket, key, bucket.kept[key][1]),
    "covered three times": lambda bucket, key, other, dice: _thrice(bucket, key, other, dice),
    "beside a copy": lambda bucket, key, _other, _dice: _put(bucket, f"{key}.copy", bucket.kept[key][1]),
    "ended": lambda bucket, key, _other, _dice: bucket.end(key, bucket.kept[key][0]),
    "ended and covered by noise": lambda bucket, key, _other, dice: _instead(bucket, key, dice.randbytes(len(bucket.kept[key][1]))),
    "ended and covered by another's bytes": lambda bucket, key, other, _dice: _instead(bucket, key, other),
}
ENDING = {name for name in CHANGES if name.startswith("ended")}


def _put(bucket: Bucket, key: str, data: bytes) -> None:
    bucket.put(key, data)


def _thrice(bucket: Bucket, key: str, other: bytes, dice: random.Random) -> None:
    bucket.put(key, other)
    bucket.cover(key)
    bucket.put(key, dice.randbytes(len(bucket.kept[key][1])))


def _instead(bucket: Bucket, key: str, data: bytes) -> None:
    bucket.put(key, data)
    bucket.end(key, bucket.kept[key][0])


@contextlib.contextmanager
def make(world: World, folder: Path) -> t.Iterator[Bucket]:
    with s3_server.start() as s3:
        bucket = Bucket(world, s3, s3.bucket(lock=False), folder / "bucket.mark")
        world.scene.call("repository_copy", destination=bucket.place["repository"], **s3.options())
        world.scene.call("backup_set_info", **bucket.place)
        bucket.keep()
        yield bucket


def run(world: World, folder: Path, tally: Tally, dice: random.Random, deadline: float, most: int | None = None) -> None:
    """Each change of each object once, with noise at the journal's next number now and then; then two at once while there is time."""
    with make(world, folder) as bucket:
        _run(bucket, tally, dice, deadline, most)


def _run(bucket: Bucket, tally: Tally, dice: random.Random, deadline: float, most: int | None) -> None:
    keys = sorted(bucket.kept)
    single = [[(key, name)] for key in keys for name in CHANGES]
    dice.shuffle(single)
    for _number in range(most or 1 << 62):
        if time.monotonic() > deadline:
            break
        plan = single.pop() if single else [(key, dice.choice(list(CHANGES))) for key in dice.sample(keys, 2)]
        label = change(bucket, dice, plan)
        tally.add(KIND, label, bucket.judge(any(name in ENDING for _key, name in plan)))
        bucket.mend()


def change(bucket: Bucket, dice: random.Random, plan: t.Sequence[tuple[str, str]]) -> str:
    """Do it; what was done."""
    done = []
    for key, name in plan:
        CHANGES[name](bucket, key, bucket.kept[dice.choice(sorted(bucket.kept))][1], dice)
        done.append(f"{key} {name}")
    if dice.random() < 0.1:
        last = max(layout.entry_sequence(key.removeprefix(f"{PREFIX}/")) or 0 for key in bucket.kept)
        bucket.put(f"{PREFIX}/{layout.entry_key(last + 1)}", dice.randbytes(200))
        done.append("noise at the next number of the journal")
    return " and ".join(done)
