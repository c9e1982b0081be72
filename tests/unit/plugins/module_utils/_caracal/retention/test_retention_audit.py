# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verdicts about the audit log at one point in time, and the message of each finding."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import partitions
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.partitions import Month
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.retention import audit_checks, settings
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.retention.audit import Facts

NOW = dt.datetime(2026, 11, 25, 12, 30, tzinfo=dt.timezone.utc)
HOUR = dt.timedelta(hours=1)
BUDGET = 6 * HOUR
MONTHS = partitions.wanted(dt.date(2025, 11, 1), 15)
KNOWN = settings.effective({settings.BUCKET: "b"})
OLDEST = MONTHS[0]  # is dropped on 2026-12-01 with 365 days


def facts(**changes: t.Any) -> Facts:
    leaves = {**{month.name: month.bounds for month in MONTHS}, "audit_events_default": partitions.DEFAULT}
    return dataclasses.replace(Facts(NOW, None, NOW.replace(minute=0) - 2 * HOUR, leaves, 0), **changes)


def judged(found: Facts, effective: settings.Effective = KNOWN, least: int | None = None, most: int | None = None) -> dict[str, str]:
    checks = audit_checks.judge(found, effective, BUDGET, least, most)
    return {one.id.removeprefix("retention.audit."): f"{one.verdict}: {one.message}" for one in checks}


@pytest.mark.no_false_alarm
def test_audit_log_with_correct_retention_passes() -> None:
    results = judged(facts(searched=frozenset({OLDEST})), least=365, most=365)
    assert [name for name, words in results.items() if not words.startswith("pass: ")] == [], results
    assert results["exported"].endswith("the next, audit_events_y2025m11, is dropped on 2026-12-01")


WITHOUT = {name: bounds for name, bounds in facts().leaves.items() if name != "audit_events_y2027m01"}


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("changes", "check", "words"),
    [
        ({"leaves": WITHOUT}, "partitions", "fail: 1 of 4 monthly partitions are missing or have other bounds, first audit_events"),
        ({"leaves": {**WITHOUT, "audit_events_y2027m01": MONTHS[3].bounds}}, "partitions", "fail: 1 of 4"),
        ({"leaves": {}}, "partitions", "fail: 4 of 4"),
        ({"leaves": {}}, "overdue", "unproven: the audit log has no monthly partition"),
        ({"leaves": {}}, "exported", "unproven: the audit log has no monthly partition"),
        ({"default_rows": None}, "default_partition", "fail: there is no default partition"),
        ({"default_rows": 3}, "default_partition", "fail: 3 event(s)"),
        ({"default_rows": 10000}, "default_partition", "fail: 10000 or more event(s)"),
        ({"override": 360}, "overdue", "pass: "),
        ({"override": 359, "now": NOW - HOUR}, "overdue", "pass: "),
        (
            {"override": 358, "now": NOW + dt.timedelta(hours=13)},
            "overdue",
            "fail: 1 month should have been dropped, audit_events_y2025m11",
        ),
        ({"override": 400}, "days", "warn: the database sets 400 days"),
        ({"watermark": NOW - 8 * HOUR}, "exports_current", "fail: the last exported hour ended 7 h ago"),
        ({"watermark": NOW + HOUR}, "exports_current", "fail: the export watermark "),
        ({"watermark": None}, "exports_current", "fail: AUDIT_EXPORT_S3_BUCKET is set"),
        ({"watermark": None}, "exported", "fail: AUDIT_EXPORT_S3_BUCKET is set"),
        ({"unread": {OLDEST: "canceled"}}, "exported", "unproven: cannot determine whether audit_events_y2025m11 was exported: canceled"),
        ({"unexported": frozenset({OLDEST})}, "exported", "pass: "),
        ({"unexported": frozenset({OLDEST}), "override": 359}, "exported", "fail: audit_events_y2025m11 will be dropped on 2026-11-25"),
        (
            {"unexported": frozenset({MONTHS[12], MONTHS[11]}), "watermark": NOW - 60 * 24 * HOUR},
            "exported",
            "fail: audit_events_y2026m10 will be dropped on 2027-11-01 with events that were never exported",
        ),
    ],
)
def test_each_fault_has_its_message(changes: dict[str, t.Any], check: str, words: str) -> None:
    assert judged(facts(**changes))[check].startswith(words)


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("changes", "least", "most", "words"),
    [
        (
            {"override": 90},
            365,
            None,
            "fail: audit events are kept for 90 days, but at least 365 are required; raise audit_retention in the",
        ),
        ({}, 366, None, "fail: audit events are kept for 365 days, but at least 366 are required; raise AUDIT_RETENTION_DAYS"),
        ({}, None, 364, "fail: audit events are kept for 365 days, but at most 364"),
        ({}, 365, 365, "pass: "),
    ],
)
def test_retention_days_are_compared_with_legal_limits(changes: dict[str, t.Any], least: int | None, most: int | None, words: str) -> None:
    assert judged(facts(**changes), least=least, most=most)["days"].startswith(words)


@pytest.mark.mutation
def test_verdict_of_disabled_and_unknown_exports() -> None:
    none = facts(watermark=None)
    assert {judged(none, settings.effective({}))[name].partition(":")[0] for name in ("exports_current", "exported")} == {"not_applicable"}
    assert {judged(none, settings.effective(None))[name].partition(":")[0] for name in ("exports_current", "exported")} == {"unproven"}
    off = judged(facts(watermark=NOW - 24 * HOUR), settings.effective({}))["exports_current"]
    assert off.endswith("AUDIT_EXPORT_S3_BUCKET is not set for the running service")


def test_other_partition_names_are_not_months() -> None:
    names = ("audit_events_y2026m13", "audit_events_y2026m1", "audit_events_old", "audit_events_y2026m010")
    assert facts(leaves=dict.fromkeys(names, "")).months == []
    assert facts(leaves={"audit_events_y2026m02": ""}).months == [Month(dt.date(2026, 2, 1))]
