# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each retention rule on its own."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import layout
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.retention import plan as plans
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.retention.facts import Policy, Refusal, SetFacts
from unit.plugins.module_utils._repository.retention.histories import (
    CONTENTS,
    DAY,
    HOUR,
    NOW,
    a_set,
    an_id,
    leaf,
    nightly,
    public,
    repository,
)

ONE = Policy(last=1, minimum=1, grace=HOUR)


def kept(sets: t.Sequence[SetFacts], **policy: t.Any) -> list[int]:
    """Return the indices of the sets that are kept. The newest set passed its drill, so it is the anchor."""
    sets = [*sets[:-1], dataclasses.replace(sets[-1], drill="pass")]
    plan = plans.make(repository(*sets), Policy(**{"minimum": 1, "grace": HOUR, **policy}))
    assert not plan.stopped
    return [number for number, one in enumerate(plan.decisions) if one.what == "kept"]


def of_days(*ages: float) -> list[SetFacts]:
    """Return sets with these ages in days, the newest last."""
    return [a_set(number, age * DAY) for number, age in enumerate(ages)]


@pytest.mark.parametrize(
    ("policy", "left"),
    [
        ({"last": 3}, [7, 8, 9]),
        ({"daily": 2}, [8, 9]),
        ({"within": 3 * DAY}, [7, 8, 9]),
        ({"last": 1, "minimum": 4}, [6, 7, 8, 9]),
        ({"last": 1, "grace": 26 * HOUR}, [7, 8, 9]),
    ],
)
def test_ten_nights(policy: dict[str, t.Any], left: list[int]) -> None:
    assert kept(nightly(10), **policy) == left


def test_periods_count_only_where_they_have_a_set_and_keep_their_newest() -> None:
    # On 25 November at 00:36, 01:33 and 01:48, the day before, and earlier months.
    sets = of_days(400, 60, 30, 1, 0.1, 0.06, 0.05)
    assert kept(sets, hourly=2) == [4, 6]
    assert kept(sets, daily=3) == [2, 3, 6]
    assert kept(sets, weekly=2) == [2, 6]
    assert kept(sets, monthly=3) == [1, 2, 6]
    assert kept(sets, yearly=2) == [0, 6]


def test_newest_set_that_passed_drill_is_kept_overall_and_per_kept_month() -> None:
    sets = of_days(62, 60, 31, 30, 29, 2, 1, 0.1)
    drilled = [dataclasses.replace(one, drill="pass") if number in (0, 2, 3) else one for number, one in enumerate(sets)]
    plan = plans.make(repository(*drilled), dataclasses.replace(ONE, monthly=2))
    reasons = {number: one.reasons for number, one in enumerate(plan.decisions) if one.what == "kept"}
    assert list(reasons) == [3, 4, 7]
    assert reasons[3] == ("the newest set that passed a drill", "the last of its month to pass a drill")
    assert next(one for one in plans.make(repository(*drilled), ONE).decisions if one.what == "kept").set_id == sets[3].set_id


def test_bad_sets_do_not_count_and_do_not_push_good_ones_out() -> None:
    sets = nightly(6)
    bad = [dataclasses.replace(one, problem="x is missing") if number in (2, 3, 4) else one for number, one in enumerate(sets)]
    assert kept(bad, last=2) == [1, 5]


@pytest.mark.mutation
@pytest.mark.parametrize("change", [{"drill": "fail"}, {"failed": True}, {"drill": "fail", "ever_passed": True}])
@pytest.mark.parametrize("policy", [{"last": 10}, {"daily": 14}, {"within": 30 * DAY}, {"last": 1, "minimum": 10}])
def test_recorded_failures_do_not_shorten_retention(change: dict[str, t.Any], policy: dict[str, t.Any]) -> None:
    """A wrong program path, a wrong identity, two drills at once or a stolen drill key marks nine of ten sets as failed."""
    sets = nightly(10)
    assert kept([*(dataclasses.replace(one, **change) for one in sets[:-1]), sets[-1]], **policy) == list(range(10))


@pytest.mark.mutation
def test_a_failure_after_it_does_not_take_a_passed_drill_away() -> None:
    sets = [*nightly(9), a_set(9, HOUR)]
    passed = [dataclasses.replace(one, drill="fail", ever_passed=True) if number == 3 else one for number, one in enumerate(sets[:-1])]
    (words,) = [one.reasons for one in plans.make(repository(*passed, sets[-1]), ONE).decisions if one.set_id == sets[3].set_id]
    assert words == ("the newest set that passed a drill, though it failed its last drill",)


def test_minimum_does_not_count_sets_that_failed_drill() -> None:
    sets = [dataclasses.replace(one, drill="fail") if number in (6, 7, 8) else one for number, one in enumerate(nightly(10))]
    assert kept(sets, last=1, minimum=3) == [4, 5, 7, 8, 9]


def test_a_failed_set_goes_when_no_rule_would_keep_it_anyway() -> None:
    sets = [dataclasses.replace(one, drill="fail") if number == 0 else one for number, one in enumerate(nightly(5))]
    plan = plans.make(repository(*sets[:-1], dataclasses.replace(sets[-1], drill="pass")), dataclasses.replace(ONE, last=2))
    assert plan.decisions[0].reasons == ("no rule keeps it, and it failed its last drill",)


def test_a_held_set_stays_even_if_it_is_bad() -> None:
    sets = [dataclasses.replace(one, holds=("case",), problem="x") if number == 1 else one for number, one in enumerate(nightly(6))]
    assert kept(sets, last=1) == [1, 5]


def test_objects_under_legal_hold_are_retained_indefinitely_and_reported() -> None:
    sets = nightly(4)
    dump, shared = layout.dump_key(sets[0].set_id, "caracal"), leaf(sets[1].set_id)
    facts = repository(*sets, locked_until=lambda _key: NOW + DAY, is_held={dump, shared}.__contains__)
    locked = plans.make(facts, ONE)
    assert locked.decisions[0].what == "retained" and locked.decisions[0].reasons == ("under a legal hold in the store",)
    assert locked.decisions[1].reasons == ("locked until 2026-11-26T03:00:00Z",)
    held = plans.make(dataclasses.replace(facts, locked_until=lambda _key: None), ONE)
    assert [one.what for one in held.decisions] == ["retained", "pruned", "pruned", "kept"] and shared not in held.keys
    assert list(held.retained) == [(shared, Refusal())]
    assert dump not in held.keys and held.ends == tuple(one.set_id for one in sets[1:3])


def test_a_shared_object_goes_with_the_last_set_that_names_it() -> None:
    first = a_set(0, 5 * DAY)
    sets = [first, *(a_set(number, (5 - number) * DAY, [leaf(first.set_id)]) for number in (1, 2, 3)), a_set(4, HOUR, drill="pass")]
    plan = plans.make(repository(*sets), dataclasses.replace(ONE, last=2))
    assert plan.ends == tuple(one.set_id for one in sets[:3]) and leaf(first.set_id) not in plan.keys
    assert leaf(sets[1].set_id) in plan.keys
    later = dataclasses.replace(repository(*sets[3:], extra=[leaf(first.set_id)]), pruned=frozenset(plan.ends))
    assert leaf(first.set_id) in plans.make(later, ONE).keys


def test_the_public_files_of_a_pruned_set_stay() -> None:
    sets = nightly(3)
    plan = plans.make(repository(*sets), ONE)
    assert sets[0].set_id in plan.ends and not set(plan.keys) & public(sets[0].set_id)


def test_unknown_objects_are_left_alone() -> None:
    old = an_id(NOW - 100 * DAY, 1)
    strange = ["sets/notes", "sets/x/y", f"other/{old}/x", "objects/audit/x/y.age", f"sets/{nightly(3)[0].set_id}/new-kind.json"]
    assert plans.make(repository(*nightly(3), extra=strange), dataclasses.replace(ONE, last=3)).keys == ()


def test_garbage_is_what_no_entry_names_after_the_grace_time() -> None:
    old, young, known = (an_id(NOW - age, 1) for age in (3 * DAY, HOUR / 2, 4 * DAY))
    keys = [
        key for one in (old, young, known) for key in (layout.dump_key(one, "x"), layout.checkpoint_key(one), layout.drill_html_key(one))
    ]
    facts = repository(*nightly(3), extra=keys, entered=frozenset({known}))
    found = {one.key for one in plans.make(facts, ONE).garbage}
    assert found == {key for key in keys if old in key} | {layout.dump_key(known, "x")}


# ---- poison: sets newer than the newest set that passed a drill


def stopped(sets: t.Sequence[SetFacts], **policy: t.Any) -> tuple[str, ...]:
    return plans.make(repository(*sets), Policy(last=1, **policy)).stopped


@pytest.mark.mutation
def test_a_set_that_shrank_stops_it_until_a_newer_one_passes_a_drill() -> None:
    sets = [*nightly(5), a_set(5, HOUR / 2, size=499)]
    (words,) = stopped(sets)
    assert sets[5].set_id in words and "499 bytes, but the sets before it have 1000" in words
    assert stopped(sets, accepted_sets=frozenset({sets[5].set_id})) == () == stopped(sets, max_shrinkage=0.6)
    assert stopped([*sets[:5], dataclasses.replace(sets[5], drill="pass")]) == ()
    assert stopped([*sets, a_set(6, HOUR / 3, drill="pass")]) == ()


@pytest.mark.mutation
def test_a_set_that_lost_an_asset_a_broken_one_and_a_failed_one_stop_it() -> None:
    sets = nightly(5)
    for change, words in (
        ({"contents": CONTENTS - {"secrets"}}, "has no secrets"),
        ({"problem": "x is missing"}, "is incomplete: x is missing"),
        ({"drill": "fail"}, "failed its last drill"),
    ):
        (found,) = stopped([*sets, a_set(5, HOUR / 2, **change)])
        assert words in found


@pytest.mark.mutation
def test_a_burst_stops_it() -> None:
    sets = [*nightly(5), *(a_set(5 + number, HOUR / 2 - number * HOUR / 100) for number in range(26))]
    assert "more than 25 sets were created within 24 hours" in stopped(sets)[-1]
    assert stopped(sets, max_sets_per_day=31) == ()
    assert stopped(sets, accepted_sets=frozenset(one.set_id for one in sets[-3:])) == ()


@pytest.mark.no_false_alarm
def test_sets_older_than_last_passed_drill_do_not_stop_prune() -> None:
    sets = [*(a_set(number, 5 * DAY - number * HOUR / 100, size=1000 >> number) for number in range(30)), a_set(30, HOUR, drill="pass")]
    assert stopped(sets) == ()


@pytest.mark.mutation
def test_without_any_good_set_nothing_goes() -> None:
    [*_sets, reason] = stopped([dataclasses.replace(one, problem="x") for one in nightly(3)])
    assert reason.startswith("every set is incomplete")
