# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`kill -9` of ansible-playbook, alone or with its process group, during a backup. The processes that it started are orphaned.

An orphan finishes its artifact or ends. In both cases there is no incomplete set, and the next play succeeds.
"""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from harness.waiting import came, remains
from scenes.playing import LONGEST, Play, backup_settings
from scenes.scene import Scene
from scenes.twin_database import TwinCluster

OURS = "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'caracal_ops.backup%'"
READING = f"{OURS} AND query LIKE 'COPY %'"

# The state in which a backup is killed, and whether the whole process group is killed.
BACKUP: dict[str, tuple[t.Callable[[Scene, TwinCluster], object], bool]] = {
    "the repository is made": (lambda scene, _source: (scene.repository / "journal").exists(), False),
    "a leaf is read": (lambda _scene, source: source.execute(READING), False),
    "a leaf is read, group": (lambda _scene, source: source.execute(READING), True),
    "all is dumped": (lambda scene, _source: scene.files("sets/*/parts/postgres.json"), False),
}
# The state that is tested with every change.
STORY = {"a leaf is read": pytest.mark.story("kill in a backup")}


def killed(begin: t.Callable[[], Play], reached: t.Callable[[], object], group: bool) -> Play:
    """Return a play that was killed in this state. If it ended before, another one is started."""
    for _attempt in range(10):
        play = begin()
        assert came(lambda: reached() or play.process.poll() is not None, LONGEST), play.output()  # noqa: B023 - called in this turn
        if play.kill(group):
            return play
    raise AssertionError(f"the moment never came\n{play.output()}")


def check_sets(scene: Scene) -> list[str]:
    sets = scene.sets()
    for set_id in sets:
        assert scene.call("backup_set_verify", set_id=set_id)["verdict"] == "pass"
    return sets


@pytest.mark.mutation
@pytest.mark.parametrize("point", [pytest.param(one, marks=STORY.get(one, ())) for one in BACKUP])
def test_killed_controller_creates_no_incomplete_set(empty_scene: Scene, caracal_database: TwinCluster, tmp_path: Path, point: str) -> None:
    scene, (now, group) = empty_scene, BACKUP[point]
    play = killed(lambda: Play("backup", backup_settings(scene), tmp_path), lambda: now(scene, caracal_database), group)
    assert remains(play.left) == []
    assert remains(lambda: caracal_database.execute(OURS)) == []
    begun = (scene.repository / "journal" / "0000000001.json").exists()
    before = check_sets(scene) if begun else []

    again = Play("backup", backup_settings(scene), tmp_path)
    assert again.ended() == 0, again.output()
    assert len(check_sets(scene)) == len(before) + 1
    for path in {path.split("/")[1] for path in scene.files("sets/**/*")} - set(scene.sets()):
        scene.call("backup_set", state="aborted", set_id=path)
    assert {path.split("/")[1] for path in scene.files("sets/**/*")} == set(scene.sets())
