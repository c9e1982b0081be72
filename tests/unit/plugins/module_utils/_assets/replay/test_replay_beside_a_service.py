# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service writes and drains at full speed while its directory is read: no event is lost, torn or duplicated."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import tarfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._assets.replay import replay_reading
from ansible_collections.caracal_ops.backup.plugins.module_utils._assets.replay.replay_reading import INCOMPLETE, Found, Reading
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import replay
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.volume.live import Directory
from harness.waiting import eventually
from scenes import replay_folders
from scenes.replay_folders import ReplayFolder, events, folder
from scenes.scene import Scene
from unit.plugins.module_utils._assets.replay.test_replay_volumes import archive, commit, restore

PAIRS = 50
WHOLE_SETS = 5


class Service:
    """The writer and the lines of its log so far."""

    def __init__(self, folder: ReplayFolder, seed: int) -> None:
        self._log = folder.volume / "log"
        self._log.touch()
        self._read = 0
        self._ids: dict[str, set[str]] = {"w": set(), "f": set(), "d": set()}
        command = [sys.executable, replay_folders.__file__, str(folder.path), str(self._log), str(seed)]
        self._process = subprocess.Popen(command)

    def ids(self, kind: str) -> set[str]:
        """Return the IDs in the log's lines of `kind`. A line that is being written is left out."""
        with open(self._log, encoding="ascii") as log:
            log.seek(self._read)
            new = log.read().rpartition("\n")[0]
        for line in new.split("\n") if new else ():
            self._ids[line[0]].add(line[2:])
        self._read += len(new) + 1 if new else 0
        return set(self._ids[kind])

    def wait_for(self, count: int) -> None:
        """Wait until this many events are durable."""
        eventually(lambda: len(self.ids("f")) >= count or self._process.poll() is not None, pause=0.01)
        assert self._process.poll() is None

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


@contextlib.contextmanager
def service(folder: ReplayFolder, seed: int) -> t.Iterator[Service]:
    made = Service(folder, seed)
    try:
        made.wait_for(200)
        yield made
    finally:
        made.stop()


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer never pauses, so a second check immediately shows that a line is being written."""
    monkeypatch.setattr(replay_reading, "PAUSE", 0.02)


def read(folder: ReplayFolder, earlier: Found | None) -> tuple[Found, dict[str, bytes]]:
    """Run one pass and unpack it with another tar reader."""
    out = io.BytesIO()
    with Directory(str(folder.volume), replay.FOLDER) as directory:
        found = Reading(directory, earlier.seen if earlier else None, out).run()
    out.seek(0)
    with tarfile.open(fileobj=out) as packed:
        return found, {one.name: t.cast("t.IO[bytes]", packed.extractfile(one)).read() for one in packed}


def check(union: t.Mapping[str, bytes], durable: set[str], writer: Service) -> int:
    """Assert that every event durable at the start is present or drained, and that each line is complete, unique and known."""
    found = events(content for name, content in union.items() if not name.startswith(INCOMPLETE))
    assert all(content.endswith(b"\n") for name, content in union.items() if content and not name.startswith(INCOMPLETE))
    assert len(found) == len(set(found))
    drained = writer.ids("d")
    assert durable - set(found) <= drained
    assert set(found) <= writer.ids("w")
    return len(found)


@pytest.mark.no_false_alarm
def test_two_passes_over_busy_directory_lose_no_event(tmp_path: Path) -> None:
    busy, seen, drained, longer = folder(tmp_path / "busy"), 0, 0, 0
    with service(busy, 1) as writer:
        for pair in range(PAIRS):
            durable = writer.ids("f")
            first, members = read(busy, None)
            writer.wait_for(len(writer.ids("f")) + (1, 400)[pair % 2])  # in the same file, or many files later
            between = writer.ids("f")  # every event durable before pass 2 begins is in one of the two
            second, others = read(busy, first)
            assert second.other == [] and first.unparsable == second.unparsable == []
            seen += check({**members, **others}, durable | between, writer)
            drained += len(second.drained)
            longer += len(members.keys() & others.keys())
    # Otherwise this test would prove nothing.
    print(f"{seen} events seen, {drained} files drained between two readings, {longer} files longer")
    assert seen > 10_000 and drained > 20 and longer > 0


@pytest.mark.mutation
def test_check_reports_torn_duplicate_and_missing_events(tmp_path: Path) -> None:
    torn = {"pending-1-1.ndjson": replay_folders.event("one") + b'{"id":"two'}
    with service(folder(tmp_path / "busy"), 2) as writer, pytest.raises(ValueError):
        check(torn, set(), writer)
    doubled = {"pending-1-1.ndjson": replay_folders.event("one"), "pending-1-2.ndjson": replay_folders.event("one")}
    with pytest.raises(AssertionError):
        check(doubled, set(), writer)
    with pytest.raises(AssertionError):
        check({}, {"never drained"}, writer)


@pytest.mark.no_false_alarm
def test_sets_from_busy_directory_lose_no_event(dumped: Scene, tmp_path: Path) -> None:
    busy = folder(tmp_path / "busy")
    with service(busy, 3) as writer:
        for number in range(WHOLE_SETS):
            scene, copy = dumped.copy(tmp_path / f"scene-{number}"), folder(tmp_path / f"copy-{number}")
            archive(scene, 1, busy)
            durable = writer.ids("f")
            archive(scene, 2, busy)
            commit(scene)
            restore(scene, copy)
            assert check(copy.content(), durable, writer) > 0
