# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guide for hosts without containers: a backup, a drill and a restore with its settings, and with values of a test."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest

from harness.fixtures import FreshCluster
from scenes import drilled_services, guide_pages, redis_server, role_settings, secrets_scene
from scenes.guide_commands import Desk
from scenes.playing import backup_settings, drill_settings
from scenes.redis_server import RedisServer
from scenes.replay_folders import ReplayFolder
from scenes.scene import DEPLOYMENT, OPERATOR_HOST, tree
from scenes.secrets_scene import Deployment, contents
from scenes.twin_database import TwinFactory
from system.plays.guide_hosts import RULE, TAGS, Hosts
from twin import surroundings

PAGE = "guide_plain_hosts"
BACKUP, DRILL, RESTORE = guide_pages.settings(PAGE)
(LOGIN,) = guide_pages.blocks(PAGE, "psql")
PASSWORD = "login-of-the-backup"
# Settings with a default path below /etc and /var/lib, where a test may not write.
KEYS = ("signing_key", "allowed_signers", "high_water_mark", "recipients_files", "identity_files")


def once(deployment: Deployment) -> dict[str, t.Any]:
    return {"caracal_ops_repository": str(deployment.scene.repository), "caracal_ops_deployment": DEPLOYMENT}


def keys(role: str, settings: dict[str, t.Any], *more: str) -> dict[str, t.Any]:
    return {name: settings[name] for name in (role_settings.named(role, one) for one in (*KEYS, *more)) if name in settings}


def volumes(folder: Path) -> list[dict[str, str]]:
    return [{"service": name, "path": str(folder / name)} for name in ("sts", "gateway")]


def backed_up(desk: Desk, deployment: Deployment, redis: RedisServer, folder: Path) -> None:
    for statement in guide_pages.statements(LOGIN):
        deployment.cluster.execute(statement, database="postgres")
    deployment.cluster.execute(f"ALTER ROLE backup PASSWORD '{PASSWORD}'", database="postgres")
    here = {
        **once(deployment),
        "caracal_ops_login_unix_socket": deployment.scene.socket,
        "caracal_ops_login_user": ...,
        "caracal_ops_login_password_file": str(deployment.file("database_password", PASSWORD)),
        "caracal_ops_redis_unix_socket": redis.socket,
        "caracal_backup_secrets_directory": str(deployment.directory),
        "caracal_backup_environment_file": str(deployment.file("caracal.env", "CARACAL_MODE=test\n")),
        "caracal_backup_replay_volumes": volumes(folder),
    }
    own = {
        **keys("caracal_backup", backup_settings(deployment.scene)),
        "caracal_backup_secrets_recipients_files": [str(deployment.recipients)],
    }
    desk.write("backup.yml", {**guide_pages.played(BACKUP, here), **own})
    assert PASSWORD not in desk.run_block("guide_plain_hosts", 3)
    manifest = deployment.manifest(deployment.scene.sets()[-1])
    assert not {"secrets", "replay", "redis"} & manifest["left_out"].keys()


def drilled(desk: Desk, deployment: Deployment, sandbox: str, folder: Path) -> None:
    assert [one["name"] for one in DRILL["caracal_drill_services"]] == list(drilled_services.SERVICES)
    here = {
        **once(deployment),
        "caracal_drill_services": [drilled_services.command(one["name"], {}) for one in DRILL["caracal_drill_services"]],
        "caracal_drill_production": [f"{deployment.scene.socket}/.s.PGSQL.{deployment.cluster.info.port}"],
    }
    usual = drill_settings(deployment.scene, sandbox)
    own = {
        **keys("caracal_drill", usual, "sandbox_directory", "minimum_free_mb", "allow_shared_filesystem"),
        "caracal_drill_secrets_identity_files": [str(deployment.identity)],
        "caracal_ops_report_dir": str(folder / "reports"),
        "caracal_drill_ready_timeout": 300,
        "caracal_drill_settle_timeout": 300,
    }
    desk.write("drill.yml", {**guide_pages.played(DRILL, here), **own})
    assert "verdict: pass" in desk.run_block("guide_plain_hosts", 4)


def restored(desk: Desk, deployment: Deployment, socket: str, redis: RedisServer, folder: Path) -> None:
    here = {
        **once(deployment),
        "caracal_restore_identity_files": [str(deployment.scene.identity)],
        "caracal_restore_secrets_identity_files": [str(deployment.identity)],
        "caracal_ops_login_unix_socket": socket,
        "caracal_restore_login_user": ...,
        "caracal_ops_redis_unix_socket": redis.socket,
        "caracal_restore_confirm": [f"{redis.socket}/0"],
        "caracal_restore_secrets_directory": str(folder / "secrets"),
        "caracal_restore_environment_file": str(folder / "caracal.env"),
        "caracal_restore_replay_volumes": volumes(folder),
        "caracal_restore_replay_owner": os.getuid(),
        "caracal_restore_replay_group": os.getgid(),
    }
    own = {
        "caracal_restore_signing_key": str(deployment.scene.key(OPERATOR_HOST)),
        "caracal_ops_allowed_signers": str(deployment.scene.root / "allowed_signers"),
        "caracal_ops_high_water_mark": str(deployment.scene.mark(OPERATOR_HOST)),
        "caracal_ops_audit_retention_days": 3650,
    }
    desk.write("restore.yml", {**guide_pages.played(RESTORE, here), **own})
    owner = {"-o caracal -g caracal": f"-o {os.getuid()} -g {os.getgid()}", "/var/lib/caracal/": f"{folder}/"}
    desk.run_block("guide_plain_hosts", 6, owner)
    calls = desk.program("systemctl")
    desk.run_block("guide_plain_hosts", 7)
    started = calls.read_text(encoding="ascii").split()
    assert started[1::2] == [f"caracal-{name}" for name in ("audit", "sts", "api", "coordinator", "gateway")]


def test_setup(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    Hosts(desk, "app", "drill").write("new")
    desk.run_block("guide_plain_hosts", 1, ANSIBLE_SKIP_TAGS=TAGS)
    path, calls = desk.write("pg_hba.conf", "local all all peer\n"), desk.program("systemctl")
    desk.write("backup.yml", {"caracal_ops_deployment": DEPLOYMENT})
    desk.run_block("guide_plain_hosts", 2, {"/etc/postgresql/17/main/pg_hba.conf": str(path)}, ANSIBLE_SKIP_TAGS=TAGS)
    assert path.read_text(encoding="ascii") == f"{RULE}local all all peer\n" and calls.read_text(encoding="ascii") == "reload postgresql\n"
    before = tree(tmp_path / "drill")
    desk.run_block("guide_plain_hosts", 5, ANSIBLE_SKIP_TAGS=TAGS)
    assert tree(tmp_path / "drill") == before


@pytest.mark.no_false_alarm
def test_backup_drill_and_restore_with_the_guides_settings(
    twin_cluster: TwinFactory, fresh_cluster: FreshCluster, sandbox_directory: str, tmp_path: Path
) -> None:
    deployment = secrets_scene.make(tmp_path / "scene", twin_cluster())
    source, target = tmp_path / "source", tmp_path / "target"
    target.mkdir()
    desk = Desk(tmp_path)
    desk.inventory({name: {} for name in ("app", "drill", "new")})
    with redis_server.start() as redis, redis_server.start() as other:
        client = surroundings.connect(f"unix://{redis.socket}", None)
        surroundings.create(deployment.cluster.target, deployment.cluster.spec.seed, client, source)
        backed_up(desk, deployment, redis, source)
        drilled(desk, deployment, sandbox_directory, source)
        restored(desk, deployment, fresh_cluster().socket_dir, other, target)
        assert redis_server.state(other.client) == redis_server.state(redis.client)
    assert contents(target / "secrets") == contents(deployment.directory)
    assert (target / "caracal.env").read_text(encoding="utf-8") == "CARACAL_MODE=test\n"
    for name in ("sts", "gateway"):
        assert ReplayFolder(target / name).content() == ReplayFolder(source / name).content()
