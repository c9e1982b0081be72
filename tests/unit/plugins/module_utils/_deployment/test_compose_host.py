# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a workstation, tasks for the Compose project's host run there, and all others do not."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest

from scenes.playing import Play, backup_settings
from scenes.scene import Scene

THERE = {
    "audit_checkpoint": "caracal_backup_hosts",
    "backup": "caracal_backup_hosts",
    "restore": "caracal_restore_hosts",
    "retention": "caracal_retention_hosts",
    "verify_audit": "caracal_backup_hosts",
}
ELSEWHERE = ("audit_archive", "prune", "repository_copy", "restore_drill", "verify_repository")
INVENTORY = ("--inventory", "ops,prod,")


def hosts(playbook: str, folder: Path, **settings: t.Any) -> list[str]:
    play = Play(playbook, settings, folder, (*INVENTORY, "--list-hosts"))
    assert play.ended() == 0, play.output()
    return re.findall(r"^      (\S+)$", play.output(), re.MULTILINE)


@pytest.mark.parametrize("playbook", THERE)
def test_it_runs_where_the_project_runs_unless_another_host_is_named(playbook: str, tmp_path: Path) -> None:
    assert hosts(playbook, tmp_path) == ["localhost"]
    assert hosts(playbook, tmp_path, caracal_ops_compose_host="prod") == ["prod"]
    assert hosts(playbook, tmp_path, caracal_ops_compose_host="prod", **{THERE[playbook]: "ops"}) == ["ops"]


@pytest.mark.parametrize("playbook", sorted(THERE.keys() - {"restore"}))
def test_without_compose_it_runs_on_the_backup_host(playbook: str, tmp_path: Path) -> None:
    assert hosts(playbook, tmp_path, caracal_backup_hosts="prod") == ["prod"]


@pytest.mark.parametrize("playbook", ELSEWHERE)
def test_drills_prunes_and_copies_never_do(playbook: str, tmp_path: Path) -> None:
    assert hosts(playbook, tmp_path, caracal_ops_compose_host="prod") == ["localhost"]


def test_a_checkpoint_is_made_from_there(scene: Scene, tmp_path: Path) -> None:
    play = Play("audit_checkpoint", {**backup_settings(scene), "caracal_ops_compose_host": "prod"}, tmp_path, INVENTORY)
    assert play.ended() == 0, play.output()
    assert re.search(r"^prod +: ok=", play.output(), re.MULTILINE) and not re.search(r"^(ops|localhost) +:", play.output(), re.MULTILINE)
