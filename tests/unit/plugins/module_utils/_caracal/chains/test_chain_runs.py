# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rows joined to runs, compared with an oracle that has all rows at once."""

from __future__ import annotations

import random
import typing as t

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains import chain_runs
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.chain_runs import Collector, Links
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.positions import Positions

Row = tuple[int, bytes, bytes]


def content(number: int) -> bytes:
    return b"c%d" % number


def rows_of(numbers: t.Iterable[int], broken: t.Collection[int] = ()) -> list[Row]:
    """Return one row for each number. Rows in `broken` do not link to the previous row."""
    return [(number, b"x" if number in broken else content(number - 1) if number > 1 else b"\\N", content(number)) for number in numbers]


def collect(rows: t.Iterable[Row]) -> Links:
    collector = Collector()
    for row in rows:
        collector.add(*row)
    return collector.finish()


def numbers(found: Positions) -> set[int]:
    return {number for low, high in found.ranges() for number in range(low, high + 1)}


def answer(links: Links) -> tuple[list[tuple[int, int, bytes, bytes]], set[int], set[int]]:
    runs = [(run.low, run.high, run.before, run.tail) for run in links.runs]
    return runs, numbers(links.broken), numbers(links.twice)


def expected(rows: t.Sequence[Row]) -> tuple[list[tuple[int, int, bytes, bytes]], set[int], set[int]]:
    """Return the same result, computed from all rows at once."""
    by_number = {row[0]: row for row in rows}
    twice = {number for number in by_number if sum(row[0] == number for row in rows) > 1}
    broken = {number for number, before, _content in rows if number - 1 in by_number and by_number[number - 1][2] != before}
    lows = [number for number in sorted(by_number) if number - 1 not in by_number]
    highs = [number for number in sorted(by_number) if number + 1 not in by_number]
    return [(low, high, by_number[low][1], by_number[high][2]) for low, high in zip(lows, highs, strict=True)], broken, twice


def in_order(stretches: list[tuple[int, int]]) -> list[int]:
    return [number for start, length in stretches for number in range(start, start + length)]


# Ordered rows that stop and restart anywhere, which includes every order of a heap.
NUMBERS = st.lists(st.tuples(st.integers(1, 14), st.integers(1, 4)), max_size=12).map(in_order)
BROKEN = st.sets(st.integers(1, 14), max_size=3)


@given(NUMBERS, BROKEN)
@settings(max_examples=1500)
def test_rows_in_any_order_give_the_expected_runs(drawn: list[int], broken: set[int]) -> None:
    rows = rows_of(drawn, broken)
    assert answer(collect(rows)) == expected(rows)


@given(NUMBERS, BROKEN, st.integers(1, 4), st.randoms())
@settings(max_examples=500)
def test_rows_split_over_readers_give_the_expected_runs(drawn: list[int], broken: set[int], readers: int, dice: random.Random) -> None:
    rows = rows_of(drawn, broken)
    parts: list[list[Row]] = [[] for _reader in range(readers)]
    for row in rows:
        dice.choice(parts).append(row)
    assert answer(chain_runs.combine(map(collect, parts))) == expected(rows)


@given(st.integers(1, 300), st.integers(1, 9), st.sets(st.integers(1, 300), max_size=6), st.randoms())
def test_nearly_ordered_rows_give_the_expected_runs(count: int, window: int, missing: set[int], dice: random.Random) -> None:
    order = sorted(set(range(1, count + 1)) - missing, key=lambda number: number + dice.random() * window)
    rows = rows_of(order)
    assert answer(collect(rows)) == expected(rows)


@given(NUMBERS, st.integers(1, 14), st.integers(0, 30))
def test_forged_row_with_a_used_number_is_a_duplicate(drawn: list[int], number: int, place: int) -> None:
    rows = rows_of([number, *drawn])
    rows.insert(place, (number, b"forged", b"forged"))
    runs, broken, twice = answer(collect(rows))
    assert number in twice
    assert twice == expected(rows)[2]
    assert [run[:2] for run in runs] == [run[:2] for run in expected(rows)[0]]
    assert broken <= {number, number + 1}


def test_rows_in_order_are_one_run() -> None:
    collector = Collector()
    for row in rows_of(range(1, 5001)):
        collector.add(*row)
    assert len(collector._by_low) == 1
    assert answer(collector.finish()) == ([(1, 5000, b"\\N", content(5000))], set(), set())


def test_no_rows_give_no_runs() -> None:
    assert answer(Collector().finish()) == ([], set(), set())
    assert answer(chain_runs.combine([])) == ([], set(), set())


@pytest.mark.mutation
@pytest.mark.parametrize("before", [b"", b"\\N", b"x"])
@pytest.mark.parametrize("number", [-2, -1, 0])
def test_invalid_number_is_a_separate_run(number: int, before: bytes) -> None:
    assert answer(collect([(number, before, b"c")])) == ([(number, number, before, b"c")], set(), set())


def test_combining_parts_does_not_change_them() -> None:
    parts = [collect(rows_of([1, 2])), collect(rows_of([3]))]
    before = [answer(part) for part in parts]
    assert answer(chain_runs.combine(parts)) == expected(rows_of([1, 2, 3]))
    assert [answer(part) for part in parts] == before
