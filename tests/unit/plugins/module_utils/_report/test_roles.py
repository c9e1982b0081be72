# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reports of roles about the results of their modules. The role snapshots have the texts."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._report import roles

Given = dict[str, t.Any]
HOSTILE = "{{ lookup('pipe', 'id') }}"
INSPECTED: Given = {
    "set_id": "seen",
    "journal_head": "41-a",
    "databases": [{"database": "seen"}],
    "secrets": {},
    "pairing": None,
    "replay": [{"state": "archived"}],
    "redis": ["seen"],
    "images": [],
}
NONE = ("secrets", "dumped", "redis", "archived", "committed", "verified", "timestamp", "located", "programs")
BACKUP: Given = {
    **{name: {} for name in NONE},
    "deployment": "prod",
    "assets": ["redis"],
    "left_out": {},
    "with_images": False,
    "timestamp_url": "",
    "looked": INSPECTED,
    "replay": ["written"],
    "seen_elsewhere": [{"state": "not_durable"}],
}
COMMITTED: Given = {"artifacts": 3, "bytes": 10, "journal_head": "42-b"}
RESTORE: Given = {
    **{name: {} for name in ("secrets", "databases", "verified", "replay", "rollback", "located", "programs")},
    "deployment": "prod",
    "check_mode": False,
    "start_services": False,
    "has_application": False,
    "looked": {
        "waiting": ["redis"],
        "set_id": "seen",
        "set_facts": {"snapshot_time": "t"},
        "checks": [{"id": "a", "verdict": "pass", "message": ""}],
        "databases": [{"database": "seen"}],
        "replaced": [],
        "secrets": {},
        "safety_copy": None,
        "replay": [],
    },
}


def backup(**answers: t.Any) -> roles.Report:
    return roles.report("backup", {**BACKUP, **answers})


def restore(**answers: t.Any) -> roles.Report:
    return roles.report("restore", {**RESTORE, **answers})


def test_backup_that_wrote_nothing_reports_observed_state() -> None:
    result = backup()["result"]
    assert (result["committed"], result["journal_head"], result["databases"]) == (False, "41-a", [{"database": "seen"}])
    assert result["replay"] == [{"state": "archived"}, {"state": "not_durable"}] and result["redis"] == ["seen"]
    assert result["mb_per_second"] == 0.0


def test_a_backup_reports_what_was_written() -> None:
    dumped = {"databases": [{"database": "written"}], "bytes": 4_000_000, "seconds": 2.0, "checks": [{"id": "dump"}]}
    secrets = {"key_ids": {"kek": "k"}, "pairing": {"verdict": "pass"}}
    committed = {**COMMITTED, "checks": [{"id": "history"}]}
    result = backup(dumped=dumped, committed=committed, secrets=secrets, redis={"streams": []})["result"]
    assert (result["committed"], result["journal_head"], result["databases"]) == (True, "42-b", [{"database": "written"}])
    assert result["replay"] == ["written"] and result["redis"] == [] and result["secrets"] == {"kek": "k"}
    assert (result["bytes_written"], result["mb_per_second"], result["artifacts"]) == (4_000_000, 2.0, 3)
    assert [one["id"] for one in result["checks"]] == ["dump", "history"]
    verified = backup(dumped=dumped, committed=committed, verified={"checks": [{"id": "again"}]})["result"]
    assert [one["id"] for one in verified["checks"]] == ["dump", "again"]


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("committed", "verified", "verdict"),
    [("pass", "pass", "pass"), ("fail", "pass", "fail"), (None, "pass", "pass"), ("pass", None, "unproven"), ("pass", "fail", "fail")],
)
def test_a_backup_passes_only_if_it_was_verified_and_has_no_finding(committed: str | None, verified: str | None, verdict: str) -> None:
    def answer(given: str | None) -> Given:
        return {} if given is None else {"verdict": given}

    assert backup(committed={**COMMITTED, **answer(committed)}, verified=answer(verified))["stats"]["verdict"] == verdict


@pytest.mark.parametrize(
    ("url", "answer", "verdict"),
    [("", {}, "not_applicable"), ("https://tsa", {}, "unproven"), ("https://tsa", {"verdict": "pass", "message": "m"}, "pass")],
)
def test_missing_timestamp_is_not_a_pass(url: str, answer: Given, verdict: str) -> None:
    found = backup(timestamp_url=url, timestamp=answer)
    assert found["result"]["timestamp"]["verdict"] == found["stats"]["timestamp"] == verdict


def test_a_restore_has_each_check_once() -> None:
    new = [{"id": "a", "verdict": "fail", "message": ""}, {"id": "b", "verdict": "warn", "message": "m"}]
    found = restore(databases={"databases": [], "replaced": [], "checks": new})
    assert [(one["id"], one["verdict"]) for one in found["result"]["checks"]] == [("a", "pass"), ("b", "warn")]
    assert "warn b m" in found["summary"] and found["result"]["databases"] == []


@pytest.mark.mutation
def test_unproven_restore_does_not_pass_and_has_no_next_step() -> None:
    unproved, passed = restore(), restore(verified={"verdict": "pass"})
    assert (unproved["stats"]["verdict"], passed["stats"]["verdict"]) == ("unproven", "pass")
    assert len(passed["summary"]) == len(unproved["summary"]) + 1


def test_rolled_back_items_are_counted_and_unknown_ones_listed() -> None:
    entries = [{"count": count, "words": f"w{count}", "remedy": "r"} for count in (2, None, 0)]
    found = restore(rollback={"rollback": entries, "complete": True})
    assert (found["stats"]["taken_back"], found["stats"]["rollback_complete"]) == (1, True)
    assert found["summary"][-2:] == ["2 - w2 - r", "wNone - r"]


def test_check_mode_lists_assets_waiting_for_server() -> None:
    assert [line for line in restore(check_mode=True)["summary"] if line.endswith(": redis")]
    assert not [line for line in restore()["summary"] if line.endswith(": redis")]


def test_the_finding_is_the_check_that_decides_and_is_plain() -> None:
    checks = [{"id": "x", "verdict": "warn"}, {"id": HOSTILE, "verdict": "fail"}, {"id": "y", "verdict": "fail"}]
    assert roles.finding({"verdict": "pass", "checks": checks}) == roles.finding({"verdict": "fail", "checks": []}) == ""
    found = roles.finding({"verdict": "fail", "checks": checks})
    assert found and not set("{}'( ") & set(found) and len(found) == len(HOSTILE)


def test_retention_keeps_the_fields_of_a_report_alone() -> None:
    given = {"verdict": "fail", "checks": [], "counts": {"fail": 2, "unproven": 1}, "report": ["/r.html"], "seconds": 1.0}
    more = {"journal_head": "h", "summary_lines": ["line"], "invocation": {"module_args": {}}, "msg": "m"}
    found = roles.report("retention", {"deployment": "prod", "located": {"summary": "where"}, "retention": {**given, **more}})
    assert set(found["result"]) == {*given, "journal_head", "summary_lines"}
    assert found["stats"]["report"] == "/r.html" and found["stats"]["failed"] == 2 and found["summary"] == ["where", "line"]


@pytest.mark.parametrize(("diagnosis", "cause"), [([], ""), ([{"id": "kek.wrong"}, {"id": "other"}], "kek.wrong")])
def test_drill_result_keeps_report_fields_and_stats_name_first_cause(diagnosis: list[Given], cause: str) -> None:
    given = {"drill_id": "d", "set_id": "s", "verdict": "fail", "counts": {"fail": 2, "unproven": 1}, "diagnosis": diagnosis}
    timed = {"seconds": 1.0, "rto_seconds": None, "rpo_seconds": 2.0, "budgets": {}, "freshness": "fresh", "journal_head": "h"}
    page = {"separation": {"verdict": "pass"}, "countersigned": True, "report": {"html": "/r", "sha256": "0", "files": []}}
    more = {"invocation": {"module_args": {}}, "msg": "m", "drill": "token", "failed": True}
    shown = {**given, **timed, **page, "summary_lines": ["line"]}
    found = roles.report("drill", {"deployment": "prod", "drill": {**shown, **more}})
    assert found["result"] == shown and found["summary"] == ["line"]
    assert found["stats"]["cause"] == cause and found["stats"]["failed"] == 2 and found["stats"]["report"] == "/r"
