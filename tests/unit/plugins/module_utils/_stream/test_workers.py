# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno
import gc
import multiprocessing
import os
import signal
import struct
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils import _errors
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream import workers
from harness.waiting import PATIENCE, eventually, remains

FORK = multiprocessing.get_context("fork")


def later(seconds: float, value: t.Any) -> t.Any:
    time.sleep(seconds)
    return value


def touch(path: Path, seconds: float = 0) -> None:
    time.sleep(seconds)
    path.write_text("done")


def fail(kind: type[Exception], *args: t.Any, **details: t.Any) -> t.NoReturn:
    raise kind(*args, **details)


def die(number: int) -> None:
    os.kill(os.getpid(), number)


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stream:
            return stream.read().rpartition(")")[2].split()[0] != "Z"
    except OSError as exc:
        if exc.errno in (errno.ENOENT, errno.ESRCH):
            return False
        raise


def test_no_task_gives_no_result() -> None:
    assert workers.run_all([], 2) == []


@pytest.mark.parametrize("jobs", [1, 2, 8])
def test_results_come_in_the_order_of_the_tasks(jobs: int) -> None:
    tasks: list[workers.Task] = [(later, (0.15 / (1 + n), n)) for n in range(6)]
    assert workers.run_all(tasks, jobs) == list(range(6))


def test_no_more_than_asked_for_run_at_once(tmp_path: Path) -> None:
    running, came = tmp_path / "running", tmp_path / "came"
    running.mkdir()
    came.mkdir()

    def watch(name: str) -> int:
        (running / name).touch()
        (came / name).touch()
        eventually(lambda: len(list(came.iterdir())) > 1)  # the first two wait for each other
        time.sleep(0.05)
        most = len(list(running.iterdir()))
        (running / name).unlink()
        return most

    assert max(workers.run_all([(watch, (str(n),)) for n in range(6)], 2)) == 2


def test_a_large_result_comes_whole() -> None:
    assert workers.run_all([(later, (0, b"x" * (8 << 20)))], 1) == [b"x" * (8 << 20)]


@pytest.mark.mutation
def test_the_first_error_ends_the_rest(tmp_path: Path) -> None:
    slow, waiting = tmp_path / "slow", tmp_path / "waiting"
    tasks: list[workers.Task] = [(touch, (slow, 600)), (fail, (_errors.StorageError, "the disk is full")), (touch, (waiting,))]
    started = time.monotonic()
    with pytest.raises(_errors.StorageError, match=r"^the disk is full$"):
        workers.run_all(tasks, 2)
    assert time.monotonic() - started < PATIENCE
    assert not slow.exists()
    assert not waiting.exists()
    assert multiprocessing.active_children() == []


@pytest.mark.mutation
@pytest.mark.parametrize("kind", [one for one in vars(_errors).values() if isinstance(one, type) and issubclass(one, _errors.BackupError)])
def test_an_error_of_ours_keeps_class_words_and_details(kind: type[_errors.BackupError]) -> None:
    def work() -> None:
        raise kind("which, what, remedy", checks=[{"id": "a"}], path="x")

    with pytest.raises(kind) as caught:
        workers.run_all([(work, ())], 1)
    assert caught.type is kind
    assert (caught.value.msg, caught.value.details) == ("which, what, remedy", {"checks": [{"id": "a"}], "path": "x"})


@pytest.mark.mutation
def test_another_error_names_task_and_place() -> None:
    with pytest.raises(_errors.StageFailed, match=r"^fail failed: ValueError: odd \(fail, line \d+\)$"):
        workers.run_all([(fail, (ValueError, "odd"))], 1)


@pytest.mark.mutation
def test_a_result_that_cannot_travel_is_an_error() -> None:
    with pytest.raises(_errors.StageFailed, match=r"^later failed: \w+: Can.t (pickle|get) local object"):
        workers.run_all([(later, (0, lambda: None))], 1)


@pytest.mark.mutation
def test_a_worker_that_was_killed_is_named() -> None:
    with pytest.raises(_errors.StageFailed, match=r"without a result \(exit code -9\); check the system log for the OOM killer"):
        workers.run_all([(die, (signal.SIGKILL,))], 1)


@pytest.mark.mutation
def test_a_worker_that_was_killed_in_the_middle_of_its_answer_is_named() -> None:
    receiver, sender = FORK.Pipe(duplex=False)

    def half() -> None:
        os.write(sender.fileno(), struct.pack("!i", 1000) + b"half")
        os.kill(os.getpid(), signal.SIGKILL)

    process = FORK.Process(target=half)
    process.start()
    sender.close()
    with pytest.raises(_errors.StageFailed, match=r"exit code -9"):
        workers._result(receiver, process)


@pytest.mark.mutation
def test_a_deadline_ends_what_still_runs(tmp_path: Path) -> None:
    slow = tmp_path / "slow"
    started = time.monotonic()
    with pytest.raises(_errors.StageFailed, match=r"^the run did not end within max_duration and was stopped"):
        workers.run_all([(touch, (slow, 600)), (later, (0, 1))], 2, time.monotonic() + 0.3)
    assert time.monotonic() - started < PATIENCE
    assert multiprocessing.active_children() == []
    assert not slow.exists()


def test_a_deadline_that_was_met_changes_nothing() -> None:
    assert workers.run_all([(later, (0, n)) for n in range(4)], 2, time.monotonic() + PATIENCE) == [0, 1, 2, 3]


def test_return_value_of_keep_replaces_each_result(tmp_path: Path) -> None:
    came: list[tuple[int, str]] = []

    def keep(index: int, result: str) -> str:
        came.append((index, result))
        (tmp_path / result).touch()
        return result.upper()

    def last(result: str) -> str:
        eventually((tmp_path / "c").exists)
        return result

    tasks: list[workers.Task] = [(last, ("a",)), (later, (0, "b")), (later, (0, "c"))]
    assert workers.run_all(tasks, 2, keep=keep) == ["A", "B", "C"]
    assert came == [(1, "b"), (2, "c"), (0, "a")]  # in the order of completion, not of the tasks


def test_results_of_which_nothing_is_kept() -> None:
    seen: list[int] = []
    assert workers.run_all([(later, (0, n)) for n in range(3)], 1, keep=lambda _index, result: seen.append(result)) == [None] * 3
    assert seen == [0, 1, 2]


@pytest.mark.mutation
def test_an_error_while_keeping_ends_the_rest(tmp_path: Path) -> None:
    slow, waiting = tmp_path / "slow", tmp_path / "waiting"
    tasks: list[workers.Task] = [(touch, (slow, 600)), (later, (0, 1)), (touch, (waiting,))]
    started = time.monotonic()
    with pytest.raises(_errors.StorageError, match=r"^no room$"):
        workers.run_all(tasks, 2, keep=lambda _index, _result: fail(_errors.StorageError, "no room"))
    assert time.monotonic() - started < PATIENCE
    assert not slow.exists()
    assert not waiting.exists()
    assert multiprocessing.active_children() == []


@pytest.mark.mutation
def test_a_task_that_failed_has_no_result_to_keep() -> None:
    with pytest.raises(_errors.StageFailed, match=r"ValueError"):
        workers.run_all([(fail, (ValueError, "odd"))], 1, keep=lambda _index, _result: fail(_errors.StorageError, "kept"))


def test_follow_up_task_runs_before_waiting_tasks(tmp_path: Path) -> None:
    def enter(name: str) -> str:
        with open(tmp_path / "order", "a") as stream:
            stream.write(f"{name}\n")
        return name

    tasks: list[workers.Task] = [(enter, (name,)) for name in ("first", "second", "third")]
    then: dict[int, workers.Task] = {0: (enter, ("after the first",)), 2: (enter, ("after the third",))}
    assert workers.run_all(tasks, 1, then=then) == ["first", "second", "third"]
    assert (tmp_path / "order").read_text().splitlines() == ["first", "after the first", "second", "third", "after the third"]


def test_nothing_follows_before_its_task_has_ended(tmp_path: Path) -> None:
    def look() -> None:
        (tmp_path / "seen").write_text(str((tmp_path / "slow").exists()))

    assert workers.run_all([(touch, (tmp_path / "slow", 0.3))], 4, then={0: (look, ())}) == [None]
    assert (tmp_path / "seen").read_text() == "True"


@pytest.mark.mutation
def test_an_error_in_what_follows_is_raised(tmp_path: Path) -> None:
    slow = tmp_path / "slow"
    tasks: list[workers.Task] = [(later, (0, 1)), (touch, (slow, 600))]
    with pytest.raises(_errors.StorageError, match=r"^no room for an index$"):
        workers.run_all(tasks, 2, then={0: (fail, (_errors.StorageError, "no room for an index"))})
    assert not slow.exists()
    assert multiprocessing.active_children() == []


@pytest.mark.mutation
def test_nothing_follows_what_failed(tmp_path: Path) -> None:
    with pytest.raises(_errors.StageFailed, match=r"ValueError"):
        workers.run_all([(fail, (ValueError, "odd"))], 1, then={0: (touch, (tmp_path / "followed",))})
    assert not (tmp_path / "followed").exists()


PARENT = """
import os, time
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream import workers

def work():
    os.write(1, b"%d\\n" % os.getpid())
    time.sleep(600)

workers.run_all([(work, ()), (work, ())], 2)
"""


@pytest.mark.mutation
def test_workers_die_with_their_parent() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        children = [int(parent.stdout.readline()) for _turn in range(2)]
        parent.kill()
        parent.wait()
        assert remains(lambda: [pid for pid in children if alive(pid)]) == []


class Slow:
    """An object whose end waits for a thread that exists only in the process that created it."""

    def __init__(self) -> None:
        self.me = self  # only a garbage collection frees it
        self.pid = os.getpid()

    def __del__(self) -> None:
        if os.getpid() != self.pid:
            time.sleep(2 * PATIENCE)


def _collect() -> int:
    return gc.collect() * 0 + 7


@pytest.mark.mutation
def test_a_worker_does_not_free_what_its_parent_made() -> None:
    gc.disable()
    try:
        Slow()
        started = time.monotonic()
        assert workers.run_all([(_collect, ())], 1) == [7]
        assert time.monotonic() - started < PATIENCE
    finally:
        gc.enable()
