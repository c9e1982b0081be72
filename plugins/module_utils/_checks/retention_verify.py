# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: what is configured to be kept, against what is there."""

from __future__ import annotations

import datetime
import math
import os
import typing as t

from .._ansible import argspec
from .._ansible.boundary import Invocation
from .._caracal.retention import settings
from .._caracal.retention.settings import Effective
from .._crypto import strict_json
from .._drivers.engine import environment
from .._errors import OptionError, PermissionMissing, StageFailed, Unreachable
from .._evidence import metrics, options
from .._evidence.options import Opened
from .._report import junit, retention, waiver
from .._report.check import NOT_APPLICABLE, UNPROVEN, Check, judged
from .._report.retention import Look
from .._report.text import one_line
from .._repository import layout
from .._storage.local import LocalStore
from . import retention_sources

AUDIT, COORDINATOR, STREAMS, BACKUPS = "audit", "coordinator", "streams", "backups"
PARTS = (AUDIT, COORDINATOR, STREAMS, BACKUPS)
BUDGETS = {
    "set_budget": 26.0,
    "tail_budget": 26.0,
    "drill_budget": 192.0,
    "export_budget": 6.0,
    "pending_budget": 1.0,
    "copy_budget": 744.0,
}
# What the operator can mend; anything else that is wrong with an option is an error at once.
_UNREADABLE = (Unreachable, PermissionMissing, StageFailed)


def argument_spec() -> argspec.ArgumentSpec:
    return argspec.repository().merge(argspec.postgres(), argspec.redis(), argspec.judged_report(), _own_options(), metrics.own_options())


def _own_options() -> argspec.ArgumentSpec:
    days: dict[str, t.Any] = {name: {"type": "int"} for name in settings.DEFAULTS}
    legal = {f"{what}_{bound}": {"type": "int"} for what in ("audit", "backups") for bound in ("at_least", "at_most")}
    copy = {name: {"type": "str", "required": True} for name in ("name", "verified")}
    return argspec.ArgumentSpec(
        {
            "database": {"type": "str", "default": "caracal"},
            "effective_environment": {"type": "dict", "options": {**days, settings.BUCKET: {"type": "str"}}},
            "effective_environment_file": {"type": "path"},
            "left_out": {"type": "dict", "default": {}},
            **{name: {"type": "float", "default": hours} for name, hours in BUDGETS.items()},
            "archive_budget": {"type": "float"},
            "legal": {"type": "dict", "options": legal},
            "break_glass_files": {"type": "list", "elements": "path", "default": []},
            "copies": {"type": "list", "elements": "dict", "default": [], "options": copy},
            "copies_at_least": {"type": "int", "default": 0},
        },
        mutually_exclusive=[("effective_environment", "effective_environment_file")],
    )


def run(invocation: Invocation) -> dict[str, t.Any]:
    """Ask every part that was not left out, judge; then (not in check mode) leave a report and the numbers for node_exporter."""
    started, given = options.now(), invocation.options
    _check(given)
    waivers = waiver.parse(given["waivers"], started.date())
    effective = _effective(given)
    opened = options.open_repository(given, warn=invocation.warn, everything=True)
    if given["report_dir"]:
        _folder(given["report_dir"]).check_writable(probe=False)
    if given["metrics_file"]:
        metrics.look(given["metrics_file"], invocation.warn)
    checks = [options.freshness_check(opened)]
    for name, ask in _parts(given, effective, opened, started).items():
        checks += _ask(name, ask, given["left_out"])
    opened.mark.advance(opened.journal, dry=invocation.check_mode)
    whose = (given["deployment"], opened.repository.id, opened.head, opened.freshness, options.machine())
    look = Look(layout.new_set_id(started, os.urandom(5)), *whose, started, options.now(), checks, waivers)
    document = retention.build(look)
    shown = {name: document[name] for name in ("checks", "counts", "waivers", "journal_head", "freshness", "seconds")}
    return {
        **judged(look.counted, given["require_valid"]),
        **shown,
        "report": [] if invocation.check_mode else _leave(invocation, look, document),
        "summary_lines": retention.render(document),
    }


def _folder(path: str) -> LocalStore:
    return LocalStore(os.path.abspath(path))


def _leave(invocation: Invocation, look: Look, document: dict[str, t.Any]) -> list[str]:
    """Write what somebody asked for; the paths of the report's files."""
    given, paths = invocation.options, list[str]()
    if given["report_dir"]:
        local = _folder(given["report_dir"])
        for name, data in (("report.json", strict_json.dumps(document)), ("junit.xml", junit.render(document).encode())):
            local.put(f"{look.id}/{name}", data)
            paths.append(f"{local.location}/{look.id}/{name}")
    metrics.leave(invocation, lambda: metrics.of_retention(look.deployment, document["verdict"], look.counted, look.finished))
    return paths


def _parts(given: dict[str, t.Any], effective: Effective, opened: Opened, now: datetime.datetime) -> dict[str, t.Callable[[], list[Check]]]:
    return {
        AUDIT: lambda: retention_sources.of_audit(given, effective),
        COORDINATOR: lambda: retention_sources.of_coordinator(given, effective),
        STREAMS: lambda: retention_sources.of_streams(given),
        BACKUPS: lambda: retention_sources.of_backups(given, opened, now),
    }


def _check(given: t.Mapping[str, t.Any]) -> None:
    """Raises OptionError for numbers that nothing could be held to, and for a part that is left out without a reason."""
    bounds = {**{name: given[name] for name in (*BUDGETS, "archive_budget")}, **(given["legal"] or {})}
    for name, value in bounds.items():
        if value is not None and not (math.isfinite(value) and 0 < value <= 24 * settings.LONGEST):
            raise OptionError(f"{name} is {value}; give a time above zero, at most a century")
    legal = given["legal"] or {}
    for what in ("audit", "backups"):
        least, most = (legal.get(f"{what}_{bound}") for bound in ("at_least", "at_most"))
        if least and most and least > most:
            raise OptionError(f"legal asks for {what} of at least {least} and at most {most} days; correct one of them")
    if given["copies_at_least"] < 0:
        raise OptionError("copies_at_least is below zero; give a number of copies")
    for name, reason in given["left_out"].items():
        if name not in PARTS:
            raise OptionError(f"left_out names {str(name)[:40]!a}; it may name {', '.join(PARTS)}")
        if not one_line(str(reason or "")):
            raise OptionError(f"left_out names {name} without a reason; say why, for the result shows it")


def _effective(given: t.Mapping[str, t.Any]) -> Effective:
    path = given["effective_environment_file"]
    return settings.effective(environment.of_file(path, settings.VARIABLES) if path else given["effective_environment"])


def _ask(name: str, ask: t.Callable[[], list[Check]], left_out: t.Mapping[str, t.Any]) -> list[Check]:
    if name in left_out:
        return [Check(f"retention.{name}", NOT_APPLICABLE, f"not asked: {one_line(str(left_out[name]))}", required=False)]
    try:
        return ask()
    except _UNREADABLE as exc:
        return [Check(f"retention.{name}", UNPROVEN, exc.msg, details={"error": type(exc).__name__})]
