# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a schedule: timers and cron lines of a host, and errors in its settings."""

from __future__ import annotations

import fnmatch
import json
import re
import typing as t

import pytest
import yaml

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible import schedule
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import OptionError
from scenes import schedule_settings
from tools.rules import tree

USUAL = {"backup", "restore_drill", "audit_checkpoint", "retention", "verify_repository"}


def plan(**own: t.Any) -> dict[str, t.Any]:
    return schedule.plan(schedule_settings.of(**own))


def units(*jobs: str) -> set[str]:
    return {f"caracal-ops-{job}.{kind}" for job in jobs for kind in ("timer", "service")}


def test_settings_match_arguments_that_role_passes() -> None:
    given = yaml.safe_load((tree.ROOT / "roles/caracal_schedule/vars/main.yml").read_text(encoding="utf-8"))["__caracal_schedule_asked"]
    assert given.keys() == schedule_settings.of().keys() and given["awx"].keys() == schedule_settings.of()["awx"].keys()


def test_each_job_is_a_playbook_and_has_a_usual_time_or_none() -> None:
    playbooks = {path.stem for path in (tree.ROOT / "playbooks").glob("*.yml")}
    assert schedule.USUAL.keys() <= playbooks
    assert {job["name"] for job in plan()["timers"]} == USUAL
    assert {job["name"]: job["time"] for job in plan(archives=True)["timers"]}["audit_archive"] == "*:40"


@pytest.mark.no_false_alarm
def test_systemd_removes_units_of_jobs_that_are_not_planned() -> None:
    found = plan(jobs={"retention": "", "prune": "*-*-01 08:00"})
    wanted = USUAL - {"retention"} | {"prune"}
    assert found["lines"] == [] and found["without_cron"]
    assert {job["name"] for job in found["timers"]} == wanted
    every = units(*schedule.USUAL) | {"caracal-ops-notify@.service"}
    assert set(found["removed_units"]) == every - units(*wanted)
    forgotten = {unit for unit in every for one in found["forgotten_units"] if fnmatch.fnmatch(unit.replace("@", "@backup"), one)}
    assert forgotten == set(found["removed_units"])


def test_failed_systemd_job_is_notified_if_notify_is_set() -> None:
    assert plan()["notify"] == "" and "caracal-ops-notify@.service" in plan()["removed_units"]
    found = plan(notify=[{"kind": "ntfy", "url": "https://ntfy.example"}])
    assert "caracal_ops.backup.notify" in found["notify"] and "caracal-ops-notify@.service" not in found["removed_units"]
    assert plan(notify=[{"kind": "ntfy"}], backend="cron")["notify"] == ""


def test_a_command_names_all_files() -> None:
    found = plan(inventory="/etc/hosts.yml", vault_password_file="/etc/vault", files="/a.yml,/b.yml", jobs="prune=08:00")
    (command,) = (job["command"] for job in found["timers"] if job["name"] == "prune")
    assert command == (
        "/opt/bin/ansible-playbook caracal_ops.backup.prune -i /etc/hosts.yml --vault-password-file /etc/vault -e @/a.yml -e @/b.yml"
    )
    assert {(one["path"], one["variable"]) for one in found["files"]} == {
        ("/opt/bin/ansible-playbook", "caracal_schedule_program"),
        ("/opt/ansible_collections/caracal_ops/backup/playbooks/backup.yml", "caracal_schedule_collections"),
        ("/a.yml", "caracal_schedule_settings"),
        ("/b.yml", "caracal_schedule_settings"),
        ("/etc/vault", "caracal_schedule_vault_password_file"),
        ("/etc/hosts.yml", "caracal_schedule_inventory"),
    }


def test_without_a_job_no_file_is_needed() -> None:
    assert plan(jobs={name: "" for name in schedule.USUAL})["files"] == []


def test_cron_has_lines_and_systemd_has_nothing() -> None:
    own = {"prune": "*-*-01 08:05", "retention": "Mon,Thu 00:00", "verify_repository": None}
    found = plan(backend="cron", jobs=own)
    assert {job["name"]: job["time"] for job in found["lines"]} == {
        "backup": "0 4 * * *",
        "restore_drill": "0 6 * * Sun",
        "audit_checkpoint": "20 * * * *",
        "retention": "0 0 * * Mon,Thu",
        "prune": "5 8 1 * *",
    }
    assert found["timers"] == [] and not found["without_cron"]
    assert set(found["removed_units"]) == units(*schedule.USUAL) | {"caracal-ops-notify@.service"}


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("own", "named"),
    [
        pytest.param({"facts": ["caracal_ops_notify"]}, ["caracal_ops_notify", "host.example"], id="facts"),
        pytest.param({"jobs": {"quickstart": "04:00"}}, ["quickstart", "caracal_schedule_jobs"], id="job"),
        pytest.param({"jobs": {"prune": "daily"}}, ["prune", "caracal_schedule_jobs"], id="time"),
        pytest.param({"jobs": {"prune": "04:00\n"}}, ["prune", "caracal_schedule_jobs"], id="line break after a time"),
        pytest.param({"jobs": {"prune": 1234}}, ["prune", "caracal_schedule_jobs"], id="a number as time"),
        pytest.param({"program": "ansible-playbook"}, ["caracal_schedule_program"], id="program"),
        pytest.param({"collections": "~/.ansible"}, ["caracal_schedule_collections"], id="collections"),
        pytest.param({"inventory": "/etc/hosts; id"}, ["/etc/hosts; id", "caracal_schedule_inventory"], id="inventory"),
        pytest.param({"vault_password_file": "/etc/vault\n"}, ["caracal_schedule_vault_password_file"], id="vault"),
        pytest.param({"files": ["/a.yml", "b.yml"]}, ["b.yml", "caracal_schedule_settings"], id="settings"),
        pytest.param({"user": "root\nExecStartPre=/bin/id"}, ["caracal_schedule_user"], id="user"),
    ],
)
@pytest.mark.parametrize("backend", ["systemd", "cron"])
def test_invalid_setting_is_reported_and_prevents_plan(backend: str, own: dict[str, t.Any], named: list[str]) -> None:
    settings = schedule_settings.of(backend=backend, **own)
    (error,) = schedule.errors_of(settings)
    assert all(name in error for name in named) and "\n" not in error
    with pytest.raises(OptionError, match=re.escape(error)):
        schedule.plan(settings)


@pytest.mark.mutation
def test_all_errors_are_reported_at_once() -> None:
    settings = schedule_settings.of(jobs={"prune": "daily", "quickstart": "x"}, user="", program="relative")
    assert len(schedule.errors_of(settings)) == 5


@pytest.mark.parametrize("backend", ["systemd", "cron", "awx"])
def test_a_plan_is_plain_data(backend: str) -> None:
    found = plan(backend=backend, notify=[{"kind": "mail", "to": "ops@example.org"}])
    assert json.loads(json.dumps(found)) == found
