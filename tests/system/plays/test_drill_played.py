# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The set that a drill selects, check mode, and the result if steps are left out or cannot run."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drill import engine
from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import access
from scenes import role_settings
from scenes import scene as scenes
from scenes.playing import Play, drill_settings, stats_of
from scenes.scene import Scene, tree
from system.plays.drillable import Drillable
from twin import keys

LEFT_OUT = "not run: the step was skipped"
STEPS = tuple(step.name for step in engine.STEPS)


def skipping(*steps: str) -> tuple[str, ...]:
    return ("--skip-tags", ",".join(f"caracal_drill_{step}" for step in steps))


def needs(step: str) -> str:
    return f"not run: it needs the step {step}"


def drills(scene: Scene) -> list[dict[str, t.Any]]:
    """Return the reports in the journal, oldest first."""
    entries = access.open_repository(scene.access()).journal.of_kind("drill")
    return [json.loads((scene.repository / "drills" / one.body["drill"] / "report.json").read_text()) for one in entries]


def undone(report: dict[str, t.Any]) -> dict[str, str]:
    """Return the steps that did not run, with the reasons."""
    found = [one for one in report["checks"] if one["id"].startswith("drill.") and one["id"] != "drill.complete"]
    assert {one["verdict"] for one in found} <= {"unproven"}, found
    return {one["id"].removeprefix("drill."): one["message"] for one in found}


def failure(play: Play) -> str:
    """Return the message of the task at which the play failed. Later failures only name that task."""
    output = play.output().replace("\n    ", " ")
    found = [one.end() for one in re.finditer(r'^fatal: .*?"msg": (?=")', output, re.MULTILINE)]
    return str(json.JSONDecoder().raw_decode(output, found[0])[0]) if found else output


@pytest.fixture
def bare(bare_sets: Scene, tmp_path: Path) -> Scene:
    """Return two sets of databases without other assets."""
    return bare_sets.copy(tmp_path / "bare")


def settings_of(scene: Scene, sandbox: str, **own: t.Any) -> dict[str, t.Any]:
    return {**drill_settings(scene, sandbox), **role_settings.of("caracal_drill", own)}


@pytest.mark.no_false_alarm
def test_check_mode_checks_everything_and_writes_nothing(drilled: Drillable, sandbox_directory: str, tmp_path: Path) -> None:
    before = tree(drilled.scene.root)
    play = Play("restore_drill", drilled.settings(sandbox_directory), tmp_path, ("--check", "--diff"))
    assert play.ended() == 0, play.output()
    assert "verdict: unproven (check mode: nothing was restored)" in play.output()
    assert tree(drilled.scene.root) == before and not Path(sandbox_directory).exists()
    assert not [secret for secret in drilled.secrets() if secret in play.output()]


@pytest.mark.mutation
def test_check_mode_finds_a_flipped_byte(drilled: Drillable, sandbox_directory: str, tmp_path: Path) -> None:
    path = next((drilled.scene.repository / "sets").glob("*/**/caracal.dump.zst.age"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)
    play = Play("restore_drill", drilled.settings(sandbox_directory), tmp_path, ("--check",))
    assert play.ended() != 0 and "caracal.dump.zst.age was altered" in failure(play), play.output()
    assert not drilled.scene.files("drills/**/*") and not Path(sandbox_directory).exists()


def test_selects_a_set_and_every_run_is_a_separate_drill(bare: Scene, sandbox_directory: str, tmp_path: Path) -> None:
    oldest, newest = bare.sets()
    choices: dict[str, set[str]] = {"latest": {newest}, "oldest": {oldest}, oldest: {oldest}, "random": {newest, oldest}}
    for number, (choice, wanted) in enumerate(choices.items(), 1):
        own = {"set_id": choice, "max_age": 26 if choice != oldest else 0.00001}
        play = Play("restore_drill", settings_of(bare, sandbox_directory, **own), tmp_path, skipping("sandbox"))
        assert play.ended() != 0, play.output()
        made = drills(bare)
        assert len(made) == number and made[-1]["set"]["id"] in wanted
    assert len({one["drill_id"] for one in made}) == len(made)


@pytest.mark.mutation
def test_a_set_that_is_too_old_is_not_drilled(bare: Scene, sandbox_directory: str, tmp_path: Path) -> None:
    before = tree(bare.root)
    play = Play("restore_drill", settings_of(bare, sandbox_directory, max_age=0.00001), tmp_path)
    assert play.ended() != 0
    assert '"error": "VerificationFailed"' in play.output() and bare.sets()[-1] in failure(play), play.output()
    assert tree(bare.root) == before and not Path(sandbox_directory).exists()


# Why a step cannot run if an earlier step did not.
AFTER_SECRETS = {"keys": needs("secrets"), "services": needs("secrets")}
AFTER_SERVICES = {"canary": needs("services"), "settle": needs("services")}
AFTER_RESTORE = {step: needs("restore") for step in ("migrations", "state", "evidence", "keys", "prepare")}
AFTER_SANDBOX = {"restore": needs("sandbox"), "secrets": needs("sandbox"), **AFTER_RESTORE}
READING = ("migrations", "state", "evidence", "secrets", "prepare")
ASKING = ("state", "keys", "canary", "settle")
SKIPPED: dict[tuple[str, ...], dict[str, str]] = {
    ("sandbox",): {"sandbox": LEFT_OUT, **AFTER_SANDBOX, "services": needs("secrets"), **AFTER_SERVICES},
    ("restore",): {"restore": LEFT_OUT, **AFTER_RESTORE, "services": needs("prepare"), **AFTER_SERVICES},
    READING: {**dict.fromkeys(READING, LEFT_OUT), **AFTER_SECRETS, **AFTER_SERVICES},
    ("services", *READING[:2]): {**dict.fromkeys(("services", *READING[:2]), LEFT_OUT), **AFTER_SERVICES},
    ASKING: dict.fromkeys(ASKING, LEFT_OUT),
}


@pytest.mark.mutation
@pytest.mark.parametrize(("skipped", "reasons"), SKIPPED.items(), ids=["+".join(steps) for steps in SKIPPED])
def test_skipped_steps_are_unproven_and_reported(
    drilled: Drillable, sandbox_directory: str, tmp_path: Path, skipped: tuple[str, ...], reasons: dict[str, str]
) -> None:
    given = ("--tags", "caracal_drill_run", *skipping(*skipped))
    play = Play("restore_drill", drilled.settings(sandbox_directory), tmp_path, given)
    assert play.ended() != 0, play.output()
    [report] = drills(drilled.scene)
    assert report["verdict"] == "unproven"
    assert undone(report) == reasons and list(undone(report)) == [step for step in STEPS if step in reasons]
    found = {one["id"] for one in report["checks"]}
    assert ("sandbox.isolation" in found) == ("sandbox" not in skipped) and "set.objects" in found
    assert not Path(sandbox_directory).exists()


WAIVED = ("secrets", "keys", "services", "canary", "settle")


@pytest.mark.no_false_alarm
def test_databases_alone_pass_with_waivers_that_the_report_names(bare: Scene, sandbox_directory: str, tmp_path: Path) -> None:
    """A set without secrets, and no services; the audit key has another source. Without the waivers, the result is unproven."""
    (tmp_path / "ansible.cfg").write_text("[defaults]\nshow_custom_stats = true\n")
    audit_key = bare.root / "audit_hmac_key"
    audit_key.write_text(keys.for_seed("shared").audit_hmac_key.hex())
    waivers = [{"check": f"drill.{step}", "reason": "databases only", "expires": "2099-12-31"} for step in WAIVED]
    own = {"audit_hmac_key_files": [str(audit_key)], "report_dir": str(tmp_path / "reports")}
    strict = Play("restore_drill", settings_of(bare, sandbox_directory, **own), tmp_path)
    assert strict.ended() != 0 and "unproven" in failure(strict), strict.output()
    play = Play("restore_drill", settings_of(bare, sandbox_directory, **own, waivers=waivers), tmp_path)
    assert play.ended() == 0, play.output()
    reports = drills(bare)
    assert [one["verdict"] for one in reports] == ["unproven", "pass"]
    assert [undone(one) for one in reports] == [{"secrets": "not run: the set contains no secrets", **AFTER_SECRETS, **AFTER_SERVICES}] * 2
    page = (tmp_path / "reports" / reports[1]["drill_id"] / "report.html").read_text()
    assert not [step for step in WAIVED if f"drill.{step}" not in page]
    assert {one["check"] for one in reports[1]["waivers"]} == {f"drill.{step}" for step in WAIVED}

    stats = stats_of(play.output())["caracal_drill_stats"]
    assert stats["verdict"] == "pass" and stats["drill_id"] == reports[1]["drill_id"] and stats["set_id"] == bare.sets()[-1]
    assert (stats["failed"], stats["unproven"]) == (0, reports[1]["counts"]["unproven"])
    assert stats["rto_seconds"] == reports[1]["rto_seconds"] and stats["countersigned"]
    assert stats["report"].endswith("report.html") and len(stats["sha256"]) == 64


@pytest.mark.mutation
def test_a_set_that_this_host_cannot_open_is_unproven_in_one_line(bare: Scene, sandbox_directory: str, tmp_path: Path) -> None:
    scenes.new_identity(tmp_path / "another")
    own = {"identity_files": [str(tmp_path / "another")]}
    play = Play("restore_drill", settings_of(bare, sandbox_directory, **own), tmp_path)
    assert play.ended() != 0
    [report] = drills(bare)
    failed = [one["id"] for one in report["checks"] if one["verdict"] == "fail"]
    assert report["verdict"] == "unproven" and failed == []
    assert "drill.restore" in failure(play) and "\n" not in failure(play), play.output()
    assert not Path(sandbox_directory).exists()


@pytest.mark.mutation
def test_an_unwritable_report_directory_stops_before_any_change(bare: Scene, sandbox_directory: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    before = tree(bare.root)
    play = Play("restore_drill", settings_of(bare, sandbox_directory, report_dir=str(tmp_path / "file" / "reports")), tmp_path)
    assert play.ended() != 0 and "no drill was run, and there is no report" in failure(play), play.output()
    assert tree(bare.root) == before and not Path(sandbox_directory).exists()


# Every fact, former or current, that can change a check or the course of a drill. Each one claims success.
FACTS = {
    "__caracal_drill_checks": [],
    "__caracal_drill_made": {"checks": [], "done": True},
    "__caracal_drill_kept": [],
    "__caracal_drill_fails": [],
    "__caracal_drill_steps": [],
    "__caracal_drill_done": list(STEPS),
    "__caracal_drill_failed": [],
    "__caracal_drill_lacking": [],
    "__caracal_drill_needs": {},
    "__caracal_drill_step": "verify",
    "__caracal_drill_set": "20200101T000000Z-aaaa",
    "__caracal_drill_chosen": {"selected": "20200101T000000Z-aaaa"},
    "__caracal_drill_verified": {"verdict": "pass", "checks": [], "set_facts": {"assets": {"secrets": False, "redis": False}}},
    "__caracal_drill_sandbox": {},
    "__caracal_drill_sandboxed": {"checks": [], "sandbox": {"warnings": [], "isolation": "bubblewrap"}},
    "__caracal_drill_isolation": {"id": "sandbox.isolation", "verdict": "pass", "message": "x"},
    "__caracal_drill_restored": {"checks": [], "databases": []},
    "__caracal_drill_migrations": {"checks": []},
    "__caracal_drill_state": {"checks": []},
    "__caracal_drill_rollback": {"rollback": []},
    "__caracal_drill_secrets": "/etc",
    "__caracal_drill_secrets_restored": {"family": "zone_kek", "written": [], "unchanged": []},
    "__caracal_drill_names": [],
    "__caracal_drill_family": "zone_kek",
    "__caracal_drill_audit_keys": [],
    "__caracal_drill_evidence": {"checks": []},
    "__caracal_drill_envelopes": {"checks": [], "signing_keys": []},
    "__caracal_drill_rotating": True,
    "__caracal_drill_partitions": {"present": [1, 2, 3, 4], "made": []},
    "__caracal_drill_months": 4,
    "__caracal_drill_outbox": {},
    "__caracal_drill_redis": {"redis": {}},
    "__caracal_drill_streams": {"checks": []},
    "__caracal_drill_groups": {"checks": []},
    "__caracal_drill_replay": {},
    "__caracal_drill_serving": {"checks": [], "running": ["sts"]},
    "__caracal_drill_canary": {"checks": []},
    "__caracal_drill_settled": {"checks": []},
    "__caracal_drill_started": "2020-01-01T00:00:00Z",
    "__caracal_drill_clock": "2020-01-01T00:00:00Z",
    "__caracal_drill_token": "drill-000000000000000000",
    "__caracal_drill_of_host": True,
    "__caracal_drill_error": "",
    "__caracal_drill_surroundings": ["TamperedData"],
    "__caracal_drill_reported": {"verdict": "pass", "changed": True},
    "caracal_drill_result": {"verdict": "pass", "summary_lines": ["verdict: pass"]},
    "caracal_drill_stats": {"verdict": "pass", "set_id": "20200101T000000Z-aaaa"},
}


@pytest.mark.mutation
def test_variables_of_a_play_cannot_change_the_verdict(bare: Scene, sandbox_directory: str, tmp_path: Path) -> None:
    """Extra variables take precedence over every fact of the role."""
    settings = settings_of(bare, sandbox_directory)
    # The first run creates the high-water mark, which gives later runs more to check.
    for own in ({}, {}, FACTS):
        play = Play("restore_drill", {**settings, **own}, tmp_path, skipping("restore" if not drills(bare) else "prepare"))
        assert play.ended() != 0 and not Path(sandbox_directory).exists(), play.output()
    [_first, before, after] = drills(bare)
    assert before["verdict"] == after["verdict"] == "unproven" and after["set"]["id"] == bare.sets()[-1]
    assert [(one["id"], one["verdict"]) for one in before["checks"]] == [(one["id"], one["verdict"]) for one in after["checks"]]


@pytest.mark.mutation
def test_a_token_of_another_drill_ends_the_play(bare: Scene, sandbox_directory: str, tmp_path: Path) -> None:
    settings = {**settings_of(bare, sandbox_directory), "__caracal_drill_begun": {"drill": "drill-000000000000000000"}}
    play = Play("restore_drill", settings, tmp_path)
    assert play.ended() != 0 and drills(bare) == [] and not Path(sandbox_directory).exists(), play.output()
