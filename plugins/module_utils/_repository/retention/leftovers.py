# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which stored objects nothing needs any more: those of sets that ended, and what killed runs have left."""

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
    """`ended`: sealed objects of sets that are over. `garbage`: what no entry of the journal names, older than the grace time."""

    ended: tuple[ObjectStat, ...]
    garbage: tuple[ObjectStat, ...]


def find(facts: Facts, alive: t.Sequence[SetFacts], over: t.AbstractSet[str], grace: datetime.timedelta) -> Leftovers:
    """For sets `alive` that stay and sets `over` that ended. What a set alive or a part of an open set names is never among them.

    What the software does not know is left alone: a newer release may have put it there.
    """
    needed = facts.claimed(grace).union(*(one.artifacts for one in alive))
    ids = {one.set_id for one in alive}
    ended, garbage = [], []
    for one in facts.stored:
        whose = _owner(one.key)
        if whose is None or one.key in needed:
            continue
        if whose in over:
            if one.key.endswith(SEALED) or _is_part(one.key, whose):
                ended.append(one)
        elif layout.id_time(whose) < facts.now - grace and _is_garbage(one.key, whose, whose in ids, facts):
            garbage.append(one)
    return Leftovers(tuple(ended), tuple(garbage))


def _owner(key: str) -> str | None:
    """The set, checkpoint or drill that an object belongs to by its key; None for a key that is none of ours."""
    folder, _slash, rest = key.partition("/")
    if folder == layout.OBJECTS:
        return layout.maker_of(key)
    name = rest.partition("/")[0]
    return name if folder in (layout.SETS, layout.CHECKPOINTS, layout.DRILLS) and layout.is_id(name) else None


def _is_part(key: str, set_id: str) -> bool:
    return key.startswith(f"{layout.parts_folder(set_id)}/")


def _is_garbage(key: str, whose: str, alive: bool, facts: Facts) -> bool:
    """Of an owner that was not pruned, and an object that no set names."""
    folder = key.partition("/")[0]
    if folder in (layout.CHECKPOINTS, layout.DRILLS):
        return whose not in facts.entered
    if alive:  # A dump that was killed and made again has left objects; other strange files are for a verification to tell.
        return folder == layout.OBJECTS or _is_part(key, whose)
    return True
