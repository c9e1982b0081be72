# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that the guide adds to an infra repository, run there unchanged."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from scenes import guide_pages
from scenes.playing import COLLECTIONS, LOCAL, LONGEST, backup_settings, drill_settings
from scenes.scene import Scene

PAGE = "guide_infra_repository"
REQUIREMENTS, SETTINGS, SETUP, BACKUP, DRILL, OF_ITS_OWN = guide_pages.blocks(PAGE, "yaml")


def played(folder: Path, file: str, *options: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    own = {"ANSIBLE_HOME": str(folder / "home"), "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "ansible.cli.playbook", file, *options]
    return subprocess.run(command, cwd=folder, env={**kept, **own}, capture_output=True, text=True, check=False, timeout=LONGEST)


@pytest.fixture
def repository(bare_sets: Scene, tmp_path: Path) -> Path:
    """Return a repository with its own inventory and with settings that contain the paths of the test."""
    scene = bare_sets.copy(tmp_path / "scene")
    hosts = {"prod": backup_settings(scene), "drill": drill_settings(scene, str(tmp_path / "sandbox"))}
    folder = tmp_path / "infra"
    files = {
        "ansible.cfg": "[defaults]\ninventory = inventory.json\n",
        "inventory.json": json.dumps({"all": {"vars": LOCAL, "hosts": hosts}}),
        "group_vars/all/caracal.yml": SETTINGS,
        "caracal_setup.yml": SETUP,
        "caracal_backup.yml": BACKUP,
        "caracal_restore_drill.yml": DRILL,
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    # The test has no container engine.
    for host in hosts:
        (folder / "host_vars").mkdir(exist_ok=True)
        (folder / "host_vars" / f"{host}.yml").write_text("caracal_ops_compose_project: ''\n", encoding="utf-8")
    return folder


def test_it_takes_few_lines() -> None:
    lines = [line for text in (REQUIREMENTS, SETTINGS, SETUP, BACKUP, DRILL) for line in text.splitlines()]
    assert len(lines) < 25 and [one["name"] for one in yaml.safe_load(REQUIREMENTS)["collections"]]
    assert "caracal_ops.backup.caracal_backup" in yaml.safe_load(OF_ITS_OWN)[0]["roles"]


def test_a_job_is_played_on_its_hosts(repository: Path) -> None:
    done = played(repository, "caracal_backup.yml")
    recap = done.stdout.partition("PLAY RECAP")[2]
    assert done.returncode == 0 and "prod" in recap and "drill" not in recap, done.stdout + done.stderr
    for file, host in (("caracal_restore_drill.yml", "drill"), ("caracal_setup.yml", "drill"), ("caracal_setup.yml", "prod")):
        found = played(repository, file, "--list-hosts")
        assert f"pattern: ['{host}']" in found.stdout, found.stdout


def test_each_file_of_a_job_is_played_and_what_prepares_comes_first() -> None:
    block = next(one for one in guide_pages.blocks(PAGE, "console") if "requirements.yml" in one)
    files = list(dict.fromkeys(re.findall(r"ansible-playbook (\S+)", block)))
    assert files == ["caracal_setup.yml", "caracal_backup.yml", "caracal_restore_drill.yml"]
