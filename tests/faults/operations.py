# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Attacks on whole objects by a party that may write to the store, one at a time and two together."""

from __future__ import annotations

import os
import random
import time
import typing as t
from pathlib import Path

from faults.tally import Tally
from faults.world import World

KIND = "objects"
Change = t.Callable[[Path, Path, random.Random], None]


def _rewrite(path: Path, data: bytes) -> None:
    if path.exists():
        path.chmod(0o600)
    path.write_bytes(data)


def _exchange(path: Path, other: Path) -> None:
    one, two = path.read_bytes(), other.read_bytes()
    _rewrite(path, two)
    _rewrite(other, one)


def _link(path: Path, other: Path) -> None:
    path.unlink()
    path.symlink_to(other)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


# `path` is the object, `other` another one of the same repository.
CHANGES: dict[str, Change] = {
    "deleted": lambda path, _other, _dice: path.unlink(),
    "emptied": lambda path, _other, _dice: _rewrite(path, b""),
    "halved": lambda path, _other, _dice: _rewrite(path, path.read_bytes()[: path.stat().st_size // 2]),
    "a byte shorter": lambda path, _other, _dice: _rewrite(path, path.read_bytes()[:-1]),
    "a byte longer": lambda path, _other, _dice: _rewrite(path, path.read_bytes() + b"\n"),
    "doubled": lambda path, _other, _dice: _rewrite(path, path.read_bytes() * 2),
    "noise": lambda path, _other, dice: _rewrite(path, dice.randbytes(path.stat().st_size)),
    "noise at its end": lambda path, _other, dice: _rewrite(path, path.read_bytes()[:-8] + dice.randbytes(8)),
    "another's bytes": lambda path, other, _dice: _rewrite(path, other.read_bytes()),
    "exchanged": lambda path, other, _dice: _exchange(path, other),
    "a link to another": lambda path, other, _dice: _link(path, other),
    "a link out": lambda path, _other, _dice: _link(path, Path("/etc/hostname")),
    "a folder": lambda path, _other, _dice: _folder(path),
    "a copy next to it": lambda path, _other, _dice: _rewrite(path.with_name(f"{path.name}.copy"), path.read_bytes()),
    "in a wrong folder": lambda path, other, _dice: _rewrite(other.parent / f"x{path.name}", path.read_bytes()),
    "unreadable": lambda path, _other, _dice: path.chmod(0),
}


def run(world: World, tally: Tally, dice: random.Random, deadline: float, most: int | None = None) -> None:
    """Each change of each object once, then two at once for as long as there is time."""
    keys = world.scene.files()
    single = [[(key, name)] for key in keys for name in CHANGES]
    dice.shuffle(single)
    for _number in range(most or 1 << 62):
        if time.monotonic() > deadline:
            break
        plan = single.pop() if single else [(dice.choice(keys), dice.choice(list(CHANGES))) for _twice in range(2)]
        labels = [f"{key} {change(world, dice, key, name)}" for key, name in plan]
        tally.add(KIND, " and ".join(labels), world.judge())
        world.mend()


def change(world: World, dice: random.Random, key: str, name: str) -> str:
    """Do it; what was done. An object that an earlier change removed stays so."""
    others = [one for one in world.scene.files() if one != key]
    path, other = world.repository / key, world.repository / dice.choice(others)
    if os.path.islink(path) or not path.is_file():
        return "was gone already"
    CHANGES[name](path, other, dice)
    return f"{name} ({other.relative_to(world.repository)})"
