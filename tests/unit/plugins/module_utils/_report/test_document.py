# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import datetime
import json
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._options.shared import WaiverOptions
from ansible_collections.caracal_ops.backup.plugins.module_utils._report import document, waiver
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, PASS, UNPROVEN, WARN, Check
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.diagnosis import Diagnosis
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.drill import Drill, Step, Who
from tools.rules import tree

MakeDrill = t.Callable[..., Drill]
PLACE = {"path": "drills/x/details.json.zst.age", "size": 300, "sha256": "00" * 32}
FIELDS = {
    "format",
    "type",
    "drill_id",
    "deployment",
    "repository",
    "verdict",
    "diagnosis",
    "set",
    "journal_head",
    "started",
    "finished",
    "seconds",
    "rto_seconds",
    "rpo_seconds",
    "budgets",
    "machine",
    "principal",
    "tools",
    "sandbox",
    "separation",
    "freshness",
    "recipients",
    "steps",
    "checks",
    "counts",
    "waivers",
    "coverage",
    "rolls_back",
    "controls",
    "details",
}


def test_report_records_set_times_counts_and_sandbox(make_drill: MakeDrill) -> None:
    report = document.build(make_drill(), PLACE)
    assert report["format"] == 1 and report["type"] == "drill-report" and report["verdict"] == PASS
    assert report["set"] == {
        "id": "20261125T020000Z-k3f9",
        "sequence": 41,
        "release": "v1.0.0",
        "family": "secret_store",
        "snapshot_time": "2026-11-25T02:00:00.000000Z",
        "age_seconds": 1863.0,
        "artifacts": 21,
        "bytes": 412345678,
    }
    assert (report["started"], report["finished"]) == ("2026-11-25T02:30:00.000000Z", "2026-11-25T02:31:03.000000Z")
    assert report["seconds"] == 63.0
    assert report["rpo_seconds"] == 1800.0
    assert report["rto_seconds"] == 59.0, "everything after what came before the restore"
    assert report["sandbox"] == {"isolation": "bubblewrap", "protection": "tmpfs", "server_version": "17.10"}
    assert report["counts"] == {"pass": 2, "fail": 0, "warn": 1, "unproven": 0, "not_applicable": 1}
    assert report["steps"][2] == {
        "name": "restore",
        "start_seconds": 4.0,
        "seconds": 20.0,
        "bytes": 2_400_000_000,
        "mb_per_second": 120.0,
    }
    assert report["details"] == PLACE


def test_the_guide_has_every_field(make_drill: MakeDrill) -> None:
    guide = (tree.ROOT / "docs/docsite/rst/guide_formats.rst").read_text(encoding="utf-8")
    section = guide.partition("The report of a drill\n")[2].partition("The inventory\n")[0]
    report = document.build(make_drill(), PLACE)
    inner = [name for part in ("set", "coverage") for name in report[part]] + list(report["steps"][0])
    assert not [name for name in [*report, *inner] if f"``{name}``" not in section]


def test_every_field_is_there_when_nothing_is_known(make_drill: MakeDrill) -> None:
    report = document.build(make_drill(steps=[Step("quick", 0.0, 5)], checks=[], sandbox={}, tools={}))
    assert report.keys() == FIELDS == document.build(make_drill(), PLACE).keys()
    assert report["sandbox"] == {"isolation": None, "protection": None, "server_version": None}
    assert report["rto_seconds"] is None and report["details"] is None
    assert report["steps"] == [{"name": "quick", "start_seconds": 0.0, "seconds": 0.0, "bytes": 5, "mb_per_second": None}]
    assert report["diagnosis"] == [] and report["recipients"] is None and report["rolls_back"] is None
    assert report["budgets"] == {"rto_seconds": None, "rpo_seconds": None, "tail_seconds": None}
    assert report["coverage"] == {"assets": None, "left_out": {}, "not_verified": []}
    assert report["verdict"] == UNPROVEN and document.deciding_check(report) is None


def test_the_same_drill_gives_the_same_bytes(make_drill: MakeDrill) -> None:
    first, second = (json.dumps(document.build(make_drill(), PLACE), allow_nan=False) for _turn in range(2))
    assert first == second and json.loads(first)["drill_id"] == "20261125T023000Z-ab12"


def test_details_are_not_in_the_report_but_among_what_is_sealed(make_drill: MakeDrill) -> None:
    drill = make_drill()
    assert "4711" not in json.dumps(document.build(drill)) and "/var/tmp/drill" not in json.dumps(document.build(drill))
    sealed = document.details(drill)
    assert sealed["checks"][0] == {
        "id": "set.objects",
        "verdict": PASS,
        "message": "21 objects, every SHA-256 matches",
        "details": {"rows": 4711},
    }
    assert sealed["sandbox"]["directory"] == "/var/tmp/drill" and sealed["type"] == "drill-details"


@pytest.mark.mutation
def test_one_failed_check_fails_the_drill_and_is_named(make_drill: MakeDrill, broken_check: Check) -> None:
    drill = make_drill(checks=[Check("sandbox.isolation", UNPROVEN, "no"), *make_drill().checks, broken_check])
    report = document.build(drill)
    assert report["verdict"] == drill.verdict == FAIL
    assert (document.deciding_check(report) or {})["id"] == broken_check.id
    assert [check["verdict"] for check in document.attention(report["checks"])] == [FAIL, UNPROVEN, WARN]


@pytest.mark.mutation
def test_deciding_check_is_shown_before_optional_checks(make_drill: MakeDrill) -> None:
    """Otherwise it could be one of those that the console leaves to the report."""
    others = [Check(f"envelopes.{number}", UNPROVEN, "no value", required=False) for number in range(9)]
    report = document.build(make_drill(checks=[*others, Check("drill.services", UNPROVEN, "no program")]))
    assert document.attention(report["checks"])[0]["id"] == "drill.services"


def test_a_waiver_is_shown_and_changes_the_verdict_only(make_drill: MakeDrill, broken_check: Check) -> None:
    given = {"check": broken_check.id, "reason": "known, OPS-4711", "expires": "2026-12-31"}
    drill = make_drill(
        checks=[*make_drill().checks, broken_check], waivers=waiver.parse([WaiverOptions(**given)], make_drill().started.date())
    )
    report = document.build(drill)
    assert report["verdict"] == PASS and report["waivers"] == [given] and report["counts"]["fail"] == 1
    shown = report["checks"][-1]
    assert (shown["id"], shown["verdict"], shown["required"], shown["waived"]) == (broken_check.id, FAIL, True, True)
    assert document.deciding_check(report) is None


@pytest.mark.parametrize(
    ("fingerprint", "machine", "verdict", "words"),
    [
        ("SHA256:drill", "drill-2", PASS, "set created on pg-1 by backup@prod"),
        ("SHA256:backup", "drill-2", WARN, "the report is signed with the set's signing key;"),
        ("SHA256:drill", "pg-1", WARN, "the drill ran on pg-1, which created the set;"),
        ("SHA256:backup", "pg-1", WARN, "the report is signed with the set's signing key and the drill ran on pg-1"),
    ],
)
def test_drill_with_key_or_machine_of_set_creator_warns(fingerprint: str, machine: str, verdict: str, words: str) -> None:
    found = document.separation(Who("backup@prod", "SHA256:backup", "pg-1"), Who("drill@prod", fingerprint, machine))
    assert found["verdict"] == verdict and found["message"].startswith(words)


def test_a_set_of_which_only_the_journal_entry_is_known_has_a_report(make_drill: MakeDrill) -> None:
    restored = dataclasses.replace(make_drill().restored, snapshot_time=None, artifacts=None, bytes=None, family=None)
    report = document.build(make_drill(restored=restored))
    assert report.keys() == FIELDS and report["rpo_seconds"] is None
    assert {name for name, value in report["set"].items() if value is None} == {
        "family",
        "snapshot_time",
        "age_seconds",
        "artifacts",
        "bytes",
    }
    unknown = document.separation(Who("backup@prod", "", "pg-1"), Who("drill@prod", "SHA256:drill", "drill-2"))
    assert unknown["verdict"] == UNPROVEN and "cannot be read" in unknown["message"]


def test_steps_begin_at_their_recorded_time(make_drill: MakeDrill) -> None:
    started = make_drill().started
    steps = [
        Step("verify", 1.0),
        Step("restore", 20.0, started=started + datetime.timedelta(seconds=5)),
        Step("state", 2.0),
        Step("canary", 3.0, started=started + datetime.timedelta(seconds=40)),
        Step("settled", 10.0),
    ]
    drill = make_drill(steps=steps)
    assert drill.starts == [0.0, 5.0, 25.0, 40.0, 43.0]
    assert drill.rto_seconds == 38.0, "from the start of the restore to the end of the canary"
    assert make_drill(steps=steps[:3]).rto_seconds == 58.0, "without a canary to the end"


@pytest.mark.mutation
def test_a_copy_that_is_not_what_it_should_be_has_no_recovery_time(make_drill: MakeDrill, broken_check: Check) -> None:
    assert make_drill(checks=[*make_drill().checks, broken_check]).rto_seconds is None
    over = Check("drill.rto", FAIL, "over")
    assert make_drill(checks=[*make_drill().checks, over]).rto_seconds == 59.0, "what took too long took its time"


def test_unverified_checks_are_listed_in_coverage(make_drill: MakeDrill) -> None:
    restored = dataclasses.replace(make_drill().restored, assets=["secrets", "databases", "databases"], left_out={"redis": "managed"})
    report = document.build(make_drill(restored=restored, checks=[*make_drill().checks, Check("sandbox.isolated", UNPROVEN, "no")]))
    assert report["coverage"]["assets"] == ["databases", "secrets"] and report["coverage"]["left_out"] == {"redis": "managed"}
    assert [one["id"] for one in report["coverage"]["not_verified"]] == ["sandbox.isolated", "inventory.caracal.streams"]


def test_controls_are_supported_and_no_more(make_drill: MakeDrill) -> None:
    controls = document.build(make_drill())["controls"]
    assert [one["control"] for one in controls] == ["ISO/IEC 27001:2022 A.8.13", "SOC 2 A1.2", "SOC 2 A1.3"]
    assert all(one["words"].startswith("supports: ") for one in controls)


ZONE = "019a326a-0400-781c-8083-2b051a8ef0ae"


def test_identifiers_are_hashed_in_report_and_listed_only_in_sealed_details(make_drill: MakeDrill) -> None:
    checks = [
        Check("state.agents.depth", FAIL, f"zone {ZONE.upper()}: 2 agents; first: {ZONE}, of jane.doe@example.com"),
        Check("state.agents.child", UNPROVEN, f"zone {ZONE}"),
    ]
    cause = Diagnosis("state.invariant", f"rows of {ZONE}", "look", ("state.agents.depth",))
    rollback = [{"id": "revoked.grants", "words": "grants", "remedy": "delete", "count": 1, "examples": [ZONE]}]
    drill = make_drill(checks=checks, diagnosis=[cause], rollback=rollback, salt=b"salt")
    report, sealed = document.build(drill), document.details(drill)
    text = json.dumps(report)
    assert ZONE not in text.lower() and "jane" not in text
    short = next(name for name, known in sealed["identifiers"].items() if known.lower() == ZONE)
    assert report["checks"][0]["message"].count(short) == 2 and report["rolls_back"][0]["examples"] == [short]
    assert report["coverage"]["not_verified"][0]["message"] == f"zone {short}" and report["diagnosis"][0]["cause"] == f"rows of {short}"
    assert sealed["checks"][0]["message"] == checks[0].message and sealed["salt"] == b"salt".hex()
    other = document.build(make_drill(checks=checks, salt=b"other"))
    assert short not in json.dumps(other), "hashes of two drills cannot be compared"
