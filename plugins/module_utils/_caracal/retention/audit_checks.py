# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of the audit log's retention: days, future partitions, overdue months, and whether events are exported before they are dropped."""

from __future__ import annotations

import datetime

from ..._report.check import FAIL, NOT_APPLICABLE, PASS, UNPROVEN, WARN, Check
from ..._report.text import duration, plural
from .. import partitions
from ..partitions import Month
from . import audit
from .audit import Facts
from .settings import AUDIT, BUCKET, Effective

PREFIX = "retention.audit"


def judge(facts: Facts, effective: Effective, budget: datetime.timedelta, least: int | None, most: int | None) -> list[Check]:
    """Return all checks. `budget` limits the age of the last exported hour. `least` and `most` are the days that the law
    requires and allows.
    """
    return [
        effective.qualified(days(facts, effective, least, most)),
        window(facts),
        default(facts),
        effective.qualified(overdue(facts, effective)),
        current(facts, effective, budget),
        effective.qualified(exported(facts, effective, budget)),
    ]


def days(facts: Facts, effective: Effective, least: int | None, most: int | None) -> Check:
    """Check the number of days in effect."""
    name, kept, ceiling = f"{PREFIX}.days", facts.keeps(effective).days, effective.days[AUDIT]
    details = {"days": kept, "environment": ceiling, "database": facts.override}
    if least is not None and kept < least:
        where = "audit_retention in the database" if facts.override == kept else f"{AUDIT} of the audit service"
        words = f"audit events are kept for {kept} days, but at least {least} are required; raise {where}"
        return Check(name, FAIL, words, details=details)
    if most is not None and kept > most:
        words = f"audit events are kept for {kept} days, but at most {most} are allowed; lower audit_retention in the database or {AUDIT}"
        return Check(name, FAIL, words, details=details)
    if facts.override is not None and facts.override > ceiling:
        words = f"the database sets {facts.override} days, but {AUDIT} limits them to {ceiling} days; correct one of them"
        return Check(name, WARN, words, details=details)
    return Check(name, PASS, f"audit events are kept for {kept} days", details=details)


def window(facts: Facts) -> Check:
    """Check the partitions of this month and the following ones."""
    name, months = f"{PREFIX}.partitions", partitions.wanted(facts.now.date(), audit.LATER)
    missing = [month.name for month in months if facts.leaves.get(month.name) != month.bounds]
    if missing:
        words = (
            f"{len(missing)} of {len(months)} monthly partitions are missing "
            f"or have other bounds, first {missing[0]}; events of that month "
            "will go to the default partition. Find out why the audit service does not create partitions, or run audit_partition_ensure"
        )
        return Check(name, FAIL, words, details={"missing": missing})
    return Check(name, PASS, f"{months[0].name} and the partitions of the next {audit.LATER} months exist")


def default(facts: Facts) -> Check:
    name = f"{PREFIX}.default_partition"
    if facts.default_rows is None:
        return Check(name, FAIL, "there is no default partition, so events of a month without a partition are refused; create it again")
    if facts.default_rows:
        some = f"{facts.default_rows} or more" if facts.default_rows >= audit.MANY else str(facts.default_rows)
        words = f"{some} event(s) are in the default partition: retention never drops them, and they block the partitions of their months"
        return Check(name, FAIL, words, details={"rows": facts.default_rows})
    return Check(name, PASS, "the default partition is empty")


def overdue(facts: Facts, effective: Effective) -> Check:
    """Check for months that should have been dropped."""
    name, late = f"{PREFIX}.overdue", [month for month in facts.months if facts.drop(month, effective) + audit.GRACE < facts.now]
    if not facts.months:
        return Check(name, UNPROVEN, "the audit log has no monthly partition")
    if late:
        over = (facts.now - facts.drop(late[0], effective)).total_seconds()
        words = (
            f"{plural(len(late), 'month')} should have been dropped, {late[0].name} {duration(over)} ago; "
            "check the audit service's log for the reason"
        )
        return Check(name, FAIL, words, details={"partitions": [month.name for month in late]})
    oldest = facts.months[0]
    words = f"the oldest of {plural(len(facts.months), 'month')}, {oldest.name}, is dropped on {facts.drop(oldest, effective):%Y-%m-%d}"
    return Check(name, PASS, words, details={"oldest": oldest.name, "months": len(facts.months)})


def current(facts: Facts, effective: Effective, budget: datetime.timedelta) -> Check:
    """Check that exports are running."""
    name, until = f"{PREFIX}.exports_current", facts.exported_until
    if until is None:
        return _no_watermark(name, effective)
    age = (facts.now - until).total_seconds()
    details = {"watermark": f"{facts.watermark:%Y-%m-%dT%H:%M:%SZ}", "age_seconds": age, "budget_seconds": budget.total_seconds()}
    if age < 0:
        words = f"the export watermark {until:%Y-%m-%d %H:%M} UTC is in the future, so no earlier hour is exported; correct the watermark"
        return Check(name, FAIL, words, details=details)
    if facts.stalled(budget):
        words = f"the last exported hour ended {duration(age)} ago, over its budget of {duration(budget.total_seconds())}"
        why = (
            f"; {BUCKET} is not set for the running service"
            if effective.known and not effective.bucket
            else "; see the audit service's log"
        )
        return Check(name, FAIL, words + why, details=details)
    return Check(name, PASS, f"the last exported hour ended {duration(age)} ago", details=details)


def exported(facts: Facts, effective: Effective, budget: datetime.timedelta) -> Check:
    """Check that events are exported before their month is dropped. Otherwise the archive never gets them."""
    name = f"{PREFIX}.exported"
    if facts.exported_until is None:
        return _no_watermark(name, effective)
    if not facts.months:
        return Check(name, UNPROVEN, "the audit log has no monthly partition")
    lost = sorted((month for month in facts.unexported if _goes_first(facts, month, effective, budget)), key=lambda month: month.low)
    details = {"partitions": {month.name: f"{facts.drop(month, effective):%Y-%m-%d}" for month in lost}}
    if lost:
        words = (
            f"{lost[0].name} will be dropped on {facts.drop(lost[0], effective):%Y-%m-%d} with events that were never exported "
            f"(exported until {facts.exported_until:%Y-%m-%d %H:%M} UTC); run the exports first, or raise {AUDIT}"
        )
        return Check(name, FAIL, words, details=details)
    if facts.unread:
        month, why = next(iter(facts.unread.items()))
        return Check(name, UNPROVEN, f"cannot determine whether {month.name} was exported: {why}", details=details)
    first = facts.months[0]
    words = f"every month is exported before it is dropped; the next, {first.name}, is dropped on {facts.drop(first, effective):%Y-%m-%d}"
    return Check(name, PASS, words, details={"searched": len(facts.searched)})


def _goes_first(facts: Facts, month: Month, effective: Effective, budget: datetime.timedelta) -> bool:
    """Return whether the month is dropped before its export. Running exports reach every event within their budget;
    stopped ones reach none.
    """
    return facts.stalled(budget) or facts.drop(month, effective) < facts.now + budget


def _no_watermark(name: str, effective: Effective) -> Check:
    if effective.bucket:
        words = f"{BUCKET} is set, but no hour was ever exported (no export watermark); check the audit service's log"
        return Check(name, FAIL, words)
    if effective.known:
        words = f"exports are off ({BUCKET} is not set): events that retention drops are in backup sets only, not in an archive"
        return Check(name, NOT_APPLICABLE, words, required=False)
    return Check(
        name, UNPROVEN, f"there is no export watermark, and it is unknown whether exports are on; set {BUCKET} in effective_environment"
    )
