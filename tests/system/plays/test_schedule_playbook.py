# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook `schedule`: units that the real systemd accepts, entries of cron, and the removal of a job."""

from __future__ import annotations

import fnmatch
import getpass
import json
import os
import re
import shlex
import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest

from scenes import hook as hooks
from scenes.playing import Play
from scenes.scene import tree

# Timers can only be started on a host with systemd; the rest does not need it.
WITHOUT_SYSTEMD = ("--skip-tags", "caracal_schedule_start")
USUAL = {"backup", "restore_drill", "audit_checkpoint", "retention", "verify_repository"}
SECRET = "s3cr3t-topic"


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """Return a folder with the files that a host's jobs need, and without jobs."""
    for name in ("units", "locks", "bin"):
        (tmp_path / name).mkdir()
    playbooks = tmp_path / "ansible_collections" / "caracal_ops" / "backup" / "playbooks"
    playbooks.mkdir(parents=True)
    for path in (tmp_path / "bin" / "ansible-playbook", tmp_path / "settings.yml", playbooks / "backup.yml"):
        path.write_text("#!/bin/sh\n", encoding="ascii")
        path.chmod(0o700)
    return tmp_path


def settings(host: Path, **own: t.Any) -> dict[str, t.Any]:
    return {
        "caracal_schedule_settings": [str(host / "settings.yml")],
        "caracal_schedule_program": str(host / "bin" / "ansible-playbook"),
        "caracal_schedule_collections": str(host),
        "caracal_schedule_user": getpass.getuser(),
        "__caracal_schedule_units": str(host / "units"),
        "__caracal_schedule_cron_file": str(host / "cron"),
        "__caracal_schedule_locks": str(host / "locks"),
        **own,
    }


def schedule(host: Path, *options: str, **own: t.Any) -> Play:
    return Play("schedule", settings(host, **own), host, (*WITHOUT_SYSTEMD, *options))


def changes(play: Play) -> int:
    assert play.ended() == 0, play.output()
    return int(t.cast("re.Match[str]", re.search(r"\bchanged=(\d+)", play.output()))[1])


def units(host: Path) -> set[str]:
    return {path.name for path in (host / "units").iterdir()}


def of(*jobs: str) -> set[str]:
    return {f"caracal-ops-{job}.{kind}" for job in jobs for kind in ("timer", "service")}


def systemd(*arguments: str) -> tuple[int, str]:
    """Return the result of systemd-analyze. Without that program, units are not verified."""
    program = shutil.which("systemd-analyze")
    assert program, "systemd-analyze is missing: install systemd"
    done = subprocess.run([program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.story
@pytest.mark.no_false_alarm
def test_systemd_accepts_the_units_and_removed_jobs_are_deleted(host: Path) -> None:
    (host / "units" / "caracal-ops-other.timer").write_text("[Timer]\nOnBootSec=1\n", encoding="ascii")
    variables = {
        "caracal_ops_notify": [{"kind": "ntfy", "url": f"https://ntfy.example/{SECRET}"}],
        "caracal_archive_source": "s3://exports",
    }
    first = schedule(host, "--diff", "-vvv", **variables)
    assert changes(first) > 0 and "ExecStart" in first.output()
    every = of(*USUAL, "audit_archive") | {"caracal-ops-notify@.service", "caracal-ops-other.timer"}
    assert units(host) == every
    written = [path for path in (host / "units").iterdir() if path.name != "caracal-ops-other.timer"]
    assert not any(SECRET in path.read_text(encoding="utf-8") for path in written)
    assert systemd("verify", *(str(path) for path in written)) == (0, "")
    for path in written:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".timer":
            assert systemd("calendar", *re.findall(r"OnCalendar=(.*)", text))[0] == 0
        else:
            assert systemd("security", "--offline=yes", "--threshold=87", str(path))[0] == 0
            assert ("OnFailure=caracal-ops-notify@" in text) == ("notify@" not in path.name)
    assert changes(schedule(host, **variables)) == 0
    fewer = {"caracal_schedule_jobs": {"restore_drill": "", "prune": "*-*-01 08:00"}}
    before = tree(host / "units")
    assert changes(schedule(host, "--check", **fewer)) > 0 and tree(host / "units") == before
    assert changes(schedule(host, **fewer)) > 0
    assert units(host) == of(*USUAL - {"restore_drill"}, "prune") | {"caracal-ops-other.timer"}
    assert not any("OnFailure" in path.read_text(encoding="utf-8") for path in (host / "units").iterdir())


@pytest.mark.no_false_alarm
def test_a_removed_job_is_stopped_and_its_failure_is_reset(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls_log = host / "systemctl.log"
    program = host / "bin" / "systemctl"
    answer = "if [ $1 = show ]; then printf 'LoadState=loaded\\nActiveState=active\\n'; fi"
    program.write_text(f'#!/bin/sh\necho "$@" >> {calls_log}\n{answer}\n', encoding="ascii")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    assert changes(schedule(host)) > 0
    calls_log.write_text("", encoding="ascii")
    assert changes(Play("schedule", settings(host, caracal_schedule_jobs={"retention": ""}), host)) > 0
    calls = calls_log.read_text(encoding="ascii").splitlines()
    assert {"stop caracal-ops-retention.timer", "disable caracal-ops-retention.timer", "daemon-reload"} <= set(calls), calls
    (forgotten,) = (call.split()[1:] for call in calls if call.startswith("reset-failed"))
    assert {unit for unit in of(*USUAL) if any(fnmatch.fnmatch(unit, pattern) for pattern in forgotten)} == of("retention")
    assert not any("retention" in call for call in calls[calls.index("daemon-reload") + 1 :] if not call.startswith("reset-failed"))


@pytest.mark.no_false_alarm
def test_cron_has_the_same_times_and_backends_replace_each_other(host: Path) -> None:
    assert changes(schedule(host)) > 0 and units(host) == of(*USUAL)
    own = {
        "caracal_schedule_backend": "cron",
        "caracal_schedule_jobs": {"prune": "*-*-01 08:05", "retention": "Mon,Thu 00:00", "verify_repository": ""},
    }
    assert changes(schedule(host, **own)) > 0 and units(host) == set()
    lines = (host / "cron").read_text(encoding="utf-8").splitlines()
    jobs = {line.rpartition("caracal_ops.backup.")[2].split()[0]: line for line in lines if "flock" in line}
    assert {name: line.split()[:5] for name, line in jobs.items()} == {
        "backup": ["0", "4", "*", "*", "*"],
        "restore_drill": ["0", "6", "*", "*", "Sun"],
        "audit_checkpoint": ["20", "*", "*", "*", "*"],
        "retention": ["0", "0", "*", "*", "Mon,Thu"],
        "prune": ["5", "8", "1", "*", "*"],
    }
    as_text = 'prune="*-*-01 08:05" retention="Mon,Thu 00:00" verify_repository='
    assert changes(schedule(host, **{**own, "caracal_schedule_jobs": as_text, "caracal_schedule_settings": f"{host}/settings.yml"})) == 0
    for status in (0, 3):
        program = host / "bin" / "ansible-playbook"
        program.write_text(f'#!/bin/sh\necho "$@" > {host}/played\nexit {status}\n', encoding="ascii")
        command = jobs["backup"].split(maxsplit=6)[6]
        assert subprocess.run(["/bin/sh", "-c", command], stdin=subprocess.DEVNULL, check=False).returncode == status
    assert (host / "played").read_text(encoding="ascii").split() == ["caracal_ops.backup.backup", "-e", f"@{host}/settings.yml"]
    assert changes(schedule(host)) > 0 and units(host) == of(*USUAL) and not (host / "cron").exists()


@pytest.mark.mutation
def test_invalid_schedule_settings_are_refused(host: Path) -> None:
    wrong = {
        "backup": "daily",
        "retention": "Sun *-*-01 04:00",
        "restore_drill": "4:00",
        "prune": "04:00\nOnBootSec=1",
        "verify_audit": "04:00\n",
    }
    own = {
        "caracal_schedule_jobs": {**wrong, "quickstart": "04:00"},
        "caracal_schedule_inventory": "/etc/hosts; id",
        "caracal_schedule_vault_password_file": "/etc/vault\n",
        "caracal_schedule_settings": ["relative.yml"],
        "caracal_schedule_user": "root\nExecStartPre=/bin/id",
    }
    play = schedule(host, **own)
    assert play.ended() == 2 and units(host) == set()
    output = play.output().partition("FAILED!")[2]
    assert all(f"{name} in caracal_schedule_jobs" in output for name in [*wrong, "quickstart"]), output
    assert "audit_checkpoint in" not in output
    refused = ("inventory", "vault_password_file", "settings", "user")
    assert all(f"caracal_schedule_{name}" in output for name in refused), output


@pytest.mark.mutation
def test_files_writable_by_others_and_missing_files_are_refused(host: Path) -> None:
    names = ["bin/ansible-playbook", "settings.yml", "ansible_collections/caracal_ops/backup/playbooks/backup.yml"]
    for name, mode in zip(names, (0o702, 0o620, 0o777), strict=True):
        (host / name).chmod(mode)
    play = schedule(host, caracal_schedule_inventory="/no/such/inventory")
    assert play.ended() == 2 and units(host) == set()
    output = play.output()
    assert all(f'"msg": "{host}/{name} ' in output for name in names), output
    assert re.search(r"/no/such/inventory .*\blocalhost\b.*\bcaracal_schedule_inventory\b", output), output


@pytest.mark.mutation
def test_a_missing_file_is_reported_with_its_variable(host: Path) -> None:
    absent = {
        "caracal_schedule_program": str(host / "no" / "program"),
        "caracal_schedule_collections": str(host / "no"),
        "caracal_schedule_settings": [str(host / "no.yml")],
        "caracal_schedule_vault_password_file": str(host / "no.vault"),
    }
    play = schedule(host, **absent)
    assert play.ended() == 2 and units(host) == set()
    for name, path in absent.items():
        path = path[0] if isinstance(path, list) else path
        assert re.search(rf"{re.escape(str(path))}\S* .*\blocalhost\b.*\b{name}\b", play.output()), play.output()


@pytest.mark.mutation
def test_a_notification_without_a_channel_fails(host: Path) -> None:
    ended = ("-e", "caracal_notify_job=backup", "-e", "caracal_notify_event=failed")
    play = Play("notify", {}, host, (*ended, "-e", "__notify_ended=signal:KILL"))
    assert play.ended() == 2 and "caracal_schedule_settings" in play.output(), play.output()
    # The play had its own notification to send. It was not sent, because no recipient was set there either.
    assert Play("notify", {}, host, (*ended, "-e", "__notify_ended=exit-code:2")).ended() == 0


@pytest.mark.parametrize(
    ("result", "status", "notified"), [("exit-code", "2", False), ("exit-code", "4", True), ("signal", "KILL", True), ("", "", True)]
)
def test_systemd_notifies_failures_that_the_play_could_not(host: Path, result: str, status: str, notified: bool) -> None:
    with hooks.listening() as hook:
        channels = [{"kind": "webhook", "url": f"{hook.address}/hook"}]
        assert changes(schedule(host, caracal_ops_notify=channels)) > 0
        (host / "settings.yml").write_text(json.dumps({"caracal_ops_notify": channels}), encoding="ascii")
        (line,) = re.findall(r"ExecStart=(.*)", (host / "units" / "caracal-ops-notify@.service").read_text(encoding="utf-8"))
        for name, value in (("%i", "backup"), ("${MONITOR_SERVICE_RESULT}", result), ("${MONITOR_EXIT_STATUS}", status)):
            line = line.replace(name, value)
        play = Play("notify", {}, host, tuple(shlex.split(line)[2:]))
        assert play.ended() == 0, play.output()
        assert hook.paths == (["/hook"] if notified else [])
        if notified:
            sent = hook.json("/hook")
            assert (sent["event"], sent["job"]) == ("failed", "backup") and f"{result} {status}" in sent["message"]
