# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands of the pages in *Get started*, run in their order on this machine."""

from __future__ import annotations

import pytest

from harness.fixtures import FreshCluster
from scenes import redis_server
from scenes.guide_commands import Desk
from scenes.scene import DEPLOYMENT
from scenes.secrets_scene import contents
from scenes.twin_database import TwinCluster
from system.plays import drillable
from system.plays.guide_hosts import RULE, TAGS, Hosts, drill_settings, restore_settings, source_settings


@pytest.mark.no_false_alarm
def test_first_backup(desk: Desk, caracal_database: TwinCluster, sandbox_directory: str) -> None:
    hosts = Hosts(desk, "prod", "drill")
    hosts.write()
    with drillable.source(desk.folder / "scene", caracal_database) as (deployment, found):
        production = f"{deployment.scene.socket}/.s.PGSQL.{caracal_database.info.port}"
        drill = drill_settings(desk.folder, sandbox_directory, production)
        desk.write("settings.yml", {**hosts.settings, **source_settings(found), **drill})
        output = desk.run_block("guide_first_backup", 2, ANSIBLE_SKIP_TAGS=TAGS)
        assert "verdict: pass" in output
        assert "failed=0" in desk.run_block("guide_first_backup", 4)
        assert "failed=0" in desk.run_block("guide_doctor", 1, ANSIBLE_INVENTORY=str(desk.folder / "inventory.yml"))


def test_first_backup_pg_hba_rule(desk: Desk) -> None:
    path = desk.write("pg_hba.conf", "local all all peer\n")
    desk.inventory({"prod": {}})
    calls = desk.program("systemctl")
    desk.run_block("guide_first_backup", 3, {"/etc/postgresql/17/main/pg_hba.conf": str(path)})
    assert path.read_text(encoding="ascii") == f"{RULE}local all all peer\n"
    assert calls.read_text(encoding="ascii") == "reload postgresql\n"


@pytest.mark.no_false_alarm
def test_compose(desk: Desk, caracal_database: TwinCluster, fresh_cluster: FreshCluster, sandbox_directory: str) -> None:
    root = desk.folder
    hosts = Hosts(desk, "prod", "drill")
    hosts.write()
    with drillable.source(root / "scene", caracal_database) as (deployment, found), redis_server.start() as redis:
        production = f"{deployment.scene.socket}/.s.PGSQL.{caracal_database.info.port}"
        drill = drill_settings(root, sandbox_directory, production)
        desk.write("settings.yml", {**hosts.settings, **source_settings(found), **drill})
        desk.run_block("guide_compose", 2, ANSIBLE_SKIP_TAGS=TAGS)
        desk.run_block("guide_compose", 3)
        assert "verdict: pass" in desk.run_block("guide_compose", 4)
        desk.run_block("guide_compose", 5, ANSIBLE_SKIP_TAGS=TAGS)
        calls = desk.program("docker")
        desk.run_block("guide_compose", 6)
        assert calls.read_text(encoding="ascii") == "compose create\n"
        restore = {
            **restore_settings(root / "new", fresh_cluster().socket_dir, redis.socket),
            "caracal_restore_hosts": "prod",
            "caracal_restore_identity_files": [str(root / "drill" / name) for name in ("drill.identity", "secrets.identity")],
            "caracal_restore_signing_key": str(root / ".config" / "caracal-ops" / DEPLOYMENT / "operator_signing_key"),
        }
        desk.write("restore.yml", restore)
        desk.run_block("guide_compose", 7)
    assert contents(root / "new" / "secrets") == contents(deployment.directory)
