# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`kill -9` of a module after it wrote its objects and before its part. The next run reports at once what to do, with the same ID.

An object that no part names may belong to a run that is still active, so it is never overwritten.
"""

from __future__ import annotations

import dataclasses
import json
import signal
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import ObjectExists
from scenes import image_scene, redis_server, replay_folders, secrets_scene
from scenes.engine_stand_in import Engine
from scenes.redis_server import RedisServer
from scenes.replay_folders import ReplayFolder, event
from scenes.scene import tree
from scenes.secrets_scene import Deployment
from scenes.twin_database import TwinCluster
from system.kills.test_kills import AGE, Runner

IMAGE = image_scene.saved([image_scene.archive([("one", b"1")])])
Step = tuple[str, dict[str, t.Any]]


@dataclasses.dataclass(frozen=True)
class Backup:
    """The steps of a backup of everything, in order."""

    deployment: Deployment
    replay: ReplayFolder
    redis: RedisServer
    engine: Engine
    set_id: str

    def steps(self) -> dict[str, Step]:
        volumes = [{"service": "sts", "path": str(self.replay.volume)}]
        own: dict[str, Step] = {
            "secrets": ("secrets_bundle", self.deployment.sources()),
            "replay": ("replay_volume_archive", {"volumes": volumes}),
            "redis": ("redis_stream_snapshot", self.redis.login),
        }
        found = {f"{name} 1": (module, {**given, "reading": 1}) for name, (module, given) in own.items()}
        found["dump"] = ("pg_encrypted_dump", {})
        found.update({f"{name} 2": (module, {**given, "reading": 2}) for name, (module, given) in reversed(own.items())})
        services = [{"service": "sts", "replica": "1", "image": "go:v1", "digest": IMAGE[0], "image_id": IMAGE[0]}]
        found["images"] = ("image_archive", {"services": services, "engine": self.engine.address})
        return {name: (module, {**given, "set_id": self.set_id}) for name, (module, given) in found.items()}

    def run(self, until: str | None = None) -> None:
        for name, (module, given) in self.steps().items():
            if name == until:
                break
            self.deployment.scene.call(module, **given)


@pytest.fixture
def backup(tmp_path: Path, caracal_database: TwinCluster, engine: Engine) -> t.Iterator[Backup]:
    deployment = secrets_scene.make(tmp_path / "scene", caracal_database)
    replay = replay_folders.folder(tmp_path / "sts")
    replay.file("pending-7-1.ndjson", event("one"))
    with redis_server.start() as redis:
        redis_server.fill(redis)
        engine.images = {IMAGE[0]: ([], IMAGE[1])}
        yield Backup(deployment, replay, redis, engine, deployment.opened())


# The steps that publish objects. A second pass over unchanged secrets is not one: it shares the object of the first.
STEPS = ("secrets 1", "replay 1", "redis 1", "dump", "redis 2", "replay 2", "images")


@pytest.mark.mutation
@pytest.mark.parametrize("name", STEPS)
def test_rerun_after_a_kill_reports_what_to_do(backup: Backup, name: str) -> None:
    scene = backup.deployment.scene
    backup.run(until=name)
    module, given = backup.steps()[name]
    before = set(scene.files())
    runner = Runner("before_its_part", scene, json.dumps([module, given]))
    runner.go()
    runner.close()
    assert runner.process.returncode == -signal.SIGKILL
    left = set(scene.files()) - before
    assert left and all((scene.repository / one).read_bytes().startswith(AGE) for one in left if one.endswith(".age"))
    assert not [one for one in left if "/parts/" in one]

    words = (f"backup_set state=aborted set_id={backup.set_id}", "open a new set")
    message = scene.refused(module, ObjectExists, *words, **given)
    assert any(one in message for one in left)
    assert scene.call("backup_set", state="aborted", set_id=backup.set_id)["changed"]
    backup.run()
    backup.deployment.commit(backup.set_id)
    assert scene.call("backup_set_verify", set_id=backup.set_id)["verdict"] == "pass"


@pytest.mark.mutation
def test_rerun_on_a_host_without_the_repository_reports_steps(backup: Backup, tmp_path: Path) -> None:
    scene, stage = backup.deployment.scene, tmp_path / "stage"
    given = {**backup.steps()["replay 1"][1], "stage": str(stage)}
    runner = Runner("before_its_part", scene, json.dumps(["replay_volume_archive", given]))
    runner.go()
    runner.close()
    assert runner.process.returncode == -signal.SIGKILL and list(stage.rglob("*.age"))
    before = tree(stage)
    with pytest.raises(ObjectExists, match=f"on the backup host, remove {stage}, and open a new set"):
        scene.call("replay_volume_archive", **given)
    assert tree(stage) == before


@pytest.mark.no_false_alarm
def test_a_killed_second_pass_over_secrets_can_be_repeated(backup: Backup) -> None:
    """The second pass publishes nothing if nothing changed."""
    scene = backup.deployment.scene
    backup.run(until="secrets 2")
    module, given = backup.steps()["secrets 2"]
    runner = Runner("before_its_part", scene, json.dumps([module, given]))
    runner.go()
    runner.close()
    assert runner.process.returncode == -signal.SIGKILL
    assert scene.call(module, **given)["changed"]
    backup.deployment.commit(backup.set_id)
    assert scene.call("backup_set_verify", set_id=backup.set_id)["verdict"] == "pass"


@pytest.mark.no_false_alarm
def test_an_interrupted_import_of_a_stage_can_be_repeated(backup: Backup, tmp_path: Path) -> None:
    """Existing files are compared with the stage, byte for byte."""
    scene, stage = backup.deployment.scene, tmp_path / "stage"
    backup.run(until="replay 1")
    scene.call("replay_volume_archive", **backup.steps()["replay 1"][1], stage=str(stage))
    taking = {"state": "extended", "set_id": backup.set_id, "staged": str(stage)}
    runner = Runner("before_its_part", scene, json.dumps(["backup_set", taking]))
    runner.go()
    runner.close()
    assert runner.process.returncode == -signal.SIGKILL
    assert scene.files("sets/*/replay/*") and not scene.files("sets/*/parts/replay*")
    assert scene.call("backup_set", **taking)["changed"] and scene.files("sets/*/parts/replay*")
    assert not scene.call("backup_set", **taking)["changed"]
