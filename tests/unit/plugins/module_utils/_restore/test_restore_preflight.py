# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One call verifies a set and rehearses its restore without writing. One error lists all problems."""

from __future__ import annotations

import dataclasses
import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils import _errors
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import (
    BackupError,
    NotReady,
    OptionError,
    TargetRefused,
    VerificationFailed,
)
from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import history
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, Check
from ansible_collections.caracal_ops.backup.plugins.module_utils._restore import server_passwords
from harness.fixtures import FreshCluster
from scenes import redis_server, replay_folders, secrets_scene
from scenes.redis_server import RedisServer
from scenes.scene import Result, tree
from scenes.secrets_scene import Deployment
from scenes.twin_database import TwinCluster

Given = dict[str, t.Any]


@pytest.fixture(scope="module")
def redis() -> t.Iterator[RedisServer]:
    """Yield the source's Redis."""
    with redis_server.start() as server:
        redis_server.fill(server)
        yield server


@pytest.fixture(scope="module")
def empty_redis() -> t.Iterator[RedisServer]:
    with redis_server.start() as server:
        yield server


@pytest.fixture(scope="module")
def backed_up(tmp_path_factory: pytest.TempPathFactory, caracal_database: TwinCluster, redis: RedisServer) -> Deployment:
    """Return a set with every artifact. Tests only read it."""
    made = secrets_scene.make(tmp_path_factory.mktemp("everything") / "scene", caracal_database)
    replay = replay_folders.folder(made.scene.root / "sts")
    replay.file("pending-7-1.ndjson", replay_folders.event("one"))
    set_id = made.opened()

    def read(reading: int) -> None:
        made.bundle(set_id, reading, extra_files=[str(made.scene.root / "ca.pem")])
        volumes = [{"service": "sts", "path": str(replay.volume)}]
        made.scene.call("replay_volume_archive", set_id=set_id, reading=reading, volumes=volumes)
        made.scene.call("redis_stream_snapshot", set_id=set_id, reading=reading, redis_unix_socket=redis.socket)

    (made.scene.root / "ca.pem").write_text("certificate")
    read(1)
    made.scene.call("pg_encrypted_dump", set_id=set_id)
    read(2)
    made.commit(set_id)
    return made


@dataclasses.dataclass(frozen=True)
class Place:
    """The target of a restore, and options with which the preflight passes."""

    deployment: Deployment
    target: TwinCluster
    root: Path
    given: Given

    def call(self, *, check_mode: bool = False, **given: t.Any) -> Result:
        return self.deployment.scene.call("restore_preflight", check_mode=check_mode, **{**self.given, **given})


@pytest.fixture
def place(backed_up: Deployment, fresh_cluster: FreshCluster, empty_redis: RedisServer, tmp_path: Path) -> Place:
    scene = backed_up.scene.copy(tmp_path / "scene")
    deployment = Deployment(scene, backed_up.cluster)
    cluster = TwinCluster(fresh_cluster(), backed_up.cluster.spec)
    (tmp_path / "new" / "audit-replay").mkdir(parents=True)
    given = {
        "login_unix_socket": cluster.info.socket_dir,
        "login_port": cluster.info.port,
        "confirm": [empty_redis.confirmation],
        "secrets": {"directory": str(tmp_path / "secrets"), "identity_files": [str(deployment.identity)]},
        "replay": {"volumes": [{"service": "sts", "path": str(tmp_path / "new")}], "owner": os.getuid(), "group": os.getgid()},
        "redis": {"redis_unix_socket": empty_redis.socket},
    }
    return Place(deployment, cluster, tmp_path, given)


@pytest.mark.no_false_alarm
def test_valid_restore_passes_preflight_and_changes_nothing(place: Place, empty_redis: RedisServer) -> None:
    scene = place.deployment.scene
    scene.call("backup_set_verify", high_water_mark=str(scene.mark("operator")))
    before = tree(place.root)
    for check_mode in (True, False):
        found = place.call(check_mode=check_mode, running=["postgres", "redis", "replayVolumeInit"])
        assert tree(place.root) == before and not empty_redis.run("DBSIZE")
        assert found["set_id"] == scene.sets()[-1] and not found["changed"]
        assert [one["database"] for one in found["databases"]] == ["caracal", "caracal_auth"] and not found["replaced"]
        assert "kek" in found["secrets"] and found["safety_copy"] is None
        assert [one["service"] for one in found["replay"]] == ["sts"] and found["redis"]
        verdicts = {one["id"]: one["verdict"] for one in found["checks"]}
        assert verdicts["set.signature"] == verdicts["restore.release"] == "pass"


def test_file_without_target_directory_is_reported_in_advance(place: Place) -> None:
    for directory, lost in ((None, ["extra/ca.pem"]), (str(place.root / "extra"), [])):
        warnings: list[str] = []
        secrets = {**place.given["secrets"], "extra_directory": directory}
        found = place.deployment.scene.call("restore_preflight", warn=warnings.append, **{**place.given, "secrets": secrets})
        assert found["not_restored"] == lost
        assert [one for one in warnings if "extra_directory" in one] == [one for one in warnings if "ca.pem" in one]
        assert len([one for one in warnings if "ca.pem" in one]) == len(lost)


@pytest.mark.no_false_alarm
def test_an_open_finding_is_reported_and_keeps_no_set_from_being_restored(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = Check(history.CHECK_ID, FAIL, "audit rows were changed")
    monkeypatch.setattr(history, "check_set", lambda _opened, _entry: changed)
    found = place.call(check_mode=True)
    assert [one["verdict"] for one in found["checks"] if one["id"] == history.CHECK_ID] == [FAIL]


def test_unnamed_assets_are_not_checked(place: Place) -> None:
    found = place.call(secrets=None, replay=None, redis=None)
    assert (found["secrets"], found["replay"], found["redis"]) == ({}, [], [])


@pytest.mark.mutation
def test_a_set_that_is_not_what_was_signed_is_refused_with_its_checks(place: Place) -> None:
    scene = place.deployment.scene
    path = max((scene.repository / one for one in scene.files("objects/**/*")), key=lambda one: one.stat().st_size)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(VerificationFailed) as raised:
        place.call()
    assert "fail" in {one["verdict"] for one in raised.value.details["checks"]}


def broken(place: Place) -> dict[str, Given]:
    """Return, by asset, options that cannot work."""
    nowhere = str(place.root / "nowhere")
    return {
        "services": {"running": ["api", "postgres", "redis"]},
        "secrets": {"secrets": {**place.given["secrets"], "directory": f"{place.root}/scene/allowed_signers"}},
        "databases": {"login_unix_socket": nowhere},
        "redis": {"redis": {"redis_unix_socket": nowhere}},
        "replay": {"replay": {**place.given["replay"], "volumes": [{"service": "sts", "path": nowhere}]}},
    }


@pytest.mark.mutation
def test_all_problems_are_reported_at_once(place: Place) -> None:
    wrong = broken(place)
    with pytest.raises(NotReady) as raised:
        place.call(**{name: value for change in wrong.values() for name, value in change.items()})
    problems = raised.value.details["problems"]
    assert [one["asset"] for one in problems] == list(wrong)
    assert all(one["msg"] in raised.value.msg for one in problems)
    assert all(issubclass(getattr(_errors, one["error"]), BackupError) for one in problems)


@pytest.mark.mutation
@pytest.mark.parametrize("asset", ["services", "secrets", "databases", "redis", "replay"])
def test_single_problem_is_reported_as_by_its_module(place: Place, asset: str) -> None:
    with pytest.raises(BackupError) as raised:
        place.call(**broken(place)[asset])
    assert raised.type is not NotReady and "problems" not in raised.value.details


@pytest.mark.mutation
def test_a_target_must_be_confirmed_beforehand(place: Place) -> None:
    place.target.execute("CREATE DATABASE caracal", database="postgres")
    place.target.execute("CREATE TABLE precious (a int)")
    with pytest.raises(TargetRefused):
        place.call()
    found = place.call(confirm=[*place.given["confirm"], f"caracal@{place.target.info.system_identifier}"])
    assert [one["database"] for one in found["replaced"]] == ["caracal"]


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("asset", "name"), [("secrets", "sandbox"), ("secrets", "repository"), ("replay", "sandbox"), ("redis", "confirm")]
)
def test_an_asset_takes_its_own_options_alone(place: Place, asset: str, name: str) -> None:
    with pytest.raises(OptionError, match=name):
        place.call(**{asset: {**place.given[asset], name: "x"}})


STOPPED = {"stopped": ["postgres", "redis", "replayVolumeInit"]}


@pytest.mark.no_false_alarm
def test_preflight_before_servers_run_checks_everything_else(place: Place) -> None:
    unreachable = {"login_unix_socket": str(place.root / "nowhere"), **broken(place)["redis"], **broken(place)["replay"]}
    found = place.call(**STOPPED, **unreachable)
    assert found["waiting"] == ["databases", "redis", "replay"]
    assert (found["databases"], found["replaced"], found["redis"], found["replay"]) == ([], [], [], [])
    verdicts = {one["id"]: one["verdict"] for one in found["checks"]}
    assert "kek" in found["secrets"] and verdicts["set.signature"] == verdicts["restore.release"] == "pass"
    assert place.call(stopped=["redis"], **broken(place)["redis"])["waiting"] == ["redis"]


@pytest.mark.mutation
@pytest.mark.parametrize("wrong", ["identity_files", "pg_bin", "signing_key", "secrets", "services"])
def test_problem_is_found_before_servers_run(place: Place, wrong: str) -> None:
    """None of this needs a running server, and all of it must be found before the secrets are replaced."""
    scene = place.deployment.scene
    changes: dict[str, Given] = {
        **broken(place),
        "identity_files": {"identity_files": [str(place.deployment.identity)]},
        "pg_bin": {"pg_bin": str(place.root)},
        "signing_key": {"signing_key": str(scene.root / "nowhere")},
    }
    with pytest.raises(BackupError):
        place.call(**{**STOPPED, **changes[wrong]})


@pytest.mark.mutation
def test_a_password_is_not_replaced_under_a_server_that_runs(place: Place) -> None:
    """The server would keep its own password and could not be reached any more."""
    directory = place.root / "secrets"
    directory.mkdir()
    password, apart = directory / "apiDbPassword", place.root / "password"
    for path in (password, apart):
        path.write_text("of the server that runs")
        path.chmod(0o600)
    secrets = {**place.given["secrets"], "replace": True}
    with pytest.raises(OptionError, match="apiDbPassword"):
        place.call(secrets=secrets, login_password_file=str(password))
    assert place.call(secrets=secrets, login_password_file=str(password), **STOPPED)["safety_copy"]
    assert place.call(secrets=secrets, login_password_file=str(apart))["safety_copy"]


@pytest.mark.mutation
def test_redis_password_of_running_server_is_not_replaced(tmp_path: Path) -> None:
    directory = tmp_path / "secrets"
    directory.mkdir()
    (tmp_path / "link").symlink_to(directory)
    secrets, used = {"directory": str(directory)}, {"redis": f"{tmp_path}/link/redisPassword", "databases": None}
    with pytest.raises(OptionError, match="redisPassword"):
        server_passwords.refuse_others(secrets, used, ["secrets/apiDbPassword", "secrets/redisPassword"], [])
    server_passwords.refuse_others(secrets, used, ["secrets/redisPassword"], ["redis"])
    server_passwords.refuse_others(secrets, used, ["secrets/apiDbPassword"], [])
    server_passwords.refuse_others(secrets, {}, ["secrets/redisPassword"], [])
