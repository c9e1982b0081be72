# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The paths and addresses of a Compose project, as reported by a container engine."""

from __future__ import annotations

import json
import os
import tempfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible.boundary import Invocation, complete
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.replay import FOLDER
from ansible_collections.caracal_ops.backup.plugins.module_utils._deployment import compose, deployment_info
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.engine import engine as engines
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.engine.answers import Project, Volume
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.volume.live import Directory
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import (
    BackupError,
    OptionError,
    StageFailed,
    Unreachable,
)
from scenes import engine_stand_in as stand_in
from scenes.engine_stand_in import Engine, container, published, volume
from scenes.replay_folders import folder
from unit.plugins.module_utils._storage.test_local import NOBODY, error_of, in_child


@pytest.fixture
def project(engine: Engine, tmp_path: Path) -> Path:
    """Create the directory of a complete project."""
    folder = tmp_path / "project"
    (folder / "ca").mkdir(parents=True)
    (folder / "ca" / "extra-ca.pem").touch()
    (folder / "caracal.env").touch()
    engine.containers = stand_in.deployment(folder, tmp_path / "volumes")
    return folder


def find(
    engine: Engine,
    *named: str,
    project: str = "caracal",
    at: str | None = "",
    warnings: list[str] | None = None,
    accept_stopped: bool = False,
) -> dict[str, t.Any]:
    """Run the module. `at` replaces the engine's address; None means no address."""
    address = engine.address if at == "" else at
    given = {"compose_project": project, "engine": address, "named": list(named), "accept_stopped": accept_stopped}
    options = complete(deployment_info.Options, given)
    return deployment_info.run(Invocation(options, False, [].append if warnings is None else warnings.append))


def change(engine: Engine, service: str, **changes: t.Any) -> None:
    """Change every container of a service."""
    for one in engine.containers:
        if one["Config"]["Labels"][f"{stand_in.LABEL}service"] == service:
            one.update(changes)


def remove(engine: Engine, *services: str) -> None:
    engine.containers = [one for one in engine.containers if one["Config"]["Labels"][f"{stand_in.LABEL}service"] not in services]


def relabel(engine: Engine, label: str, value: str) -> None:
    """Set a label on every container. An empty value removes it."""
    for one in engine.containers:
        one["Config"]["Labels"].pop(f"{stand_in.LABEL}{label}", "")
        if value:
            one["Config"]["Labels"][f"{stand_in.LABEL}{label}"] = value


def refused(kind: type[BackupError], engine: Engine, *words: str, **given: t.Any) -> None:
    with pytest.raises(BackupError) as raised:
        find(engine, **given)
    assert raised.type is kind and "\n" not in raised.value.msg, raised.value.msg
    assert not [word for word in words if word not in raised.value.msg], raised.value.msg


@pytest.mark.no_false_alarm
def test_a_whole_project_is_found(engine: Engine, project: Path, tmp_path: Path) -> None:
    warnings: list[str] = []
    result = find(engine, warnings=warnings)
    found = result["deployment"]
    secrets = project / "secrets"
    assert warnings == []
    assert found["directory"] == str(project) and found["environment_file"] == str(project / "caracal.env")
    assert found["database"] == {
        "login_host": "127.0.0.1",
        "login_port": 15432,
        "login_user": "caracal",
        "login_password_file": str(secrets / "postgresPassword"),
        "image": stand_in.IMAGE,
    }
    assert found["redis"] == {"redis_host": "127.0.0.1", "redis_port": 16379, "redis_password_file": str(secrets / "redisPassword")}
    assert found["secrets_directory"] == str(secrets) and found["extra_files"] == [str(project / "ca" / "extra-ca.pem")]
    assert found["extra_directories"] == {"extra-ca.pem": str(project / "ca")}
    paths = {one["service"]: one["path"] for one in found["replay"]["volumes"]}
    assert paths == {name: str(tmp_path / "volumes" / name / "audit-replay") for name in ("sts", "gateway")}
    assert found["settings"] == {"AUDIT_RETENTION_DAYS": "400", "SESSION_RETENTION_DAYS": "30"}
    assert [one["service"] for one in found["services"]] == ["audit", "coordinator", "gateway", "postgres", "redis", "sts"]
    assert found["running"] == ["audit", "coordinator", "gateway", "postgres", "redis", "sts"]
    assert "a secret" not in json.dumps(result) and not result["changed"]
    assert {one.partition("?")[0].rsplit("/", 1)[-1] for one in engine.asked} == {"version", "json", "volumes"}


def test_a_port_that_is_not_published_is_reached_at_the_container(engine: Engine, project: Path) -> None:
    engine.containers[0]["NetworkSettings"]["Ports"] = {"5432/tcp": None}
    found = find(engine)["deployment"]["database"]
    assert (found["login_host"], found["login_port"]) == ("172.18.0.9", 5432)


@pytest.mark.parametrize(("address", "reached"), [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("", "127.0.0.1"), ("10.0.0.5", "10.0.0.5")])
def test_every_address_is_the_loopback(engine: Engine, project: Path, address: str, reached: str) -> None:
    engine.containers[0]["NetworkSettings"]["Ports"] = published("5432/tcp", address)
    assert find(engine)["deployment"]["database"]["login_host"] == reached


def test_shared_volume_is_listed_once_and_container_storage_is_reported(engine: Engine, project: Path, tmp_path: Path) -> None:
    shared = [("volume", str(tmp_path / "volumes" / "sts"), "/var/lib/caracal")]
    remove(engine, "gateway")
    engine.containers += [container("sts", 2, mounts=shared), container("gateway", 1), container("gateway", 2)]
    warnings: list[str] = []
    found = find(engine, warnings=warnings)["deployment"]["replay"]
    assert [(one["service"], one["replica"]) for one in found["volumes"]] == [("sts", "1")]
    assert [one["service"] for one in found["not_durable"]] == ["gateway", "gateway"]
    assert [[name for name in ("gateway-1", "gateway-2") if name in one] for one in warnings] == [["gateway-1"], ["gateway-2"]]
    warnings.clear()
    find(engine, "replay", warnings=warnings)
    assert warnings == []


@pytest.mark.mutation
def test_command_is_reported_only_if_it_consists_of_paths(engine: Engine, project: Path) -> None:
    change(engine, "redis", Args=["--requirepass", "sesame"])
    change(engine, "sts", Args=["/app/main.js"])
    result = find(engine)
    commands = {one["service"]: list(one["command"]) for one in result["deployment"]["services"]}
    assert (commands["sts"], commands["redis"]) == (["/usr/local/bin/sts", "/app/main.js"], [])
    assert "sesame" not in json.dumps(result)


def test_reports_running_services(engine: Engine, project: Path) -> None:
    change(engine, "gateway", State={"Running": False})
    found = find(engine)["deployment"]
    assert "gateway" in {one["service"] for one in found["services"]} and "gateway" not in found["running"]


@pytest.mark.mutation
def test_a_volume_outlives_its_container(engine: Engine, project: Path, tmp_path: Path) -> None:
    """The volume still has the unsent events of the service.

    A service without container and volume is reported, also if it never existed.
    """
    whole = find(engine)["deployment"]["replay"]["volumes"]
    engine.volumes = [volume(f"{name}Replay", str(tmp_path / "volumes" / name)) for name in ("gateway", "sts")]
    assert find(engine)["deployment"]["replay"] == {"volumes": whole, "not_durable": []}
    remove(engine, "gateway")
    assert find(engine)["deployment"]["replay"] == {"volumes": whole, "not_durable": []}
    engine.volumes.pop(0)
    warnings: list[str] = []
    found = find(engine, warnings=warnings)["deployment"]["replay"]
    assert found["volumes"] == whole[:1] and [one["service"] for one in found["not_durable"]] == ["gateway"] and len(warnings) == 1
    engine.volumes = []
    remove(engine, "sts")
    assert [one["service"] for one in find(engine)["deployment"]["replay"]["not_durable"]] == ["sts", "gateway"]


def test_every_directory_has_a_replica_of_its_own(engine: Engine, project: Path, tmp_path: Path) -> None:
    """A left-over volume, a replica in another directory and a second volume each get their own replica name."""
    engine.volumes = [volume("gatewayReplay", str(tmp_path / name)) for name in ("left", "behind")]
    engine.containers.append(container("gateway", 2, mounts=[("bind", str(tmp_path / "second"), "/var/lib/caracal")]))
    found = [one for one in find(engine)["deployment"]["replay"]["volumes"] if one["service"] == "gateway"]
    named = {one["replica"]: Path(one["path"]).parent.name for one in found}
    assert named == {"1": "gateway", "2": "second", "volume1": "left", "volume2": "behind"}


@pytest.mark.mutation
def test_a_replay_volume_that_cannot_be_read_must_be_named(engine: Engine, project: Path, tmp_path: Path) -> None:
    engine.volumes = [volume("stsReplay", "", driver="rexray")]
    refused(OptionError, engine, "caracal_stsReplay", "rexray")
    (tmp_path / "volumes" / "sts").mkdir(parents=True)
    engine.volumes = []
    refused(OptionError, engine, "audit-replay", "start the project")
    assert find(engine, "replay")["deployment"]["replay"] == {"volumes": [], "not_durable": []}


@pytest.mark.mutation
def test_a_mount_point_that_only_root_may_enter(engine: Engine, project: Path) -> None:
    """Docker's own directory is like this. A user who cannot read the directory cannot know that it is empty."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as root:
        place = folder(Path(root) / "volumes" / "caracal_stsReplay" / "_data").volume
        seen = Project("caracal", (), (Volume("stsReplay", "caracal_stsReplay", "local", str(place)),))
        os.chmod(root, 0o700 if os.geteuid() == 0 else 0)

        def read() -> None:
            Directory(compose.replay(seen).volumes[0]["path"], FOLDER)

        message = in_child(lambda: error_of(read), uid=NOBODY)
        os.chmod(root, 0o700)
    assert message.startswith("PermissionMissing: ") and "audit-replay" in message and "(become)" in message, message


def test_a_password_that_is_in_no_file_is_not_found(engine: Engine, project: Path) -> None:
    engine.containers[0]["Config"]["Env"] = ["POSTGRES_USER=caracal", "POSTGRES_PASSWORD=sesame"]
    result = find(engine)
    assert result["deployment"]["database"]["login_password_file"] == "" and "sesame" not in json.dumps(result)


def test_a_single_command_and_another_project_are_left_out(engine: Engine, project: Path) -> None:
    engine.containers += [container("sts", 9, labels={f"{stand_in.LABEL}oneoff": "True"}), container("sts", 8, project="other")]
    assert [one["replica"] for one in find(engine)["deployment"]["services"] if one["service"] == "sts"] == ["1"]


def test_registry_image_is_identified_by_its_digest(engine: Engine, project: Path) -> None:
    assert {one["digest"] for one in find(engine)["deployment"]["services"]} == {stand_in.IMAGE}
    engine.digests = ["registry/caracal@sha256:" + "cd" * 32]
    assert {one["digest"] for one in find(engine)["deployment"]["services"]} == {"sha256:" + "cd" * 32}


@pytest.mark.mutation
def test_a_project_that_is_not_there_or_not_caracals_is_refused(engine: Engine, project: Path) -> None:
    refused(OptionError, engine, "staging", "caracal", project="staging")
    refused(OptionError, engine, "'a=b'", project="a=b")
    remove(engine, "redis", "postgres")
    refused(OptionError, engine, "service redis", "service postgres")
    assert find(engine, "redis", "database")["deployment"]["redis"] is None
    engine.containers = []
    refused(OptionError, engine, "where the project runs")


@pytest.mark.mutation
def test_a_database_that_does_not_run_is_refused(engine: Engine, project: Path) -> None:
    change(engine, "postgres", State={"Running": False})
    refused(OptionError, engine, "postgres", "does not run", "up -d postgres")
    change(engine, "postgres", State={"Running": True}, NetworkSettings={"Ports": {}, "Networks": {}})
    refused(OptionError, engine, "no address", "5432/tcp")
    result = find(engine, "database")
    assert result["deployment"]["database"] is None and "PostgreSQL not found" in result["summary"]


@pytest.mark.mutation
def test_secrets_of_two_directories_or_of_none_must_be_named(engine: Engine, project: Path) -> None:
    engine.containers.append(container("api", mounts=[("bind", "/elsewhere/kek", "/run/secrets/kek")]))
    refused(OptionError, engine, "/elsewhere", str(project / "secrets"))
    for one in engine.containers:
        one["Mounts"] = []
    refused(OptionError, engine, "not mounted from files")
    assert find(engine, "secrets")["deployment"]["secrets_directory"] == ""


@pytest.mark.mutation
def test_missing_or_multiple_settings_files_must_be_named(engine: Engine, project: Path) -> None:
    warnings: list[str] = []
    relabel(engine, "project.environment_file", "/moved/caracal.env")
    refused(OptionError, engine, "/moved/caracal.env", "is not there")
    relabel(engine, "project.environment_file", f"{project}/caracal.env,{project}/more.env")
    refused(OptionError, engine, "caracal.env", "more.env")
    assert find(engine, "environment_file", warnings=warnings)["deployment"]["environment_file"] == "" and warnings == []
    relabel(engine, "project.environment_file", "")
    assert find(engine)["deployment"]["environment_file"] == str(project / "caracal.env")
    (project / "caracal.env").rename(project / ".env")
    assert find(engine)["deployment"]["environment_file"] == str(project / ".env")
    (project / ".env").unlink()
    assert find(engine, warnings=warnings)["deployment"]["environment_file"] == "" and len(warnings) == 1


@pytest.mark.mutation
def test_settings_that_are_not_in_force_everywhere_are_unknown(engine: Engine, project: Path) -> None:
    engine.containers.append(container("sts", 2, env=["AUDIT_RETENTION_DAYS=1"], mounts=[("volume", "/v", "/var/lib/caracal")]))
    assert find(engine)["deployment"]["settings"] == {"AUDIT_RETENTION_DAYS": "400", "SESSION_RETENTION_DAYS": "30"}
    engine.containers.append(container("coordinator", 2, env=["SESSION_RETENTION_DAYS=30"]))
    assert find(engine)["deployment"]["settings"] is not None
    engine.containers.append(container("coordinator", 3, env=["SESSION_RETENTION_DAYS=31"]))
    assert find(engine)["deployment"]["settings"] is None
    engine.containers.pop()
    change(engine, "audit", State={"Running": False})
    assert find(engine)["deployment"]["settings"] is None


def test_container_or_image_removed_meanwhile_is_ignored(engine: Engine, project: Path, tmp_path: Path) -> None:
    engine.volumes = [volume("gatewayReplay", str(tmp_path / "volumes" / "gateway"))]
    whole = find(engine)["deployment"]
    engine.gone = {"caracalgateway1"}
    found = find(engine)["deployment"]
    assert found["replay"] == whole["replay"] and len(found["services"]) == len(whole["services"]) - 1
    engine.gone = {stand_in.IMAGE}
    refused(OptionError, engine, "no container")


LABELS = {f"{stand_in.LABEL}{name}": value for name, value in (("oneoff", "False"), ("config-hash", "ba" * 32), ("container-number", "1"))}


def started_by_hand(service: str, **labels: str) -> stand_in.Seen:
    """Return a container started by `docker run`, with all Compose labels set by its image."""
    one = container(service, 7)
    one["Config"]["Labels"] = {f"{stand_in.LABEL}project": "caracal", f"{stand_in.LABEL}service": service, **LABELS, **labels}
    return one


@pytest.mark.mutation
def test_a_container_that_has_its_labels_from_its_image_is_not_found(engine: Engine, project: Path) -> None:
    whole = find(engine)["deployment"]
    false = started_by_hand("postgres")
    engine.containers.insert(0, false)
    engine.baked = dict(false["Config"]["Labels"])
    assert find(engine)["deployment"] == whole
    remove(engine, "postgres")
    engine.containers.insert(0, false)
    refused(OptionError, engine, "no service postgres")


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("name", "value"),
    [("config-hash", ""), ("config-hash", "no hash"), ("container-number", "0"), ("container-number", "-1"), ("oneoff", "True")],
)
def test_a_container_that_compose_did_not_create_is_not_found(engine: Engine, project: Path, name: str, value: str) -> None:
    whole = find(engine)["deployment"]
    engine.containers.append(started_by_hand("postgres", **{f"{stand_in.LABEL}{name}": value}))
    assert find(engine)["deployment"] == whole


@pytest.mark.no_false_alarm
def test_an_image_that_compose_built_has_labels_of_it_too(engine: Engine, project: Path) -> None:
    whole = find(engine)["deployment"]
    engine.baked = {f"{stand_in.LABEL}project": "caracal", f"{stand_in.LABEL}service": "postgres"}
    assert find(engine)["deployment"] == whole


@pytest.mark.no_false_alarm
def test_podmans_compose_has_a_label_of_its_own(engine: Engine, project: Path) -> None:
    whole = find(engine)["deployment"]
    for one in engine.containers:
        one["Config"]["Labels"]["io.podman.compose.config-hash"] = one["Config"]["Labels"].pop(f"{stand_in.LABEL}config-hash")
    assert find(engine)["deployment"] == whole


@pytest.mark.mutation
def test_image_labels_about_project_are_ignored(engine: Engine, project: Path) -> None:
    """Compose itself created the container, and its image has a label that names a settings file."""
    name = f"{stand_in.LABEL}project.environment_file"
    relabel(engine, "project.environment_file", "")
    before = find(engine)["deployment"]
    engine.baked = {name: "/etc/shadow"}
    engine.containers[0]["Config"]["Labels"][name] = "/etc/shadow"
    assert find(engine)["deployment"] == before


@pytest.mark.mutation
@pytest.mark.parametrize("service", ["postgres", "redis"])
def test_two_servers_that_run_are_refused_by_their_names(engine: Engine, project: Path, service: str) -> None:
    engine.containers.append(container(service, 2))
    refused(OptionError, engine, f"caracal-{service}-1", f"caracal-{service}-2")
    engine.containers[-1].update(container(service, 2, running=False))
    assert find(engine)["deployment"]["database"] is not None


@pytest.mark.mutation
@pytest.mark.parametrize("broken", [(200, [{}]), (200, b"no JSON"), (200, {"a": 1}), (200, [1]), (200, None)])
def test_an_answer_that_is_none_of_docker_is_one_line(engine: Engine, project: Path, broken: tuple[int, t.Any]) -> None:
    engine.broken = broken
    refused(StageFailed, engine, engine.address)


@pytest.mark.mutation
def test_a_number_without_an_end_is_one_line(engine: Engine, project: Path) -> None:
    """Python's JSON accepts an infinite number."""
    engine.containers[0]["NetworkSettings"]["Ports"] = {"5432/tcp": [{"HostIp": "", "HostPort": float("inf")}]}
    refused(StageFailed, engine, engine.address)


@pytest.mark.mutation
def test_failing_or_missing_engine_is_reported(engine: Engine, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.broken = None, b""
    refused(Unreachable, engine, engine.address)
    engine.broken = (500, {"message": "out of order"})
    refused(StageFailed, engine, "out of order")
    refused(Unreachable, engine, "/nowhere", at="unix:///nowhere")
    refused(OptionError, engine, "not a socket", at="tcp://10.0.0.1:2375")
    monkeypatch.setattr(engines, "SOCKETS", ("/nowhere", str(engine.socket)))
    engine.broken = None
    assert find(engine, at=None)["deployment"]["directory"] == str(project)
    monkeypatch.setattr(engines, "SOCKETS", ("/nowhere",))
    refused(Unreachable, engine, "/nowhere", at=None)


@pytest.mark.mutation
def test_missing_permission_for_engine_socket_is_reported(engine: Engine, project: Path) -> None:
    """If the test runs as root, it uses an unprivileged child process that has already imported all modules."""
    find(engine)
    engine.socket.parent.chmod(0o755)
    engine.socket.chmod(0o600 if os.geteuid() == 0 else 0)
    message = in_child(lambda: error_of(lambda: find(engine)), uid=NOBODY)
    assert message.startswith("PermissionMissing: ") and str(engine.socket) in message and "(become)" in message, message


def test_before_a_restore_servers_may_be_stopped(engine: Engine, project: Path, tmp_path: Path) -> None:
    """The servers' volumes are new, and the replay volumes have no directories yet."""
    engine.containers.append(container("replayVolumeInit", running=False))
    (tmp_path / "volumes" / "sts").mkdir(parents=True)
    assert find(engine, "replay")["deployment"]["stopped"] == []
    for name in ("postgres", "redis", "sts"):
        change(engine, name, State=stand_in.state("created"), NetworkSettings={"Ports": {}, "Networks": {}})
    result = find(engine, accept_stopped=True)
    found = result["deployment"]
    assert found["stopped"] == ["postgres", "redis", "replayVolumeInit"] and "(not running)" in result["summary"]
    assert (found["database"]["login_host"], found["database"]["image"]) == ("", stand_in.IMAGE)
    assert found["replay"]["volumes"][0]["path"] == str(tmp_path / "volumes" / "sts" / "audit-replay")
    assert find(engine, "database", "replay", accept_stopped=True)["deployment"]["stopped"] == ["redis"]
    assert find(engine, "database", "redis", "replay", accept_stopped=True)["deployment"]["stopped"] == []
    refused(OptionError, engine, "postgres", "redis", "audit-replay")


@pytest.mark.mutation
@pytest.mark.parametrize("place", ["", "data", "18/docker"])
def test_a_stopped_server_that_has_a_cluster_is_started_first(engine: Engine, project: Path, tmp_path: Path, place: str) -> None:
    """The server keeps its own password, even if the restored secrets have another one."""
    cluster = tmp_path / "pg" / place
    cluster.mkdir(parents=True)
    mounts = [{"Type": "volume", "Source": str(tmp_path / "pg"), "Destination": "/var/lib/postgresql/data"}]
    change(engine, "postgres", State=stand_in.state("exited"), Mounts=engine.containers[0]["Mounts"] + mounts)
    assert find(engine, "replay", accept_stopped=True)["deployment"]["stopped"] == ["postgres"]
    (cluster / "PG_VERSION").touch()
    refused(OptionError, engine, "postgres", "up -d postgres", accept_stopped=True)


def test_one_time_service_is_not_stopped_while_servers_run(engine: Engine, project: Path) -> None:
    engine.containers.append(container("replayVolumeInit", running=False))
    assert find(engine, accept_stopped=True)["deployment"]["stopped"] == []
