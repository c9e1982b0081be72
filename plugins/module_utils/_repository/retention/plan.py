# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of a prune with its reasons: a pure function of the facts. Check mode and real runs use the same code."""

from __future__ import annotations

import dataclasses
import typing as t

from ..._storage.base import ObjectStat
from .. import layout
from . import leftovers, rules, suspicion
from .facts import Facts, Policy, Refusal, SetFacts

KEEP, RETAIN, END = "kept", "retained", "pruned"


@dataclasses.dataclass(frozen=True)
class Decision:
    """The decision on a set. RETAIN means that no rule keeps the set, but the store does not delete it."""

    set_id: str
    what: str
    reasons: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Plan:
    """A plan. `ends` are sets, `objects` their objects or leftovers of earlier prunes, `garbage` objects left by killed runs.

    `retained` are objects to delete that the store refuses to delete, with the reason. If `stopped` is not empty,
    nothing is deleted, and it has the reasons.
    """

    decisions: tuple[Decision, ...]
    ends: tuple[str, ...] = ()
    objects: tuple[ObjectStat, ...] = ()
    garbage: tuple[ObjectStat, ...] = ()
    retained: tuple[tuple[str, Refusal], ...] = ()
    stopped: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """All keys to delete."""
        return tuple(one.key for one in (*self.objects, *self.garbage))

    @property
    def bytes(self) -> int:
        return sum(one.size for one in (*self.objects, *self.garbage))


def make(facts: Facts, policy: Policy) -> Plan:
    """Return the plan, which depends only on `facts` and `policy`. After it was carried out, the next plan deletes nothing."""
    why = rules.kept(facts, policy)
    decisions = tuple(_decide(one, why, facts) for one in facts.sets)
    stopped = tuple(suspicion.findings(facts, policy))
    if not any(one.good for one in facts.sets) and facts.sets:
        stopped = (*stopped, "every set is incomplete, or failed its last drill or a verification")
    if stopped:
        return stop(decisions, stopped)
    ends = {one.set_id for one in decisions if one.what == END}
    alive = [one for one in facts.sets if one.set_id not in ends]
    found = leftovers.find(facts, alive, facts.pruned | ends, policy.grace)
    refused = {one.key: why_not for one in (*found.ended, *found.garbage) if (why_not := facts.refusal(one.key))}
    return Plan(
        decisions,
        ends=tuple(one.set_id for one in facts.sets if one.set_id in ends),
        objects=tuple(one for one in found.ended if one.key not in refused),
        garbage=tuple(one for one in found.garbage if one.key not in refused),
        retained=tuple(refused.items()),
    )


def stop(decisions: t.Sequence[Decision], why: t.Sequence[str]) -> Plan:
    """Return a plan that deletes nothing."""
    stays = (dataclasses.replace(one, what=KEEP, reasons=("pruning is stopped",)) if one.what == END else one for one in decisions)
    return Plan(tuple(stays), stopped=tuple(why))


def _decide(one: SetFacts, why: rules.Reasons, facts: Facts) -> Decision:
    if one.set_id in why:
        return Decision(one.set_id, KEEP, tuple(why[one.set_id]))
    # A partial set is useless: while the store keeps one of the set's own encrypted objects, all of the set stays.
    own = (key for key in sorted(one.artifacts) if key.startswith(f"{layout.set_folder(one.set_id)}/") and key.endswith(leftovers.SEALED))
    refusals = [found for found in map(facts.refusal, own) if found]
    if refusals:
        last = max(refusals, key=lambda found: (found.until is None, found.until or facts.now))
        return Decision(one.set_id, RETAIN, (last.reason,))
    return Decision(one.set_id, END, (_end(one),))


def _end(one: SetFacts) -> str:
    if one.problem:
        return f"incomplete: {one.problem}"
    return "no rule keeps it" if one.good else f"no rule keeps it, and it {one.doubt}"
