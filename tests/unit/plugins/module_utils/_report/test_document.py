# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._report import document, waiver
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, PASS, UNPROVEN, WARN, Check
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.document import Drill, Step, Who

MakeDrill = t.Callable[..., Drill]
PLACE = {"path": "drills/x/details.json.zst.age", "size": 300, "sha256": "00" * 32}
FIELDS = {
    "format",
    "type",
    "drill_id",
    "deployment",
    "repository",
    "verdict",
    "set",
    "journal_head",
    "started",
    "finished",
    "seconds",
    "rto_seconds",
    "rpo_seconds",
    "machine",
    "principal",
    "tools",
    "sandbox",
    "separation",
    "freshness",
    "steps",
    "checks",
    "counts",
    "waivers",
    "details",
}


def test_a_report_says_what_when_and_how(make_drill: MakeDrill) -> None:
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
    assert report["steps"][2] == {"name": "restore", "seconds": 20.0, "bytes": 2_400_000_000, "mb_per_second": 120.0}
    assert report["details"] == PLACE


def test_every_field_is_there_when_nothing_is_known(make_drill: MakeDrill) -> None:
    report = document.build(make_drill(steps=[Step("quick", 0.0, 5)], checks=[], sandbox={}, tools={}))
    assert report.keys() == FIELDS == document.build(make_drill(), PLACE).keys()
    assert report["sandbox"] == {"isolation": None, "protection": None, "server_version": None}
    assert report["rto_seconds"] is None and report["details"] is None
    assert report["steps"] == [{"name": "quick", "seconds": 0.0, "bytes": 5, "mb_per_second": None}]
    assert report["verdict"] == UNPROVEN and document.deciding_check(report) is None


def test_the_same_drill_gives_the_same_bytes(make_drill: MakeDrill) -> None:
    first, second = (json.dumps(document.build(make_drill(), PLACE), allow_nan=False) for _turn in range(2))
    assert first == second and json.loads(first)["drill_id"] == "20261125T023000Z-ab12"


def test_details_are_not_in_the_report_but_among_what_is_sealed(make_drill: MakeDrill) -> None:
    drill = make_drill()
    assert "4711" not in json.dumps(document.build(drill)) and "/var/tmp/drill" not in json.dumps(document.build(drill))
    sealed = document.details(drill)
    assert sealed["checks"][0] == {"id": "set.objects", "verdict": PASS, "details": {"rows": 4711}}
    assert sealed["sandbox"]["directory"] == "/var/tmp/drill" and sealed["type"] == "drill-details"


@pytest.mark.mutation
def test_one_failed_check_fails_the_drill_and_is_named(make_drill: MakeDrill, broken_check: Check) -> None:
    drill = make_drill(checks=[Check("sandbox.isolation", UNPROVEN, "no"), *make_drill().checks, broken_check])
    report = document.build(drill)
    assert report["verdict"] == drill.verdict == FAIL
    assert (document.deciding_check(report) or {})["id"] == broken_check.id
    assert [check["verdict"] for check in document.attention(report)] == [FAIL, UNPROVEN, WARN]


def test_a_waiver_is_shown_and_changes_the_verdict_only(make_drill: MakeDrill, broken_check: Check) -> None:
    given = {"check": broken_check.id, "reason": "known, OPS-4711", "expires": "2026-12-31"}
    drill = make_drill(checks=[*make_drill().checks, broken_check], waivers=waiver.parse([given], make_drill().started.date()))
    report = document.build(drill)
    assert report["verdict"] == PASS and report["waivers"] == [given] and report["counts"]["fail"] == 1
    shown = report["checks"][-1]
    assert (shown["id"], shown["verdict"], shown["required"], shown["waived"]) == (broken_check.id, FAIL, True, True)
    assert document.deciding_check(report) is None


@pytest.mark.parametrize(
    ("fingerprint", "machine", "verdict", "words"),
    [
        ("SHA256:drill", "drill-2", PASS, "set made on pg-1 by backup@prod"),
        ("SHA256:backup", "drill-2", WARN, "signed by the set's own signer;"),
        ("SHA256:drill", "pg-1", WARN, "run on pg-1, the machine that made the set;"),
        ("SHA256:backup", "pg-1", WARN, "signed by the set's own signer and run on pg-1"),
    ],
)
def test_who_made_the_set_should_not_judge_it(fingerprint: str, machine: str, verdict: str, words: str) -> None:
    found = document.separation(Who("backup@prod", "SHA256:backup", "pg-1"), Who("drill@prod", fingerprint, machine))
    assert found["verdict"] == verdict and found["message"].startswith(words)
