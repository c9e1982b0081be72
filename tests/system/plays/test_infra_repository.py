# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that the guide adds to an infra repository, run there unchanged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from scenes import collection_in_git, guide_pages
from scenes.collection_in_git import INSTALLED, PUBLISHED
from scenes.guide_commands import Desk
from scenes.playing import COLLECTIONS, LOCAL, LONGEST, backup_settings, drill_settings
from scenes.scene import Scene
from scenes.twin_database import TwinCluster
from system.plays import drillable, guide_hosts
from system.plays.guide_hosts import TAGS, Hosts, source_settings

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


def test_the_guide_needs_fewer_than_25_lines() -> None:
    lines = [line for text in (REQUIREMENTS, SETTINGS, SETUP, BACKUP, DRILL) for line in text.splitlines()]
    assert len(lines) < 25 and [one["name"] for one in yaml.safe_load(REQUIREMENTS)["collections"]]
    assert "caracal_ops.backup.caracal_backup" in yaml.safe_load(OF_ITS_OWN)[0]["roles"]


def test_a_job_runs_on_its_own_hosts(repository: Path) -> None:
    done = played(repository, "caracal_backup.yml")
    recap = done.stdout.partition("PLAY RECAP")[2]
    assert done.returncode == 0 and "prod" in recap and "drill" not in recap, done.stdout + done.stderr
    for file, host in (("caracal_restore_drill.yml", "drill"), ("caracal_setup.yml", "drill"), ("caracal_setup.yml", "prod")):
        found = played(repository, file, "--list-hosts")
        assert f"pattern: ['{host}']" in found.stdout, found.stdout


@pytest.mark.no_false_alarm
def test_commands(tmp_path: Path, caracal_database: TwinCluster, sandbox_directory: str) -> None:
    (tmp_path / "infra").mkdir()
    desk = Desk(tmp_path / "infra")
    Hosts(desk, "prod", "drill").write()
    url = collection_in_git.create(tmp_path / "git")
    names = {"caracal_setup": SETUP, "caracal_backup": BACKUP, "caracal_restore_drill": DRILL}
    for name, text in names.items():
        desk.write(f"{name}.yml", text)
    desk.write("requirements.yml", REQUIREMENTS.replace(PUBLISHED, url))
    desk.write("group_vars/all/caracal.yml", SETTINGS)
    with drillable.source(tmp_path / "scene", caracal_database) as (deployment, found):
        production = f"{deployment.scene.socket}/.s.PGSQL.{caracal_database.info.port}"
        own = {"caracal_ops_compose_project": "", "caracal_ops_repository": str(tmp_path / "repository")}
        desk.write("host_vars/prod.yml", {**own, **source_settings(found)})
        desk.write("host_vars/drill.yml", {**own, **guide_hosts.drill_settings(tmp_path, sandbox_directory, production)})
        environment = {
            "ANSIBLE_INVENTORY": str(desk.folder / "inventory.yml"),
            "ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "collections"),
            "ANSIBLE_SKIP_TAGS": TAGS,
        }
        assert "verdict: pass" in desk.run_block("guide_infra_repository", 1, **environment)
    assert (tmp_path / "collections" / INSTALLED).is_file()
