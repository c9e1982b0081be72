# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backup, restore, prune, archive and copy that end in the middle: by SIGKILL, by a full disk, by a connection that is cut."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import server_binaries
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import lifecycle, processes
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import SandboxSpec
from faults import victim
from faults.tally import HALF_VISIBLE, LEAKED, LEFT_RUNNING, LOST, Outcome, Tally
from faults.wire import cut_after
from faults.world import Step, World, truth_of
from harness.fixtures import sandbox_path
from twin import exports, load

PATIENCE = 120.0
LONGEST = 120.0
OURS = "SELECT pid, query FROM pg_stat_activity WHERE application_name LIKE 'caracal_ops.backup%'"
MARKS = "SELECT name FROM applications UNION SELECT content FROM policy_versions UNION SELECT id FROM audit_events LIMIT 100"


@dataclasses.dataclass
class Work:
    """`steps` of one operation, the socket of the database that it uses, and how to make it possible once more after it was ended.

    `again` returns the steps to take then, if they are others.
    """

    steps: list[Step]
    socket: str
    again: t.Callable[[], list[Step] | None]


class Operations:
    """Processes that can be ended. `folder` is where they write to, besides the repository."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world, self.folder = world, folder
        self._number = 0
        self._install = server_binaries.find(None, minimum_major=17)
        self.sandbox = sandbox_path()
        with contextlib.closing(load.open_database(world.deployment.cluster.target, "caracal")) as connection:
            exports.export(connection, str(folder / "exports"))
            connection.commit()
        self.marks = [text for (text,) in world.deployment.cluster.execute(MARKS) if len(text) > 12]

    def backup(self) -> Work:
        set_id, scene = self._new_id(), self.world.scene

        def again() -> list[Step] | None:
            if set_id in scene.sets():  # what ended it came after the commit
                return self.world.steps(self._new_id())
            scene.call("backup_set", state="aborted", set_id=set_id)
            return None

        return Work(self.world.steps(set_id), self.world.scene.socket, again)

    def _new_id(self) -> str:
        self._number += 1
        minutes, seconds = divmod(self._number, 60)
        return f"20261102T{minutes // 60:02d}{minutes % 60:02d}{seconds:02d}Z-flts"

    def restore(self) -> Work:
        """Into a sandbox, as a drill does."""
        lifecycle.destroy(self.sandbox)
        lifecycle.create(SandboxSpec(self.sandbox, self._install))

        def again() -> None:
            lifecycle.destroy(self.sandbox)
            lifecycle.create(SandboxSpec(self.sandbox, self._install))

        return Work([("pg_encrypted_restore", {"sandbox": self.sandbox})], "", again)

    def prune(self) -> Work:
        return Work([("backup_prune", {"keep_last": 1, "minimum": 1})], "", lambda: None)

    def copy(self) -> Work:
        destination = self.folder / "copy"
        shutil.rmtree(destination, ignore_errors=True)
        return Work([("repository_copy", {"destination": str(destination)})], "", lambda: None)

    def archive(self) -> Work:
        archive = self.folder / "archive"
        shutil.rmtree(archive, ignore_errors=True)
        given = {"source": str(self.folder / "exports"), "archive": str(archive)}
        return Work([("audit_export_archive", given)], "", lambda: None)

    def choose(self, dice: random.Random) -> tuple[str, Work]:
        name = dice.choice(("backup", "backup", "restore", "prune", "copy", "archive"))
        return name, getattr(self, name)()

    def close(self) -> None:
        lifecycle.destroy(self.sandbox)


class Victim:
    """One run in a session of its own."""

    def __init__(self, world: World, work: Work, scratch: Path, *, socket: str | None = None, room: int = -1) -> None:
        plan = json.dumps({"steps": work.steps, "room": room})
        command = [sys.executable, "-m", victim.__name__, str(world.scene.root), socket or work.socket, plan]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(scratch)}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=environment, start_new_session=True
        )
        assert self.process.stdout and self.process.stdout.readline() == b"ready\n"

    def end(self, after: float | None = None, *, group: bool = False) -> tuple[str, str]:
        """Run it to its end or for so many seconds. Return how it ended, and its output."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(b"go\n")
        self.process.stdin.flush()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(LONGEST if after is None else after)
        if self.process.poll() is None:
            (os.killpg if group else os.kill)(self.process.pid, signal.SIGKILL)
        output = self.process.stdout.read()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            stream.close()
        return t.cast("tuple[str, str]", tuple(json.loads(output))) if output.strip() else ("killed", "")

    def left(self) -> list[str]:
        return [" ".join(one.argv)[:100] for one in processes.everyone() if _session(one.pid) == self.process.pid]


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0


def _soon(look: t.Callable[[], list[t.Any]]) -> list[t.Any]:
    deadline = time.monotonic() + PATIENCE
    while (seen := look()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return seen


def after(operations: Operations, work: Work, run: Victim, ended: tuple[str, str]) -> Outcome:
    """Check what must be true after every interruption."""
    world = operations.world
    if ended[0] == victim.BROKEN:
        return Outcome(LOST, f"ended in a traceback: {ended[1][-600:]}")
    if leaked := world.leaked(ended[1]) or _in_the_clear(operations):
        return Outcome(LEAKED, leaked)
    if left := _soon(run.left) or _soon(lambda: world.deployment.cluster.execute(OURS)):
        return Outcome(LEFT_RUNNING, f"{left[0]}")
    try:
        if wrong := _half_visible(world):
            return Outcome(HALF_VISIBLE, wrong)
        for module, options in work.again() or work.steps:
            world.scene.call(module, **options)
        wrong = _half_visible(world)
    except BackupError as exc:
        return Outcome(LOST, f"after it, {exc.msg}")
    return Outcome(HALF_VISIBLE, wrong) if wrong else Outcome()


def _half_visible(world: World) -> str:
    """Errors of a listed set. A set that a prune deleted is not listed, and the others are unchanged."""
    scene = world.scene
    sets = scene.sets()
    for set_id in sets:
        result = scene.call("backup_set_verify", set_id=set_id, require_valid=False)
        if result["verdict"] != "pass":
            return f"set {set_id}: {result['msg']}"
    kept = {set_id: world.truth[set_id] for set_id in sets if set_id in world.truth}
    return "" if kept and truth_of(scene, kept) == kept else "a set of before holds other bytes"


def _in_the_clear(operations: Operations) -> str:
    """A file outside the sandbox that holds a secret or a row as it is."""
    marks = [text.encode() for text in (*operations.world.secrets, *operations.marks)]
    places = [operations.world.repository, operations.folder / "copy", operations.folder / "scratch"]
    for path in (path for place in places for path in place.rglob("*") if path.is_file()):
        data = path.read_bytes()
        if any(mark in data for mark in marks):
            return f"{path.name} holds plain text"
    return ""


def _scratch(operations: Operations) -> Path:
    folder = operations.folder / "scratch"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def kills(operations: Operations, tally: Tally, dice: random.Random, deadline: float, most: int | None = None) -> None:
    """SIGKILL of the process or of its whole group, at a random moment of the time that such a run takes."""
    takes: dict[str, float] = {}
    for _number in range(most or 1 << 62):
        if time.monotonic() > deadline:
            break
        name, work = operations.choose(dice)
        delay, group = dice.uniform(0, takes.get(name, 1.0)), dice.random() < 0.5
        begun = time.monotonic()
        run = Victim(operations.world, work, _scratch(operations))
        ended = run.end(delay, group=group)
        if ended[0] == victim.DONE:
            takes[name] = max(0.05, 0.9 * min(delay, time.monotonic() - begun))
        elif delay > 0.9 * takes.get(name, 1.0):
            takes[name] = 1.2 * takes.get(name, 1.0)
        tally.add("kills", f"{name} after {delay:.3f} s{', its group' if group else ''}", after(operations, work, run, ended))
        operations.world.mend()


def full(operations: Operations, tally: Tally, dice: random.Random, deadline: float, most: int | None = None) -> None:
    """No file may grow beyond a random size, from nothing to more than any needs."""
    for _number in range(most or 1 << 62):
        if time.monotonic() > deadline:
            break
        name, work = operations.choose(dice)
        room = int(2 ** dice.uniform(0, 17))
        run = Victim(operations.world, work, _scratch(operations), room=room)
        tally.add("full disks", f"{name} with room for {room} bytes a file", after(operations, work, run, run.end()))
        operations.world.mend()


def cut(operations: Operations, tally: Tally, dice: random.Random, deadline: float, most: int | None = None) -> None:
    """The connections to the source's PostgreSQL or Redis end after a random number of bytes."""
    world = operations.world
    for _number in range(most or 1 << 62):
        if time.monotonic() > deadline:
            break
        scratch = _scratch(operations)
        work = operations.backup()
        which = dice.choice(("postgres", "redis"))
        budget = int(2 ** dice.uniform(4, 21 if which == "postgres" else 18))
        label = f"{which} after {budget} bytes"
        name = f".s.PGSQL.{world.deployment.cluster.info.port}" if which == "postgres" else "redis.sock"
        target = os.path.join(world.scene.socket, name) if which == "postgres" else world.redis.socket
        way = Path(sandbox_path())  # short, as its sockets need it
        way.mkdir()
        steps = work.steps
        if which == "redis":
            work = dataclasses.replace(work, steps=[_through(step, target, str(way / name)) for step in steps])
        with cut_after(budget, str(way / name), target):
            run = Victim(world, work, scratch, socket=str(way) if which == "postgres" else None)
            ended = run.end()
        shutil.rmtree(way)
        tally.add("cut", label, after(operations, dataclasses.replace(work, steps=steps), run, ended))
        world.mend()


def _through(step: Step, target: str, way: str) -> Step:
    module, options = step
    return module, {name: way if value == target else value for name, value in options.items()}
