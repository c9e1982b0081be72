# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs that die with their caller leave no process, at any stage of bubblewrap. The starter changes nothing else."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import tempfile
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import isolation, starter
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream.process import Child, Identity
from harness import small_programs
from harness.waiting import eventually

ORDINARY = Identity(65534, 65534)
MARK = "CARACAL_OPS_TEST_OF_STARTER"
# Without the right to create a PID namespace.
NO_RIGHTS = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", "--"]


@pytest.fixture
def folder() -> t.Iterator[Path]:
    """Yield a directory that every user can enter and write to."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o777)
        yield Path(made)


@pytest.fixture
def stand_in(folder: Path) -> t.Callable[[str], list[str]]:
    """Return a command that starts a shell script in place of bubblewrap, bound to the caller."""

    def words(script: str) -> list[str]:
        path = folder / "bwrap"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return [small_programs.PYTHON, "-I", "-S", "-c", isolation.starter_source(), "", str(path), starter.DIES_WITH_CALLER]

    return words


@pytest.fixture
def marked(request: pytest.FixtureRequest) -> t.Iterator[dict[str, str]]:
    """Yield an environment that marks every process started in it. None of them remains."""
    environment = {**isolation.ENVIRONMENT, MARK: f"{request.node.name}-{os.getpid()}"}
    yield environment
    for pid in living(environment):
        os.kill(pid, signal.SIGKILL)


def living(environment: t.Mapping[str, str]) -> list[int]:
    wanted = f"{MARK}={environment[MARK]}".encode()
    found = []
    for number in filter(str.isdecimal, os.listdir("/proc")):
        try:
            if wanted in Path(f"/proc/{number}/environ").read_bytes().split(b"\0"):
                found.append(int(number))
        except OSError:
            continue
    return found


@contextlib.contextmanager
def called(words: t.Sequence[str], environment: t.Mapping[str, str], identity: Identity | None) -> t.Iterator[None]:
    """Start the command from a separate process, as a module does, and kill that process at the end."""
    ready, started = os.pipe()
    caller = os.fork()
    if caller == 0:
        try:
            Child(words, env=environment, identity=identity)
            os.write(started, b".")
            signal.pause()
        finally:
            os._exit(1)
    try:
        os.read(ready, 1)
        yield
    finally:
        os.kill(caller, signal.SIGKILL)
        os.waitpid(caller, 0)
        for number in (ready, started):
            os.close(number)


@pytest.mark.parametrize("identity", [None, ORDINARY], ids=["root", "ordinary user"])
def test_a_process_that_would_outlive_its_caller_is_ended(
    stand_in: t.Callable[[str], list[str]], marked: dict[str, str], folder: Path, identity: Identity | None
) -> None:
    """The second process does not ask for a death signal, as bubblewrap's second process does at first."""
    with called(stand_in(f"setsid sleep 600 & touch {folder}/started; wait"), marked, identity):
        eventually((folder / "started").exists)
    eventually(lambda: not living(marked))


def test_kill_at_any_point_in_time_leaves_no_process(marked: dict[str, str]) -> None:
    launcher = isolation.Launcher(None, isolation.find_bwrap())
    words = launcher.command(["sleep", "600"], readable=[], writable=[], passwd=None, bound=True)
    dice = random.Random(1)
    for _number in range(40):
        with called(words, marked, None):
            time.sleep(dice.uniform(0, 0.08))
    eventually(lambda: not living(marked))


@pytest.mark.parametrize("before", [[], NO_RIGHTS], ids=["namespace", "none allowed"])
@pytest.mark.parametrize(("script", "status"), [("exit 0", 0), ("exit 3", 3)])
def test_starter_exits_with_status_of_bubblewrap(
    stand_in: t.Callable[[str], list[str]], before: list[str], script: str, status: int
) -> None:
    done = subprocess.run([*before, *stand_in(script)], env=isolation.ENVIRONMENT, check=False, timeout=60)
    assert done.returncode == status


def test_a_signal_that_ends_bubblewrap_is_in_the_status(
    stand_in: t.Callable[[str], list[str]], marked: dict[str, str], folder: Path
) -> None:
    run = subprocess.Popen(stand_in(f"touch {folder}/started; exec sleep 600"), env=marked)
    eventually((folder / "started").exists)
    os.kill(next(pid for pid in living(marked) if pid != run.pid), signal.SIGKILL)
    assert run.wait(60) == starter.BY_SIGNAL + signal.SIGKILL


def test_streams_are_the_programs_alone(stand_in: t.Callable[[str], list[str]]) -> None:
    """The streams are closed when the program closes them, although the waiting process continues."""
    with subprocess.Popen(
        stand_in("exec >&- 2>&-; read line"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as run:
        assert run.stdout is not None and run.stderr is not None
        assert (run.stdout.read(), run.stderr.read()) == (b"", b"")
        assert run.poll() is None
        run.communicate(b"go\n")
    assert run.returncode == 0


def test_an_ordinary_user_stays_itself(stand_in: t.Callable[[str], list[str]]) -> None:
    done = subprocess.run(
        stand_in("id -u; id -g"),
        env=isolation.ENVIRONMENT,
        user=ORDINARY.uid,
        group=ORDINARY.gid,
        extra_groups=[],
        capture_output=True,
        check=True,
    )
    assert done.stdout.split() == [str(ORDINARY.uid).encode(), str(ORDINARY.gid).encode()]


def test_unbound_program_gets_no_namespace(stand_in: t.Callable[[str], list[str]]) -> None:
    """A service of a sandbox runs longer than the module that starts it."""
    words = stand_in("echo $$")[:-1]
    with subprocess.Popen(words, env=isolation.ENVIRONMENT, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None and int(run.stdout.read()) == run.pid
