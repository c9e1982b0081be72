# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The replay volumes of a Compose project: found by their labels, told apart from none, read like any other directory."""

from __future__ import annotations

import os
import tempfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._assets.replay import replay_sources
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import replay
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.docker.docker import Volume
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.volume.live import Directory
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError, OptionError, PermissionMissing
from scenes.docker_stand_in import PROJECT, StandIn
from scenes.playing import Play, backup_settings
from scenes.replay_folders import ReplayFolder, event, folder
from scenes.scene import Result, Scene
from unit.plugins.module_utils._assets.replay.test_replay_volumes import A, B, commit, open_id, restore

NOBODY = 65534
ARCHIVE = "replay_volume_archive"


@pytest.fixture
def docker(tmp_path: Path) -> StandIn:
    return StandIn(tmp_path / "docker")


@pytest.fixture
def sts(tmp_path: Path) -> ReplayFolder:
    made = folder(tmp_path / "volumes" / "caracal_stsReplay" / "_data")
    made.file(A, event("a-1"))
    return made


@pytest.fixture
def gateway(tmp_path: Path) -> ReplayFolder:
    made = folder(tmp_path / "volumes" / "caracal_gatewayReplay" / "_data")
    made.file(B, event("b-1"))
    return made


def archive(scene: Scene, docker: StandIn, reading: int, warnings: list[str] | None = None, **given: t.Any) -> Result:
    usual = {"set_id": open_id(scene), "reading": reading, "compose_project": "caracal", "docker": docker.program}
    return scene.call(ARCHIVE, warn=[].append if warnings is None else warnings.append, **{**usual, **given})


@pytest.mark.no_false_alarm
def test_both_volumes_of_a_project_are_read_and_come_back(
    dumped: Scene, docker: StandIn, sts: ReplayFolder, gateway: ReplayFolder, tmp_path: Path
) -> None:
    docker.foreign()
    docker.volume("caracal-dev", "stsReplay", "/nowhere")
    docker.volume("caracal", "postgresData", "/nowhere")
    docker.volume("caracal", "gatewayReplay", str(gateway.volume))
    docker.volume("caracal", "stsReplay", str(sts.volume))
    warnings: list[str] = []
    first = archive(dumped, docker, 1, warnings)
    assert [(one["service"], one["replica"], one["state"], one["files"]) for one in first["volumes"]] == [
        ("sts", "1", "archived", 1),
        ("gateway", "1", "archived", 1),
    ]
    assert not archive(dumped, docker, 1)["changed"] and warnings == []
    archive(dumped, docker, 2)
    commit(dumped)
    for service, source in (("sts", sts), ("gateway", gateway)):
        copy = folder(tmp_path / "copy" / service)
        restore(dumped, volumes=[{"service": service, "path": str(copy.volume)}])
        assert copy.content() == source.content() != {}
    assert {tuple(one[:2]) for one in docker.said} == {("context", "inspect"), ("volume", "ls"), ("volume", "inspect")}


def test_a_project_without_a_replay_volume_has_no_durable_state(dumped: Scene, docker: StandIn, sts: ReplayFolder) -> None:
    docker.volume("caracal", "stsReplay", str(sts.volume))
    warnings: list[str] = []
    result = archive(dumped, docker, 1, warnings)
    reason = "Compose project caracal has no volume gatewayReplay"
    assert {"service": "gateway", "replica": None, "state": "not_durable", "reason": reason} in result["volumes"]
    assert [one for one in warnings if reason in one and "name their directory in volumes" in one]
    archive(dumped, docker, 2)
    set_id = commit(dumped)
    assert dumped.call("backup_set_verify", set_id=set_id)["set_facts"]["left_out"] == {"replay of gateway": reason}


def test_a_project_without_any_volume_has_none_either(dumped: Scene, docker: StandIn) -> None:
    docker.set(containers=[{PROJECT: "caracal"}])
    result = archive(dumped, docker, 1)
    assert [one["state"] for one in result["volumes"]] == ["not_durable", "not_durable"] and result["artifacts"] == []


@pytest.mark.no_false_alarm
def test_a_directory_that_is_named_by_path_is_no_missing_volume(
    dumped: Scene, docker: StandIn, sts: ReplayFolder, gateway: ReplayFolder
) -> None:
    docker.volume("caracal", "stsReplay", str(sts.volume))
    warnings: list[str] = []
    volumes = [{"service": "gateway", "path": str(gateway.volume)}, {"service": "sts", "replica": "b", "path": str(sts.volume)}]
    result = archive(dumped, docker, 1, warnings, volumes=volumes)
    assert [(one["service"], one["replica"], one["state"]) for one in result["volumes"]] == [
        ("gateway", "1", "archived"),
        ("sts", "b", "archived"),
        ("sts", "1", "same_as"),
    ]
    assert warnings == []


@pytest.mark.mutation
def test_volumes_that_cannot_be_read(dumped: Scene, docker: StandIn, sts: ReplayFolder, tmp_path: Path) -> None:
    usual = {"set_id": open_id(dumped), "reading": 1, "compose_project": "caracal", "docker": docker.program}
    dumped.refused(ARCHIVE, OptionError, "knows no Compose project caracal", **usual)
    (tmp_path / "empty").mkdir()
    docker.volume("caracal", "gatewayReplay", str(tmp_path / "empty"))
    dumped.refused(ARCHIVE, OptionError, "volume caracal_gatewayReplay has no folder audit-replay", "start the project", **usual)
    docker.set(volumes=[])
    docker.volume("caracal", "stsReplay", str(tmp_path / "nowhere"))
    dumped.refused(ARCHIVE, OptionError, "nowhere/audit-replay does not exist", **usual)
    docker.set(volumes=[])
    docker.volume("caracal", "stsReplay", str(sts.volume))
    twice = [{"service": "sts", "path": str(sts.volume)}]
    dumped.refused(ARCHIVE, OptionError, "named twice", volumes=twice, **usual)
    docker.set(refusal="denied")
    dumped.refused(ARCHIVE, PermissionMissing, "run as root", **usual)


@pytest.mark.mutation
def test_a_mount_point_that_only_root_may_enter() -> None:
    """As Docker's own folder is. Nobody may look into it, so nobody may say that it is empty."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as root:
        volume = folder(Path(root) / "volumes" / "caracal_stsReplay" / "_data").volume
        os.chmod(root, 0o700)
        reader, writer = os.pipe()
        pid = os.fork()
        if not pid:
            try:
                if os.geteuid() == 0:
                    os.setgroups([])
                    os.setgid(NOBODY)
                    os.setuid(NOBODY)
                else:
                    os.chmod(root, 0)
                Directory(replay_sources.folder_of(Volume("stsReplay", "caracal_stsReplay", str(volume))), replay.FOLDER)
            except BackupError as exc:
                os.write(writer, f"{type(exc).__name__}: {exc.msg}".encode())
            finally:
                os._exit(0)
        os.close(writer)
        os.waitpid(pid, 0)
        said = os.read(reader, 4096).decode()
        os.close(reader)
        os.chmod(root, 0o700)
    assert said.startswith("PermissionMissing: ") and "audit-replay cannot be read by uid" in said and "(become)" in said, said


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("host", ["", "elsewhere"])
def test_the_role_finds_the_volumes(
    empty_scene: Scene, docker: StandIn, sts: ReplayFolder, gateway: ReplayFolder, tmp_path: Path, host: str
) -> None:
    docker.volume("caracal", "stsReplay", str(sts.volume))
    settings = {
        **backup_settings(empty_scene),
        "caracal_backup_replay_compose_project": "caracal",
        "caracal_backup_replay_compose_host": host,
        "caracal_backup_docker": docker.program,
        "caracal_backup_replay_volumes": [{"service": "gateway", "replica": "b", "path": str(gateway.volume)}],
    }
    play = Play("backup", settings, tmp_path, ("--inventory", "elsewhere,", "--limit", "localhost,elsewhere"))
    assert play.ended() == 0, play.output()
    assert "2 replay volumes" in play.output()
    assert not list(Path("/var/tmp").glob(f"caracal_backup.{empty_scene.sets()[-1]}*"))
    copy = folder(tmp_path / "copy")
    restore(empty_scene, copy)
    assert copy.content() == sts.content() != {}
