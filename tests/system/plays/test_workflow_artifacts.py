# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A job of an AWX workflow that got forbidden artifacts from the job before fails before it runs on any host."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scenes.playing import Play

OF_AWX = {"awx_workflow_job_id": 3, "tower_workflow_job_id": 3}


def played(tmp_path: Path, *options: str, **artifacts: str) -> Play:
    given = tmp_path / "extravars"
    given.write_text(json.dumps({**OF_AWX, **artifacts}), encoding="utf-8")
    inventory = tmp_path / "inventory.json"
    local = {"ansible_connection": "local", "ansible_python_interpreter": "/bin/false"}
    inventory.write_text(json.dumps({"all": {"hosts": {"localhost": local}}}), encoding="utf-8")
    return Play("verify_repository", {}, tmp_path, ("-e", f"@{given}", *options), inventory)


@pytest.mark.mutation
@pytest.mark.parametrize("options", [(), ("--limit", "localhost"), ("--tags", "none"), ("--check",)])
def test_forbidden_artifacts_are_refused_before_any_host(tmp_path: Path, options: tuple[str, ...]) -> None:
    play = played(tmp_path, *options, caracal_drill_hosts="nobody", ansible_ssh_common_args="-o ProxyCommand=id")
    assert play.ended() not in (0, 2)
    assert "ansible_ssh_common_args, caracal_drill_hosts" in play.output() and "PLAY [" not in play.output()


@pytest.mark.no_false_alarm
def test_stats_of_our_roles_are_accepted(tmp_path: Path) -> None:
    play = played(tmp_path, caracal_backup_stats="any")
    assert play.ended() == 2 and "PLAY RECAP" in play.output()
