# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook `backup` does not begin a second set of a deployment while one is being created on the same host."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenes import lying_host
from scenes.playing import Play, backup_settings
from scenes.scene import BACKUP_HOST, Scene
from scenes.twin_database import TwinCluster


@pytest.mark.mutation
def test_a_second_backup_is_refused_until_the_first_has_ended(empty_scene: Scene, caracal_database: TwinCluster, tmp_path: Path) -> None:
    scene = empty_scene
    # This process creates it and is alive.
    running = scene.call("backup_set", state="open", create_repository=True, exclusive=True)["set_id"]
    before = scene.files()
    for more in (("--check",), ()):
        play = Play("backup", backup_settings(scene), tmp_path, more)
        assert play.ended() == 2 and running in play.output() and "Open a set" not in play.output(), play.output()
        assert scene.files() == before
    scene.call("backup_set", state="aborted", set_id=running)
    made = Play("backup", backup_settings(scene), tmp_path)
    assert made.ended() == 0 and len(scene.sets()) == 1, made.output()
    assert not list(scene.mark(BACKUP_HOST).parent.glob("*.running"))


@pytest.mark.no_false_alarm
def test_a_failed_backup_does_not_block_the_next_one(empty_scene: Scene, caracal_database: TwinCluster, tmp_path: Path) -> None:
    """It is aborted. Its error remains the play's error, and is printed only by its own task."""
    scene = empty_scene
    python = lying_host.python(tmp_path / "host", {"pg_encrypted_dump": {"failed": True, "msg": "no room for the dump"}})
    failed = Play("backup", {**backup_settings(scene), "ansible_python_interpreter": str(python)}, tmp_path)
    assert failed.ended() == 2 and scene.sets() == [], failed.output()
    failed_tasks = [task for task in failed.output().split("\nTASK [") if "no room for the dump" in task]
    assert len(failed_tasks) == 1 and "Abort the open set" in failed.output(), failed.output()
    assert not list(scene.mark(BACKUP_HOST).parent.glob("*.running"))
    again = Play("backup", backup_settings(scene), tmp_path)
    assert again.ended() == 0 and len(scene.sets()) == 1, again.output()


@pytest.mark.no_false_alarm
def test_a_skipped_verification_is_not_a_failure(empty_scene: Scene, caracal_database: TwinCluster, tmp_path: Path) -> None:
    scene = empty_scene
    made = Play("backup", backup_settings(scene), tmp_path, ("--skip-tags", "caracal_backup_verify"))
    assert made.ended() == 0 and len(scene.sets()) == 1, made.output()
    assert "is kept" not in made.output() and "could not be aborted" not in made.output()
