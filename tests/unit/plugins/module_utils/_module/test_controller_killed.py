# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`kill -9` of ansible-playbook, alone or with its group, while it backs up or drills: what it had started is orphaned.

An orphan finishes its artifact or dies; whichever it is, there is no set that is not whole, and the next play succeeds.
"""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._module import options
from twin import keys
from unit.plugins.module_utils._module.conftest import Committed
from unit.plugins.module_utils._module.playing import Play, backup_settings, drill_settings, wait_until
from unit.plugins.module_utils._module.scene import Scene
from unit.twin_database import TwinCluster

OURS = "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'caracal_ops.backup%'"
READING = f"{OURS} AND query LIKE 'COPY %'"
PATIENCE = 60.0  # seconds in which an orphan ends

# When to kill a backup, by what is there; and whether the whole group.
BACKUP: dict[str, tuple[t.Callable[[Scene, TwinCluster], object], bool]] = {
    "the repository is made": (lambda scene, _source: (scene.repository / "journal").exists(), False),
    "a leaf is read": (lambda _scene, source: source.execute(READING), False),
    "a leaf is read, group": (lambda _scene, source: source.execute(READING), True),
    "all is dumped": (lambda scene, _source: scene.files("sets/*/parts/postgres.json"), False),
}


def kill(play: Play, moment: t.Callable[[], object], group: bool) -> None:
    assert wait_until(lambda: moment() or play.process.poll() is not None)
    assert play.kill(group), play.output()


def check_sets(scene: Scene) -> list[str]:
    sets = scene.sets()
    for set_id in sets:
        assert scene.call("backup_set_verify", set_id=set_id)["verdict"] == "pass"
    return sets


@pytest.mark.mutation
@pytest.mark.parametrize("moment", BACKUP)
def test_a_backup_whose_controller_is_killed(empty_scene: Scene, caracal_database: TwinCluster, tmp_path: Path, moment: str) -> None:
    scene, (now, group) = empty_scene, BACKUP[moment]
    play = Play("backup", backup_settings(scene), tmp_path)
    kill(play, lambda: now(scene, caracal_database), group)
    assert wait_until(lambda: not play.left(), PATIENCE), play.left()
    assert wait_until(lambda: not caracal_database.execute(OURS), 5)
    begun = (scene.repository / "journal" / "0000000001.json").exists()
    before = check_sets(scene) if begun else []

    again = Play("backup", backup_settings(scene), tmp_path)
    assert again.ended() == 0, again.output()
    assert len(check_sets(scene)) == len(before) + 1
    for path in {path.split("/")[1] for path in scene.files("sets/**/*")} - set(scene.sets()):
        scene.call("backup_set", state="aborted", set_id=path)
    assert {path.split("/")[1] for path in scene.files("sets/**/*")} == set(scene.sets())


DRILL: dict[str, tuple[t.Callable[[Scene, Path], object], bool]] = {
    "the sandbox is begun": (lambda _scene, box: box.exists(), True),
    "it is restored to": (lambda _scene, box: _restoring(box), False),
    "the report is being written": (lambda scene, _box: scene.files("drills/**/*"), False),
}


def _restoring(box: Path) -> bool:
    """As soon as the restore has made files for its database."""
    try:
        return sum(1 for name in os.listdir(box / "data" / "base") if int(name) >= 16384) > 0
    except OSError:
        return False


@pytest.mark.mutation
def test_a_drill_whose_controller_is_killed(committed: Committed, sandbox_directory: str, tmp_path: Path) -> None:
    """One after the other, each drill finding what the one before has left; the last is not disturbed."""
    scene, box = committed.scene.copy(tmp_path / "scene"), Path(sandbox_directory)
    sets = scene.sets()
    audit_key = scene.root / "audit_hmac_key"
    audit_key.write_text(keys.for_seed("shared").audit_hmac_key.hex(), encoding="utf-8")
    settings = {**drill_settings(scene, sandbox_directory), "caracal_drill_audit_hmac_key_files": [str(audit_key)]}
    for now, group in DRILL.values():
        assert not scene.files("drills/**/*")
        play = Play("restore_drill", settings, tmp_path)
        kill(play, lambda now=now: now(scene, box), group)
        # The sandbox's server is meant to outlive who made it; the next drill removes it.
        assert wait_until(lambda play=play: not [one for one in play.left() if "postgres" not in one], PATIENCE), play.left()
        assert scene.sets() == sets and scene.call("backup_set_verify")["set_id"] == sets[-1]
        drills = [one.body["drill"] for one in options.open_repository(scene.options("backup_set_verify")).journal.of_kind("drill")]
        whole = {path.split("/")[1] for path in scene.files("drills/*/report.json.sig")}
        assert set(drills) <= whole
    last = Play("restore_drill", settings, tmp_path)
    assert last.ended() == 0, last.output()
    assert "verdict: pass" in last.output() and not box.exists()
    assert scene.call("backup_set_verify")["checks"][-1]["verdict"] == "pass"
