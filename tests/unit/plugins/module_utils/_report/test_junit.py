# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._options.shared import WaiverOptions
from ansible_collections.caracal_ops.backup.plugins.module_utils._report import document, junit, waiver
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, UNPROVEN, Check
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.diagnosis import Diagnosis
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.drill import Drill

MakeDrill = t.Callable[..., Drill]


def _suite(drill: Drill) -> ET.Element:
    return ET.fromstring(junit.render(document.build(drill)).encode())


def _outcomes(suite: ET.Element) -> dict[str | None, list[str]]:
    return {case.get("name"): [child.tag for child in case] for case in suite.iter("testcase")}


def test_each_verdict_has_its_element(make_drill: MakeDrill, broken_check: Check) -> None:
    checks = [*make_drill().checks, broken_check, Check("sandbox.isolation", UNPROVEN, "none")]
    suite = _suite(make_drill(checks=checks))
    assert _outcomes(suite) == {
        "set.objects": [],
        "inventory.caracal.tables": [],
        "inventory.caracal.extensions": ["system-out"],
        "inventory.caracal.streams": ["skipped"],
        "inventory.caracal.blocks": ["failure"],
        "sandbox.isolation": ["error"],
    }
    assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped", "time", "timestamp", "hostname")} == {
        "tests": "6",
        "failures": "1",
        "errors": "1",
        "skipped": "1",
        "time": "63.0",
        "timestamp": "2026-11-25T02:30:00",
        "hostname": "drill-2",
    }
    assert {item.get("name"): item.get("value") for item in suite.iter("property")}["verdict"] == "fail"


def test_waived_and_optional_failures_do_not_fail_suite(make_drill: MakeDrill, broken_check: Check) -> None:
    given = {"check": broken_check.id, "reason": "known, OPS-4711", "expires": "2026-12-31"}
    checks = [*make_drill().checks, broken_check, Check("copy.speed", FAIL, "slow", required=False)]
    suite = _suite(make_drill(checks=checks, waivers=waiver.parse([WaiverOptions(**given)], make_drill().started.date())))
    assert suite.get("failures") == "0" and _outcomes(suite)["copy.speed"] == ["system-out"]
    skipped = next(case for case in suite.iter("testcase") if case.get("name") == broken_check.id).find("skipped")
    assert skipped is not None
    assert skipped.get("message") == f"fail, waived until 2026-12-31: known, OPS-4711; {broken_check.message}"


@pytest.mark.mutation
def test_suite_output_lists_causes_and_remedies(make_drill: MakeDrill, broken_check: Check) -> None:
    causes = [Diagnosis("chain.altered", "rows are not what they were\x1b", "keep it", (broken_check.id,)), Diagnosis("b", "c", "d", ())]
    suite = _suite(make_drill(checks=[broken_check], diagnosis=causes))
    assert suite.findtext("system-out") == "chain.altered: rows are not what they were\ufffd; keep it\nb: c; d"
    assert _suite(make_drill()).find("system-out") is None


@pytest.mark.mutation
def test_hostile_words_stay_words(make_drill: MakeDrill) -> None:
    message = 'a"]]></failure><testcase name="x"/>\x00\x1b\udc80&amp;'
    suite = _suite(make_drill(checks=[Check('"<x>&', FAIL, message)], deployment='"><'))
    case = next(suite.iter("testcase"))
    assert case.get("name") == '"<x>&' and len(list(suite.iter("testcase"))) == 1
    assert case[0].get("message") == 'a"]]></failure><testcase name="x"/>\ufffd\ufffd\ufffd&amp;'
