# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a drill or of a retention verification as JUnit XML, for tools that show test results."""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET

from .check import FAIL, NOT_APPLICABLE, PASS, UNPROVEN, WARN
from .document import TYPE as DRILL
from .document import DrillReport, ReportedCheck
from .retention import TYPE as RETENTION
from .retention import RetentionReport
from .text import clean
from .waiver import WaiverResult

_TITLES = {DRILL: "restore drill", RETENTION: "retention"}
# A waived failure is shown as skipped, with its reason. It must neither fail a pipeline nor be hidden.
_OUTCOMES = {FAIL: "failure", UNPROVEN: "error", NOT_APPLICABLE: "skipped", WARN: "system-out"}


def render(document: DrillReport | RetentionReport) -> str:
    """Return the XML of one suite with a case for each check. The suite's time is the report's."""
    cases = [(check, _outcome(check)) for check in document["checks"]]
    outcomes = [outcome for _check, outcome in cases]
    suite = ET.Element(
        "testsuite",
        {
            "name": clean(f"{_TITLES[document['type']]} {document['deployment']}"),
            "tests": str(len(outcomes)),
            "failures": str(outcomes.count("failure")),
            "errors": str(outcomes.count("error")),
            "skipped": str(outcomes.count("skipped")),
            "time": str(document["seconds"]),
            "timestamp": document["started"].partition(".")[0],
            "hostname": clean(document["machine"]),
        },
    )
    fields: t.Mapping[str, object] = document
    properties = ET.SubElement(suite, "properties")
    for name in ("verdict", "drill_id", "report_id", "repository", "journal_head", "freshness"):
        if name in fields:
            ET.SubElement(properties, "property", {"name": name, "value": clean(str(fields[name]))})
    causes = list[str]()
    if "set" in document:
        causes = [f"{one['id']}: {clean(one['cause'])}; {clean(one['remedy'])}" for one in document["diagnosis"]]
        ET.SubElement(properties, "property", {"name": "set_id", "value": clean(document["set"]["id"])})
    reasons = {waiver["check"]: waiver for waiver in document["waivers"]}
    for check, outcome in cases:
        _case(suite, check, outcome, reasons.get(check["id"]))
    if causes:
        ET.SubElement(suite, "system-out").text = "\n".join(causes)
    ET.indent(suite)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(suite, encoding="unicode") + "\n"


def _outcome(check: ReportedCheck) -> str:
    if check["verdict"] == PASS:
        return PASS
    if check["verdict"] in (FAIL, UNPROVEN):
        if check["waived"]:
            return "skipped"
        if not check["required"]:
            return "system-out"
    return _OUTCOMES[check["verdict"]]


def _case(suite: ET.Element, check: ReportedCheck, outcome: str, waiver: WaiverResult | None) -> None:
    case = ET.SubElement(suite, "testcase", {"classname": clean(check["id"].split(".")[0]), "name": clean(check["id"])})
    message = clean(check["message"])
    if outcome == "system-out":
        ET.SubElement(case, outcome).text = f"{check['verdict']}: {message}"
    elif outcome == "skipped" and waiver:
        waived = f"{check['verdict']}, waived until {waiver['expires']}: {clean(waiver['reason'])}; {message}"
        ET.SubElement(case, outcome, {"message": waived})
    elif outcome != PASS:
        ET.SubElement(case, outcome, {"message": message, "type": check["verdict"]} if outcome != "skipped" else {"message": message})
