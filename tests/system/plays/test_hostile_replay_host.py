# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host with a replay directory sends arbitrary answers to the controller: its Python changes the answers of modules."""

from __future__ import annotations

import base64
import os
import shutil
import threading
import typing as t
from pathlib import Path

import pyrage
import pytest

from harness.users import only_root
from scenes import lying_host, replay_folders, secrets_scene
from scenes.lying_host import Answers
from scenes.playing import Play, backup_settings
from scenes.replay_folders import event
from scenes.secrets_scene import Deployment
from scenes.twin_database import TwinFactory

# Not the uid of any user of this host.
FOREIGN_UID = 64999


class Played(t.NamedTuple):
    """The exit status, the output, and the recipients of the database's dump in the set, if there is one."""

    status: int
    output: str
    recipients: list[str]


@pytest.fixture
def deployment(twin_cluster: TwinFactory, tmp_path: Path) -> Deployment:
    return secrets_scene.make(tmp_path / "scene", twin_cluster())


def play(deployment: Deployment, tmp_path: Path, answers: Answers, **more: t.Any) -> Played:
    """Run a backup with a replay directory on a host that adds `answers`, by module, to the answers of its modules."""
    replay = replay_folders.folder(tmp_path / "gateway")
    replay.file("pending-7-1.ndjson", event("one"))
    volume = {"service": "gateway", "replica": "b", "path": str(replay.volume), "host": "elsewhere"}
    settings = {
        **backup_settings(deployment.scene),
        "caracal_backup_replay_volumes": [volume],
        "ansible_python_interpreter": str(lying_host.python(tmp_path, answers)),
        **more,
    }
    played = Play("backup", settings, tmp_path, ("--inventory", "elsewhere,", "--limit", "localhost,elsewhere"))
    status = played.ended()
    sets = [one for one in deployment.scene.sets() if (deployment.scene.repository / "sets" / one / "manifest.json").exists()]
    artifacts = deployment.manifest(sets[-1])["artifacts"] if sets else []
    return Played(status, played.output(), [found for one in artifacts if one["kind"] == "dump" for found in one["recipients"]])


@pytest.mark.mutation
def test_no_file_name_escapes_the_controllers_folder(deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From `<here>/controller/tmp/caracal_backup.x` on the controller, three steps up are `<here>`."""
    controller = tmp_path / "controller" / "tmp"
    controller.mkdir(parents=True)
    monkeypatch.setenv("TMPDIR", str(controller))
    payload = tmp_path / "elsewhere" / "authorized_keys"
    payload.parent.mkdir()
    payload.write_text("ssh-ed25519 AAAA hostile\n", encoding="utf-8")
    names = [f"../../..{payload}"]
    played = play(deployment, tmp_path, {"find": {"files": [{"path": str(payload)}]}, "replay_volume_archive": {"staged": names}})
    assert [path for path in tmp_path.rglob("authorized_keys") if path != payload] == []
    assert played.status != 0 and '"error": "TamperedData"' in played.output, played.output


@pytest.mark.mutation
def test_an_endless_file_is_refused_and_removed(deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    endless = {"data": base64.b64encode(bytes(8 << 20)).decode("ascii")}
    played = play(deployment, tmp_path, {"replay_stage_fetch": endless}, caracal_backup_replay_carry_limit=20 << 20)
    assert played.status != 0 and '"error": "StorageError"' in played.output, played.output
    assert list(tmp_path.glob("caracal_backup.*")) == []


@pytest.mark.mutation
def test_facts_of_the_replay_host_change_no_setting(deployment: Deployment, tmp_path: Path) -> None:
    """Facts take precedence over role defaults and inventory variables. The recipients of a set are one of these settings."""
    foreign = str(pyrage.x25519.Identity.generate().to_public())
    facts = {"ansible_facts": {"caracal_backup_recipients": [foreign]}}
    played = play(deployment, tmp_path, {"replay_volume_archive": facts})
    assert played.status == 0, played.output
    assert len(set(played.recipients)) == 1


@pytest.mark.mutation
@only_root
def test_other_users_cannot_predict_the_path_on_the_backup_host(deployment: Deployment, tmp_path: Path) -> None:
    """A host that knows the path of the first pass on the backup host cannot prepare the path of the second one."""
    ended, planted = threading.Event(), []

    def plant() -> None:
        seen: set[Path] = set()
        while not ended.wait(0.01):
            places = [Path(f"/var/tmp/caracal_backup.{one.name}.elsewhere") for one in deployment.scene.repository.glob("sets/*")]
            seen |= {one for one in places if one.exists()}
            for one in [one for one in seen if one not in planted and not one.exists()]:
                one.mkdir()
                os.chown(one, FOREIGN_UID, FOREIGN_UID)
                planted.append(one)

    watcher = threading.Thread(target=plant)
    watcher.start()
    try:
        played = play(deployment, tmp_path, {})
    finally:
        ended.set()
        watcher.join()
        for one in planted:
            shutil.rmtree(one, ignore_errors=True)
    assert planted == []
    assert played.status == 0, played.output
