# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One bit of one byte is another, everywhere in the repository."""

from __future__ import annotations

import functools
import os
import random
import time
import typing as t

from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import objects
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.artifact import Artifact
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.local import LocalStore
from faults.tally import LOST, Outcome, Tally
from faults.world import World, artifacts_of

KIND = "flips"
Judge = t.Callable[[], Outcome]


def run(world: World, tally: Tally, dice: random.Random, deadline: float, most: int | None = None) -> None:
    """Artifacts are verified alone, as the verifiers do it. All verifiers check everything else in turn, because that takes longer."""
    fast, slow = _judges(world)
    places = [_places(world, dice, keys) for keys in (fast, slow)]
    for number in range(most or 1 << 62):
        # A byte of an artifact takes a fraction of a millisecond: many for one of the others.
        queue = places[number % 16 == 0] or places[0] or places[1]
        if not queue or time.monotonic() > deadline:
            break
        key, offset = queue.pop()
        flip(world, tally, dice, key, offset, fast.get(key, world.judge))


def flip(world: World, tally: Tally, dice: random.Random, key: str, offset: int, judge: Judge) -> None:
    path = world.repository / key
    mode = path.stat().st_mode
    path.chmod(0o600)
    with open(path, "r+b", buffering=0) as file:
        before = os.pread(file.fileno(), 1, offset)
        changed = bytes([before[0] ^ (1 << dice.randrange(8))])
        os.pwrite(file.fileno(), changed, offset)
        outcome = judge()
        os.pwrite(file.fileno(), before, offset)
    path.chmod(mode)
    tally.add(KIND, f"{key} byte {offset} is {changed.hex()} instead of {before.hex()}", outcome)


def _judges(world: World) -> tuple[dict[str, Judge], list[str]]:
    artifacts = artifacts_of(world.scene, world.truth)
    store = LocalStore(str(world.repository))

    def alone(artifact: Artifact) -> Outcome:
        found = objects.verify(store, [artifact])
        return Outcome() if found[0].verdict == FAIL else Outcome(LOST, "the object passes")

    fast: dict[str, Judge] = {key: functools.partial(alone, one) for key, one in artifacts.items()}
    return fast, [key for key in world.scene.files() if key not in fast]


def _places(world: World, dice: random.Random, keys: t.Iterable[str]) -> list[tuple[str, int]]:
    found = [(key, offset) for key in keys for offset in range((world.repository / key).stat().st_size)]
    dice.shuffle(found)
    return found
