# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import random

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import row_marks
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.row_marks import Marker, RowMarks

KEY = b"k" * row_marks.KEY_SIZE
LENGTHS = (0, 1, 2, 7, 100, 1023, 1024, 1025, 1026, 2047, 2048, 2049, 3000, 5000, 10_001)


def marks(lines: list[bytes], key: bytes = KEY) -> RowMarks:
    marker = Marker(key)
    for line in lines:
        marker.write(line)
    return marker.finish()


def lines(count: int) -> list[bytes]:
    return [b"%d\tx\n" % number for number in range(count)]


@pytest.mark.parametrize("count", LENGTHS)
def test_equal_rows_have_equal_marks_of_bounded_number(count: int) -> None:
    made = marks(lines(count))
    assert made == marks(lines(count)) and made == RowMarks.of(made.to_dict())
    assert len(made.digests) <= row_marks.LIMIT + 1 and len(made.digests) * made.span >= count
    assert row_marks.first_difference(KEY, made, made) is None


@pytest.mark.mutation
@pytest.mark.parametrize("count", [number for number in LENGTHS if number])
def test_the_first_row_that_differs_is_located(count: int) -> None:
    dice = random.Random(count)
    before, made = lines(count), marks(lines(count))
    for number in {0, count - 1, dice.randrange(count), dice.randrange(count)}:
        after = list(before)
        after[number] = b"other\n"
        for changed in (after, before[:number] + before[number + 1 :], [*before[:number], b"new\n", *before[number:]]):
            other = marks(changed)
            span = max(made.span, other.span)
            found = row_marks.first_difference(KEY, made, other)
            assert found is not None and found <= number < found + span


def test_marks_of_another_key_prove_nothing_about_a_row() -> None:
    first, second = marks(lines(3)), marks(lines(3), b"o" * row_marks.KEY_SIZE)
    assert not set(first.digests) & set(second.digests)


@pytest.mark.mutation
@pytest.mark.parametrize(
    "document",
    [
        None,
        {},
        {"span": 1},
        {"span": 3, "digests": ""},
        {"span": 1 << 200, "digests": ""},
        {"span": 1, "digests": "zz"},
        {"span": 1, "digests": "00" * 7},
        {"span": 1, "digests": "00" * 8 * 2000},
        {"span": [], "digests": ""},
    ],
    ids=range(9),
)
def test_malformed_marks_are_refused(document: object) -> None:
    with pytest.raises(ValueError, match=r"malformed|hexadecimal"):
        RowMarks.of(document)
