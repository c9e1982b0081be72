# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`python -m faults [--minutes N] [--seed N] [--kind …] [--reset]`: break things on purpose, and count what survived.

The counts of all runs add up in `build/faults.json`, until `--reset`. Ends with `faults: N tried, N survived, 0 lost, 0 half-visible,
0 leaked, 0 left running`, and not with 0 unless all survived.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import tempfile
import time
import typing as t
from pathlib import Path

from faults import bucket, facts, flips, images, interruptions, labels, operations, parties, paths
from faults.tally import Tally
from faults.world import World, make
from tools.tiers import build_folder

# Kinds, and the share of the time that each may take; what one leaves goes to those after it.
SHARES = {
    "flips": 0.15,
    "parties": 0.1,
    "kills": 0.2,
    "full": 0.1,
    "cut": 0.1,
    "bucket": 0.15,
    "facts": 0.05,
    "images": 0.05,
    "labels": 0.01,
    "paths": 0.04,
    "objects": 0.05,
}


def play(world: World, tally: Tally, folder: Path, *, seed: int, minutes: float, kinds: t.Sequence[str], most: int | None = None) -> None:
    """`most` bounds the number of each kind."""
    left = sum(SHARES[kind] for kind in kinds)
    with contextlib.closing(interruptions.Operations(world, folder)) as ended:
        end = time.monotonic() + minutes * 60
        runs: dict[str, t.Callable[[random.Random, float], None]] = {
            "flips": lambda dice, until: flips.run(world, tally, dice, until, most),
            "facts": lambda dice, until: facts.run(world, tally, dice, until, most),
            "parties": lambda dice, until: parties.run(world, tally, dice, until, most),
            "objects": lambda dice, until: operations.run(world, tally, dice, until, most),
            "kills": lambda dice, until: interruptions.kills(ended, tally, dice, until, most),
            "full": lambda dice, until: interruptions.full(ended, tally, dice, until, most),
            "cut": lambda dice, until: interruptions.cut(ended, tally, dice, until, most),
            "images": lambda dice, until: images.run(folder, tally, dice, until, most),
            "labels": lambda dice, until: labels.run(tally, dice, until, most),
            "bucket": lambda dice, until: bucket.run(world, folder, tally, dice, until, most),
            "paths": lambda dice, until: paths.run(folder, tally, dice, until, most),
        }
        for kind in kinds:
            now = time.monotonic()
            runs[kind](random.Random(f"{seed} {kind}"), now + (end - now) * SHARES[kind] / left)
            left -= SHARES[kind]


def main() -> int:
    parser = argparse.ArgumentParser(prog="faults")
    parser.add_argument("--minutes", type=float, default=25)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--kind", nargs="+", choices=SHARES, default=list(SHARES))
    parser.add_argument("--reset", action="store_true", help="discard the results of earlier runs")
    given = parser.parse_args()
    print(f"seed {given.seed}, kinds {', '.join(given.kind)}", flush=True)
    path = build_folder() / "faults.json"
    tally = Tally() if given.reset else Tally.read(path)
    with tempfile.TemporaryDirectory(prefix="caracal-faults-") as name, make(Path(name)) as world:
        try:
            play(world, tally, Path(name), seed=given.seed, minutes=given.minutes, kinds=given.kind)
        finally:
            tally.write(path)
    print("\n".join(tally.lines()))
    return 0 if tally.clean else 1


if __name__ == "__main__":
    sys.exit(main())
