# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nothing remains of runs that are killed; everything that belongs to another run or to no run stays."""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import json
import os
import signal
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import processes
from harness import leftovers, runs, small_programs
from harness.runs import Run
from harness.users import only_root
from unit.isolation import inner_run
from unit.isolation.inner_run import InnerRun, eventually

SLEEP = (sys.executable, "-I", "-c", "import time; time.sleep(3600)")
# One process of each kind that tests start: in a sandbox and outside it, with the run's environment, without it, and
# with an overwritten one. Under root, also a process that a sandbox's server started and that does not name the run
# anywhere.
HOLDS = f"""
    import json, os, pathlib, subprocess, time
    from harness import runs, small_programs
    from scenes import redis_server
    from harness.fixtures import sandbox_path
    from unit.twin.conftest import server

    def segment(data):
        return pathlib.Path(data, "postmaster.pid").read_text().splitlines()[6].split()

    def test_holds(fresh_cluster, server_install):
        folder = runs.folder("test")
        if os.geteuid() == 0:
            subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)
        sleep = {SLEEP!r}
        with redis_server.start() as redis, server() as twin:
            noted = pathlib.Path(twin["host"], "data", "postmaster.pid").read_text().splitlines()
            started = [
                subprocess.Popen(sleep, cwd="/", start_new_session=True),
                subprocess.Popen(sleep, cwd=folder, env={{}}, start_new_session=True),
                subprocess.Popen([*sleep, folder], cwd="/", env={{}}, start_new_session=True),
            ]
            bare = small_programs.make("bare", sandbox_path(), server_install).info
            if os.geteuid() == 0:
                started.append(subprocess.Popen(["sleep", "3600"], cwd="/", env={{}}, start_new_session=True, user=bare.uid))
            data = [os.path.join(twin["host"], "data"), bare.data_directory]
            pids = [int(noted[0]), bare.pid, fresh_cluster().pid, redis.process.pid, *(one.pid for one in started)]
            note = {{"run": str(runs.own()), "pids": pids, "segments": [segment(one) for one in data]}}
            pathlib.Path("new").write_text(json.dumps(note))
            os.rename("new", "note")
            time.sleep(3600)
"""
# The test of the next run: none of these processes exists any more.
LOOKS = """
    from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import processes

    def test_looks():
        assert [pid for pid in {pids} if processes.look(pid)] == []
"""
LEAVES = f"""
    import json, pathlib, subprocess
    from harness import runs

    def test_leaves():
        left = subprocess.Popen({SLEEP!r}, cwd="/", start_new_session=True)
        pathlib.Path("note").write_text(json.dumps([left.pid, runs.folder("test")]))
"""


@dataclasses.dataclass(frozen=True)
class Held:
    """A run that will be killed, with all its processes and its shared memory. `worker` is the run that executes the test."""

    inner: InnerRun
    worker: Run
    controller: Run
    processes: list[processes.Process]
    segments: list[list[str]]

    def alive(self) -> list[str]:
        found = [(one, processes.look(one.pid)) for one in self.processes]
        return [" ".join(one.argv) for one, now in found if now is not None and now.start_time == one.start_time]

    def left(self) -> list[str]:
        """Return the remaining processes, directories, mounts and shared memory."""
        found = [
            path for run in (self.worker, self.controller) for place in runs.PLACES for path in glob.glob(f"{place}/caracal-*-{run}-*")
        ]
        found += [line for line in Path("/proc/self/mounts").read_text().splitlines() if f"-{self.worker}-" in line]
        found += [line for line in Path("/proc/sysvipc/shm").read_text().splitlines() if line.split()[:2] in self.segments]
        return self.alive() + found

    def gone(self) -> bool:
        return not self.left()

    def kill(self, *pids: int) -> None:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def held(folder: Path, *arguments: str) -> t.Iterator[Held]:
    """Yield a run that has everything that a test can start."""
    inner = inner_run.start(folder, HOLDS, *arguments)
    try:
        eventually(lambda: (folder / "note").exists() or inner.process.poll() is not None)
        assert inner.process.poll() is None, inner.log.read_text()
        note = json.loads((folder / "note").read_text())
        worker, controller = runs.parse(note["run"]), run_of(inner.process.pid)
        assert worker and controller
        pids = {inner.process.pid, worker.pid, *note["pids"]}
        found = Held(inner, worker, controller, processes.with_children(lambda one: one.pid in pids), note["segments"])
        # everything that must disappear exists and is found.
        assert len(found.alive()) > len(pids) and len(found.left()) > len(found.alive()) + 2
        yield found
    finally:
        inner.process.kill()
        inner.process.wait()
        leftovers.clear()


def run_of(pid: int) -> Run | None:
    """Return the run that this process is, if it is a run."""
    found = processes.look(pid)
    return None if found is None else dataclasses.replace(runs.own(), pid=pid, start_time=found.start_time)


def companion(run: Run) -> int | None:
    return next((one.pid for one in processes.everyone() if one.argv[1:] == ("-m", "harness.leftovers", str(run))), None)


@pytest.mark.mutation
@pytest.mark.parametrize("workers", [0, 1])
def test_nothing_is_left_of_a_run_that_is_killed(tmp_path: Path, workers: int) -> None:
    """The run's companion cleans up, also for the workers, which are killed with the run."""
    with held(tmp_path / "killed", "-n", str(workers)) as found:
        found.kill(found.inner.process.pid)
        found.inner.process.wait()
        eventually(found.gone)
        eventually(lambda: companion(found.controller) is None)


@pytest.mark.mutation
def test_next_run_cleans_up_if_the_companion_was_also_killed(tmp_path: Path) -> None:
    with held(tmp_path / "killed", "-n", "0") as found:
        watching = companion(found.controller)
        assert watching is not None
        found.kill(watching, found.inner.process.pid)
        found.inner.process.wait()
        assert len(found.alive()) == len(found.processes) - 1, "the control: nothing but the run itself has ended"
        source = LOOKS.format(pids=[one.pid for one in found.processes])
        ended = inner_run.start(tmp_path / "next", source, "-n", "0").outcomes()
        assert ended["test_looks"] == "PASSED", ended[""]
        assert found.left() == []


@pytest.mark.mutation
def test_nothing_is_left_of_a_run_that_ends(tmp_path: Path) -> None:
    """The run itself cleans up, so nothing is left for the companion."""
    ended = inner_run.start(tmp_path / "ends", LEAVES, "-n", "0").outcomes()
    assert ended["test_leaves"] == "PASSED", ended[""]
    pid, folder = json.loads((tmp_path / "ends" / "note").read_text())
    assert processes.look(pid) is None and not os.path.exists(folder)


@pytest.mark.mutation
def test_nothing_is_left_of_a_worker_that_is_killed(tmp_path: Path) -> None:
    """The run continues without the worker. If the worker is still dying when the run ends, the run's companion cleans up."""
    with held(tmp_path / "killed", "-n", "1") as found:
        found.kill(found.worker.pid)
        assert "crashed" in found.inner.outcomes()[""]
        eventually(found.gone)


# ---- what must stay


def dead() -> Run:
    """Return a run whose pid now belongs to another process."""
    return dataclasses.replace(runs.own(), start_time=runs.own().start_time - 1)


@contextlib.contextmanager
def sleeper(run: Run, *arguments: str, cwd: str = "/") -> t.Iterator[subprocess.Popen[bytes]]:
    """Yield a process of that run."""
    with subprocess.Popen([*SLEEP, *arguments], env={runs.VARIABLE: str(run)}, cwd=cwd, start_new_session=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_ends_processes_of_a_dead_run() -> None:
    """The control of the tests below."""
    with sleeper(dead()) as process:
        leftovers.clear()
        assert process.wait() == -signal.SIGKILL


@pytest.mark.no_false_alarm
def test_processes_of_a_living_run_stay() -> None:
    """A process of a living run stays, even if it uses a directory of a dead run."""
    own, left = runs.folder("test"), Path(f"{runs.DISK}/caracal-test-{dead()}-0")
    left.mkdir()
    with sleeper(runs.own(), str(left)) as process:
        leftovers.clear()
        assert process.poll() is None and os.path.isdir(own) and not left.exists()
    os.rmdir(own)


@pytest.mark.no_false_alarm
def test_processes_and_directories_of_another_namespace_stay() -> None:
    """Another container may have the same directories and visible processes, but its runs are not ours."""
    foreign = dataclasses.replace(dead(), namespace=dead().namespace + 1)
    folder = Path(f"{runs.DISK}/caracal-test-{foreign}-0")
    folder.mkdir()
    try:
        with sleeper(foreign) as process:
            leftovers.clear()
            assert process.poll() is None and folder.exists()
    finally:
        folder.rmdir()


@pytest.mark.mutation
@only_root
def test_another_users_directory_named_like_a_dead_run_stays() -> None:
    """Every user can write to this directory. Root would delete the target of another user's directory or link."""
    folder, link = (Path(f"{runs.DISK}/caracal-test-{dead()}-{number}") for number in (0, 1))
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    link.symlink_to(folder)
    try:
        leftovers.clear()
        assert folder.exists() and link.is_symlink()
    finally:
        link.unlink()
        folder.rmdir()


@pytest.mark.no_false_alarm
def test_a_terminal_process_in_a_leftover_directory_survives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(runs.VARIABLE)
    folder = Path(f"{runs.DISK}/caracal-test-{dead()}-0")
    folder.mkdir()
    with small_programs.person_in(str(folder)) as person:
        leftovers.clear()
        assert processes.look(person) is not None and not folder.exists()


CLEARS = "import sys; from harness import leftovers, runs; leftovers.clear(ended=runs.parse(sys.argv[1]))"


@pytest.mark.no_false_alarm
def test_cleanup_spares_its_own_process_and_its_parent() -> None:
    """The clearing process and its parent belong to the ended run."""
    with sleeper(runs.own()) as process:
        run = run_of(process.pid)
        assert run is not None
        with sleeper(run) as control:
            environment = {**os.environ, runs.VARIABLE: str(run), "PYTHONPATH": os.pathsep.join(sys.path)}
            command = ["sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-c", CLEARS, str(run)]
            assert subprocess.run(command, env=environment, check=False).returncode == 0
            assert control.wait() == -signal.SIGKILL


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("text", ["", "12", "1.2.g", "1.2.f ", "-1.2.f", "caracal-test-0123456789ab"])
def test_malformed_run_names_are_not_parsed(text: str) -> None:
    assert runs.parse(text) is None and runs.named_in(f"{runs.DISK}/caracal-test-{text}-0") is None
