# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a prune does, and why: a pure function of the facts, made by the same code in check mode and when it acts."""

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
    """What becomes of a set. `retained` is one that no rule keeps and the store does."""

    set_id: str
    what: str
    reasons: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Plan:
    """`ends` are sets, `objects` what goes with them or is left of earlier prunes, `garbage` what killed runs have left.

    `retained` are objects that would go and that the store keeps, with the reason. `stopped` says why nothing is deleted at all.
    """

    decisions: tuple[Decision, ...]
    ends: tuple[str, ...] = ()
    objects: tuple[ObjectStat, ...] = ()
    garbage: tuple[ObjectStat, ...] = ()
    retained: tuple[tuple[str, Refusal], ...] = ()
    stopped: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """Everything that is deleted."""
        return tuple(one.key for one in (*self.objects, *self.garbage))

    @property
    def bytes(self) -> int:
        return sum(one.size for one in (*self.objects, *self.garbage))


def make(facts: Facts, policy: Policy) -> Plan:
    """Everything in it follows from `facts` and `policy`; after it was carried out, the next one ends and deletes nothing."""
    why = rules.kept(facts, policy)
    decisions = tuple(_decide(one, why, facts) for one in facts.sets)
    stopped = tuple(suspicion.findings(facts, policy))
    if not any(one.good for one in facts.sets) and facts.sets:
        stopped = (*stopped, "no set is intact without a failed drill or verification")
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
    """The plan that deletes nothing."""
    stays = (dataclasses.replace(one, what=KEEP, reasons=("pruning is stopped",)) if one.what == END else one for one in decisions)
    return Plan(tuple(stays), stopped=tuple(why))


def _decide(one: SetFacts, why: rules.Reasons, facts: Facts) -> Decision:
    if one.set_id in why:
        return Decision(one.set_id, KEEP, tuple(why[one.set_id]))
    # Half a set is worth nothing: while the store keeps a sealed object of its own, all of it stays.
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
