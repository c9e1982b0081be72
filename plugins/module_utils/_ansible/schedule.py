# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of the role `caracal_schedule`: the jobs of systemd, cron or AWX, computed from the role's settings."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from .._errors import OptionError, printable
from . import rrule, schedule_awx, texts

_SYSTEMD, _CRON, _AWX = "systemd", "cron", "awx"
# The playbooks that are jobs, each with its default time. The alert thresholds are in monitoring/prometheus.
USUAL = {
    "backup": "04:00",
    "restore_drill": "Sun 06:00",
    "audit_checkpoint": "*:20",
    "audit_archive": "",
    "retention": "07:00",
    "verify_repository": "Sat 06:00",
    "prune": "",
    "repository_copy": "",
    "verify_audit": "",
}
# The default time of audit_archive on a host that has exports to archive.
_ARCHIVES = "*:40"
# A job that follows each backup does not need a weekly run as well.
_WEEKLY = ("verify_repository", "restore_drill")
_UNIT = "caracal-ops-"
# This unit has an instance for each job.
_NOTIFYING = f"{_UNIT}notify@.service"
# Units and crontab lines use such a path and such a name literally.
_PATH = re.compile(r"(?:/[A-Za-z0-9_.+@=-]+)+")
_USER = re.compile(r"[a-z_][a-z0-9_-]*")
_PLAYBOOK = "ansible_collections/caracal_ops/backup/playbooks/backup.yml"


@dataclasses.dataclass(frozen=True)
class File:
    """A file that the jobs need, and the variable that names it."""

    path: str
    variable: str


@dataclasses.dataclass(frozen=True)
class Job:
    """A job with the time and the command for its timer or crontab line."""

    name: str
    time: str
    command: str


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of the role, for one host."""

    host: str
    backend: str
    # Facts of the host that have the name of a setting.
    facts: list[str]
    jobs: dict[str, str]
    archives: bool
    notified: bool
    inventory: str
    vault_password_file: str
    files: list[str]
    user: str
    program: str
    collections: str
    awx: schedule_awx.Settings

    @classmethod
    def of(cls, given: t.Mapping[str, t.Any]) -> Settings:
        return cls(
            host=str(given["host"]),
            backend=str(given["backend"]),
            facts=[str(name) for name in given["facts"]],
            jobs={str(name): str(time or "") for name, time in texts.as_dict(given["jobs"]).items()},
            archives=bool(given["archives"]),
            notified=bool(given["notify"]),
            inventory=str(given["inventory"] or ""),
            vault_password_file=str(given["vault_password_file"] or ""),
            files=[str(path) for path in texts.as_list(given["files"])],
            user=str(given["user"]),
            program=str(given["program"]),
            collections=str(given["collections"]),
            awx=schedule_awx.Settings.of(given["awx"], given["notify"]),
        )

    @property
    def usual(self) -> dict[str, str]:
        return {**USUAL, "audit_archive": _ARCHIVES if self.archives else ""}

    @property
    def after(self) -> list[str]:
        """The jobs that follow each backup."""
        return self.awx.after_backup if self.backend == _AWX and {**self.usual, **self.jobs}["backup"] else []

    @property
    def times(self) -> dict[str, str]:
        """Each job that this host runs on a schedule, and its time."""
        follow = {name: "" for name in self.after if name in _WEEKLY}
        return {name: time for name, time in {**self.usual, **follow, **self.jobs}.items() if time}

    @property
    def needed(self) -> list[File]:
        """The files that a job reads or runs."""
        found = [File(self.program, "caracal_schedule_program"), File(f"{self.collections}/{_PLAYBOOK}", "caracal_schedule_collections")]
        return found + self.named

    @property
    def named(self) -> list[File]:
        """The files that each command contains."""
        found = [File(path, "caracal_schedule_settings") for path in self.files]
        found.append(File(self.vault_password_file, "caracal_schedule_vault_password_file"))
        found.append(File(self.inventory, "caracal_schedule_inventory"))
        return [one for one in found if one.path]

    def command(self, playbook: str) -> str:
        """Return the command. Each part of it is validated, so no part needs quotes."""
        inventory = ["-i", self.inventory] if self.inventory else []
        vault = ["--vault-password-file", self.vault_password_file] if self.vault_password_file else []
        variables = [word for path in self.files for word in ("-e", f"@{path}")]
        return " ".join([self.program, f"caracal_ops.backup.{playbook}", *inventory, *vault, *variables])


@dataclasses.dataclass(frozen=True)
class Plan:
    """The work of the role."""

    files: list[File] = dataclasses.field(default_factory=list)
    timers: list[Job] = dataclasses.field(default_factory=list)
    # In cron, the time is five fields.
    lines: list[Job] = dataclasses.field(default_factory=list)
    # The command of the unit that sends a notification when systemd reports a failed job. It is empty without such a unit.
    notify: str = ""
    # Units of this role that the host does not need any more.
    removed_units: list[str] = dataclasses.field(default_factory=list)
    # The same units as patterns for systemctl, which accepts a pattern without a match.
    forgotten_units: list[str] = dataclasses.field(default_factory=list)
    without_cron: bool = False
    awx: schedule_awx.Plan = dataclasses.field(default_factory=schedule_awx.Plan)


def plan(given: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the plan for these settings, as plain data. Raise OptionError for invalid settings.

    A role computes it in each task that uses it, so each task refuses invalid settings.
    """
    settings = Settings.of(given)
    if errors := _errors(settings):
        raise OptionError(" ".join(errors))
    return dataclasses.asdict(_plan(settings))


def errors_of(given: t.Mapping[str, t.Any]) -> list[str]:
    """Return all errors in these settings, one sentence each."""
    return _errors(Settings.of(given))


def _plan(settings: Settings) -> Plan:
    timed = [Job(name, time, settings.command(name)) for name, time in settings.times.items()]
    timers = timed if settings.backend == _SYSTEMD else []
    lines = [dataclasses.replace(job, time=cron_fields(job.time)) for job in timed] if settings.backend == _CRON else []
    notify = settings.command("notify") if timers and settings.notified else ""
    kept = [unit for job in timers for unit in _units(job.name)] + ([_NOTIFYING] if notify else [])
    removed = [unit for name in USUAL for unit in _units(name) if unit not in kept] + ([] if notify else [_NOTIFYING])
    return Plan(
        files=settings.needed if timers or lines else [],
        timers=timers,
        lines=lines,
        notify=notify,
        removed_units=removed,
        forgotten_units=[unit.replace("@", "@*").replace(".", "[.]") for unit in removed],
        without_cron=not lines,
        awx=schedule_awx.plan(settings.awx, settings.times, settings.after) if settings.backend == _AWX else schedule_awx.Plan(),
    )


def _units(job: str) -> list[str]:
    return [f"{_UNIT}{job}.timer", f"{_UNIT}{job}.service"]


def cron_fields(time: str) -> str:
    """Return the time of a job as the five fields of cron."""
    days, date, hour, minute = rrule.parts(time)
    return " ".join([str(int(minute)), hour if hour == "*" else str(int(hour)), str(int(date)) if date else "*", "*", days or "*"])


def _errors(settings: Settings) -> list[str]:
    errors = [
        f"{settings.host} has a fact named {printable(name)}, which is the name of a setting. A host must not change settings: find out "
        "what runs on that host, and clear the fact cache (--flush-cache)."
        for name in settings.facts
    ]
    errors += [
        f"{printable(name)} in caracal_schedule_jobs is not a job; the jobs are {', '.join(USUAL)}."
        for name in settings.jobs
        if name not in USUAL
    ]
    errors += [
        f"The time of {printable(name)} in caracal_schedule_jobs is not valid; write it as 04:00, *:20, Sun 06:00 or *-*-01 06:00."
        for name, time in settings.times.items()
        if not rrule.TIME.fullmatch(time)
    ]
    if settings.backend == _AWX:
        return errors + schedule_awx.errors_of(settings.awx, settings.times, settings.after)
    return errors + _unsafe(settings)


def _unsafe(settings: Settings) -> list[str]:
    """Return errors for settings that a unit or crontab line would not use literally."""
    collections = File(settings.collections, "caracal_schedule_collections")
    used = [File(settings.program, "caracal_schedule_program"), collections, *settings.named]
    errors = [
        f"{printable(one.path)} in {one.variable} is not an absolute path of letters, digits and _.+@=- only; choose another path."
        for one in used
        if not _PATH.fullmatch(one.path)
    ]
    if not _USER.fullmatch(settings.user):
        errors.append("caracal_schedule_user is not a valid user name; use lowercase letters, digits, - and _ only.")
    return errors
