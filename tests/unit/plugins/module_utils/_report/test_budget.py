# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._report import budget
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.budget import Budgets


@pytest.mark.no_false_alarm
def test_no_budget_yields_no_checks() -> None:
    assert budget.judge(Budgets(), 10.0, None, 10.0) == []


@pytest.mark.parametrize(
    ("rto", "rpo", "tail", "verdicts"),
    [
        (60.0, 60.0, 60.0, ["pass", "pass", "pass"]),
        pytest.param(60.1, 10.0, 10.0, ["fail", "pass", "pass"], marks=pytest.mark.mutation),
        pytest.param(10.0, 86400.0, 10.0, ["pass", "fail", "pass"], marks=pytest.mark.mutation),
        pytest.param(10.0, 10.0, 60.1, ["pass", "pass", "fail"], marks=pytest.mark.mutation),
        pytest.param(None, None, None, ["unproven", "unproven", "unproven"], marks=pytest.mark.mutation),
    ],
)
def test_each_budget_is_a_required_check(rto: float | None, rpo: float | None, tail: float | None, verdicts: list[str]) -> None:
    checks = budget.judge(Budgets(60.0, 60.0, 60.0), rto, rpo, tail)
    assert [(check.id, check.required) for check in checks] == [("drill.rto", True), ("drill.rpo", True), ("audit.tail", True)]
    assert [check.verdict for check in checks] == verdicts


@pytest.mark.mutation
def test_the_words_name_both_times() -> None:
    (check,) = budget.judge(Budgets(rto=3600.0), 4000.0, None, None)
    assert check.message == "recovery took 1 h 6 min, over its budget of 1 h"


@pytest.mark.parametrize("tail", [30.0, 90.0, None])
def test_message_names_the_remedy_for_the_rows_of_the_gap(tail: float | None) -> None:
    (check,) = budget.judge(Budgets(tail=60.0), None, None, tail)
    assert "can change, remove or replace newer rows" in check.message
