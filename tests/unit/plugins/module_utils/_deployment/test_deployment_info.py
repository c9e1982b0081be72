# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where everything of a Compose project is, as a container engine tells it."""

from __future__ import annotations

import json
import tempfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible.boundary import Invocation, complete
from ansible_collections.caracal_ops.backup.plugins.module_utils._deployment import deployment_info
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.engine import engine as engines
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import (
    BackupError,
    OptionError,
    StageFailed,
    Unreachable,
)
from scenes import engine_stand_in as stand_in
from scenes.engine_stand_in import Engine, container, published


@pytest.fixture
def engine() -> t.Iterator[Engine]:
    """One whose socket has a short path."""
    with tempfile.TemporaryDirectory(prefix="caracal-test-", dir="/var/tmp") as folder, stand_in.start(Path(folder)) as started:
        yield started


@pytest.fixture
def project(engine: Engine, tmp_path: Path) -> Path:
    """The directory of a whole project."""
    folder = tmp_path / "project"
    (folder / "ca").mkdir(parents=True)
    (folder / "ca" / "extra-ca.pem").touch()
    (folder / "caracal.env").touch()
    engine.containers = stand_in.deployment(folder, tmp_path / "volumes")
    return folder


def find(engine: Engine, project: str = "caracal", at: str | None = "") -> dict[str, t.Any]:
    """`at` is another address than the engine's, None for none."""
    options = complete(deployment_info.argument_spec(), {"compose_project": project, "engine": engine.address if at == "" else at})
    return deployment_info.run(Invocation(options, False, lambda _text: None))


def refused(kind: type[BackupError], engine: Engine, *words: str, **given: t.Any) -> None:
    with pytest.raises(BackupError) as raised:
        find(engine, **given)
    assert raised.type is kind and "\n" not in raised.value.msg, raised.value.msg
    assert not [word for word in words if word not in raised.value.msg], raised.value.msg


@pytest.mark.no_false_alarm
def test_a_whole_project_is_found(engine: Engine, project: Path, tmp_path: Path) -> None:
    result = find(engine)
    found = result["deployment"]
    secrets = project / "secrets"
    assert found["directory"] == str(project) and found["environment_file"] == str(project / "caracal.env")
    assert found["database"] == {
        "login_host": "127.0.0.1",
        "login_port": 15432,
        "login_user": "caracal",
        "login_password_file": str(secrets / "postgresPassword"),
    }
    assert found["redis"] == {"redis_host": "127.0.0.1", "redis_port": 16379, "redis_password_file": str(secrets / "redisPassword")}
    assert found["secrets_directory"] == str(secrets) and found["extra_files"] == [str(project / "ca" / "extra-ca.pem")]
    paths = {one["service"]: one["path"] for one in found["replay"]["volumes"]}
    assert paths == {name: str(tmp_path / "volumes" / name / "audit-replay") for name in ("sts", "gateway")}
    assert found["settings"] == {"AUDIT_RETENTION_DAYS": "400", "SESSION_RETENTION_DAYS": "30"}
    assert [one["service"] for one in found["programs"]] == ["audit", "coordinator", "gateway", "postgres", "redis", "sts"]
    assert "a secret" not in json.dumps(result) and not result["changed"]
    assert {one.partition("?")[0].rsplit("/", 1)[-1] for one in engine.asked} == {"version", "json"}


def test_a_port_that_is_not_published_is_reached_at_the_container(engine: Engine, project: Path) -> None:
    engine.containers[0]["NetworkSettings"]["Ports"] = {"5432/tcp": None}
    found = find(engine)["deployment"]["database"]
    assert (found["login_host"], found["login_port"]) == ("172.18.0.9", 5432)


@pytest.mark.parametrize(("address", "reached"), [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("", "127.0.0.1"), ("10.0.0.5", "10.0.0.5")])
def test_every_address_is_the_loopback(engine: Engine, project: Path, address: str, reached: str) -> None:
    engine.containers[0]["NetworkSettings"]["Ports"] = published("5432/tcp", address)
    assert find(engine)["deployment"]["database"]["login_host"] == reached


def test_replicas_of_one_volume_are_one_directory_and_a_container_of_its_own_is_told(engine: Engine, project: Path, tmp_path: Path) -> None:
    shared = [("volume", str(tmp_path / "volumes" / "sts"), "/var/lib/caracal")]
    engine.containers = [one for one in engine.containers if one["Name"] != "/caracal-gateway-1"]
    engine.containers += [container("sts", 2, mounts=shared), container("gateway", 1), container("gateway", 2)]
    found = find(engine)["deployment"]["replay"]
    assert [(one["service"], one["replica"]) for one in found["volumes"]] == [("sts", "1")]
    assert [one["service"] for one in found["not_durable"]] == ["gateway", "gateway"]


def test_a_password_that_is_in_no_file_is_not_found(engine: Engine, project: Path) -> None:
    engine.containers[0]["Config"]["Env"] = ["POSTGRES_USER=caracal", "POSTGRES_PASSWORD=sesame"]
    result = find(engine)
    assert result["deployment"]["database"]["login_password_file"] == "" and "sesame" not in json.dumps(result)


def test_a_single_command_and_another_project_are_left_out(engine: Engine, project: Path) -> None:
    engine.containers += [container("sts", 9, labels={f"{stand_in.LABEL}oneoff": "True"}), container("sts", 8, project="other")]
    assert [one["replica"] for one in find(engine)["deployment"]["programs"] if one["service"] == "sts"] == ["1"]


def test_an_image_of_a_registry_is_told_by_its_digest(engine: Engine, project: Path) -> None:
    assert {one["digest"] for one in find(engine)["deployment"]["programs"]} == {stand_in.IMAGE}
    engine.digests = ["registry/caracal@sha256:" + "cd" * 32]
    assert {one["digest"] for one in find(engine)["deployment"]["programs"]} == {"sha256:" + "cd" * 32}


@pytest.mark.mutation
def test_a_project_that_is_not_there_or_not_caracals_is_refused(engine: Engine, project: Path) -> None:
    refused(OptionError, engine, "no Compose project staging", "caracal", project="staging")
    refused(OptionError, engine, "no name of a Compose project", project="a=b")
    engine.containers = [one for one in engine.containers if one["Name"] != "/caracal-redis-1"]
    refused(OptionError, engine, "no service redis")
    engine.containers = []
    refused(OptionError, engine, "where the project runs")


@pytest.mark.mutation
def test_a_database_that_does_not_run_is_refused(engine: Engine, project: Path) -> None:
    engine.containers[0]["State"]["Running"] = False
    refused(OptionError, engine, "postgres", "does not run", "up -d postgres")
    engine.containers[0]["State"]["Running"] = True
    engine.containers[0]["NetworkSettings"] = {"Ports": {}, "Networks": {}}
    refused(OptionError, engine, "no address", "5432/tcp")


@pytest.mark.mutation
def test_secrets_of_two_directories_or_of_none_must_be_named(engine: Engine, project: Path) -> None:
    engine.containers.append(container("api", mounts=[("bind", "/elsewhere/kek", "/run/secrets/kek")]))
    refused(OptionError, engine, "/elsewhere", str(project / "secrets"))
    for one in engine.containers:
        one["Mounts"] = []
    refused(OptionError, engine, "not mounted from files")


@pytest.mark.mutation
@pytest.mark.parametrize("broken", [(200, [{}]), (200, b"no JSON"), (200, {"a": 1}), (200, [1]), (200, None)])
def test_an_answer_that_is_none_of_docker_is_one_line(engine: Engine, project: Path, broken: tuple[int, t.Any]) -> None:
    engine.broken = broken
    refused(StageFailed, engine, engine.address)


@pytest.mark.mutation
def test_an_engine_that_refuses_or_is_not_there_is_told(engine: Engine, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.broken = (500, {"message": "out of order"})
    refused(StageFailed, engine, "out of order")
    refused(Unreachable, engine, "/nowhere", at="unix:///nowhere")
    refused(OptionError, engine, "no socket on this host", at="tcp://10.0.0.1:2375")
    monkeypatch.setattr(engines, "SOCKETS", ("/nowhere", str(engine.socket)))
    engine.broken = None
    assert find(engine, at=None)["deployment"]["directory"] == str(project)
    monkeypatch.setattr(engines, "SOCKETS", ("/nowhere",))
    refused(Unreachable, engine, "/nowhere", at=None)
