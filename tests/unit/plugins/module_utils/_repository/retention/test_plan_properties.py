# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Properties of every history: thousands are drawn."""

from __future__ import annotations

import dataclasses
import typing as t

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.retention import plan as plans
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.retention.facts import Facts, Policy
from unit.plugins.module_utils._repository.retention.histories import carried_out, histories, interrupted, policies

thousands: t.Any = settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck), database=None)


@thousands
@given(histories(), policies)
def test_nothing_that_is_needed_is_deleted(facts: Facts, policy: Policy) -> None:
    plan = plans.make(facts, policy)
    assert not plan.stopped
    gone, ends = set(plan.keys), set(plan.ends)
    alive = [one for one in facts.sets if one.set_id not in ends]
    newest_good = [one for one in facts.sets if one.good][-1]
    assert newest_good in alive and facts.sets[-1] in alive
    assert not [one for one in facts.sets if one.holds and one.set_id in ends]
    assert not gone & {key for one in alive for key in one.artifacts}, "an object that a kept manifest names"
    assert not gone & facts.claimed(policy.grace), "an object that an open set names"
    assert not [key for key in gone if facts.refusal(key)]
    assert not [key for key in gone if key.endswith((".json", ".sig", ".md", ".tsv.zst")) and not plan.garbage]
    good = [one for one in facts.sets if one.good]
    assert sum(one.good for one in alive) >= min(policy.minimum, len(good))
    assert {one.set_id for one in plan.decisions} == {one.set_id for one in facts.sets} and all(one.reasons for one in plan.decisions)


@thousands
@given(histories(), policies)
def test_objects_retained_by_store_are_reported_and_pruned_once_released(facts: Facts, policy: Policy) -> None:
    plan = plans.make(facts, policy)
    free = plans.make(dataclasses.replace(facts, locked_until=lambda _key: None, is_held=lambda _key: None), policy)
    retained = {one.set_id for one in plan.decisions if one.what == plans.RETAIN}
    assert set(free.ends) == set(plan.ends) | retained
    assert {key for key, _why in plan.retained} <= set(free.keys) and {*plan.keys} <= {*free.keys}
    assert dict(plan.retained) == {key: facts.refusal(key) for key, _why in plan.retained}
    assert not [key for key, why in plan.retained if (why.until is None) != bool(facts.is_held(key))]


@thousands
@given(histories(), policies)
def test_a_second_plan_is_empty(facts: Facts, policy: Policy) -> None:
    first = plans.make(facts, policy)
    assert plans.make(facts, policy) == first, "the same facts give the same plan"
    second = plans.make(carried_out(facts, first), policy)
    assert (second.ends, second.keys) == ((), ())


@thousands
@given(histories(), policies, st.integers(0, 200))
def test_a_killed_prune_is_finished_by_the_next(facts: Facts, policy: Policy, after: int) -> None:
    first = plans.make(facts, policy)
    second = plans.make(interrupted(facts, first, after), policy)
    assert second.ends == () and set(second.keys) == set(first.keys[after:])


@thousands
@given(histories(poisoned=True), policies)
def test_stopped_plan_deletes_nothing_and_names_reasons(facts: Facts, policy: Policy) -> None:
    plan = plans.make(facts, policy)
    if plan.stopped:
        assert (plan.ends, plan.keys, plan.retained) == ((), (), ()) and all(plan.stopped)
    else:
        newer = facts.sets[max((number for number, one in enumerate(facts.sets) if one.proved), default=-1) + 1 :]
        assert all(one.good for one in newer)
    assert plan.stopped or facts.sets[-1].set_id not in plan.ends


@thousands
@given(histories(), policies, policies)
def test_wanting_more_keeps_more(facts: Facts, one: Policy, other: Policy) -> None:
    """The minimum is the exception, because it only adds to the sets that the rules keep."""
    names = ("last", "hourly", "daily", "weekly", "monthly", "yearly", "within", "grace")
    both = Policy(**{name: max(getattr(one, name), getattr(other, name)) for name in names}, minimum=0)
    for policy in (one, other):
        assert ends(facts, both) <= ends(facts, dataclasses.replace(policy, minimum=0))


def ends(facts: Facts, policy: Policy) -> set[str]:
    return set(plans.make(facts, policy).ends)
