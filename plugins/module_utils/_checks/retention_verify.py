# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: compare the configured retention with the data that exists."""

from __future__ import annotations

import datetime
import math
import os
import typing as t

from .._ansible.boundary import Invocation
from .._caracal.retention import settings
from .._caracal.retention.settings import Effective
from .._crypto import strict_json
from .._drivers.engine import environment
from .._errors import OptionError, PermissionMissing, StageFailed, Unreachable
from .._evidence import access, metrics
from .._evidence.access import Opened
from .._report import junit, retention, waiver
from .._report.check import NOT_APPLICABLE, UNPROVEN, Check, VerdictResult, judged
from .._report.retention import RetentionReport, Verification
from .._report.text import one_line
from .._report.waiver import WaiverResult
from .._repository import layout
from .._storage.local import LocalStore
from . import retention_sources
from .retention_options import LegalOptions, RetentionOptions

Options = RetentionOptions

AUDIT, COORDINATOR, STREAMS, BACKUPS = "audit", "coordinator", "streams", "backups"
PARTS = (AUDIT, COORDINATOR, STREAMS, BACKUPS)
BUDGETS = ("set_budget", "tail_budget", "drill_budget", "export_budget", "pending_budget", "copy_budget", "archive_budget")
# Errors that make a check unproven. Other errors in the options fail the module.
_UNREADABLE = (Unreachable, PermissionMissing, StageFailed)


class RetentionResult(VerdictResult):
    """The module's result. `report` lists the paths of report files."""

    counts: dict[str, int]
    waivers: list[WaiverResult]
    journal_head: str
    freshness: str
    seconds: float
    report: list[str]
    summary_lines: list[str]


def run(invocation: Invocation[RetentionOptions]) -> RetentionResult:
    """Check every part that was not left out. Then, unless in check mode, write a report and the metrics for node_exporter."""
    started, given = access.now(), invocation.options
    _check(given)
    waivers = waiver.parse(given.report.waivers, started.date())
    effective = _effective(given)
    opened = access.open_repository(given.access, warn=invocation.warn, everything=True)
    if given.report.report_dir:
        _folder(given.report.report_dir).check_writable(probe=False)
    if given.metrics_file:
        metrics.look(given.metrics_file, invocation.warn)
    checks = [access.freshness_check(opened)]
    for name, ask in _parts(given, effective, opened, started).items():
        checks += _ask(name, ask, given.left_out)
    opened.mark.advance(opened.journal, dry=invocation.check_mode)
    context = (given.access.deployment, opened.repository.id, opened.head, opened.freshness, access.machine())
    verification = Verification(layout.new_set_id(started, os.urandom(5)), *context, started, access.now(), checks, waivers)
    document = retention.build(verification)
    return {
        **judged(verification.counted, given.report.require_valid),
        "checks": [*document["checks"]],
        "counts": document["counts"],
        "waivers": document["waivers"],
        "journal_head": document["journal_head"],
        "freshness": document["freshness"],
        "seconds": document["seconds"],
        "report": [] if invocation.check_mode else _leave(invocation, verification, document),
        "summary_lines": retention.render(document),
    }


def _folder(path: str) -> LocalStore:
    return LocalStore(os.path.abspath(path))


def _leave(invocation: Invocation[RetentionOptions], verification: Verification, document: RetentionReport) -> list[str]:
    """Write the requested files. Returns the paths of the report's files."""
    given, paths = invocation.options, list[str]()
    if given.report.report_dir:
        local = _folder(given.report.report_dir)
        for name, data in (("report.json", strict_json.dumps(document)), ("junit.xml", junit.render(document).encode())):
            local.put(f"{verification.id}/{name}", data)
            paths.append(f"{local.location}/{verification.id}/{name}")
    metrics.leave(
        invocation.options.metrics_file,
        invocation,
        lambda: metrics.of_retention(verification.deployment, document["verdict"], verification.counted, verification.finished),
    )
    return paths


def _parts(given: RetentionOptions, effective: Effective, opened: Opened, now: datetime.datetime) -> dict[str, t.Callable[[], list[Check]]]:
    return {
        AUDIT: lambda: retention_sources.of_audit(given, effective),
        COORDINATOR: lambda: retention_sources.of_coordinator(given, effective),
        STREAMS: lambda: retention_sources.of_streams(given),
        BACKUPS: lambda: retention_sources.of_backups(given, opened, now),
    }


def _check(given: RetentionOptions) -> None:
    """Raise OptionError for impossible limits, and for a part that is left out without a reason."""
    legal = given.legal or LegalOptions()
    bounds = {**{name: getattr(given, name) for name in BUDGETS}, **vars(legal)}
    for name, value in bounds.items():
        if value is not None and not (math.isfinite(value) and 0 < value <= 24 * settings.LONGEST):
            raise OptionError(f"{name} is {value}; use a time above zero and at most a century")
    days = {"audit": (legal.audit_at_least, legal.audit_at_most), "backups": (legal.backups_at_least, legal.backups_at_most)}
    for what, (least, most) in days.items():
        if least and most and least > most:
            raise OptionError(f"legal requires at least {least} and at most {most} days for {what}; correct one of them")
    if given.copies_at_least < 0:
        raise OptionError("copies_at_least is below zero; set it to a number of copies")
    for name, reason in given.left_out.items():
        if name not in PARTS:
            raise OptionError(f"left_out contains {str(name)[:40]!a}; allowed are {', '.join(PARTS)}")
        if not one_line(str(reason or "")):
            raise OptionError(f"left_out contains {name} without a reason; add one, because the result shows it")


def _effective(given: RetentionOptions) -> Effective:
    if path := given.effective_environment_file:
        return settings.effective(environment.of_file(path, settings.VARIABLES))
    return settings.effective(given.effective_environment.flat() if given.effective_environment else None)


def _ask(name: str, ask: t.Callable[[], list[Check]], left_out: t.Mapping[str, object]) -> list[Check]:
    if name in left_out:
        return [Check(f"retention.{name}", NOT_APPLICABLE, f"left out: {one_line(str(left_out[name]))}", required=False)]
    try:
        return ask()
    except _UNREADABLE as exc:
        return [Check(f"retention.{name}", UNPROVEN, exc.msg, details={"error": type(exc).__name__})]
