# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of a schedule for AWX: organizations, job templates, workflows, schedules and notifications.

Check mode creates nothing, and AWX does not know predicted objects. So the plan omits everything that depends on them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from . import rrule, texts

# The side of each job. Each side has its own organization, so its administrators cannot use the credentials of another side.
SIDES = {
    "backup": "backup",
    "audit_checkpoint": "backup",
    "audit_archive": "backup",
    "retention": "backup",
    "verify_audit": "backup",
    "restore_drill": "drill",
    "verify_repository": "drill",
    "prune": "prune",
    "repository_copy": "copy",
    "restore": "restore",
}
_NOT_AFTER_A_BACKUP = ("backup", "restore")
# The kinds of channels for which AWX itself can send notifications, also about a job in which no play ran. The values are AWX's names.
_TYPES = {"webhook": "webhook", "mail": "email"}
_SECONDS = 20

Channel = t.Mapping[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings for AWX, and the objects that check mode has only predicted."""

    name: str
    project_url: str
    image: str
    time_zone: str
    # By side.
    credentials: dict[str, list[str]]
    after_backup: list[str]
    # None if the setting is not a list of dictionaries.
    channels: list[Channel] | None
    absent_sides: list[str]
    absent_jobs: list[str]

    @classmethod
    def of(cls, given: t.Mapping[str, t.Any], notify: t.Any) -> Settings:
        credentials = texts.as_dict(given["credentials"])
        return cls(
            name=str(given["name"]),
            project_url=str(given["project_url"] or ""),
            image=str(given["image"] or ""),
            time_zone=str(given["time_zone"]),
            credentials={str(side): [str(one) for one in texts.as_list(names) or []] for side, names in credentials.items()},
            after_backup=[str(job) for job in texts.as_list(given["after_backup"])],
            channels=_channels(notify),
            absent_sides=[str(side) for side in given["absent_sides"]],
            absent_jobs=[str(job) for job in given["absent_jobs"]],
        )

    def named(self, *words: str) -> str:
        """Return the name in AWX."""
        return " ".join([self.name, *words])


@dataclasses.dataclass(frozen=True)
class Template:
    """A job template."""

    job: str
    side: str
    credentials: list[str]


@dataclasses.dataclass(frozen=True)
class Timed:
    """A job with its own schedule."""

    job: str
    time: str
    rule: str


@dataclasses.dataclass(frozen=True)
class Link:
    """A node of the workflow, and the next node."""

    job: str
    next: list[str]


@dataclasses.dataclass(frozen=True)
class Notified:
    """A notification template, with the number of its channel."""

    name: str
    side: str
    channel: int


@dataclasses.dataclass(frozen=True)
class AwxChannel:
    """A channel in AWX's format. The configuration contains secrets."""

    kind: str
    type: str
    configuration: dict[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Plan:
    """The plan for AWX. Names are those in AWX, but sides and jobs have their short names."""

    sides: list[str] = dataclasses.field(default_factory=list)
    # Without sides that check mode has only predicted.
    made_sides: list[str] = dataclasses.field(default_factory=list)
    templates: list[Template] = dataclasses.field(default_factory=list)
    timed: list[Timed] = dataclasses.field(default_factory=list)
    # From the last to the first, since each link refers to the next one.
    links: list[Link] = dataclasses.field(default_factory=list)
    # The workflow that starts with the backup, all its nodes, and its rule.
    night: str = ""
    nodes: list[str] = dataclasses.field(default_factory=list)
    night_rule: str = ""
    # The workflow that restores after an approval, and whether its job template exists.
    approved: str = ""
    restores: bool = False
    # The schedule of project updates.
    project_rule: str = ""
    channels: list[AwxChannel] = dataclasses.field(default_factory=list)
    notified: list[Notified] = dataclasses.field(default_factory=list)
    # The names of notification templates by side.
    told: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    # Objects that this role may have created earlier and that are not wanted now. The names are exact, so no other object with
    # the same prefix is removed.
    idle_schedules: list[str] = dataclasses.field(default_factory=list)
    unwanted_workflows: list[str] = dataclasses.field(default_factory=list)
    unwanted_templates: list[str] = dataclasses.field(default_factory=list)


def plan(settings: Settings, times: t.Mapping[str, str], after: t.Sequence[str]) -> Plan:
    """Return the plan for valid settings."""
    jobs, sides = _jobs(settings, times, after), _sides(settings, times, after)
    made_sides = [side for side in sides if side not in settings.absent_sides]
    templates = [Template(job, side, settings.credentials[side]) for job, side in SIDES.items() if job in jobs and side in made_sides]
    made = [one.job for one in templates if one.job not in settings.absent_jobs]
    channels = settings.channels or []
    notification_names = {
        side: [settings.named(side, f"channel {number}") for number in range(1, len(channels) + 1)] for side in made_sides
    }
    night, approved = settings.named("backup and after"), settings.named("approved restore")
    without_night = [] if "backup" in jobs else [night]
    # The backup starts as the first job of the workflow.
    alone = {job: time for job, time in times.items() if job != "backup"}
    return Plan(
        sides=sides,
        made_sides=made_sides,
        templates=templates,
        timed=[Timed(job, time, rrule.as_rrule(time, settings.time_zone)) for job, time in alone.items() if job in made],
        links=_links(["backup", *after], made),
        night=night,
        nodes=["backup", *after],
        night_rule=rrule.as_rrule(times["backup"], settings.time_zone) if "backup" in times else "",
        approved=approved,
        restores="restore" in made,
        project_rule=rrule.as_rrule("*:10"),
        channels=[AwxChannel(str(one["kind"]), _TYPES[one["kind"]], _CONFIGURATIONS[one["kind"]](one)) for one in channels],
        notified=[Notified(name, side, number) for side, names in notification_names.items() for number, name in enumerate(names)],
        told=notification_names,
        idle_schedules=[settings.named(job) for job in SIDES if job not in alone] + without_night,
        unwanted_workflows=without_night + ([] if "restore" in jobs else [approved]),
        unwanted_templates=[settings.named(job) for job in SIDES if job not in jobs],
    )


def errors_of(settings: Settings, times: t.Mapping[str, str], after: t.Sequence[str]) -> list[str]:
    """Return all errors in the settings for AWX, one sentence each."""
    needed = {"caracal_schedule_awx_project_url": settings.project_url, "caracal_schedule_awx_image": settings.image}
    errors = [f"{name} is not set; AWX needs it." for name, value in needed.items() if not value]
    errors += [
        f"caracal_schedule_awx_credentials has no entry for the side {side}; name its credentials (an empty list if it needs none), or "
        "remove its jobs from the schedule."
        for side in _sides(settings, times, after)
        if side not in settings.credentials
    ]
    errors += [
        f"{job} in caracal_schedule_awx_after_backup is not a job that can follow a backup; remove it from the list."
        for job in after
        if job not in SIDES or job in _NOT_AFTER_A_BACKUP
    ]
    if not rrule.ZONE.fullmatch(settings.time_zone):
        errors.append("caracal_schedule_awx_time_zone is not a time zone; write it as Europe/Berlin or UTC.")
    if settings.channels is None:
        errors.append("caracal_ops_notify is not valid; write it as a list of dictionaries, in YAML or JSON.")
    return errors


def _jobs(settings: Settings, times: t.Mapping[str, str], after: t.Sequence[str]) -> list[str]:
    """Return the jobs with a template: jobs with a time, jobs that follow a backup, and a restore if its side has credentials."""
    return list(dict.fromkeys([*times, *after, *(["restore"] if "restore" in settings.credentials else [])]))


def _sides(settings: Settings, times: t.Mapping[str, str], after: t.Sequence[str]) -> list[str]:
    return list(dict.fromkeys(SIDES[job] for job in _jobs(settings, times, after) if job in SIDES))


def _links(chain: t.Sequence[str], made: t.Collection[str]) -> list[Link]:
    found = [job for job in chain if job in made] if "backup" in made else []
    return [Link(job, found[number + 1 : number + 2]) for number, job in enumerate(found)][::-1]


def _channels(notify: t.Any) -> list[Channel] | None:
    given = notify or []
    if not isinstance(given, list) or not all(isinstance(one, t.Mapping) for one in given):
        return None
    return [one for one in given if one.get("kind") in _TYPES]


def _webhook(channel: Channel) -> dict[str, t.Any]:
    return {
        "url": str(channel.get("url") or "").replace("{job}", "awx"),
        "http_method": "POST",
        "headers": {str(name): str(value) for name, value in (channel.get("headers") or {}).items()},
        "username": "",
        "password": "",
        "disable_ssl_verification": False,
    }


def _mail(channel: Channel) -> dict[str, t.Any]:
    """Return the configuration for mail.

    AWX cannot try TLS: it either requires TLS or sends in plain text. So if a user name is set, TLS is required, and the
    password is sent in plain text only if the setting is `never`.
    """
    secure, user = channel.get("secure") or "try", str(channel.get("username") or "")
    return {
        "host": str(channel.get("host") or "localhost"),
        "port": _number(channel.get("port") or 25),
        "username": user,
        "password": str(channel.get("password") or ""),
        "sender": str(channel.get("from") or "caracal-ops"),
        "recipients": [str(one) for one in texts.as_list(channel.get("to") or [])],
        "use_tls": secure == "starttls" or (secure == "try" and bool(user)),
        "use_ssl": secure == "always",
        "timeout": _SECONDS,
    }


def _number(value: t.Any) -> int:
    """Return a number. Return zero, which AWX refuses, if it is not one. AWX also refuses a number in a string."""
    with contextlib.suppress(ValueError):
        return int(value)
    return 0


_CONFIGURATIONS: dict[str, t.Callable[[Channel], dict[str, t.Any]]] = {"webhook": _webhook, "mail": _mail}
