# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._reading import rereads
from ansible_collections.caracal_ops.backup.plugins.module_utils._reading.rereads import Unread

DAYS = 30


def nights(sizes: dict[str, int], count: int, hours: float = 24.0) -> list[frozenset[str]]:
    """Return what is read in each night after a first set that read everything."""
    last = dict.fromkeys(sizes, 0.0)
    found = []
    for night in range(1, count + 1):
        now = night * hours / 24
        due = rereads.due([Unread(name, size, now - last[name]) for name, size in sizes.items()], DAYS)
        last.update(dict.fromkeys(due, now))
        assert all(now - read <= DAYS for read in last.values())
        found.append(due)
    return found


def test_reads_nothing_on_first_night() -> None:
    assert rereads.due([Unread(str(number), 5, 1.0) for number in range(13)], DAYS) == frozenset()
    assert rereads.due([], DAYS) == frozenset()


@pytest.mark.parametrize("hours", [1.0, 24.0])
@pytest.mark.parametrize(
    "sizes",
    [[1] * 13, [*range(1, 40)], [1000, *([1] * 12)], [0, 0], [7]],
    ids=["equal", "growing", "one large", "empty", "one"],
)
def test_reads_each_partition_in_time(sizes: list[int], hours: float) -> None:
    named = {f"part{number}": size for number, size in enumerate(sizes)}
    found = nights(named, int(120 * 24 / hours), hours)
    assert frozenset().union(*found) == named.keys()


def test_spreads_reads_over_nights() -> None:
    found = nights({str(number): 100 for number in range(120)}, 90)
    assert max(len(due) for due in found) <= 5 and sum(map(len, found)) <= 120 * 90 // DAYS + 5


def test_reads_oldest_first() -> None:
    ages = {"new": 1.0, "middle": 28.0, "old": 31.0}
    assert rereads.due([Unread(name, 1, age) for name, age in ages.items()], DAYS) == {"old"}


@pytest.mark.mutation
def test_reads_a_partition_that_was_last_read_in_the_future() -> None:
    assert rereads.due([Unread("wrong clock", 1, -1.0), *(Unread(str(number), 1, 1.0) for number in range(9))], DAYS) == {"wrong clock"}


@pytest.mark.mutation
def test_zero_days_read_everything() -> None:
    assert rereads.due([Unread("a", 1, 0.0), Unread("b", 1, 5.0)], 0) == {"a", "b"}
