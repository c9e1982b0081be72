# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`schedule` in AWX: the objects that it creates, a second run without changes, and removal, with a real AWX's recorded answers."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest

from scenes import awx_recording, awx_schedule
from scenes.awx_recording import Awx
from scenes.playing import Play

TOKEN = "t0ken-of-awx"


def played(step: str, folder: Path) -> tuple[Awx, Play]:
    with awx_recording.replaying(awx_schedule.RECORDINGS / f"{step}.json.gz") as awx:
        play = awx_schedule.play(step, awx, TOKEN, folder)
    assert play.ended() == 0 and awx.strange == [], (awx.strange, play.output())
    assert not any(secret in play.output() for secret in (TOKEN, awx_schedule.HOOK, awx_schedule.PASSWORD))
    return awx, play


def changes(play: Play) -> int:
    return int(t.cast("re.Match[str]", re.search(r"\bchanged=(\d+)", play.output()))[1])


def names(awx: Awx, kind: str) -> set[str]:
    return {body["name"] for body in awx.sent("POST", f"/api/v2/{kind}/")}


def writes(awx: Awx) -> list[tuple[str, str]]:
    return [(one.method, one.path) for one in awx.asked if one.method not in ("GET", "HEAD")]


@pytest.mark.story
@pytest.mark.no_false_alarm
def test_creates_all_objects(tmp_path: Path) -> None:
    first, play = played("first", tmp_path)
    assert changes(play) > 0
    sides = {f"Caracal prod {side}" for side in ("backup", "drill", "restore")}
    assert names(first, "organizations") == names(first, "inventories") == sides
    templates = {body["name"]: body for body in first.sent("POST", "/api/v2/job_templates/")}
    assert templates.keys() == {f"Caracal prod {job}" for job in ("backup", "retention", "verify_repository", "restore_drill", "restore")}
    assert templates["Caracal prod backup"]["playbook"] == "caracal_backup.yml"
    assert "caracal_backup_stats" in templates["Caracal prod restore_drill"]["extra_vars"]
    rules = {body["name"]: body["rrule"] for body in first.sent("POST", "/api/v2/schedules/") if "project" not in body["name"]}
    assert {name: rule.split("RRULE:")[1] for name, rule in rules.items()} == {
        "Caracal prod retention": "FREQ=WEEKLY;INTERVAL=1;BYDAY=MO,TH",
        "Caracal prod backup and after": "FREQ=DAILY;INTERVAL=1",
    }
    nodes = [body["identifier"] for body in first.sent("POST", "/api/v2/workflow_job_template_nodes/")]
    assert nodes == ["restore_drill", "verify_repository", "backup", "restore", "approval"]
    notifications = first.sent("POST", "/api/v2/notification_templates/")
    assert sorted(body["notification_type"] for body in notifications) == [*["email"] * len(sides), *["webhook"] * len(sides)]
    mail = next(body["notification_configuration"] for body in notifications if body["notification_type"] == "email")
    # AWX refuses a text instead of a number or a truth value.
    assert (mail["port"], mail["use_tls"], mail["use_ssl"], mail["recipients"]) == (587, True, False, ["ops@example.org"])


@pytest.mark.no_false_alarm
def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    awx, play = played("again", tmp_path)
    assert any(one.path.startswith("/api/v2/schedules/") for one in awx.asked)
    # The collection writes an inventory unchanged, and a password that AWX does not show.
    assert changes(play) == 0
    assert {(method, path.split("/")[3]) for method, path in writes(awx)} == {("PATCH", "inventories"), ("PATCH", "notification_templates")}


def test_check_mode_writes_nothing(tmp_path: Path) -> None:
    awx, play = played("predicted", tmp_path)
    assert changes(play) > 0 and writes(awx) == []


def test_removes_objects_that_are_not_configured_any_more(tmp_path: Path) -> None:
    awx, _play = played("fewer", tmp_path)
    gone = [path.split("/")[3] for method, path in writes(awx) if method == "DELETE"]
    assert sorted(gone) == ["job_templates"] * 3 + ["schedules"] + ["workflow_job_template_nodes"] * 2 + ["workflow_job_templates"]


@pytest.mark.mutation
def test_invalid_settings_send_no_request_to_awx(tmp_path: Path) -> None:
    wrong = {
        **awx_schedule.SETTINGS,
        "caracal_schedule_awx_image": "",
        "caracal_schedule_awx_credentials": {"backup": []},
        "caracal_schedule_awx_after_backup": "restore_drill,restore",
    }
    play = Play("schedule", wrong, tmp_path, collections=(awx_schedule.AWX_COLLECTION,))
    assert play.ended() == 2
    for word in ("caracal_schedule_awx_image", "side drill", "restore in caracal_schedule_awx_after_backup"):
        assert word in play.output()
