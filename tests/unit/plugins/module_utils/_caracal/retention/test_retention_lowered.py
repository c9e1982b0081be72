# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Retention days recorded by sets, and dropped months. A month that expired is not a finding; one dropped early is."""

from __future__ import annotations

import datetime as dt
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.retention import lowered
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.retention.lowered import Recorded, Today

NOW = dt.datetime(2026, 11, 25, 3, tzinfo=dt.timezone.utc)
DAY = dt.timedelta(days=1)
MAY = "audit_events_y2026m05"  # ended 178 days ago


def nights(*days: int | None, known: bool = True) -> list[Recorded]:
    """Return a set for each night, the last one from yesterday."""
    return [Recorded(f"set-{age}", NOW - age * DAY, one, known) for age, one in enumerate(days[::-1], 1)]


def judge(days: int | None, lost: t.Sequence[str], earlier: t.Iterable[Recorded], acknowledged: t.Collection[str] = ()) -> lowered.Check:
    return lowered.judge(Today(NOW, True, days, tuple(lost)), earlier, acknowledged)


HEALTHY: dict[str, tuple[int | None, list[str], list[Recorded]]] = {
    "nothing has changed": (400, [], nights(400, 400)),
    "a month expires under unchanged days": (177, [MAY], nights(177, 177)),
    "a month expires under the days of the service": (None, ["audit_events_y2025m10"], nights(None, None)),
    "a month expires long after the days were lowered": (177, [MAY], nights(*[400] * 20, *[177] * 40)),
    "a month expires although the days were raised": (400, ["audit_events_y2025m09"], nights(365, 365)),
    "days were lowered and every month is there": (90, [], nights(400, 400)),
    "days were lowered by less than what is gone": (400, ["audit_events_y2024m01"], nights(500, 500)),
    "a leaf without a month": (30, ["audit_events_default"], nights(400)),
}


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("name", HEALTHY)
def test_legal_retention_is_not_a_finding(name: str) -> None:
    check = judge(*HEALTHY[name])
    assert (check.verdict, check.details.get("recorded", [])) == ("pass", [])


LOWERED: dict[str, tuple[int | None, list[Recorded], str]] = {
    "since yesterday": (90, nights(400, 400), "set-1"),
    "while a set came in between": (90, nights(400, 90), "set-2"),
    "while many sets came in between": (90, nights(*[400] * 3, *[90] * 60), "set-61"),
    "from what the service has": (90, nights(None, None), "set-1"),
    "in two steps": (90, nights(400, 300, 90), "set-3"),
    "past a set without the recorded days": (90, [*nights(90, known=False), *nights(400, 400)[1:]], "set-2"),
}


@pytest.mark.mutation
@pytest.mark.parametrize("name", LOWERED)
def test_month_dropped_after_lowered_retention_is_a_finding(name: str) -> None:
    days, earlier, before = LOWERED[name]
    check = judge(days, [MAY], earlier)
    (position,) = check.details["positions"]
    assert (check.verdict, check.required) == ("fail", True)
    assert (position["kind"], position["leaf"]) == ("retention_lowered", MAY)
    assert before in position["says"]


@pytest.mark.mutation
@pytest.mark.parametrize(("days", "earlier"), [(400, nights(400)), (500, nights(400, 400))])
def test_month_dropped_before_it_expired_is_a_finding(days: int, earlier: list[Recorded]) -> None:
    check = judge(days, [MAY], earlier)
    (position,) = check.details["positions"]
    assert (check.verdict, position["leaf"]) == ("fail", MAY)
    assert judge(days, [MAY], earlier, [check.details["recorded"][0]["digest"]]).verdict == "warn"


@pytest.mark.no_false_alarm
@pytest.mark.parametrize(
    ("days", "earlier"), [(178, nights(178)), (None, nights(400)), (400, nights(None)), (400, nights(177)), (177, nights(177))]
)
def test_month_that_may_have_expired_is_not_a_finding(days: int | None, earlier: list[Recorded]) -> None:
    check = judge(days, [MAY], earlier)
    assert "dropped_early" not in {one["kind"] for one in check.details.get("positions", [])}


@pytest.mark.mutation
@pytest.mark.parametrize("days", [-(10**30), -1, 10**30])
def test_extreme_numbers_of_days_are_evaluated(days: int) -> None:
    """The table's owner can write any number into the table, and a thief of a backup host's key into an entry."""
    assert judge(days, [MAY], nights(400)).verdict == "fail"
    assert judge(90, [MAY], nights(days)).verdict == ("fail" if days > 0 else "pass")


@pytest.mark.mutation
def test_each_month_is_a_separate_finding_until_acknowledged() -> None:
    lost = ["audit_events_y2026m04", MAY]
    check = judge(90, lost, nights(400))
    digests = [one["digest"] for one in check.details.get("recorded", [])]
    assert len(set(digests)) == 2
    assert judge(90, lost, nights(400), digests[:1]).verdict == "fail"
    accepted = judge(90, lost, nights(400), digests)
    assert (accepted.verdict, accepted.details.get("recorded", [])) == ("warn", [])
    assert judge(80, lost, nights(400), digests).verdict == "fail"


@pytest.mark.parametrize(
    ("today", "earlier", "verdict"),
    [
        (Today(NOW, True, 90, (MAY,)), [], "unproven"),
        (Today(NOW, True, 90, (MAY,)), nights(None, known=False), "unproven"),
        (Today(NOW, False, None, (MAY,)), nights(None, known=False), "not_applicable"),
    ],
    ids=["no set", "a set without the recorded days", "no such table"],
)
def test_not_a_pass_without_recorded_facts(today: Today, earlier: list[Recorded], verdict: str) -> None:
    check = lowered.judge(today, earlier, ())
    assert (check.verdict, check.required) == (verdict, False)


def test_no_more_sets_are_read_than_are_needed() -> None:
    def endless() -> t.Iterator[Recorded]:
        yield from nights(177, 177)
        raise AssertionError("read too far")

    assert judge(177, [], endless()).verdict == "pass"
    assert judge(177, [MAY], iter([Recorded("old", NOW - 2 * DAY, 177, True)])).verdict == "pass"
