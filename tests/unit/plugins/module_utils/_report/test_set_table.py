# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The list of sets for the operator."""

from __future__ import annotations

import datetime
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._report import set_table

NOW = datetime.datetime(2026, 11, 25, 5, 5, tzinfo=datetime.timezone.utc)
HEAD = "46-9f86d081884c7d65"


def made(day: int = 25, **own: t.Any) -> dict[str, t.Any]:
    usual: dict[str, t.Any] = {
        "set_id": f"202611{day:02}T020000Z-k3f9",
        "committed": f"2026-11-{day:02}T02:00:31.120044Z",
        "snapshot_time": f"2026-11-{day:02}T02:00:00.000000Z",
        "release": "v1.0.0",
        "bytes": 412_345_678,
        "assets": ["databases", "redis", "replay", "secrets"],
        "last_drill": None,
        "holds": [],
        "problem": None,
        "locked_until": None,
    }
    return {**usual, **own}


def table(*sets: dict[str, t.Any]) -> list[str]:
    return set_table.render(sets, "prod", HEAD, "fresh", NOW)


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_row_shows_age_release_size_drill_lock_and_remarks_of_set() -> None:
    drill = {"drill_id": "d", "verdict": "pass", "sequence": 5, "time": "2026-11-25T02:30:00.000000Z"}
    held = [{"hold": "case-17", "reason": "Evidence"}]
    newest = made(last_drill=drill, locked_until="2026-12-25T02:00:00.000000Z", holds=held, assets=["databases", "images", "secrets"])
    first, head, *rows = table(made(24), newest)
    assert "2 sets" in first and HEAD in first and "fresh" in first and len(cells(head)) == 6
    assert cells(rows[0]) == [
        *("20261125T020000Z-k3f9", "3 h 5 min", "v1.0.0", "412.3 MB", "pass 2 h 35 min ago", "2026-12-25"),
        "without replay, redis; with images; held: case-17",
    ]
    assert cells(rows[1]) == ["20261124T020000Z-k3f9", "1 d 3 h", "v1.0.0", "412.3 MB", "never", "not locked"]
    assert rows[0].index("v1.0.0") == rows[1].index("v1.0.0") == head.index("release")


@pytest.mark.mutation
def test_untrusted_manifest_is_reported_in_one_line() -> None:
    """Nothing in it is used: the age comes from the journal entry."""
    lost = made(**dict.fromkeys(("snapshot_time", "release", "bytes", "assets")), problem="sets/x/manifest.json\nis\u202e another one")
    row = table(lost)[2]
    assert cells(row)[1:] == ["3 h 4 min", "unknown", "unknown", "never", "not locked", cells(row)[-1]]
    assert "manifest.json is\ufffd another one" in row


def test_long_table_is_cut_and_empty_table_reports_no_sets() -> None:
    lines = table(*(made(1 + day % 28) for day in range(set_table.SHOWN + 3)))
    assert len(lines) == set_table.SHOWN + 3 and "3 older sets" in lines[-1]
    assert table() == [f"0 sets of deployment prod, journal head {HEAD} (fresh)"]


def test_a_clock_that_is_behind_makes_no_negative_age() -> None:
    assert cells(table(made(26))[2])[1] == "0.0 s"
