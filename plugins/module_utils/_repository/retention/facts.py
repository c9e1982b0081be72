# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The input of the planner: the state of the repository and the operator's policy. Nothing in this file reads the store."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from ..._report.check import FAIL, PASS
from ..._storage.base import ObjectStat
from .. import layout

HOUR = datetime.timedelta(hours=1)
Locked = t.Callable[[str], "datetime.datetime | None"]
IsHeld = t.Callable[[str], "bool | None"]


@dataclasses.dataclass(frozen=True)
class SetFacts:
    """A set that was not pruned, with a verified manifest.

    `committed` is the journal's time. `size` is in bytes, with shared objects and without images. `contents` are its
    databases and other assets, `artifacts` the keys of everything that its manifest names. `problem` describes a
    missing artifact or a wrong size, empty for a complete set. `drill` is the verdict of the last drill that passed or
    failed, and `ever_passed` is set if a drill ever passed. `failed` is set if a verification of the repository found a
    fault. `holds` are the names of its holds.
    """

    set_id: str
    sequence: int
    committed: datetime.datetime
    size: int
    contents: frozenset[str] = frozenset()
    artifacts: frozenset[str] = frozenset()
    problem: str = ""
    drill: str | None = None
    ever_passed: bool = False
    failed: bool = False
    holds: tuple[str, ...] = ()

    @property
    def doubt(self) -> str:
        """The result of a failed drill or verification.

        It never makes a set prunable, because it may come from a faulty program or a stolen key.
        """
        if self.drill == FAIL:
            return "failed its last drill"
        return "failed a verification of the repository" if self.failed else ""

    @property
    def good(self) -> bool:
        """Return whether nothing indicates that the set cannot be restored."""
        return not self.problem and not self.doubt

    @property
    def proved(self) -> bool:
        return self.good and self.drill == PASS


@dataclasses.dataclass(frozen=True)
class Refusal:
    """The reason why the store does not delete an object: a lock that ends at `until`, or a legal hold without an end (None)."""

    until: datetime.datetime | None = None

    @property
    def reason(self) -> str:
        return f"locked until {self.until:%Y-%m-%dT%H:%M:%SZ}" if self.until else "under a legal hold in the store"


def _never(_key: str) -> None:
    return None


@dataclasses.dataclass(frozen=True)
class Facts:
    """A repository at one point in time. `sets` are in the order of the journal; `pruned` are sets ended by earlier entries.

    `stored` is every object below sets/, objects/, checkpoints/ and drills/. `claims` are the keys named by parts of
    open sets, by set. `entered` are the IDs of checkpoints and drills that have an entry. `locked_until` and `is_held`
    query the store about a key.
    """

    now: datetime.datetime
    sets: tuple[SetFacts, ...]
    stored: tuple[ObjectStat, ...] = ()
    pruned: frozenset[str] = frozenset()
    claims: t.Mapping[str, frozenset[str]] = dataclasses.field(default_factory=dict)
    entered: frozenset[str] = frozenset()
    locked_until: Locked = _never
    is_held: IsHeld = _never

    def claimed(self, grace: datetime.timedelta) -> frozenset[str]:
        """Return the keys named by open sets that may still be committed."""
        return frozenset().union(*(keys for set_id, keys in self.claims.items() if layout.id_time(set_id) >= self.now - grace))

    def refusal(self, key: str) -> Refusal | None:
        """Return the reason why the store refuses to delete the object now, or None. A legal hold outlasts a lock."""
        if self.is_held(key):
            return Refusal()
        until = self.locked_until(key)
        return Refusal(until) if until is not None and until > self.now else None


@dataclasses.dataclass(frozen=True)
class Policy:
    """How many sets, and periods with a set, are kept. At least `minimum` good sets always stay.

    A backup never takes longer than `grace`. Sets look poisoned if there are more than `max_sets_per_day` within 24
    hours. A set also looks poisoned if it is smaller by more than `max_shrinkage` (a share of 1). Sets in
    `accepted_sets` are exempt.
    """

    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    within: datetime.timedelta = datetime.timedelta(0)
    minimum: int = 3
    grace: datetime.timedelta = 48 * HOUR
    max_sets_per_day: int = 25
    max_shrinkage: float = 0.5
    accepted_sets: frozenset[str] = frozenset()
