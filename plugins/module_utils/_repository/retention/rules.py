# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reasons to keep a set. A rule never overrides the result of another rule, so the reasons of a set add up."""

from __future__ import annotations

import typing as t

from ..._report.check import PASS
from .facts import Facts, Policy, SetFacts

Reasons = dict[str, list[str]]
Period = t.Callable[[SetFacts], tuple[int, ...]]

# Periods in UTC, based on the journal's time, which never goes backwards.
_PERIODS: tuple[tuple[str, str, Period], ...] = (
    ("hourly", "hour", lambda one: (*one.committed.timetuple()[:4],)),
    ("daily", "day", lambda one: (*one.committed.timetuple()[:3],)),
    ("weekly", "week", lambda one: (*one.committed.isocalendar()[:2],)),
    ("monthly", "month", lambda one: (*one.committed.timetuple()[:2],)),
    ("yearly", "year", lambda one: (one.committed.year,)),
)


def kept(facts: Facts, policy: Policy) -> Reasons:
    """Return the reasons by set, for sets that are kept. Rules count only good sets; holds and the grace time protect any set.

    The rules run twice, with and without failed drills and verifications. A failure must not reduce what is kept, so
    the sets that would be kept without any failure stay too.
    """
    why: Reasons = {}
    for one in facts.sets:
        if one.holds:
            why.setdefault(one.set_id, []).append(f"held: {', '.join(one.holds)}")
    for one in _in_use(facts, policy):
        why.setdefault(one.set_id, []).append("a running backup may refer to it")
    protected = frozenset(why)
    good = [one for one in facts.sets if one.good]
    whole = [one for one in facts.sets if not one.problem]
    passed = [one for one in whole if one.ever_passed or one.drill == PASS]
    found = _filled_up(good, [one for one in good if one.proved], facts, policy, protected)
    unfailed = _filled_up(whole, passed, facts, policy, protected)
    for one in whole:
        reasons = [*found.get(one.set_id, ()), *(f"{words}, though it {one.doubt}" for words in unfailed.get(one.set_id, ()) if one.doubt)]
        if reasons:
            why[one.set_id] = [*reasons, *why.get(one.set_id, ())]
    return why


def _filled_up(
    sets: t.Sequence[SetFacts], proved: t.Sequence[SetFacts], facts: Facts, policy: Policy, protected: t.AbstractSet[str]
) -> Reasons:
    """Return the sets that the rules keep, plus as many as the minimum requires. `protected` sets count towards the minimum."""
    why: Reasons = {}
    for one, reason in _by_rules(sets, proved, facts, policy):
        why.setdefault(one.set_id, []).append(reason)
    spare = [one for one in sets if one.set_id not in why and one.set_id not in protected]
    missing = policy.minimum - (len(sets) - len(spare))
    for one in spare[-missing:] if missing > 0 else ():
        why[one.set_id] = [f"one of the minimum of {policy.minimum} sets"]
    return why


def _by_rules(sets: t.Sequence[SetFacts], proved: t.Sequence[SetFacts], facts: Facts, policy: Policy) -> t.Iterator[tuple[SetFacts, str]]:
    """Yield the sets that each rule keeps. `proved` are the sets that passed a drill."""

    def keep(found: t.Iterable[SetFacts], reason: str) -> t.Iterator[tuple[SetFacts, str]]:
        return ((one, reason) for one in found)

    yield from keep(sets[-1:], "the newest good set")
    yield from keep(proved[-1:], "the newest set that passed a drill")
    yield from keep(sets[-policy.last :] if policy.last else (), f"one of the last {policy.last}")
    for option, name, period in _PERIODS:
        number = getattr(policy, option)
        yield from keep(_newest_of_each(sets, period, number), f"the last of its {name}")
        if option == "monthly":
            months = {period(one) for one in _newest_of_each(sets, period, number)}
            of_months = [one for one in proved if period(one) in months]
            yield from keep(_newest_of_each(of_months, period, number), "the last of its month to pass a drill")
    yield from keep((one for one in sets if facts.now - one.committed < policy.within), "newer than keep_within")


def _newest_of_each(sets: t.Sequence[SetFacts], period: Period, number: int) -> list[SetFacts]:
    """Return the newest set of each of the last `number` periods that have a set."""
    newest = {period(one): one for one in sets}
    return list(newest.values())[-number:] if number else []


def _in_use(facts: Facts, policy: Policy) -> list[SetFacts]:
    """Return all sets that were the newest set within the grace time. A backup that began then shares their objects."""
    since = facts.now - policy.grace
    before = [one for one in facts.sets if one.committed <= since]
    return [*before[-1:], *(one for one in facts.sets if one.committed > since)]
