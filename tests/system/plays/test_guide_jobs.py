# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands of the guides that run jobs: backups, drills, audit verification, retention, schedules and notifications."""

from __future__ import annotations

import getpass
import shutil
import typing as t
from pathlib import Path

import pytest

from scenes import engine_stand_in, role_settings
from scenes import hook as hooks
from scenes import scene as scenes
from scenes.engine_stand_in import Engine
from scenes.guide_commands import Desk
from scenes.old_repository import OldRepository
from scenes.playing import Play, backup_settings
from scenes.scene import DEPLOYMENT, Scene
from scenes.twin_database import TwinCluster
from system.plays.drillable import Drillable
from twin import keys
from unit.plugins.module_utils._audit.chains.test_audit_corpus import RETENTION_DAYS

BACKUP, DRILL = "/etc/caracal-ops/backup.yml", "/etc/caracal-ops/drill.yml"


@pytest.fixture
def scene(caracal_database: TwinCluster, tmp_path: Path) -> Scene:
    """Keys of all hosts, and no repository yet."""
    return scenes.make(tmp_path / "scene", caracal_database.info.socket_dir)


def test_backup_and_audit_verification(desk: Desk, scene: Scene, caracal_database: TwinCluster) -> None:
    key = desk.write("audit_hmac_key", keys.for_seed(caracal_database.spec.seed).audit_hmac_key.hex())
    settings = {
        **backup_settings(scene),
        "caracal_ops_audit_hmac_key_files": [str(key)],
        "caracal_ops_audit_retention_days": RETENTION_DAYS,
    }
    del settings["caracal_backup_create_repository"]
    replaced = {BACKUP: str(desk.write("backup.yml", settings))}
    desk.run_block("guide_database_backup", 2, replaced)
    assert len(scene.sets()) == 1
    desk.run_block("guide_audit_evidence", 1, replaced)
    assert "pass: " in desk.run_block("guide_audit_evidence", 2, replaced)


def test_discovery_before_a_backup(desk: Desk, engine: Engine) -> None:
    project = desk.folder / "project"
    (project / "ca").mkdir(parents=True)
    for name in ("ca/extra-ca.pem", "caracal.env"):
        (project / name).touch()
    engine.containers = engine_stand_in.deployment(project, desk.folder / "volumes")
    desk.inventory({"backup_host": {}})
    replaced = {"compose_project=caracal": f'"compose_project=caracal engine={engine.address}"', " --become": ""}
    output = desk.run_block("guide_database_backup", 1, replaced, ANSIBLE_INVENTORY=str(desk.folder / "inventory.yml"))
    assert '"login_user"' in output


def test_sets_and_copy(desk: Desk, bare_sets: Scene) -> None:
    scene = bare_sets.copy(desk.folder / "scene")
    desk.write("settings.yml", backup_settings(scene))
    assert all(one in desk.run_block("guide_retention", 2) for one in scene.sets())
    desk.run_block("guide_retention", 3, {"/mnt/vault/caracal": str(desk.folder / "copy")})
    assert {path.name for path in (desk.folder / "copy" / "sets").iterdir()} == set(scene.sets())


def test_prune(desk: Desk, old: OldRepository) -> None:
    settings = {
        "repository": old.store.location,
        "deployment": DEPLOYMENT,
        "allowed_signers": str(old.allowed),
        "high_water_mark": str(old.mark("prune")),
        "signing_key": str(old.keys / "prune"),
        "keep_last": 2,
        "minimum": 1,
    }
    given = role_settings.of("caracal_repository", settings)
    desk.write("settings.yml", given)
    # The first run only records the head of the journal.
    assert Play("prune", given, desk.folder).ended() != 0
    before = len(old.sets())
    desk.run_block("guide_retention", 1)
    assert len(old.sets()) < before


@pytest.mark.no_false_alarm
def test_drill(desk: Desk, drilled: Drillable, sandbox_directory: str) -> None:
    settings = desk.write("drill.yml", drilled.settings(sandbox_directory))
    assert "verdict: pass" in desk.run_block("guide_restore_drill", 1, {DRILL: str(settings)})
    (signature,) = (drilled.scene.root / "reports").rglob("report.json.sig")
    shutil.copy(drilled.scene.root / "allowed_signers", signature.parent)
    assert "Good" in Desk(signature.parent).run_block("guide_restore_drill", 4)
    replaced = {"/opt/ansible/bin/": "", "/etc/caracal-ops/settings.yml": str(settings)}
    assert "failed=0" in desk.run_block("guide_schedules", 5, replaced)


def test_images_for_a_drill(desk: Desk) -> None:
    calls = desk.program("docker")
    desk.run_block("guide_restore_drill", 2)
    saved = [line.split() for line in calls.read_text(encoding="ascii").splitlines()]
    assert [one[:3] for one in saved] == [["image", "save", "--output"]] * 2 and [len(one) for one in saved] == [7, 6]


def test_programs_of_images(desk: Desk) -> None:
    calls = desk.program("docker", "case $1 in create) echo one;; export) touch program && tar --create program;; esac")
    desk.run_block("guide_restore_drill", 3, {"/opt/caracal": str(desk.folder / "opt")})
    assert {path.parent.name for path in (desk.folder / "opt").glob("*/program")} == {"go", "node", "web"}
    assert calls.read_text(encoding="ascii").splitlines().count("rm one") == 3


def test_notification(desk: Desk) -> None:
    with hooks.listening() as hook:
        channel = {"kind": "webhook", "url": f"{hook.address}/here", "events": ["failed"]}
        desk.write("settings.yml", {"caracal_ops_deployment": DEPLOYMENT, "caracal_ops_notify": [channel]})
        desk.run_block("guide_notifications", 1)
        assert hook.paths == ["/here"]


def schedule(desk: Desk, **own: t.Any) -> None:
    """Write the settings of a host's schedule, whose units are in folders of the test."""
    for name in ("units", "locks"):
        (desk.folder / name).mkdir()
    desk.program("systemctl", "if [ $1 = show ]; then printf 'LoadState=loaded\\nActiveState=active\\n'; fi")
    playbooks = desk.folder / "ansible_collections" / "caracal_ops" / "backup" / "playbooks"
    desk.write(str(playbooks / "backup.yml"), "---\n")
    desk.program("playbooks-of-the-host")
    settings = {
        "caracal_schedule_program": str(desk.folder / "bin" / "playbooks-of-the-host"),
        "caracal_schedule_collections": str(desk.folder),
        "caracal_schedule_user": getpass.getuser(),
        "caracal_schedule_settings": [str(desk.write("settings.yml", {"caracal_ops_deployment": DEPLOYMENT}))],
        "__caracal_schedule_units": str(desk.folder / "units"),
        "__caracal_schedule_cron_file": str(desk.folder / "cron"),
        "__caracal_schedule_locks": str(desk.folder / "locks"),
        **own,
    }
    desk.write("schedule.yml", settings)


def test_schedule_of_a_workstation(desk: Desk) -> None:
    desk.inventory({"localhost": {}})
    schedule(desk, caracal_schedule_inventory=str(desk.folder / "inventory.yml"))
    desk.run_block("guide_schedules", 1, {" --become": ""})
    assert list((desk.folder / "units").glob("caracal-ops-backup.timer"))


def test_schedule_of_a_host(desk: Desk) -> None:
    desk.inventory({"drill": {}})
    schedule(desk, caracal_schedule_jobs={"restore_drill": "06:00", "backup": ""})
    desk.run_block("guide_schedules", 3, {" --become": ""})
    assert list((desk.folder / "units").glob("caracal-ops-restore_drill.timer"))


def test_units_of_a_schedule(desk: Desk) -> None:
    desk.program("sudo", 'exec "$@"')
    started, shown = desk.program("systemctl"), desk.program("journalctl")
    desk.run_block("guide_schedules", 4)
    assert started.read_text(encoding="ascii").splitlines() == ["list-timers caracal-ops-*", "start caracal-ops-backup"]
    assert shown.read_text(encoding="ascii") == "-u caracal-ops-backup\n"
