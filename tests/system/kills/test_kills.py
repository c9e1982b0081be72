# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`kill -9` at fifty random times, of the module's process or of its whole process group: the next run is not blocked.

The times are drawn from `SEED`, within the duration of one undisturbed run.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import TargetRefused
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import processes
from harness.waiting import came, remains
from scenes import kill_runner
from scenes.fixtures import Committed
from scenes.scene import Scene
from scenes.twin_database import Copier, TwinCluster
from system.kills.box import Box
from twin import load

SEED = 20261125
AGE = b"age-encryption.org/v1\n"

OURS = "SELECT pid, application_name, state, query FROM pg_stat_activity WHERE application_name LIKE 'caracal_ops.backup%'"


@dataclasses.dataclass
class Runner:
    """One run in a separate session. Everything that it starts belongs to the session, unless it is meant to stay."""

    case: str
    scene: Scene
    argument: str

    def __post_init__(self) -> None:
        command = [sys.executable, "-m", kill_runner.__name__, self.case, str(self.scene.root), self.scene.socket, self.argument]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, start_new_session=True, bufsize=0
        )
        assert self._line() == b"ready\n"

    def _line(self) -> bytes:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"go\n")

    def whole(self) -> float:
        """Return the seconds of an undisturbed run."""
        started = time.monotonic()
        self.go()
        assert self._line() == b"done\n"
        seconds = time.monotonic() - started
        self.close()
        return seconds

    def kill(self, after: float, group: bool) -> float | None:
        """Kill the run after `after` seconds. Return None if it was killed, or its seconds if it ended before."""
        started = time.monotonic()
        self.go()
        select.select([self.process.stdout], [], [], after)
        seconds = time.monotonic() - started
        if group:
            os.killpg(self.process.pid, signal.SIGKILL)
        else:
            self.process.kill()
        killed = self._line() != b"done\n"
        self.close()
        return None if killed else min(seconds, after)

    def close(self) -> None:
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()

    def left(self) -> list[str]:
        """Return the processes that still run in its session."""
        return [f"{one.pid} {' '.join(one.argv)}" for one in processes.everyone() if session_of(one.pid) == self.process.pid]


def session_of(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0


class Moments:
    """`number` times of a kill, every second one for the whole process group. `label` identifies each kill in a failure.

    A run that ended before it was killed does not count. The next times are within its duration, and one more is tried.
    """

    def __init__(self, case: str, number: int, seconds: float) -> None:
        self._random = random.Random(f"{SEED} {case}")
        self._case, self._number, self._seconds = case, number, seconds
        self.killed = 0

    def __iter__(self) -> t.Iterator[tuple[str, float, bool]]:
        for number in range(3 * self._number):
            if self.killed == self._number:
                return
            after = self._random.uniform(0, self._seconds)
            yield f"seed {SEED}, {self._case} {number}: {after:.3f} s of {self._seconds:.3f} s", after, number % 2 == 1

    def kill(self, runner: Runner, after: float, group: bool) -> None:
        if (took := runner.kill(after, group)) is None:
            self.killed += 1
        else:
            self._seconds = took
        assert remains(runner.left) == []

    def enough(self) -> None:
        """Check that enough kills came before the end of a run."""
        assert self.killed > self._number // 2, f"only {self.killed} of {self._number} runs were killed before they ended"


# ---- backup


def in_the_clear(repository: Path, marks: list[bytes]) -> list[str]:
    """Return files with a mark, and files with an artifact's name that do not begin like age files."""
    found = []
    for path in (path for path in repository.rglob("*") if path.is_file()):
        data = path.read_bytes()
        if any(mark in data for mark in marks) or (path.suffix == ".age" and not data.startswith(AGE)):
            found.append(str(path))
    return found


@pytest.mark.mutation
def test_finds_plaintext_in_a_repository(scene: Scene, marks: list[bytes]) -> None:
    assert len(marks) > 100 and in_the_clear(scene.repository, marks) == []
    plain = scene.repository / "sets" / ".1.partial"
    plain.write_bytes(b"a row: " + marks[50])
    unsealed = scene.repository / "objects" / "x.age"
    unsealed.write_bytes(b"?")
    assert sorted(in_the_clear(scene.repository, marks)) == sorted([str(plain), str(unsealed)])


def of_set(scene: Scene, set_id: str) -> list[str]:
    """Return files and folders with the ID of a set in their name."""
    return [str(path) for path in scene.repository.rglob("*") if set_id in str(path.relative_to(scene.repository))]


def check_source(source: TwinCluster) -> None:
    assert remains(lambda: source.execute(OURS)) == []


def check_sets(scene: Scene) -> list[str]:
    sets = scene.sets()
    for set_id in sets:
        assert scene.call("backup_set_verify", set_id=set_id)["verdict"] == "pass"
    return sets


def next_backup(scene: Scene, set_id: str, **given: t.Any) -> None:
    """Do the next steps of an operator or the role: finish the killed set if it exists, else abort it, then create a new one."""
    begun = scene.repository.joinpath("journal", "0000000001.json").exists()
    before = check_sets(scene) if begun else []
    if set_id in before:
        assert not scene.call("backup_set", state="committed", set_id=set_id, left_out=kill_runner.LEFT_OUT)["changed"]
    else:
        if begun:
            scene.call("backup_set", state="aborted", set_id=set_id)
        assert of_set(scene, set_id) == []
    scene.backup(**given)
    assert len(check_sets(scene)) == len(before) + 1


@pytest.mark.mutation
@pytest.mark.parametrize(("first", "number"), [(True, 12), (False, 12)], ids=["first", "later"])
def test_killed_backup_does_not_block_the_next_one(
    committed: Committed, empty_scene: Scene, caracal_database: TwinCluster, marks: list[bytes], tmp_path: Path, first: bool, number: int
) -> None:
    base = empty_scene if first else committed.scene
    whole = Runner("backup", base.copy(tmp_path / "whole"), committed.first["set_id"][:-4] + "next")
    moments = Moments(f"backup-{first}", number, whole.whole())
    for number, (label, after, group) in enumerate(moments):
        print(label)
        scene = base.copy(tmp_path / f"{number}")
        set_id = f"20261125T0100{number:02}Z-kill"
        moments.kill(Runner("backup", scene, set_id), after, group)
        check_source(caracal_database)
        assert in_the_clear(scene.repository, marks) == []
        next_backup(scene, set_id)
        assert in_the_clear(scene.repository, marks) == []
        check_source(caracal_database)
    moments.enough()


WAITING = "SELECT query FROM pg_stat_activity WHERE application_name LIKE 'caracal_ops.backup%' AND wait_event_type = 'Lock'"


@pytest.mark.mutation
@pytest.mark.parametrize(("table", "who"), [("zones", "pg_relation_size"), ("ONLY audit_events", "LOCK TABLE")], ids=["we", "pg_dump"])
def test_nothing_remains_of_backup_killed_while_waiting_for_lock(
    committed: Committed, caracal_database: TwinCluster, caracal_copy: Copier, tmp_path: Path, table: str, who: str
) -> None:
    database = caracal_copy()
    runner = Runner("backup", committed.scene.copy(tmp_path / "scene"), f"20261125T010000Z-lock {database}")
    with contextlib.closing(load.open_database(caracal_database.target, database)) as holder, holder.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        runner.go()
        waits = came(lambda: any(who in query for (query,) in caracal_database.execute(WAITING)))
        runner.process.kill()
        runner.close()
        assert waits
        assert remains(runner.left) == []
        check_source(caracal_database)


# ---- restore and sandbox


@pytest.mark.mutation
def test_finds_remains_of_a_running_sandbox(box: Box) -> None:
    """The control: the remains that the tests below search for are found while a sandbox runs."""
    box.make()
    assert box.note()
    found = box.left()
    assert found[-1] == box.directory
    assert any("postgres -D" in line for line in found[:-1])


@pytest.mark.mutation
def test_sandbox_killed_in_initdb_can_be_removed(committed: Committed, box: Box) -> None:
    """Without bubblewrap, root runs initdb as a named user, who then owns its shared memory.

    initdb runs one server after another. A kill between two of them leaves nothing.
    """
    for _attempt in range(20):
        runner = Runner("bare_sandbox", committed.scene, box.directory)
        runner.go()
        came(box.note, pause=0.002)
        os.killpg(runner.process.pid, signal.SIGKILL)
        runner.close()
        stayed = any("initdb" in line or len(line.split()) == 16 for line in box.left())
        box.remove()
        assert remains(box.left) == []
        if stayed:
            break
    assert stayed, "the control: something stays"


@pytest.mark.mutation
@pytest.mark.parametrize("names", [[], [".caracal-ops-sandbox.json.new"]], ids=["nothing", "half a marker"])
def test_unmarked_sandbox_is_removed_unless_it_has_other_files(box: Box, names: list[str]) -> None:
    """This state is too short to be hit by a random kill."""
    for state, left in (("absent", False), ("present", True)):
        os.mkdir(box.directory, 0o700)
        for name in names:
            Path(box.directory, name).write_text("{")
        assert kill_runner.sandbox_state(box.directory, state)
        assert os.path.exists(box.directory) == left
    box.remove()
    os.mkdir(box.directory, 0o700)
    for name in (*names, "precious"):
        Path(box.directory, name).write_text("{")
    with pytest.raises(TargetRefused, match="has no marker"):
        box.remove()
    assert sorted(os.listdir(box.directory)) == sorted([*names, "precious"])
    shutil.rmtree(box.directory)


@pytest.mark.mutation
def test_killed_restore_does_not_block_the_next_one(committed: Committed, box: Box, tmp_path: Path) -> None:
    scene = committed.scene.copy(tmp_path / "scene")
    box.make()
    moments = Moments("restore", 12, Runner("restore", scene, box.directory).whole())
    for label, after, group in moments:
        print(label)
        box.remove()
        box.make()
        moments.kill(Runner("restore", scene, box.directory), after, group)
        box.remove()
        assert remains(box.left) == []
        box.make()
        scene.call("pg_encrypted_restore", sandbox=box.directory)
        check_sets(scene)
    moments.enough()


@pytest.mark.mutation
@pytest.mark.parametrize("case", ["sandbox", "bare_sandbox"])
def test_killed_sandbox_can_be_removed_and_created_again(committed: Committed, box: Box, case: str) -> None:
    moments = Moments(case, 7, Runner(case, committed.scene, box.directory).whole())
    for number, (label, after, group) in enumerate(moments):
        print(label)
        moments.kill(Runner(case, committed.scene, box.directory), after, group)
        if number % 3:
            box.remove()
            assert remains(box.left) == []
        box.make()
        box.remove()
        assert remains(box.left) == []
    moments.enough()
