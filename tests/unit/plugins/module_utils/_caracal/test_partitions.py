# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names and bounds of months, also at the turn of a year, and relations that block the creation of a month."""

from __future__ import annotations

import datetime

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import partitions
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.partitions import Month

DECEMBER = Month(datetime.date(2026, 12, 1))
BOUNDS = "FOR VALUES FROM ('{}') TO ('{}')"
NOVEMBER_ON, YEAR_END = "2026-11-01 00:00:00+00", "2027-01-01 00:00:00+00"


def test_months_continue_across_the_turn_of_a_year() -> None:
    months = partitions.wanted(datetime.date(2026, 11, 30), 3)
    assert [month.name[-8:] for month in months] == ["y2026m11", "y2026m12", "y2027m01", "y2027m02"]
    assert [month.high for month in months][:-1] == [month.low for month in months][1:]
    assert months[1].bounds == BOUNDS.format("2026-12-01 00:00:00+00", YEAR_END)
    assert partitions.wanted(datetime.date(2028, 2, 1), 0)[0].high == datetime.date(2028, 3, 1)
    assert len(partitions.wanted(datetime.date(2026, 1, 31), 120)) == 121


def test_a_month_is_known_by_its_name() -> None:
    assert partitions.month_of(DECEMBER.name) == DECEMBER
    strange = ["audit_events_default", "audit_events_y2026m13", "audit_events_y0000m01", f"{DECEMBER.name}_old", f"x{DECEMBER.name}", ""]
    assert [partitions.month_of(name) for name in strange] == [None] * len(strange)


@pytest.mark.no_false_alarm
@pytest.mark.parametrize(
    "bounds",
    [
        BOUNDS.format(NOVEMBER_ON, "2026-12-01 00:00:00+00"),
        BOUNDS.format(YEAR_END, "2027-02-01 00:00:00+00"),
        f"FOR VALUES FROM (MINVALUE) TO ('{NOVEMBER_ON}')",
        f"FOR VALUES FROM ('{YEAR_END}') TO (MAXVALUE)",
        partitions.DEFAULT,
    ],
)
def test_adjacent_partition_is_not_a_conflict(bounds: str) -> None:
    assert partitions.conflict(DECEMBER, {"other": bounds, DECEMBER.name: DECEMBER.bounds}) is None
    assert partitions.conflict(DECEMBER, {"other": bounds}) is None


@pytest.mark.mutation
@pytest.mark.parametrize(
    "bounds",
    [
        BOUNDS.format("2026-12-31 23:59:59.999999+00", YEAR_END),
        BOUNDS.format(NOVEMBER_ON, "2026-12-01 00:00:01+00"),
        "FOR VALUES FROM (MINVALUE) TO (MAXVALUE)",
        BOUNDS.format("-infinity", "infinity"),
        DECEMBER.bounds,
    ],
)
def test_overlapping_partition_is_a_conflict(bounds: str) -> None:
    assert partitions.conflict(DECEMBER, {"other": bounds}) == ("other", bounds)


@pytest.mark.mutation
def test_right_name_with_other_bounds_is_a_conflict() -> None:
    shifted = BOUNDS.format("2026-11-30 18:30:00+00", "2026-12-31 18:30:00+00")
    assert partitions.conflict(DECEMBER, {DECEMBER.name: shifted}) == (DECEMBER.name, shifted)
