# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Repositories that exist only as facts: written by hand, drawn at random, and in the state after a plan was executed."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from hypothesis import strategies as st

from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import layout
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.retention.facts import Facts, Policy, SetFacts
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.retention.plan import Plan
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.base import ObjectStat

NOW = datetime.datetime(2026, 11, 25, 3, tzinfo=datetime.timezone.utc)
DAY = datetime.timedelta(days=1)
HOUR = datetime.timedelta(hours=1)
CONTENTS = frozenset({"caracal", "secrets"})


def an_id(when: datetime.datetime, number: int) -> str:
    return layout.new_set_id(when, number.to_bytes(5, "little"))


def own_keys(set_id: str) -> frozenset[str]:
    return frozenset(
        {layout.dump_key(set_id, "caracal"), layout.inventory_key(set_id), layout.blocks_key(set_id), layout.recovery_key(set_id)}
    )


def a_set(number: int, age: datetime.timedelta, shared: t.Iterable[str] = (), **more: t.Any) -> SetFacts:
    """Return a set committed this long before NOW, with a partition of its own and `shared` objects of other sets."""
    set_id = an_id(NOW - age, number)
    keys = own_keys(set_id) | {leaf(set_id)} | frozenset(shared)
    usual = {"size": 1000, "contents": CONTENTS, "artifacts": keys}
    return SetFacts(set_id, number + 2, NOW - age, **{**usual, **more})


def leaf(set_id: str) -> str:
    return layout.leaf_key("audit_events_y2026m11", "1" * 64, set_id)


def public(set_id: str) -> set[str]:
    return {layout.manifest_key(set_id), layout.backup_signature_key(set_id), layout.blocks_key(set_id), layout.recovery_key(set_id)}


def stored(keys: t.Iterable[str]) -> tuple[ObjectStat, ...]:
    return tuple(ObjectStat(key, 10) for key in sorted(set(keys)))


def repository(*sets: SetFacts, extra: t.Iterable[str] = (), **more: t.Any) -> Facts:
    keys = {key for one in sets for key in one.artifacts | public(one.set_id)}
    return Facts(NOW, sets, stored({*keys, *extra}), **more)


def nightly(count: int, **more: t.Any) -> list[SetFacts]:
    """Return one set a day, the newest an hour old."""
    return [a_set(number, (count - 1 - number) * DAY + HOUR, **more) for number in range(count)]


def carried_out(facts: Facts, plan: Plan) -> Facts:
    gone = set(plan.keys)
    return dataclasses.replace(
        facts,
        sets=tuple(one for one in facts.sets if one.set_id not in plan.ends),
        stored=tuple(one for one in facts.stored if one.key not in gone),
        pruned=facts.pruned | set(plan.ends),
        claims={one: keys for one, keys in facts.claims.items() if layout.part_key(one, "postgres") not in gone},
    )


def interrupted(facts: Facts, plan: Plan, after: int) -> Facts:
    """Return the facts if the run was killed after it wrote the entry and deleted `after` objects."""
    whole = carried_out(facts, plan)
    gone = set(plan.keys[:after])
    claims = {one: keys for one, keys in facts.claims.items() if layout.part_key(one, "postgres") not in gone}
    return dataclasses.replace(whole, stored=tuple(one for one in facts.stored if one.key not in gone), claims=claims)


small = st.integers(0, 4)
policies = st.builds(
    Policy,
    last=small,
    hourly=small,
    daily=small,
    weekly=small,
    monthly=small,
    yearly=small,
    within=st.integers(0, 10).map(lambda days: days * DAY),
    minimum=st.integers(1, 4),
    grace=st.integers(1, 96).map(lambda hours: hours * HOUR),
)


@st.composite
def histories(draw: st.DrawFn, *, poisoned: bool = False) -> Facts:
    """Draw up to 16 sets that are shared, held, locked, broken or drilled.

    Some are held by the store, some were pruned before, and there are leftovers of killed runs. Unless `poisoned`, the
    newest set passed its drill, so that nothing looks wrong.
    """
    gaps = draw(st.lists(st.integers(0, 40 * 24), min_size=1, max_size=16))
    ages = [sum(gaps[number:]) * HOUR for number in range(len(gaps))]
    sets: list[SetFacts] = []
    for number, age in enumerate(ages):
        shared = draw(st.lists(st.sampled_from(sorted(sets[-1].artifacts - own_keys(sets[-1].set_id))), max_size=3)) if sets else []
        drill = draw(st.sampled_from([None, None, "pass", "fail"]))
        if number == len(ages) - 1 and not poisoned:
            drill = "pass"
        problem = "" if drill == "pass" or draw(st.integers(0, 9)) else "an object is missing"
        holds = ("case-1",) if not draw(st.integers(0, 9)) else ()
        size = draw(st.sampled_from([1000, 1000, 1000, 10])) if poisoned else 1000
        sets.append(a_set(number, age, shared, drill=drill, problem=problem, holds=holds, size=size))
    ended = {one.set_id for one in sets[:-1] if not one.holds and not draw(st.integers(0, 5))}
    garbage = [an_id(NOW - draw(st.integers(0, 200)) * HOUR, 900 + number) for number in range(draw(st.integers(0, 3)))]
    extra = {key for one in sets for key in one.artifacts | public(one.set_id)}
    extra |= {key for one in garbage for key in own_keys(one) | {leaf(one)}}
    claims = {}
    for number in range(draw(st.integers(0, 2))):
        running = an_id(NOW - draw(st.integers(0, 200)) * HOUR, 800 + number)
        claims[running] = frozenset(key for key in sorted(extra) if "objects/" in key and not draw(st.integers(0, 6)))
    extra |= {layout.part_key(one, "postgres") for one in claims}
    locked = {key: NOW + draw(st.integers(-3, 30)) * DAY for key in sorted(extra) if not draw(st.integers(0, 12))}
    held = frozenset(key for key in sorted(extra) if not draw(st.integers(0, 12)))
    alive = tuple(one for one in sets if one.set_id not in ended)
    return Facts(NOW, alive, stored(extra), frozenset(ended), claims, frozenset(), locked.get, held.__contains__)
