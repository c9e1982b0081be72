# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Job times as rules of RFC 5545."""

from __future__ import annotations

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible.rrule import as_rrule
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import OptionError


@pytest.mark.parametrize(
    ("time", "begins", "rule"),
    [
        ("04:00", "040000", "FREQ=DAILY;INTERVAL=1"),
        ("*:20", "002000", "FREQ=HOURLY;INTERVAL=1"),
        ("Sun 06:05", "060500", "FREQ=WEEKLY;INTERVAL=1;BYDAY=SU"),
        ("Mon,Thu 00:00", "000000", "FREQ=WEEKLY;INTERVAL=1;BYDAY=MO,TH"),
        ("Sat *:30", "003000", "FREQ=HOURLY;INTERVAL=1;BYDAY=SA"),
        ("*-*-01 06:00", "060000", "FREQ=MONTHLY;INTERVAL=1;BYMONTHDAY=1"),
        ("*-*-31 *:00", "000000", "FREQ=HOURLY;INTERVAL=1;BYMONTHDAY=31"),
    ],
)
def test_converts_each_kind_of_time_to_a_rule(time: str, begins: str, rule: str) -> None:
    assert as_rrule(time, "Europe/Berlin") == f"DTSTART;TZID=Europe/Berlin:20260101T{begins} RRULE:{rule}"


@pytest.mark.mutation
@pytest.mark.parametrize("time", ["", "4:00", "24:00", "04:60", "daily", "Sun", "Sun *-*-01 04:00", "*-*-32 04:00", "04:00\n", "Son 04:00"])
def test_refuses_an_invalid_time(time: str) -> None:
    with pytest.raises(OptionError):
        as_rrule(time)


@pytest.mark.mutation
@pytest.mark.parametrize("zone", ["", "UTC;RRULE", "Europe/", "/UTC", "UTC\n"])
def test_refuses_an_invalid_time_zone(zone: str) -> None:
    with pytest.raises(OptionError):
        as_rrule("04:00", zone)
