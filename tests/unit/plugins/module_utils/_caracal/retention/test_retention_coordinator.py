# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.releases import SECRET_STORE, ZONE_KEK
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.retention import coordinator, settings
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.retention.coordinator import Facts, Seen

LIMIT = dt.datetime(2026, 11, 20, tzinfo=dt.timezone.utc)
DAY = dt.timedelta(days=1)
ALLOWED = dict.fromkeys(coordinator.REMOVES, True)
FINE = {one.id: Seen(9, LIMIT + DAY, 0, LIMIT) for one in coordinator.TABLE}


def judged(effective: settings.Effective | None = None, **changes: t.Any) -> dict[str, str]:
    found = dataclasses.replace(Facts(SECRET_STORE, True, FINE, ALLOWED, (0, 0), 20), **changes)
    checks = coordinator.judge(found, effective or settings.effective({}))
    return {one.id.removeprefix("retention."): f"{one.verdict}: {one.message}" for one in checks}


@pytest.mark.no_false_alarm
def test_coordinator_that_cleans_up_passes() -> None:
    assert {words.partition(":")[0] for words in judged().values()} == {"pass"} and len(judged()) == 7


@pytest.mark.mutation
@pytest.mark.parametrize("kind", [one.id for one in coordinator.TABLE])
def test_overdue_rows_fail(kind: str) -> None:
    late = {**FINE, kind: Seen(9, LIMIT - 3 * DAY, 4, LIMIT)}
    assert judged(seen=late)[f"coordinator.{kind}"].startswith("fail: 4 of 9 ")
    assert "the oldest by 3 d" in judged(seen=late)[f"coordinator.{kind}"]
    lacking = judged(seen=late, rights={**ALLOWED, "delegation_edges": False})
    assert lacking[f"coordinator.{kind}"].startswith("warn: 4 of 9 ") and lacking["coordinator.cleaner"].startswith("warn: ")
    assert "GRANT DELETE ON public.delegation_edges TO caracalcoordinator" in lacking["coordinator.cleaner"]
    none = {**FINE, kind: Seen(0, None, 0, LIMIT)}
    assert judged(seen=none)[f"coordinator.{kind}"].startswith("not_applicable: ")
    assert judged(seen=none, believable=False)[f"coordinator.{kind}"].startswith("unproven: ")


@pytest.mark.mutation
def test_checks_that_need_unknown_days_are_unproven() -> None:
    results = judged(settings.effective(None))
    assert {name for name, words in results.items() if words.startswith("unproven")} == {
        "coordinator.delegations", "coordinator.outbox", "coordinator.sessions",
    }  # fmt: skip


@pytest.mark.mutation
def test_missing_role_is_unproven_except_in_the_older_family() -> None:
    assert judged(rights={})["coordinator.cleaner"].startswith("unproven: role caracalcoordinator does not exist")
    assert judged(rights={"sessions": True})["coordinator.cleaner"].startswith("warn: ")
    other = judged(family=ZONE_KEK, rights={})
    assert other["coordinator.cleaner"].startswith("not_applicable: ") and "coordinator.sessions" not in other


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dead": (2, 0)}, "warn: 2 event(s) of the API and 0 of the coordinator were given up"),
        ({"dead": (0, 1)}, "warn: 0 event(s) of the API and 1 of the coordinator"),
        ({"outboxes": 0}, "not_applicable: "),
        ({"outboxes": 0, "believable": False}, "unproven: "),
    ],
)
def test_abandoned_events_are_a_warning(changes: dict[str, t.Any], words: str) -> None:
    assert judged(**changes)["outbox.dead"].startswith(words)
