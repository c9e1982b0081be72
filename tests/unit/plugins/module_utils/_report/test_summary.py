# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._options.shared import WaiverOptions
from ansible_collections.caracal_ops.backup.plugins.module_utils._report import document, summary, waiver
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.budget import Budgets
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, Check
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.diagnosis import Diagnosis
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.drill import Drill, Step

MakeDrill = t.Callable[..., Drill]
WHERE = "/srv/reports/20261125T023000Z-ab12/report.html"


def test_a_person_finds_everything_and_the_verdict_last(make_drill: MakeDrill) -> None:
    """The texts are in tests/snapshots/console.txt."""
    lines = summary.render(document.build(make_drill()), WHERE)
    assert [line.split("  ")[0] for line in lines if not line.startswith(" ")] == [
        *("drill", "set", "snapshot", "recovery time", "checks", "sandbox", "separation", "freshness", "report", "verdict: pass"),
    ]


@pytest.mark.mutation
def test_any_summary_has_at_most_twenty_short_lines(make_drill: MakeDrill) -> None:
    checks = [Check(f"inventory.t{number}", FAIL, "differs\n" * 200) for number in range(90)]
    given = [{"check": f"inventory.t{number}", "reason": "known", "expires": "2026-12-31"} for number in range(80)]
    waivers = waiver.parse([WaiverOptions(**one) for one in given], make_drill().started.date())
    steps = [Step(f"step number {number}\n", 1.0, 10**6) for number in range(30)]
    causes = [Diagnosis(f"cause.{number}", "because\n" * 200, "do\n" * 200, ()) for number in range(9)]
    lines = summary.render(document.build(make_drill(checks=checks, steps=steps, waivers=waivers, diagnosis=causes)), WHERE)
    assert len(lines) == summary.LINES and lines[-1] == "verdict: fail"
    assert all("\n" not in line and len(line) <= 16 + summary.WIDTH for line in lines)
    assert any("27 more" in line and "27.0 s" in line for line in lines) and any("and 88 more in the report" in line for line in lines)


@pytest.mark.mutation
def test_no_reason_hides_another_waived_check(make_drill: MakeDrill) -> None:
    given = [{"check": name, "reason": "long " * 60, "expires": "2026-12-31"} for name in ("canary.gateway", "canary.exchange")]
    waivers = waiver.parse([WaiverOptions(**one) for one in given], make_drill().started.date())
    lines = summary.render(document.build(make_drill(waivers=waivers)), WHERE)
    (waived,) = [line for line in lines if line.startswith("waived ")]
    assert all(one["check"] in waived for one in given)


@pytest.mark.mutation
def test_first_cause_and_its_remedy_are_printed(make_drill: MakeDrill) -> None:
    cause = Diagnosis("kek.wrong", "CAUSE", "REMEDY", ("envelopes.kek",))
    lines = summary.render(document.build(make_drill(diagnosis=[cause], budgets=Budgets(3600.0, None))), WHERE)
    assert "cause           CAUSE" in lines and "remedy          REMEDY" in lines
    assert "recovery time   59.0 s, budget 1 h" in lines


def test_the_place_of_the_report_is_never_cut(make_drill: MakeDrill) -> None:
    where = "/srv/" + "long/" * 60 + "report.html"
    assert f"report          {where}" in summary.render(document.build(make_drill()), where)
