# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Results of hosts become one list. A run counts as successful only if its result has a field that failed runs never return."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._report import findings
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.findings import Finding

WELL = {"part": "backup", "result": {"journal_head": "1-9f86", "failed": False}}
MISSING = {"error": "KeyProblem", "msg": "key /k is missing; make it", "failed": False}


def of(*looks: t.Mapping[str, t.Any], host: str = "prod") -> list[Finding]:
    return findings.gather([host], {host: looks})


def test_success_is_not_a_finding() -> None:
    assert of(WELL, {"part": "drill", "result": {"set_id": "s"}}, {"part": "retention", "result": {"verdict": "fail"}}) == []


def test_each_problem_is_a_finding() -> None:
    listed = [{"asset": "keys", "error": "KeyProblem", "msg": "a"}, {"asset": "redis", "error": "Unreachable", "msg": "b"}]
    found = of({"part": "backup", "result": {"error": "NotReady", "msg": "both", "problems": listed}})
    assert [(one.parts, one.error, one.message) for one in found] == [(("backup",), "KeyProblem", "a"), (("backup",), "Unreachable", "b")]


@pytest.mark.no_false_alarm
def test_running_backup_is_not_a_finding_and_hides_none() -> None:
    listed = [{"asset": "repository", "error": "BackupRunning", "msg": "a"}, {"asset": "redis", "error": "Unreachable", "msg": "b"}]
    found = of({"part": "backup", "result": {"error": "NotReady", "msg": "both", "problems": listed}})
    assert [one.error for one in found] == ["Unreachable"]
    assert of({"part": "backup", "result": {"error": "BackupRunning", "msg": "a", "problems": listed[:1]}}) == []


def test_the_same_words_are_one_finding_of_all_that_need_it() -> None:
    assert of({"part": "backup", "result": MISSING}, {"part": "drill", "result": MISSING}) == [
        Finding("prod", ("backup", "drill"), "KeyProblem", MISSING["msg"])
    ]


def check(verdict: str = "unproven", **given: t.Any) -> dict[str, t.Any]:
    return {"id": "retention.audit", "verdict": verdict, "message": "cannot be read", "required": True, "details": {}, **given}


@pytest.mark.mutation
@pytest.mark.parametrize("part", sorted(findings.SUCCESS))
def test_a_success_that_could_not_read_its_evidence_is_never_ok(part: str) -> None:
    unread = [check(details={"error": "Unreachable"}, message=words) for words in ("no database", "no Redis")]
    inspection = {"part": part, "result": {findings.SUCCESS[part]: "x", "checks": [check("pass"), *unread]}}
    assert [(one.error, one.message) for one in of(inspection)] == [("Unreachable", "no database"), ("Unreachable", "no Redis")]
    assert not [line for line in findings.lines(["prod"], {"prod": [inspection]}, of(inspection)) if line.endswith(" ok")]


@pytest.mark.mutation
def test_unproven_checks_of_one_part_are_one_finding() -> None:
    [found] = of({"part": "retention", "result": {"verdict": "unproven", "checks": [check(), check(id="retention.days")]}})
    assert found.error == findings.UNVERIFIED and "retention.audit" in found.message


@pytest.mark.no_false_alarm
@pytest.mark.parametrize(
    "checks", [[check("fail"), check("pass"), check("warn"), check("not_applicable")], [check(required=False)], [check(waived=True)]]
)
def test_verified_waived_or_optional_checks_are_not_a_finding(checks: list[dict[str, t.Any]]) -> None:
    assert of({"part": "retention", "result": {"verdict": "fail", "checks": checks}}) == []


@pytest.mark.parametrize("checks", ["none", 7, ["x", None], {"a": 1}, [{"verdict": "unproven", "required": 1, "details": "x"}]])
def test_checks_that_are_none_break_nothing(checks: t.Any) -> None:
    assert len(of({"part": "retention", "result": {"verdict": "pass", "checks": checks}})) <= 1


@pytest.mark.parametrize(
    "result",
    [
        {},
        {"failed": True},
        {"skipped": True},
        {"msg": "The module interpreter '/x' was not found.", "rc": 127},
        {"journal_head": "1-9f86", "failed": True},
        {"journal_head": "1-9f86", "unreachable": True},
        {"problems": "none"},
        {"problems": []},
        {"set_id": "of another part"},
    ],
)
def test_every_result_without_success_is_a_finding(result: dict[str, t.Any]) -> None:
    assert len(of({"part": "backup", "result": result})) == 1


def test_unknown_part_is_a_finding() -> None:
    assert len(of({"part": "host", "result": {"host": "x"}})) == len(of({"part": "", "result": {}})) == 1


def test_a_host_that_does_not_answer_is_one_finding() -> None:
    away = [{"part": part, "result": {"unreachable": True, "msg": f"no route, {part}"}} for part in ("backup", "drill")]
    [found] = of(*away)
    assert (found.parts, found.error) == (("backup", "drill"), findings.UNREACHABLE)


def test_a_host_without_a_look_is_a_finding() -> None:
    assert [one.error for one in findings.gather(["prod", "drill"], {"prod": [WELL]})] == [findings.NOT_CHECKED]


def test_consequences_of_missing_deployment_are_not_reported() -> None:
    inspection = {"part": "retention", "result": {"error": "Unreachable", "msg": "no database"}, "deployment": MISSING}
    assert [one.message for one in of(inspection)] == [MISSING["msg"]]
    assert of({**inspection, "result": {"verdict": "pass"}, "deployment": {"skipped": True}}) == []
    assert len(of({**inspection, "deployment": {"deployment": {}}})) == 1


def test_finding_about_another_host_is_attributed_to_that_host() -> None:
    assert [one.host for one in of({"part": "replay", "of": "sts-2", "result": MISSING})] == ["sts-2"]


def test_lines_name_what_is_well_and_number_the_rest() -> None:
    looks = {"prod": [WELL, {"part": "retention", "result": MISSING}], "drill": [{"part": "drill", "result": {"set_id": "s"}}]}
    hosts = ["prod", "drill"]
    assert findings.lines(hosts, looks, findings.gather(hosts, looks)) == [
        "1 finding on 1 of 2 hosts",
        "prod: backup ok",
        "prod: retention: (1) key /k is missing; make it",
        "drill: drill ok",
    ]
    assert findings.lines(["prod"], {"prod": [WELL]}, []) == ["no findings on 1 host", "prod: backup ok"]


def test_message_of_host_stays_on_one_line() -> None:
    [found] = of({"part": "backup", "result": {"error": "A\nB", "msg": "a\nprod: backup ok\x1b[31m"}})
    assert "\n" not in found.message + found.error and "\x1b" not in found.message


@pytest.mark.parametrize(("results", "verdict"), [({"prod": [WELL]}, "pass"), ({"prod": [{"part": "backup", "result": MISSING}]}, "fail")])
def test_the_report_fails_if_there_is_a_finding(results: dict[str, list[dict[str, t.Any]]], verdict: str) -> None:
    found = findings.gather(["prod"], results)
    made = findings.report(["prod"], results)
    assert made == {
        "verdict": verdict,
        "findings": [{"host": one.host, "parts": one.parts, "error": one.error, "message": one.message} for one in found],
        "lines": findings.lines(["prod"], results, found),
    }
