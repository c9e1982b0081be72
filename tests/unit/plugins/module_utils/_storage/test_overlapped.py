# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import threading
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import ObjectMissing
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.overlapped import in_order
from harness.waiting import PATIENCE

THREADS = 4
AHEAD = 2 * THREADS


def numbers(taken: list[int], count: int = 100) -> t.Iterator[int]:
    for one in range(count):
        taken.append(one)
        yield one


def refuse(item: int) -> int:
    if item >= 7:
        raise ObjectMissing(f"object {item} does not exist")
    return item


@pytest.mark.parametrize("count", [0, 1, AHEAD, 100])
@pytest.mark.parametrize("threads", [1, THREADS])
def test_results_come_in_the_order_of_the_items(threads: int, count: int) -> None:
    """The order of completion does not matter."""
    done = threading.Event()

    def work(item: int) -> int:
        if item == 0 and threads > 1 and count > 1:
            assert done.wait(PATIENCE)
        done.set()
        return item * item

    assert list(in_order(work, range(count), threads)) == [item * item for item in range(count)]


def test_several_requests_run_at_once() -> None:
    """Each waits for the others, so a sequential run would never end."""
    together = threading.Barrier(THREADS, timeout=PATIENCE)
    assert sorted(in_order(lambda _item: together.wait(), range(THREADS), THREADS)) == list(range(THREADS))


def test_no_more_are_asked_for_than_are_waited_for() -> None:
    taken: list[int] = []
    results = in_order(lambda item: item, numbers(taken), THREADS)
    for result in results:
        assert len(taken) <= result + AHEAD
    assert len(taken) == 100


@pytest.mark.mutation
@pytest.mark.parametrize("threads", [1, THREADS])
def test_an_error_comes_in_its_turn(threads: int) -> None:
    """The first error is raised, although later items fail too."""
    seen = []
    with pytest.raises(ObjectMissing, match="object 7 does"):
        for result in in_order(refuse, range(100), threads):
            seen.append(result)
    assert seen == list(range(7))


def test_no_thread_is_left(threads_before: set[threading.Thread]) -> None:
    """Neither at the end, nor after an error, nor if the caller stops early: a fork would copy the locks of threads."""
    assert len(list(in_order(lambda item: item, range(100), THREADS))) == 100
    assert set(threading.enumerate()) == threads_before
    with pytest.raises(ObjectMissing):
        list(in_order(refuse, range(100), THREADS))
    assert set(threading.enumerate()) == threads_before
    taken: list[int] = []
    with contextlib.closing(in_order(lambda item: item, numbers(taken), THREADS)) as results:
        assert next(results) == 0 and set(threading.enumerate()) > threads_before
    assert set(threading.enumerate()) == threads_before and len(taken) == AHEAD


def test_one_at_a_time_needs_no_thread() -> None:
    assert set(in_order(lambda _item: threading.current_thread(), range(9), 1)) == {threading.current_thread()}


@pytest.fixture
def threads_before() -> set[threading.Thread]:
    return set(threading.enumerate())
