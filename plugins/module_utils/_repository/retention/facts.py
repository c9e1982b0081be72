# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the planner knows, and what the operator wants; nothing here reads anything."""

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
    """A set that was not pruned, its manifest verified.

    `committed` is the journal's time, `size` in bytes with shared objects and without images. `contents` are its databases and other
    assets, `artifacts` the keys of everything that its manifest names. `problem` says what is not there in its size, empty for a whole set.
    `drill` is the verdict of the last drill that told something, `ever_passed` whether one ever passed, `failed` whether a verification of
    the repository found a fault; `holds` are the names of holds on it.
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
        """What somebody entered against it, who may have used a wrong program or a stolen key: it makes no set prunable."""
        if self.drill == FAIL:
            return "failed its last drill"
        return "failed a verification of the repository" if self.failed else ""

    @property
    def good(self) -> bool:
        """Nothing says that it could not be restored."""
        return not self.problem and not self.doubt

    @property
    def proved(self) -> bool:
        return self.good and self.drill == PASS


@dataclasses.dataclass(frozen=True)
class Refusal:
    """Why the store does not delete an object: its lock, `until` when it ends, or a legal hold, which has no end (None)."""

    until: datetime.datetime | None = None

    @property
    def reason(self) -> str:
        return f"locked until {self.until:%Y-%m-%dT%H:%M:%SZ}" if self.until else "under a legal hold in the store"


def _never(_key: str) -> None:
    return None


@dataclasses.dataclass(frozen=True)
class Facts:
    """A repository at a moment. `sets` in the order of the journal; `pruned` are sets that earlier entries have ended.

    `stored` is every object below sets/, objects/, checkpoints/ and drills/; `claims` are the keys that parts of open sets name, by set;
    `entered` are ids of checkpoints and drills that have an entry. `locked_until` and `is_held` are what the store says of a key.
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
        """Keys that an open set names which may still be committed."""
        return frozenset().union(*(keys for set_id, keys in self.claims.items() if layout.id_time(set_id) >= self.now - grace))

    def refusal(self, key: str) -> Refusal | None:
        """Why the store keeps the object now, None where it does not. A hold outlasts a lock."""
        if self.is_held(key):
            return Refusal()
        until = self.locked_until(key)
        return Refusal(until) if until is not None and until > self.now else None


@dataclasses.dataclass(frozen=True)
class Policy:
    """How many sets, and periods with a set, are kept; `minimum` good sets stay whatever the rest says.

    A backup never takes longer than `grace`. More than `max_sets_per_day` sets within 24 hours, or a set smaller by more than
    `max_shrinkage` (a share of 1), look poisoned, unless the set is in `accepted_sets`.
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
