# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parallel processes. Hashing many short rows holds Python's lock, so threads would not run in parallel.

Each task gets its own process, which dies with its parent. Start no thread before `run_all`: a fork copies only the
calling thread.
"""

from __future__ import annotations

import collections
import contextlib
import ctypes
import gc
import os
import signal
import time
import traceback
import typing as t

from .._errors import BackupError, OptionError, StageFailed

PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15

Task = tuple[t.Callable[..., t.Any], tuple[t.Any, ...]]


def run_all(
    tasks: t.Sequence[Task],
    jobs: int,
    deadline: float | None = None,
    keep: t.Callable[[int, t.Any], t.Any] | None = None,
    then: t.Mapping[int, Task] | None = None,
    bare: bool = False,
) -> list[t.Any]:
    """Return the results in the order of the tasks. The first error ends all other tasks and is raised.

    Reaching `deadline`, a time of the monotonic clock, is such an error. `keep(index, result)` is called for each
    result and returns the value to keep. `then` has by index a task that follows another one: it runs before other
    waiting tasks, and its result is discarded. Processes of `bare` tasks are stripped, see `strip`.
    """
    # Imported here: many modules can use workers, but few of their calls do.
    from multiprocessing.connection import wait

    if jobs < 1:
        raise OptionError(f"jobs is {jobs}; give 1 or more")
    results: list[t.Any] = [None] * len(tasks)
    following = then or {}
    waiting: collections.deque[tuple[int | None, Task]] = collections.deque(enumerate(tasks))
    running: dict[t.Any, tuple[int | None, t.Any]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                index, task = waiting.popleft()
                receiver, process = _started(task, bare)
                running[receiver] = (index, process)
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            finished = wait(list(running), left)
            if not finished:
                raise StageFailed("the run did not end within max_duration and was stopped; allow more time, or more jobs")
            for ready in finished:
                index, process = running.pop(ready)
                result = _result(ready, process)
                if index is None:
                    continue
                results[index] = result if keep is None else keep(index, result)
                if index in following:
                    waiting.appendleft((None, following[index]))
        return results
    finally:
        for _index, process in running.values():
            process.kill()
            process.join()


def _started(task: Task, bare: bool) -> tuple[t.Any, t.Any]:
    """Start a process and return the receiver of its result, and the process."""
    fork = _fork()
    receiver, sender = fork.Pipe(duplex=False)
    process = fork.Process(target=_work, args=(os.getpid(), bare, sender, *task), daemon=True)
    process.start()
    sender.close()
    return receiver, process


def _fork() -> t.Any:
    import multiprocessing

    return multiprocessing.get_context("fork")


def _result(receiver: t.Any, process: t.Any) -> t.Any:
    try:
        ok, value = receiver.recv()
    except (EOFError, OSError):
        process.join()
        raise StageFailed(
            f"a worker process ended without a result (exit code {process.exitcode}); check the system log for the OOM killer"
        ) from None
    finally:
        receiver.close()
    process.join()
    if ok:
        return value
    raise value


def become_child() -> None:
    """Set up a forked process: it dies with its parent, and never frees the parent's objects.

    A garbage collection could free a compressor with a thread that only exists in the parent, and would wait for that
    thread forever.
    """
    gc.freeze()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def detach(name: str, function: t.Callable[..., t.Any], *arguments: t.Any) -> int:
    """Call a function in a detached process and return its pid.

    The process outlives this one, is not its child, and has none of its open files. `name`, of at most 15 bytes, is its
    name in the kernel.
    """
    fork = _fork()
    receiver, sender = fork.Pipe(duplex=False)
    between = fork.Process(target=_between, args=(sender, name, function, arguments))
    between.start()
    sender.close()
    try:
        pid: int = receiver.recv()
    except EOFError:
        raise StageFailed("cannot start a background process; check the limits on the number of processes") from None
    finally:
        receiver.close()
        between.join()
    return pid


def _between(*given: t.Any) -> None:
    _fork().Process(target=_detached, args=given).start()
    os._exit(0)


def _detached(sender: t.Any, name: str, function: t.Callable[..., t.Any], arguments: tuple[t.Any, ...]) -> None:
    try:
        gc.freeze()
        ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode())
        os.setsid()
        os.chdir("/")
        strip(sender.fileno())
        sender.send(os.getpid())
        sender.close()
        function(*arguments)
    finally:
        os._exit(0)


def strip(kept: int = -1) -> None:
    """Remove all access of this process except its memory and the file descriptor `kept`. Used before hostile code is run or parsed."""
    os.environ.clear()
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        if number != kept:
            os.dup2(nothing, number)
    for number in (int(name) for name in os.listdir("/proc/self/fd")):
        if number > 2 and number != kept:
            with contextlib.suppress(OSError):  # the one that was open to list them
                os.close(number)


def _work(parent: int, bare: bool, sender: t.Any, function: t.Callable[..., t.Any], arguments: tuple[t.Any, ...]) -> None:
    become_child()
    if os.getppid() != parent:  # it died before we asked to die with it
        return
    if bare:
        strip(sender.fileno())
    try:
        sender.send((True, function(*arguments)))
    except BackupError as exc:
        sender.send((False, exc))
    except Exception as exc:  # noqa: BLE001 - whatever it was, the parent must hear of it
        where = traceback.extract_tb(exc.__traceback__)[-1]
        message = " ".join(str(exc).split())
        sender.send(
            (False, StageFailed(f"{function.__name__} failed: {type(exc).__name__}: {message} ({where.name}, line {where.lineno})"))
        )
