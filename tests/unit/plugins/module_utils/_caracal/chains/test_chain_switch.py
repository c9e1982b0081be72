# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The last row at which replicas may differ after a key change, in any order of rows and with forged times."""

from __future__ import annotations

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains import chain_switch
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.chain_switch import Switches

OLD, NEW = 0, 1


def at(minute: int) -> bytes:
    return f"2026-06-17 {12 + minute // 60:02}:{minute % 60:02}:30.5+00".encode()


def taken(rows: list[tuple[int, int, bytes]]) -> Switches:
    found = Switches()
    for row in rows:
        found.take(*row)
    found.finish()
    return found


ROWS = [(OLD, 1, at(0)), (NEW, 2, at(1)), (OLD, 3, at(10)), (NEW, 4, at(11)), (NEW, 5, at(30)), (OLD, 6, at(31)), (NEW, 7, at(32))]


@pytest.mark.parametrize("cut", range(len(ROWS) + 1))
def test_parallel_readers_find_the_same_end_of_a_key_switch(cut: int) -> None:
    whole = taken(ROWS[cut:])
    whole.update(taken(ROWS[:cut]))
    assert whole.first == {OLD: (1, at(0)), NEW: (2, at(1))}
    assert 3 < whole.until(NEW) < 6


@pytest.mark.mutation
def test_forged_time_does_not_extend_the_key_switch() -> None:
    rows = [*ROWS[:5], (OLD, 6, at(2)), *ROWS[6:]]
    assert taken(rows).until(NEW) < 6


@pytest.mark.mutation
@pytest.mark.parametrize("time", [b"", b"infinity", b"10000-01-01 00:00:00+00"], ids=["none", "infinity", "year 10000"])
def test_rows_without_a_time_allow_no_key_switch(time: bytes) -> None:
    assert taken([(OLD, 1, time), (NEW, 2, time), (OLD, 3, time)]).until(NEW) == 0
    assert taken(ROWS).until(7) == 0


@pytest.mark.mutation
def test_more_times_than_the_limit_allow_no_key_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain_switch, "MINUTES_KEPT", 3)
    assert taken(ROWS).until(NEW) == 0
