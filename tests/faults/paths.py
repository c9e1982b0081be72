# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Changes by another user of the host to paths of files that root writes or trusts. For root only."""

from __future__ import annotations

import random
import time
from pathlib import Path

from faults.tally import LOST, Outcome, Tally
from scenes import hostile_paths

KIND = "paths"


def run(folder: Path, tally: Tally, dice: random.Random, deadline: float, most: int | None = None) -> None:
    """Each change of each component on the way of each operation, in any order."""
    numbers = range(len(hostile_paths.COMPONENTS))
    cases = [(name, number, change) for name in hostile_paths.OPERATIONS for number in numbers for change in hostile_paths.CHANGES]
    dice.shuffle(cases)
    for name, number, change in cases[:most]:
        if time.monotonic() > deadline:
            break
        fault = hostile_paths.play(folder / "paths", name, number, change)
        label = f"{name}, {hostile_paths.COMPONENTS[number]}: {change}"
        tally.add(KIND, label, Outcome(LOST, fault) if fault else Outcome())
