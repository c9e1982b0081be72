# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import positions
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.positions import Positions, Rows

NUMBERS = st.lists(st.integers(1, 30), max_size=30)


def numbers(found: Positions) -> list[int]:
    return [number for low, high in found.ranges() for number in range(low, high + 1)]


@given(NUMBERS)
def test_numbers_in_any_order_become_ranges(drawn: list[int]) -> None:
    found = Positions.of(drawn)
    assert numbers(found) == sorted(set(drawn))
    assert found.count == len(drawn)
    assert bool(found) == bool(drawn)
    assert all(after > high + 1 for (_low, high), (after, _high) in zip(found.ranges(), found.ranges()[1:], strict=False))


@given(st.lists(NUMBERS, max_size=4))
def test_merged_positions_equal_one_collection(parts: list[list[int]]) -> None:
    whole = Positions()
    for part in parts:
        whole.update(Positions.of(part))
    assert numbers(whole) == sorted({number for part in parts for number in part})
    assert whole.count == sum(map(len, parts))


def test_a_range_is_added_whole() -> None:
    found = Positions()
    found.add(1, 1 << 60)
    found.add((1 << 60) + 1, (1 << 60) + 2)
    assert (found.ranges(), found.count, len(found)) == ([(1, (1 << 60) + 2)], (1 << 60) + 2, 1)


def test_contained_and_overlapping_ranges_are_merged() -> None:
    found = Positions()
    for low, high in ((1, 10), (3, 4), (9, 12), (14, 15)):
        found.add(low, high)
    assert found.ranges() == [(1, 12), (14, 15)]


@pytest.mark.mutation
def test_counts_all_numbers_but_keeps_ranges_up_to_the_limit() -> None:
    many = 3 * positions.LIMIT
    found = Positions.of(range(1, 2 * many, 2))
    assert (found.count, len(found)) == (many, positions.LIMIT)
    assert found.ranges()[-1] == (2 * positions.LIMIT - 1, 2 * positions.LIMIT - 1)
    whole = Positions.of(range(10 * many, 12 * many, 2))
    whole.update(found)
    assert (whole.count, len(whole)) == (2 * many, positions.LIMIT)


@pytest.mark.mutation
def test_rows_have_a_digest_each_up_to_the_limit() -> None:
    found, more = Rows(), Rows()
    found.put(1, b"a")
    more.put(2, b"b")
    more.put(9, b"a", b"b")
    found.update(more)
    whole = found.digests(1, 2)
    assert whole is not None and len(set(whole)) == 2 and found.digests(9, 9) not in (None, whole)
    assert found.digests(1, 3) is None
    for number in range(10, 10 + positions.LIMIT):
        found.put(number, b"a")
    assert found.digests(10, 10) is not None and found.digests(9 + positions.LIMIT, 9 + positions.LIMIT) is None
    assert found.digests(1, 1 << 60) is None
    assert found.count == positions.LIMIT + 3
