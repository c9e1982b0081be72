# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a schedule in AWX: sides, templates, workflows, notifications, and errors in its settings."""

from __future__ import annotations

import re
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible import schedule
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import OptionError
from scenes import schedule_settings

ALL = {"backup": [], "drill": "hosts", "restore": ["hosts", "operators"]}


def settings(awx: dict[str, t.Any] | None = None, **own: t.Any) -> dict[str, t.Any]:
    return schedule_settings.of(awx, backend="awx", **own)


def whole(awx: dict[str, t.Any] | None = None, **own: t.Any) -> dict[str, t.Any]:
    return schedule.plan(settings(awx, **own))


def plan(awx: dict[str, t.Any] | None = None, **own: t.Any) -> dict[str, t.Any]:
    found = whole(awx, **own)
    return t.cast("dict[str, t.Any]", found["awx"])


def jobs(found: dict[str, t.Any]) -> list[str]:
    return [one["job"] for one in found["templates"]]


def links(found: dict[str, t.Any]) -> list[tuple[str, list[str]]]:
    return [(one["job"], one["next"]) for one in found["links"]]


@pytest.mark.no_false_alarm
def test_workflow_jobs_after_a_backup_have_no_own_time() -> None:
    found = plan()
    assert found["sides"] == found["made_sides"] == ["backup", "drill"]
    assert jobs(found) == ["backup", "audit_checkpoint", "retention", "restore_drill", "verify_repository"]
    assert [one["job"] for one in found["timed"]] == ["audit_checkpoint", "retention"]
    assert links(found) == [("restore_drill", []), ("verify_repository", ["restore_drill"]), ("backup", ["verify_repository"])]
    assert found["nodes"] == ["backup", "verify_repository", "restore_drill"]
    assert found["night_rule"].startswith("DTSTART;TZID=Europe/Berlin:20260101T040000 ")
    assert found["unwanted_workflows"] == ["Caracal prod approved restore"] and not found["restores"]
    assert set(found["unwanted_templates"]) == {
        f"Caracal prod {job}" for job in ("audit_archive", "verify_audit", "prune", "repository_copy", "restore")
    }
    assert {"Caracal prod backup", "Caracal prod restore_drill"} <= set(found["idle_schedules"])
    assert "Caracal prod retention" not in found["idle_schedules"] and found["night"] not in found["idle_schedules"]


def test_a_follow_up_can_have_a_time_as_well() -> None:
    found = plan(jobs={"restore_drill": "Sun 06:00"})
    assert "restore_drill" in [one["job"] for one in found["timed"]] and "restore_drill" in found["nodes"]
    assert "Caracal prod restore_drill" not in found["idle_schedules"]


def test_plan_without_backup_has_no_workflow() -> None:
    found = plan(jobs={"backup": ""})
    assert (found["links"], found["night_rule"]) == ([], "") and found["night"] in found["unwanted_workflows"]
    assert found["night"] in found["idle_schedules"] and "Caracal prod backup" in found["unwanted_templates"]
    assert {"restore_drill", "verify_repository"} <= {one["job"] for one in found["timed"]}


def test_other_backends_have_no_workflow() -> None:
    found = schedule.plan(schedule_settings.of(backend="systemd", awx={"image": "", "credentials": {}}))
    assert found["awx"]["sides"] == []
    assert {"restore_drill", "verify_repository"} <= {job["name"] for job in found["timers"]}


def test_awx_replaces_systemd_and_cron() -> None:
    found = whole()
    assert (found["files"], found["timers"], found["lines"], found["notify"]) == ([], [], [], "") and found["without_cron"]


def test_restore_has_a_separate_side() -> None:
    found = plan({"credentials": ALL})
    assert found["sides"] == ["backup", "drill", "restore"] and found["restores"] and found["unwanted_workflows"] == []
    credentials = {one["job"]: (one["side"], one["credentials"]) for one in found["templates"]}
    assert credentials["backup"] == ("backup", []) and credentials["restore_drill"] == ("drill", ["hosts"])
    assert credentials["restore"] == ("restore", ["hosts", "operators"])
    assert "restore" not in found["nodes"]


def test_check_mode_skips_items_that_awx_does_not_have_yet() -> None:
    found = plan({"credentials": ALL, "absent_sides": ["drill"], "absent_jobs": ["retention", "restore"]})
    assert found["sides"] == ["backup", "drill", "restore"] and found["made_sides"] == ["backup", "restore"]
    assert jobs(found) == ["backup", "audit_checkpoint", "retention", "restore"]
    assert [one["job"] for one in found["timed"]] == ["audit_checkpoint"]
    assert links(found) == [("backup", [])] and not found["restores"]
    # Wanted items are not removed only because AWX does not have them yet.
    assert found["unwanted_workflows"] == [] and "Caracal prod restore" not in found["unwanted_templates"]
    assert links(plan({"absent_jobs": ["backup"]})) == []


def test_each_side_uses_the_channels_that_awx_supports() -> None:
    channels = [{"kind": "webhook", "url": "https://hook.example/{job}"}, {"kind": "ping", "url": "x"}, {"kind": "mail", "to": "a@b,c@d"}]
    found = plan(notify=channels)
    assert found["told"]["drill"] == ["Caracal prod drill channel 1", "Caracal prod drill channel 2"]
    assert [(one["name"], one["side"], one["channel"]) for one in found["notified"]][2:] == [
        ("Caracal prod drill channel 1", "drill", 0),
        ("Caracal prod drill channel 2", "drill", 1),
    ]
    webhook, mail = found["channels"]
    assert (webhook["kind"], webhook["type"], webhook["configuration"]["url"]) == ("webhook", "webhook", "https://hook.example/awx")
    assert (mail["kind"], mail["type"], mail["configuration"]["recipients"]) == ("mail", "email", ["a@b", "c@d"])
    assert (mail["configuration"]["host"], mail["configuration"]["port"]) == ("localhost", 25)


@pytest.mark.parametrize(
    ("own", "tls", "ssl"),
    [
        ({}, False, False),
        ({"username": "ops"}, True, False),
        ({"secure": "starttls"}, True, False),
        ({"secure": "always", "username": "ops", "port": "465"}, False, True),
        ({"secure": "never", "username": "ops"}, False, False),
    ],
    ids=["nothing", "password", "starttls", "always", "never"],
)
def test_a_password_needs_tls_unless_never_is_set(own: dict[str, str], tls: bool, ssl: bool) -> None:
    (mail,) = plan(notify=[{"kind": "mail", "to": ["a@b"], **own}])["channels"]
    assert (mail["configuration"]["use_tls"], mail["configuration"]["use_ssl"]) == (tls, ssl)
    assert mail["configuration"]["port"] == int(own.get("port", 25))


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("own", "named"),
    [
        pytest.param({"awx": {"project_url": ""}}, ["caracal_schedule_awx_project_url"], id="project"),
        pytest.param({"awx": {"image": ""}}, ["caracal_schedule_awx_image"], id="image"),
        pytest.param({"awx": {"credentials": {"backup": []}}}, ["side drill", "caracal_schedule_awx_credentials"], id="side"),
        pytest.param({"jobs": {"prune": "08:00"}}, ["side prune", "caracal_schedule_awx_credentials"], id="side of a job"),
        pytest.param(
            {"awx": {"credentials": ALL, "after_backup": "restore"}}, ["restore", "caracal_schedule_awx_after_backup"], id="restore follows"
        ),
        pytest.param({"awx": {"after_backup": ["backup"]}}, ["backup", "caracal_schedule_awx_after_backup"], id="backup follows"),
        pytest.param({"awx": {"after_backup": ["setup"]}}, ["setup", "caracal_schedule_awx_after_backup"], id="no job follows"),
        pytest.param({"awx": {"time_zone": "UTC;RRULE"}}, ["caracal_schedule_awx_time_zone"], id="zone"),
        pytest.param({"notify": "mail"}, ["caracal_ops_notify"], id="text"),
        pytest.param({"notify": ["mail"]}, ["caracal_ops_notify"], id="texts"),
        pytest.param({"jobs": {"setup": "04:00"}}, ["setup", "caracal_schedule_jobs"], id="job"),
    ],
)
def test_invalid_awx_setting_is_reported_and_prevents_plan(own: dict[str, t.Any], named: list[str]) -> None:
    (error,) = schedule.errors_of(settings(**own))
    assert all(name in error for name in named)
    with pytest.raises(OptionError, match=re.escape(error)):
        whole(**own)
