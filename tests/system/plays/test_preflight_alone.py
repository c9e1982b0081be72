# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`--tags <role>_preflight` only checks: no file changes, and the recap counts no change. Settings are on the command line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from harness.fixtures import FreshCluster
from scenes import replay_folders, secrets_scene
from scenes.playing import Play, backup_settings
from scenes.replay_folders import event
from scenes.scene import DEPLOYMENT, OPERATOR_HOST, Scene
from scenes.twin_database import TwinFactory
from tools.rules import tree

# They never report a change.
LOOKING = {"deployment_info", "backup_preflight", "restore_preflight"}


def recap(play: Play) -> dict[str, int]:
    """Return the recap of the only host."""
    [line] = [one for one in play.output().splitlines() if re.match(r"localhost +: ok=", one)]
    return {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", line)}


def texts(**settings: str) -> tuple[str, ...]:
    return tuple(word for name, text in settings.items() for word in ("-e", f"{name}={text}"))


def test_backup_preflight_accepts_command_line_settings(twin_cluster: TwinFactory, tmp_path: Path) -> None:
    deployment = secrets_scene.make(tmp_path / "scene", twin_cluster())
    replay = replay_folders.folder(tmp_path / "gateway")
    replay.file("pending-7-1.ndjson", event("one"))
    settings = {
        **backup_settings(deployment.scene),
        "caracal_backup_replay_volumes": [{"service": "gateway", "path": str(replay.volume), "host": "elsewhere"}],
    }
    given = texts(
        caracal_ops_jobs="4",
        caracal_backup_images="no",
        caracal_backup_databases="caracal,",
        caracal_backup_left_out="redis='not here'",
        caracal_backup_recipients_files=str(deployment.scene.recipients),
    )
    where = ("--inventory", "elsewhere,", "--limit", "localhost,elsewhere", "--tags", "caracal_backup_preflight")
    play = Play(
        "backup", {name: one for name, one in settings.items() if name != "caracal_backup_recipients_files"}, tmp_path, (*given, *where)
    )
    assert play.ended() == 0, play.output()
    assert "Encrypt remote replay directories" in play.output()
    assert (recap(play)["changed"], recap(play)["failed"]) == (0, 0), play.output()
    assert deployment.scene.files() == []


def test_restore_preflight_accepts_command_line_settings(bare_sets: Scene, fresh_cluster: FreshCluster, tmp_path: Path) -> None:
    scene, cluster = bare_sets.copy(tmp_path / "scene"), fresh_cluster()
    journal = scene.files()
    given = texts(
        caracal_ops_repository=str(scene.repository),
        caracal_ops_deployment=DEPLOYMENT,
        caracal_restore_signing_key=str(scene.key(OPERATOR_HOST)),
        caracal_ops_allowed_signers=str(scene.root / "allowed_signers"),
        caracal_ops_high_water_mark=str(scene.mark(OPERATOR_HOST)),
        caracal_restore_identity_files=f"{scene.identity},",
        caracal_ops_login_unix_socket=cluster.socket_dir,
        caracal_ops_login_port=str(cluster.port),
        caracal_restore_left_out="secrets,replay",
        caracal_restore_start_services="no",
        caracal_ops_jobs="1",
    )
    play = Play("restore", {}, tmp_path, (*given, "--tags", "caracal_restore_preflight"))
    assert play.ended() == 0, play.output()
    assert (recap(play)["changed"], recap(play)["failed"]) == (0, 0), play.output()
    assert scene.files() == journal


def looks(role: str, file: str) -> list[str]:
    """Return tasks of a preflight that may count as a change."""
    found = []
    for task in yaml.safe_load((tree.ROOT / f"roles/{role}/tasks/{file}").read_text(encoding="utf-8")):
        names = {name.removeprefix("caracal_ops.backup.") for name in task}
        if "ansible.builtin.import_tasks" in task:
            found += looks(role, task["ansible.builtin.import_tasks"])
        elif any(name.startswith("caracal_ops.backup.") for name in task) and not names & LOOKING and task.get("changed_when") is not False:
            found.append(task["name"])
    return found


@pytest.mark.parametrize("role", ["caracal_backup", "caracal_restore"])
def test_no_preflight_task_counts_as_a_change(role: str) -> None:
    assert looks(role, "preflight.yml") == []


@pytest.mark.mutation
def test_a_prune_without_its_key_prints_no_specification(tmp_path: Path) -> None:
    play = Play("prune", {}, tmp_path)
    assert play.ended() != 0 and "caracal_repository_signing_key" in play.output(), play.output()
    assert "argument_spec" not in play.output()
