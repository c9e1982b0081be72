# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Signs that newer sets are poisoned. An attacker who writes bad sets must not thereby cause good sets to be pruned."""

from __future__ import annotations

import datetime
import statistics
import typing as t

from .facts import Facts, Policy, SetFacts

DAY = datetime.timedelta(days=1)
# The number of earlier sets that determine the expected size of a set.
BEFORE = 10


def findings(facts: Facts, policy: Policy) -> list[str]:
    """Return the findings about all sets after the last one with a passed drill, one line each."""
    sets = facts.sets
    start = max((number + 1 for number, one in enumerate(sets) if one.proved), default=0)
    found = []
    for number in range(start, len(sets)):
        if sets[number].set_id not in policy.accepted_sets:
            found += [f"set {sets[number].set_id} {words}" for words in _against(sets, number, policy)]
    burst = _burst(sets[start:], policy)
    return found + ([burst] if burst else [])


def _against(sets: t.Sequence[SetFacts], number: int, policy: Policy) -> t.Iterator[str]:
    one, before = sets[number], sets[max(0, number - BEFORE) : number]
    if one.problem:
        yield f"is incomplete: {one.problem}"
    elif one.doubt:
        yield one.doubt
    if not before:
        return
    usual = statistics.median(earlier.size for earlier in before)
    if one.size < (1 - policy.max_shrinkage) * usual:
        yield f"has {one.size} bytes, but the sets before it have {usual:.0f} (median)"
    lost = before[-1].contents - one.contents
    if lost:
        yield f"has no {', '.join(sorted(lost))}, which the set before it has"


def _burst(newer: t.Sequence[SetFacts], policy: Policy) -> str | None:
    """Detect more sets within a day than a backup schedule creates."""
    counted = [one for one in newer if one.set_id not in policy.accepted_sets]
    for number in range(policy.max_sets_per_day, len(counted)):
        first, last = counted[number - policy.max_sets_per_day], counted[number]
        if last.committed - first.committed < DAY:
            return f"more than {policy.max_sets_per_day} sets were created within 24 hours, from {first.set_id} to {last.set_id}"
    return None
