# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One call checks all prerequisites of a backup without writing. One error lists all problems."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils import _errors
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError, KeyProblem, NotReady, OptionError
from scenes import image_scene, redis_server, secrets_scene
from scenes.engine_stand_in import Engine
from scenes.redis_server import RedisServer
from scenes.secrets_scene import Deployment, contents
from scenes.twin_database import TwinCluster

Given = dict[str, t.Any]
IMAGE = image_scene.saved([image_scene.archive([])])


@pytest.fixture(scope="module")
def redis() -> t.Iterator[RedisServer]:
    with redis_server.start() as server:
        yield server


@pytest.fixture
def deployment(tmp_path: Path, caracal_database: TwinCluster) -> Deployment:
    return secrets_scene.make(tmp_path / "scene", caracal_database)


@pytest.fixture
def given(deployment: Deployment, redis: RedisServer) -> Given:
    """Return options with which the preflight passes."""
    volume = deployment.scene.root / "replay"
    volume.mkdir()
    return {
        "create_repository": True,
        "secrets": {"directory": str(deployment.directory), "recipients_files": [str(deployment.recipients)], "previous_kek": None},
        "replay": {"volumes": [{"service": "sts", "path": str(volume)}]},
        "redis": {"redis_unix_socket": redis.socket},
    }


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("check_mode", [False, True])
def test_valid_deployment_passes_and_nothing_is_written(deployment: Deployment, given: Given, check_mode: bool) -> None:
    before = contents(deployment.scene.root)
    found = deployment.scene.call("backup_preflight", check_mode=check_mode, **given)
    assert contents(deployment.scene.root) == before and not deployment.scene.repository.exists()
    assert not found["changed"] and found["journal_head"] == ""
    assert [one["database"] for one in found["databases"]] == ["caracal", "caracal_auth"]
    assert "kek" in found["secrets"] and found["pairing"]["verdict"] == "pass" and found["redis"] == []
    assert [(one["service"], one["state"]) for one in found["replay"]] == [("sts", "archived")]
    assert deployment.scene.call("backup_set", state="open", create_repository=True, set_id=found["set_id"])["set_id"] == found["set_id"]


@pytest.mark.no_false_alarm
def test_repository_with_missing_parents_is_checked_without_creating_them(deployment: Deployment, given: Given) -> None:
    srv = deployment.scene.root / "srv"
    found = deployment.scene.call("backup_preflight", repository=str(srv / "backup" / "caracal"), **given)
    assert found["journal_head"] == "" and not srv.exists()


@pytest.mark.mutation
@pytest.mark.parametrize(("name", "error"), [("secretStoreKek", KeyProblem), ("auditHmacKey", KeyProblem)])
def test_secrets_that_do_not_open_the_database_are_found_before_the_dump(
    deployment: Deployment, given: Given, name: str, error: type[BackupError]
) -> None:
    deployment.put(name, "5e" * 16 + "a7" * 16)
    with pytest.raises(error):
        deployment.scene.call("backup_preflight", **given)


def test_unnamed_assets_are_not_checked(deployment: Deployment) -> None:
    found = deployment.scene.call("backup_preflight", create_repository=True)
    assert (found["secrets"], found["pairing"], found["replay"], found["redis"]) == ({}, None, [], [])


def test_head_of_existing_journal_is_reported(deployment: Deployment) -> None:
    head = deployment.scene.call("backup_set", state="open", create_repository=True)["journal_head"]
    assert deployment.scene.call("backup_preflight")["journal_head"] == head


def broken(given: Given, root: Path) -> dict[str, Given]:
    """Return, by asset, options that cannot work."""
    nowhere = str(root / "nowhere")
    return {
        "repository": {"metrics_file": f"{nowhere}/backup.prom"},
        "databases": {"databases": ["absent"]},
        "secrets": {"secrets": {**given["secrets"], "directory": nowhere}},
        "replay": {"replay": {"volumes": [{"service": "sts", "path": nowhere}]}},
        "redis": {"redis": {"redis_unix_socket": nowhere}},
    }


@pytest.mark.mutation
def test_all_problems_are_reported_at_once(deployment: Deployment, given: Given) -> None:
    wrong = broken(given, deployment.scene.root)
    for change in wrong.values():
        given = {**given, **change}
    with pytest.raises(NotReady) as raised:
        deployment.scene.call("backup_preflight", **given)
    problems = raised.value.details["problems"]
    assert [one["asset"] for one in problems] == list(wrong)
    assert all(one["msg"] in raised.value.msg for one in problems)
    assert all(issubclass(getattr(_errors, one["error"]), BackupError) for one in problems)


@pytest.mark.mutation
@pytest.mark.parametrize("asset", ["repository", "databases", "secrets", "replay", "redis"])
def test_single_problem_is_reported_with_error_of_its_module(deployment: Deployment, given: Given, asset: str) -> None:
    scene = deployment.scene
    change = broken(given, scene.root)[asset]
    with pytest.raises(BackupError) as raised:
        scene.call("backup_preflight", **{**given, **change})
    assert raised.type is not NotReady and "problems" not in raised.value.details


@pytest.mark.mutation
def test_problem_shared_by_several_assets_is_reported_once(deployment: Deployment, given: Given) -> None:
    elsewhere = deployment.scene.root / "stranger"
    deployment.scene.call("backup_set", state="open", create_repository=True)
    deployment.scene.root.joinpath("allowed_signers").rename(elsewhere)
    with pytest.raises(BackupError) as raised:
        deployment.scene.call("backup_preflight", **given)
    assert raised.type is not NotReady


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("asset", "name"),
    [("secrets", "repository"), ("secrets", "database_recipients"), ("replay", "stage"), ("replay", "recipients"), ("redis", "reading")],
)
def test_an_asset_takes_its_own_options_alone(deployment: Deployment, given: Given, asset: str, name: str) -> None:
    with pytest.raises(OptionError, match=name):
        deployment.scene.call("backup_preflight", **{**given, asset: {**given[asset], name: "x"}})


@pytest.mark.mutation
def test_an_option_that_no_asset_has_is_refused(deployment: Deployment, given: Given) -> None:
    with pytest.raises(OptionError, match="colour"):
        deployment.scene.call("backup_preflight", **{**given, "redis": {**given["redis"], "colour": "red"}})


@pytest.mark.mutation
def test_secrets_have_recipients_of_their_own(deployment: Deployment, given: Given) -> None:
    """Without recipients, secrets are not sealed to the recipients of the databases, which do not count for secrets."""
    own = {name: value for name, value in given["secrets"].items() if name != "recipients_files"}
    with pytest.raises(OptionError):
        deployment.scene.call("backup_preflight", **{**given, "secrets": own})
    with pytest.raises(KeyProblem):
        deployment.scene.call("backup_preflight", **{**given, "secrets": {**own, "recipients_files": [str(deployment.scene.recipients)]}})


def test_images_are_found_in_engine_without_export(deployment: Deployment, engine: Engine) -> None:
    service = {"service": "sts", "replica": "1", "image": "go:v1", "digest": IMAGE[0], "image_id": IMAGE[0]}
    given = {"create_repository": True, "images": {"services": [service], "engine": engine.address}}
    with pytest.raises(_errors.MissingDependency):
        deployment.scene.call("backup_preflight", **given)
    engine.images = {IMAGE[0]: ([], IMAGE[1])}
    found = deployment.scene.call("backup_preflight", **given)
    assert found["images"] == [{"image_id": IMAGE[0], "services": ["sts"], "shared": False}]
    assert not [path for path in engine.asked if path.endswith("/get")]


NOT_FOUND = {"error": "OptionError", "msg": "no Compose project caracal; name it", "failed": False}


@pytest.mark.mutation
def test_missing_deployment_is_reported_with_other_problems(deployment: Deployment, redis: RedisServer) -> None:
    given = {
        "signing_key": "/no/such/key",
        "secrets": {"recipients_files": ["/no/such/list"]},
        "redis": {"redis_unix_socket": redis.socket},
        "images": {"services": []},
        "login_unix_socket": None,
    }
    with pytest.raises(NotReady) as caught:
        deployment.scene.call("backup_preflight", create_repository=True, earlier={"deployment": NOT_FOUND}, **given)
    assert [(one["asset"], one["error"]) for one in caught.value.details["problems"]] == [
        ("deployment", "OptionError"),
        ("keys", "KeyProblem"),
        ("keys", "KeyProblem"),
    ]


@pytest.mark.mutation
def test_earlier_failure_is_raised_with_its_own_error(deployment: Deployment) -> None:
    for result, error in ((NOT_FOUND, OptionError), ({"msg": "no such interpreter", "rc": 127}, NotReady)):
        with pytest.raises(error):
            deployment.scene.call("backup_preflight", create_repository=True, earlier={"deployment": result}, login_unix_socket=None)
    with pytest.raises(OptionError):
        deployment.scene.call("backup_preflight", create_repository=True, earlier={"settings": ["The set has no recipients."]})


def test_skipped_or_successful_earlier_step_is_not_a_problem(deployment: Deployment) -> None:
    for result in ({}, {"skipped": True}, {"deployment": {}, "failed": False}):
        assert deployment.scene.call("backup_preflight", create_repository=True, earlier={"deployment": result})["journal_head"] == ""


@pytest.mark.mutation
def test_every_source_is_checked_without_signing_key(deployment: Deployment, given: Given) -> None:
    given["secrets"]["directory"] = "/no/such/secrets"
    given["redis"] = {"redis_unix_socket": "/no/such/redis"}
    given["replay"]["volumes"][0]["path"] = "/no/such/replay"
    with pytest.raises(NotReady) as caught:
        deployment.scene.call("backup_preflight", signing_key="/no/such/key", login_unix_socket="/no/such/server", **given)
    assert sorted(one["asset"] for one in caught.value.details["problems"]) == ["databases", "keys", "redis", "replay", "secrets"]
