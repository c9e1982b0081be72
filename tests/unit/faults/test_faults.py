# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A short run of `make faults`, and proof that its columns can be non-zero."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import StorageError
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import PASS, Check
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import objects
from ansible_collections.caracal_ops.backup.plugins.module_utils._sets import repository_verify
from faults import bucket, flips, images, interruptions, labels, operations, parties, victim
from faults.__main__ import SHARES, play
from faults.interruptions import Operations, Victim, Work
from faults.tally import HALF_VISIBLE, LEAKED, LEFT_RUNNING, LOST, SURVIVED, Outcome, Tally
from faults.world import World, make
from harness.users import only_root
from scenes import image_scene

LONG = 600.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def made(folder: Path) -> t.Iterator[World]:
    with make(folder) as world:
        yield world


@pytest.fixture
def world(made: World) -> t.Iterator[World]:
    yield made
    made.mend()


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("kind", "most"),
    [
        ("flips", 400),
        ("parties", 30),
        ("kills", 3),
        ("full", 3),
        ("cut", 2),
        ("objects", 40),
        ("bucket", 30),
        ("facts", 500),
        ("images", 100),
        ("labels", 500),
        pytest.param("paths", 60, marks=only_root),
    ],
)
def test_survives_every_kind_of_fault(world: World, folder: Path, kind: str, most: int) -> None:
    tally = Tally()
    assert kind in SHARES
    play(world, tally, folder, seed=20261129, minutes=LONG, kinds=[kind], most=most)
    assert tally.clean and tally.tried == most, "\n".join(tally.lines())


@pytest.mark.no_false_alarm
def test_an_undamaged_repository_passes(world: World) -> None:
    assert world.judge() == Outcome()
    assert world.scene.call("repository_verify", identity_files=world.identities)["verdict"] == "pass"


def _silent(_store: t.Any, _artifacts: t.Any) -> list[Check]:
    return [Check(objects.CHECK_ID, PASS, "nobody looked")]


@pytest.mark.mutation
def test_detects_a_verifier_that_checks_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "verify", _silent)
    tally = Tally()
    flips.run(world, tally, random.Random(1), time.monotonic() + LONG, 20)
    key = next(key for one in world.truth.values() for key in one)
    operations.change(world, random.Random(1), key, "noise at its end")
    tally.add("objects", key, world.judge())
    assert tally.counts["flips"][LOST] > 10 and tally.counts["objects"][LOST] == 1 and not tally.clean
    assert list(tally.lines())[-1].startswith("faults: 21 tried, ")


@pytest.mark.mutation
@pytest.mark.parametrize("kind", ["traceback", "leak"])
def test_detects_a_verifier_that_crashes_or_leaks_a_secret(world: World, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    def run(_invocation: t.Any) -> t.Any:
        if kind == "traceback":
            raise RuntimeError("not one of ours")
        raise StorageError(f"cannot read {world.secrets[0]}")

    monkeypatch.setattr(repository_verify, "run", run)
    assert world.judge().column == (LOST if kind == "traceback" else LEAKED)


@pytest.mark.mutation
def test_detects_an_entry_that_is_accepted(world: World) -> None:
    outcome = parties.attempt(world, "operator", "restore", parties.TWISTS["nothing else"])
    assert outcome.column == LOST and "trust" in outcome.details


@pytest.mark.mutation
def test_detects_a_reader_that_uses_the_newest_object_version(world: World, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a bucket, only the signed version of a key counts."""
    key = next(key for one in world.truth.values() for key in one)
    with bucket.make(world, folder) as copied:
        assert copied.judge(False) == Outcome()
        bucket.change(copied, random.Random(1), [(f"{bucket.PREFIX}/{key}", "covered by noise")])
        assert copied.judge(False) == Outcome()
        signed = {version for version, _data in copied.kept.values()}

        def newest(store: t.Any, key: str, _sha256: str, _size: int | None = None) -> t.Any:
            return min(store.versions(key), key=lambda one: one.version in signed)

        monkeypatch.setattr(objects, "find", newest)
        assert copied.judge(False).column == LOST
        copied.mend()
        assert copied.judge(False) == Outcome()


@pytest.mark.mutation
def test_detects_unexpected_errors_from_unpacking_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "images"
    place.mkdir(mode=0o755)
    made = image_scene.saved([image_scene.archive([("one", b"1")])])
    assert images.judge(place, tmp_path, *made) == Outcome()
    for error in (RuntimeError("not one of ours"), StorageError("two\nlines")):

        def unpacked(*_given: t.Any, error: Exception = error) -> t.Any:
            raise error

        monkeypatch.setattr(images.cache, "unpacked", unpacked)
        assert images.judge(place, tmp_path, *made) != Outcome()


@pytest.mark.mutation
def test_detects_image_labels_that_are_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels.answers, "labels", lambda seen, _image: seen["Config"]["Labels"])
    tally = Tally()
    labels.run(tally, random.Random(1), time.monotonic() + LONG, 100)
    assert tally.counts["labels"][LEAKED] > 10


@pytest.fixture
def ended(world: World, folder: Path) -> t.Iterator[Operations]:
    with contextlib.closing(Operations(world, folder)) as made:
        yield made


def _nothing(world: World) -> tuple[Work, Victim]:
    work = Work([("backup_set_info", {})], world.scene.socket, lambda: None)
    return work, Victim(world, work, world.kept)


@pytest.mark.mutation
def test_detects_faults_after_an_interrupted_run(ended: Operations, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interruptions, "PATIENCE", 0.2)
    work, run = _nothing(world)
    assert interruptions.after(ended, work, run, (victim.BROKEN, "a traceback")).column == LOST
    assert interruptions.after(ended, work, run, (victim.REFUSED, world.secrets[0])).column == LEAKED
    assert interruptions.after(ended, work, run, (victim.DONE, "")).column == LEFT_RUNNING
    assert run.end()[0] == victim.DONE
    assert interruptions.after(ended, work, run, (victim.DONE, "")) == Outcome()
    plain = world.repository / "objects" / "plain"
    plain.write_text(ended.marks[0])
    assert interruptions.after(ended, work, run, (victim.DONE, "")).column == LEAKED
    plain.unlink()
    operations.change(world, random.Random(1), next(iter(world.truth[world.scene.sets()[-1]])), "deleted")
    assert interruptions.after(ended, work, run, (victim.DONE, "")).column == HALF_VISIBLE


def test_command_adds_to_the_tally_and_prints_the_sum_last(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "faults", "--minutes", "0.1", "--seed", "1", "--kind", "flips"]
    environment = {**os.environ, "CARACAL_OPS_BUILD": str(tmp_path)}
    earlier = Tally()
    earlier.add("cut", "by an earlier run", Outcome())
    earlier.write(tmp_path / "faults.json")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=900)
    last = done.stdout.splitlines()[-1]
    assert done.returncode == 0 and last.startswith("faults: ") and last.endswith("0 lost, 0 half-visible, 0 leaked, 0 left running"), done
    kept = Tally.read(tmp_path / "faults.json")
    assert kept.clean and kept.counts["cut"][SURVIVED] == 1 and kept.counts["flips"][SURVIVED] > 1


@pytest.mark.mutation
def test_tally_lines_are_printable_ascii() -> None:
    tally = Tally()
    tally.add("labels", "\ud800\x1b", Outcome(LOST, "\udcff"))
    assert all(line.isascii() for line in tally.lines())
