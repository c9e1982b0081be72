# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cost of a whole backup and a whole drill of the twin with playbooks. Most of it is Ansible and starts of modules."""

from __future__ import annotations

import dataclasses
import resource
import statistics
import tempfile
import time
import typing as t
from pathlib import Path

from harness.fixtures import NOW, make_twin, sandbox_path, usable_install
from scenes.playing import Play
from system.plays import drillable
from system.plays.drillable import Drillable
from twin.spec import Spec


@dataclasses.dataclass(frozen=True)
class Played:
    """The number of tasks that were run or skipped, and processor and wall-clock seconds without servers."""

    tasks: int
    processor: float
    wall: float


def measure(times: int) -> dict[str, Played]:
    """Return the medians of some plays."""
    with tempfile.TemporaryDirectory(prefix="caracal-bench-", dir="/var/tmp") as folder:
        root = Path(folder)
        with make_twin(usable_install(), Spec(events=3000, seed="bench", now=NOW)) as cluster:
            with drillable.source(root / "scene", cluster) as (deployment, settings):
                backups = [_played("backup", settings, root) for _play in range(times)]
            drill_settings = Drillable(deployment).settings(sandbox_path())
            drills = [_played("restore_drill", drill_settings, root) for _play in range(times)]
    return {"backup": _median(backups), "drill": _median(drills)}


def _played(name: str, settings: dict[str, t.Any], folder: Path) -> Played:
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    play = Play(name, settings, folder)
    if play.ended():
        raise SystemExit(play.output())
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"# {name}: {processor:.1f} s of the processor, {wall:.1f} s", flush=True)
    return Played(play.output().count("\nTASK ["), processor, wall)


def _median(found: list[Played]) -> Played:
    processor, wall = (statistics.median(getattr(one, name) for one in found) for name in ("processor", "wall"))
    return Played(found[-1].tasks, processor, wall)
