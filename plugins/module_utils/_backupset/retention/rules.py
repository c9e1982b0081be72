# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Why a set is kept. A rule never takes the answer of another one away, so the reasons of a set add up."""

from __future__ import annotations

import typing as t

from .facts import Facts, Policy, SetFacts

Reasons = dict[str, list[str]]
Period = t.Callable[[SetFacts], tuple[int, ...]]

# By the journal's time, which only goes forward, in UTC.
_PERIODS: tuple[tuple[str, str, Period], ...] = (
    ("hourly", "hour", lambda one: (*one.committed.timetuple()[:4],)),
    ("daily", "day", lambda one: (*one.committed.timetuple()[:3],)),
    ("weekly", "week", lambda one: (*one.committed.isocalendar()[:2],)),
    ("monthly", "month", lambda one: (*one.committed.timetuple()[:2],)),
    ("yearly", "year", lambda one: (one.committed.year,)),
)


def kept(facts: Facts, policy: Policy) -> Reasons:
    """Set → why it is kept, for those that are. Only good sets count for the rules; holds and the grace time protect any."""
    why: Reasons = {}

    def keep(sets: t.Iterable[SetFacts], reason: str) -> None:
        for one in sets:
            why.setdefault(one.set_id, []).append(reason)

    good = [one for one in facts.sets if one.good]
    proved = [one for one in good if one.proved]
    keep(good[-1:], "the newest good set")
    keep(proved[-1:], "the newest set that passed a drill")
    keep(good[-policy.last :] if policy.last else (), f"one of the last {policy.last}")
    for option, name, period in _PERIODS:
        number = getattr(policy, option)
        keep(_newest_of_each(good, period, number), f"the last of its {name}")
        if option == "monthly":
            months = {period(one) for one in _newest_of_each(good, period, number)}
            keep(_newest_of_each([one for one in proved if period(one) in months], period, number), "the last of its month to pass a drill")
    keep((one for one in good if facts.now - one.committed < policy.within), "within the time in which all are kept")
    for one in facts.sets:
        keep([one] if one.holds else (), f"held: {', '.join(one.holds)}")
    keep(_in_use(facts, policy), "a backup that runs may refer to it")
    # Last, since it fills up what the rules leave.
    missing = policy.minimum - sum(one.set_id in why for one in good)
    spare = [one for one in good if one.set_id not in why]
    keep(spare[-missing:] if missing > 0 else (), f"so that {policy.minimum} stay")
    return why


def _newest_of_each(sets: t.Sequence[SetFacts], period: Period, number: int) -> list[SetFacts]:
    """Of the last `number` periods that have a set, the newest set."""
    newest = {period(one): one for one in sets}
    return list(newest.values())[-number:] if number else []


def _in_use(facts: Facts, policy: Policy) -> list[SetFacts]:
    """What was the newest set at some time within the grace time: a backup that began then shares its objects."""
    since = facts.now - policy.grace
    before = [one for one in facts.sets if one.committed <= since]
    return [*before[-1:], *(one for one in facts.sets if one.committed > since)]
