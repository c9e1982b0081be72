# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stored objects that are not needed any more: objects of ended sets, and objects left by killed runs."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from ..._storage.base import ObjectStat
from .. import layout
from .facts import Facts, SetFacts

SEALED = ".age"


@dataclasses.dataclass(frozen=True)
class Leftovers:
    """Objects to delete. `ended` are encrypted objects of ended sets.

    `garbage` are objects that no journal entry names and that are older than the grace time.
    """

    ended: tuple[ObjectStat, ...]
    garbage: tuple[ObjectStat, ...]


def find(facts: Facts, alive: t.Sequence[SetFacts], over: t.AbstractSet[str], grace: datetime.timedelta) -> Leftovers:
    """Find leftovers, given the sets `alive` that stay and the sets `over` that ended.

    Objects named by a living set or by a part of an open set are never among them. Unknown objects are left alone,
    since a newer release may have stored them.
    """
    needed = facts.claimed(grace).union(*(one.artifacts for one in alive))
    ids = {one.set_id for one in alive}
    ended, garbage = [], []
    for one in facts.stored:
        owner = _owner(one.key)
        if owner is None or one.key in needed:
            continue
        if owner in over:
            if one.key.endswith(SEALED) or _is_part(one.key, owner):
                ended.append(one)
        elif layout.id_time(owner) < facts.now - grace and _is_garbage(one.key, owner, owner in ids, facts):
            garbage.append(one)
    return Leftovers(tuple(ended), tuple(garbage))


def _owner(key: str) -> str | None:
    """Return the set, checkpoint or drill in an object's key, or None for an unknown key."""
    folder, _slash, rest = key.partition("/")
    if folder == layout.OBJECTS:
        return layout.maker_of(key)
    name = rest.partition("/")[0]
    return name if folder in (layout.SETS, layout.CHECKPOINTS, layout.DRILLS) and layout.is_id(name) else None


def _is_part(key: str, set_id: str) -> bool:
    return key.startswith(f"{layout.parts_folder(set_id)}/")


def _is_garbage(key: str, owner: str, alive: bool, facts: Facts) -> bool:
    """Return whether an object is garbage. No set names it, and its owner was not pruned."""
    folder = key.partition("/")[0]
    if folder in (layout.CHECKPOINTS, layout.DRILLS):
        return owner not in facts.entered
    if alive:  # A dump that was killed and repeated has left objects. A verification reports other unknown files.
        return folder == layout.OBJECTS or _is_part(key, owner)
    return True
