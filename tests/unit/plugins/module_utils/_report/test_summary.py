# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._report import document, summary, waiver
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.budget import Budgets
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, Check
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.diagnosis import Diagnosis
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.drill import Drill, Step

MakeDrill = t.Callable[..., Drill]
WHERE = "/srv/reports/20261125T023000Z-ab12/report.html"


def test_a_person_finds_everything_and_the_verdict_last(make_drill: MakeDrill) -> None:
    assert summary.render(document.build(make_drill()), WHERE) == [
        "drill           20261125T023000Z-ab12 of deployment prod, 1 min 3 s",
        "set             20261125T020000Z-k3f9, v1.0.0, 21 objects, 412.3 MB",
        "snapshot        2026-11-25 02:00:00 UTC, 30 min old when the drill began",
        "  verify set             1.2 s    412.3 MB    329.9 MB/s",
        "  sandbox                2.8 s",
        "  restore               20.0 s      2.4 GB    120.0 MB/s",
        "  verify state          18.5 s",
        "recovery time   59.0 s",
        "checks          2 pass, 0 fail, 1 warn, 0 unproven, 1 not applicable",
        "  warn          inventory.caracal.extensions: pgcrypto 1.3 became 1.4",
        "sandbox         isolation bubblewrap, files tmpfs, PostgreSQL 17.10",
        "separation      pass: set made on pg-1 by backup@prod, drilled elsewhere with another key",
        "freshness       fresh, journal head 42-9f86d081884c7d65",
        f"report          {WHERE}",
        "verdict: pass",
    ]


@pytest.mark.mutation
def test_at_most_twenty_short_lines_whatever_happened(make_drill: MakeDrill) -> None:
    checks = [Check(f"inventory.t{number}", FAIL, "differs\n" * 200) for number in range(90)]
    given = [{"check": f"inventory.t{number}", "reason": "known", "expires": "2026-12-31"} for number in range(80)]
    waivers = waiver.parse(given, make_drill().started.date())
    steps = [Step(f"step number {number}\n", 1.0, 10**6) for number in range(30)]
    causes = [Diagnosis(f"cause.{number}", "because\n" * 200, "do\n" * 200, ()) for number in range(9)]
    lines = summary.render(document.build(make_drill(checks=checks, steps=steps, waivers=waivers, diagnosis=causes)), WHERE)
    assert len(lines) == summary.LINES and lines[-1] == "verdict: fail"
    assert all("\n" not in line and len(line) <= 16 + summary.WIDTH for line in lines)
    assert any("27 more" in line and "27.0 s" in line for line in lines) and any("and 88 more in the report" in line for line in lines)


@pytest.mark.mutation
def test_the_first_cause_and_its_remedy_are_told(make_drill: MakeDrill) -> None:
    cause = Diagnosis("kek.wrong", "restored STS cannot decrypt keys", "restore the secrets bundle", ("envelopes.kek",))
    lines = summary.render(document.build(make_drill(diagnosis=[cause], budgets=Budgets(3600.0, None))), WHERE)
    assert "cause           restored STS cannot decrypt keys" in lines and "remedy          restore the secrets bundle" in lines
    assert "recovery time   59.0 s, budget 1 h" in lines


def test_the_place_of_the_report_is_never_cut(make_drill: MakeDrill) -> None:
    where = "/srv/" + "long/" * 60 + "report.html"
    assert f"report          {where}" in summary.render(document.build(make_drill()), where)
