# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The replay directories of a Compose project: found with and without a container, and read like any other directory."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import OptionError
from scenes.engine_stand_in import Engine, container, volume
from scenes.playing import Play, backup_settings
from scenes.replay_folders import ReplayFolder, event, folder
from scenes.scene import Result, Scene
from unit.plugins.module_utils._assets.replay.test_replay_volumes import A, B, commit, open_id, restore

ARCHIVE = "replay_volume_archive"


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


def archive(scene: Scene, engine: Engine, reading: int, warnings: list[str] | None = None, **given: t.Any) -> Result:
    usual = {"set_id": open_id(scene), "reading": reading, "compose_project": "caracal", "engine": engine.address}
    return scene.call(ARCHIVE, warn=[].append if warnings is None else warnings.append, **{**usual, **given})


@pytest.mark.no_false_alarm
def test_both_volumes_of_a_project_are_archived_and_restored(
    dumped: Scene, engine: Engine, sts: ReplayFolder, gateway: ReplayFolder, tmp_path: Path
) -> None:
    """The project's containers are gone, as after `docker compose down`."""
    engine.volumes = [
        volume("stsReplay", "/nowhere", project="caracal-dev"),
        volume("postgresData", "/nowhere"),
        volume("", "/nowhere"),
        volume("gatewayReplay", str(gateway.volume)),
        volume("stsReplay", str(sts.volume)),
    ]
    warnings: list[str] = []
    first = archive(dumped, engine, 1, warnings)
    assert [(one["service"], one["replica"], one["state"], one["files"]) for one in first["volumes"]] == [
        ("sts", "1", "archived", 1),
        ("gateway", "1", "archived", 1),
    ]
    assert not archive(dumped, engine, 1)["changed"] and warnings == []
    archive(dumped, engine, 2)
    commit(dumped)
    for service, source in (("sts", sts), ("gateway", gateway)):
        copy = folder(tmp_path / "copy" / service)
        restore(dumped, volumes=[{"service": service, "path": str(copy.volume)}])
        assert copy.content() == source.content() != {}


def test_a_project_without_a_replay_volume_has_no_durable_state(dumped: Scene, engine: Engine, sts: ReplayFolder) -> None:
    engine.volumes = [volume("stsReplay", str(sts.volume))]
    warnings: list[str] = []
    result = archive(dumped, engine, 1, warnings)
    [lost] = [one for one in result["volumes"] if one["state"] == "not_durable"]
    assert (lost["service"], lost["replica"]) == ("gateway", None) and [one for one in warnings if lost["reason"] in one]
    archive(dumped, engine, 2)
    set_id = commit(dumped)
    assert dumped.call("backup_set_verify", set_id=set_id)["set_facts"]["left_out"] == {"replay of gateway": lost["reason"]}


def test_project_without_volumes_has_no_durable_state(dumped: Scene, engine: Engine) -> None:
    engine.containers = [container("sts"), container("postgres")]
    result = archive(dumped, engine, 1)
    assert [one["state"] for one in result["volumes"]] == ["not_durable", "not_durable"] and result["artifacts"] == []


def test_a_bind_mount_of_a_service_is_read(dumped: Scene, engine: Engine, sts: ReplayFolder, gateway: ReplayFolder) -> None:
    engine.volumes = [volume("gatewayReplay", str(gateway.volume))]
    engine.containers = [container("sts", 2, mounts=[("bind", str(sts.volume), "/var/lib/caracal")])]
    result = archive(dumped, engine, 1)
    assert [(one["service"], one["replica"], one["files"]) for one in result["volumes"]] == [("sts", "2", 1), ("gateway", "1", 1)]


@pytest.mark.no_false_alarm
def test_directory_given_by_path_is_not_a_missing_volume(dumped: Scene, engine: Engine, sts: ReplayFolder, gateway: ReplayFolder) -> None:
    engine.volumes = [volume("stsReplay", str(sts.volume))]
    warnings: list[str] = []
    volumes = [{"service": "gateway", "path": str(gateway.volume)}, {"service": "sts", "replica": "b", "path": str(sts.volume)}]
    result = archive(dumped, engine, 1, warnings, volumes=volumes)
    assert [(one["service"], one["replica"], one["state"]) for one in result["volumes"]] == [
        ("gateway", "1", "archived"),
        ("sts", "b", "archived"),
        ("sts", "1", "same_as"),
    ]
    assert warnings == []


@pytest.mark.mutation
def test_refuses_volumes_that_cannot_be_read(dumped: Scene, engine: Engine, sts: ReplayFolder, tmp_path: Path) -> None:
    usual = {"set_id": open_id(dumped), "reading": 1, "compose_project": "caracal", "engine": engine.address}
    dumped.refused(ARCHIVE, OptionError, "has no Compose project caracal", **usual)
    (tmp_path / "empty").mkdir()
    engine.volumes = [volume("gatewayReplay", str(tmp_path / "empty"))]
    dumped.refused(ARCHIVE, OptionError, "empty has no folder audit-replay", "start the project", **usual)
    engine.volumes = [volume("stsReplay", str(tmp_path / "nowhere"))]
    dumped.refused(ARCHIVE, OptionError, "nowhere/audit-replay does not exist", **usual)
    engine.volumes = [volume("stsReplay", "", driver="rexray")]
    dumped.refused(ARCHIVE, OptionError, "caracal_stsReplay of driver rexray has no directory", **usual)
    engine.volumes = [volume("stsReplay", str(sts.volume))]
    twice = [{"service": "sts", "path": str(sts.volume)}]
    dumped.refused(ARCHIVE, OptionError, "service and replica twice", volumes=twice, **usual)


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("host", ["", "elsewhere"])
def test_the_role_finds_the_volumes(
    empty_scene: Scene, engine: Engine, sts: ReplayFolder, gateway: ReplayFolder, tmp_path: Path, host: str
) -> None:
    engine.volumes = [volume("stsReplay", str(sts.volume))]
    settings = {
        **backup_settings(empty_scene),
        "caracal_backup_replay_compose_project": "caracal",
        "caracal_backup_replay_compose_host": host,
        "caracal_ops_engine": engine.address,
        "caracal_backup_replay_volumes": [{"service": "gateway", "replica": "b", "path": str(gateway.volume)}],
    }
    play = Play("backup", settings, tmp_path, ("--inventory", "elsewhere,", "--limit", "localhost,elsewhere"))
    assert play.ended() == 0, play.output()
    assert "2 replay volumes" in play.output()
    assert not list(Path("/var/tmp").glob(f"caracal_backup.{empty_scene.sets()[-1]}*"))
    copy = folder(tmp_path / "copy")
    restore(empty_scene, copy)
    assert copy.content() == sts.content() != {}
