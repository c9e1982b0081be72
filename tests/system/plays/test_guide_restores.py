# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands of the restore runbook, run in their order on this machine."""

from __future__ import annotations

import re
import typing as t

import pytest
import yaml

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import server_binaries
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import SandboxInfo
from harness.fixtures import FreshCluster
from scenes import guide_pages, redis_server
from scenes.guide_commands import Desk
from scenes.scene import DEPLOYMENT, OPERATOR_HOST, Scene
from scenes.secrets_scene import contents
from scenes.twin_database import TwinCluster
from system.plays.drillable import Drillable
from system.plays.guide_hosts import restore_settings
from twin.spec import Spec

PAGE = "guide_restore_runbook"
IDENTITY = "/srv/restore/break-glass.identity"
SET, KEPT = "20261125T021643Z-o4jg", "caracal_replaced_20261125031500"
NO_BECOME = {" --become": ""}


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("engine", [False, True], ids=["plain", "compose"])
def test_restore(desk: Desk, drilled: Drillable, fresh_cluster: FreshCluster, engine: bool) -> None:
    deployment, scene = drilled.deployment, drilled.scene
    with redis_server.start() as redis:
        settings = {
            **restore_settings(desk.folder / "new", fresh_cluster().socket_dir, redis.socket),
            "caracal_ops_repository": str(scene.repository),
            "caracal_ops_deployment": DEPLOYMENT,
            "caracal_ops_allowed_signers": str(scene.root / "allowed_signers"),
            "caracal_ops_high_water_mark": str(scene.mark(OPERATOR_HOST)),
            "caracal_restore_identity_files": [str(scene.identity), str(deployment.identity)],
            "caracal_restore_signing_key": str(scene.key(OPERATOR_HOST)),
        }
        desk.write("restore.yml", settings)
        calls = desk.program("docker")
        if engine:
            desk.run_block("guide_restore_runbook", 2, NO_BECOME)
            assert calls.read_text(encoding="ascii") == "compose create\n"
        else:
            desk.run_block("guide_restore_runbook", 1, NO_BECOME)
    assert contents(desk.folder / "new" / "secrets") == contents(deployment.directory)


def test_sets_of_a_copy(desk: Desk, bare_sets: Scene) -> None:
    output = desk.run_block("guide_restore_runbook", 3, {"/mnt/copy/caracal": str(bare_sets.repository)})
    assert re.findall(r'"set": "(.*)"', output) == bare_sets.sets()
    assert len(re.findall(r'"database": "2', output)) == len(bare_sets.sets())


def playbook(scene: Scene, target: SandboxInfo) -> list[dict[str, t.Any]]:
    """The playbook of the page, with the paths of a scene and the socket of a server."""
    (text,) = (block for block in guide_pages.blocks(PAGE, "yaml") if "hosts: localhost" in block)
    files = {
        "/mnt/copy/caracal": scene.repository,
        "/srv/restore/allowed_signers": scene.root / "allowed_signers",
        "/srv/restore/high-water-mark.json": scene.mark(OPERATOR_HOST),
        "/srv/restore/operator_signing_key": scene.key(OPERATOR_HOST),
        IDENTITY: scene.identity,
    }
    for old, new in files.items():
        assert old in text, old
        text = text.replace(old, str(new))
    plays: list[dict[str, t.Any]] = yaml.safe_load(text)
    plays[0]["module_defaults"]["group/caracal_ops.backup.database"] = {"login_unix_socket": target.socket_dir, "login_user": "caracal"}
    return plays


def databases(info: SandboxInfo) -> set[str]:
    cluster = TwinCluster(info, Spec())
    return {name for (name,) in cluster.execute("SELECT datname FROM pg_database WHERE NOT datistemplate", database="postgres")}


def test_databases(desk: Desk, bare_sets: Scene, fresh_cluster: FreshCluster, server_install: server_binaries.Install) -> None:
    scene, target = bare_sets.copy(desk.folder / "scene"), fresh_cluster()
    desk.write("restore_databases.yml", playbook(scene, target))
    desk.run_block("guide_restore_runbook", 4, {SET: scene.sets()[-1]})
    assert {"caracal", "caracal_auth"} <= databases(target)
    confirm = {"7711926880276291594": target.system_identifier}
    for _run in range(2):
        desk.run_block("guide_restore_runbook", 5, confirm)
    first, second = sorted(name for name in databases(target) if name.startswith("caracal_replaced_"))
    desk.program("psql", f'exec {server_install.bindir}/psql "$@"')
    server = {"PGHOST": target.socket_dir, "PGUSER": target.superuser}
    desk.run_block("guide_restore_runbook", 6, {KEPT: first}, **server)
    desk.run_block("guide_after_a_restore", 1, {KEPT: second}, **server)
    assert not {first, second} & databases(target)


def test_recovery_file(desk: Desk, bare_sets: Scene) -> None:
    replaced = {"/mnt/copy/caracal": str(bare_sets.repository), SET: bare_sets.sets()[-1], "less": "cat"}
    assert "# " in desk.run_block("guide_restore_runbook", 7, replaced)
