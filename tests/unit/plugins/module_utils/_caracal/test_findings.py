# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import findings
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.findings import Finding
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, PASS, UNPROVEN, WARN


@pytest.mark.parametrize(
    ("finding", "words"),
    [
        (Finding("hole", "audit", "z", 3, 9, "gone"), "audit chain of zone z, sequence 3 to 9: gone"),
        (Finding("edited", "admin", r"\N", 3, 3, "edited"), "admin chain of no zone (global), sequence 3: edited"),
        (Finding("leaf_dropped", "audit", "", 0, 0, "gone", leaf="audit_events_y2026m05"), "partition audit_events_y2026m05: gone"),
        (Finding("unnumbered", "audit", "z", 0, 0, "odd"), "audit chain of zone z: odd"),
        (Finding("no_rehash_marker", "audit", "", 0, 0, "absent"), "absent"),
    ],
)
def test_finding_names_its_position(finding: Finding, words: str) -> None:
    assert str(finding) == words


def test_result_of_a_finding_contains_its_position() -> None:
    found = Finding("hole", "audit", "z", 3, 9, "gone")
    assert found.rows == 7
    assert found.to_result() == {"kind": "hole", "chain": "audit", "zone": "z", "low": 3, "high": 9, "leaf": ""}


@pytest.mark.no_false_alarm
def test_check_without_findings_passes() -> None:
    check = findings.check("a.b", [], "all right", required=False, rows=4)
    assert (check.id, check.verdict, check.message, check.required) == ("a.b", PASS, "all right", False)
    assert check.details == {"rows": 4, "findings": 0, "positions": []}


@pytest.mark.mutation
@pytest.mark.parametrize("others", [[], [WARN], [UNPROVEN, WARN], [WARN, UNPROVEN, FAIL]])
@pytest.mark.parametrize("worst", [FAIL, UNPROVEN, WARN])
def test_the_worst_finding_decides(worst: str, others: list[str]) -> None:
    rank = [FAIL, UNPROVEN, WARN]
    found = [Finding("x", "audit", "z", number, number, kind, kind) for number, kind in enumerate([*others, worst], 1)]
    check = findings.check("a.b", found, "all right")
    expected = min([*others, worst], key=rank.index)
    assert check.verdict == expected
    assert f": {expected}" in check.message
    assert check.message.endswith(f" ({len(others)} more)") == bool(others)
    assert [one["says"] for one in check.details["positions"]] == sorted([*others, worst], key=rank.index)


@pytest.mark.mutation
def test_all_findings_are_counted_and_fifty_are_shown() -> None:
    found = [Finding("x", "audit", "z", number, number, "odd") for number in range(200, 0, -1)]
    check = findings.check("a.b", found, "all right")
    assert check.details["findings"] == 200
    assert [one["low"] for one in check.details["positions"]] == list(range(1, 51))
    assert check.message == "audit chain of zone z, sequence 1: odd (199 more)"
