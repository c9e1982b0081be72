# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A complete deployment in one set: backed up with the playbook, restored with the playbook, and by hand with RECOVERY.md."""

from __future__ import annotations

import dataclasses
import json
import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import access
from harness.fixtures import FreshCluster
from harness.free_ports import free_port
from scenes import engine_stand_in, image_scene, redis_server, replay_folders, role_settings, secrets_scene, twin_services
from scenes.by_hand import Recover, commands
from scenes.engine_stand_in import Engine, container, published
from scenes.playing import Play, backup_settings, stats_of
from scenes.redis_server import RedisServer
from scenes.replay_folders import ReplayFolder, event
from scenes.scene import DEPLOYMENT, OPERATOR_HOST
from scenes.secrets_scene import Deployment, contents
from scenes.twin_database import TwinCluster, TwinFactory
from twin import keys

NAMES = "SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1"
THIS_MONTH = """SELECT to_regclass('public.' || to_char(now() AT TIME ZONE 'UTC', '"audit_events_y"YYYY"m"MM')) IS NOT NULL"""
OWN = (os.getuid(), os.getgid())


@dataclasses.dataclass(frozen=True)
class Whole:
    """A deployment with everything that a set can contain."""

    deployment: Deployment
    replay: ReplayFolder
    redis: RedisServer

    @property
    def settings(self) -> dict[str, t.Any]:
        return {
            **backup_settings(self.deployment.scene),
            "caracal_backup_secrets_directory": str(self.deployment.directory),
            "caracal_backup_secrets_recipients_files": [str(self.deployment.recipients)],
            "caracal_backup_replay_volumes": [{"service": "sts", "path": str(self.replay.volume)}],
            "caracal_backup_replay_not_durable": [{"service": "gateway", "reason": "its volume is an emptyDir"}],
            "caracal_ops_redis_unix_socket": self.redis.socket,
        }

    def secrets(self) -> list[str]:
        """Return the secrets that no log, result or repository may contain."""
        return [data.decode() for _mode, data in contents(self.deployment.directory).values()]


@pytest.fixture
def whole(twin_cluster: TwinFactory, tmp_path: Path) -> t.Iterator[Whole]:
    deployment = secrets_scene.make(tmp_path / "scene", twin_cluster())
    replay = replay_folders.folder(tmp_path / "sts")
    replay.file("pending-7-1.ndjson", event("one") + event("two"))
    with redis_server.start() as redis:
        redis_server.fill(redis)
        # Delivered, then deleted: no command can make such an entry pending again.
        redis.run("XACK", "caracal.audit.events", "audit-ingestor", "1795564600000-96")
        yield Whole(deployment, replay, redis)


def restore_settings(whole: Whole, cluster: t.Any, redis: RedisServer, folder: Path) -> dict[str, t.Any]:
    scene = whole.deployment.scene
    return {
        "caracal_ops_repository": str(scene.repository),
        "caracal_ops_deployment": DEPLOYMENT,
        "caracal_restore_signing_key": str(scene.key(OPERATOR_HOST)),
        "caracal_ops_allowed_signers": str(scene.root / "allowed_signers"),
        "caracal_ops_high_water_mark": str(scene.mark(OPERATOR_HOST)),
        "caracal_restore_identity_files": [str(scene.identity)],
        "caracal_restore_secrets_identity_files": [str(whole.deployment.identity)],
        "caracal_ops_login_unix_socket": cluster.socket_dir,
        "caracal_ops_login_port": cluster.port,
        "caracal_restore_secrets_directory": str(folder / "secrets"),
        "caracal_restore_replay_volumes": [{"service": "sts", "path": str(folder / "sts")}],
        "caracal_restore_replay_owner": OWN[0],
        "caracal_restore_replay_group": OWN[1],
        "caracal_ops_redis_unix_socket": redis.socket,
        "caracal_ops_audit_retention_days": 3650,
    }


def backed_up(whole: Whole, folder: Path) -> str:
    """Run the playbook; return the ID of the set."""
    scene = whole.deployment.scene
    play = Play("backup", whole.settings, folder, ("--diff", "-vvv"))
    assert play.ended() == 0, play.output()
    stored = b"".join((scene.repository / path).read_bytes() for path in scene.files())
    for secret in whole.secrets():
        assert secret not in play.output() and secret.encode() not in stored and bytes.fromhex(secret) not in stored
    return scene.sets()[-1]


@pytest.mark.no_false_alarm
def test_check_mode_and_a_restore_without_confirmation_change_nothing(whole: Whole, fresh_cluster: FreshCluster, tmp_path: Path) -> None:
    checked = Play("backup", whole.settings, tmp_path, ("--check",))
    assert checked.ended() == 0, checked.output()
    assert not whole.deployment.scene.files()
    backed_up(whole, tmp_path)
    (tmp_path / "new" / "sts" / "audit-replay").mkdir(parents=True)
    with redis_server.start() as redis:
        settings = restore_settings(whole, fresh_cluster(), redis, tmp_path / "new")
        refused = Play("restore", settings, tmp_path)
        assert refused.ended() != 0 and redis.confirmation in refused.output(), refused.output()
        assert not (tmp_path / "new" / "secrets").exists() and not redis.run("DBSIZE")

        settings["caracal_restore_confirm"] = [redis.confirmation]
        rehearsed = Play("restore", settings, tmp_path, ("--check",))
        assert rehearsed.ended() == 0, rehearsed.output()
        assert "nothing was changed" in rehearsed.output()
        assert not (tmp_path / "new" / "secrets").exists() and not redis.run("DBSIZE")


@pytest.mark.story("backup and restore")
@pytest.mark.no_false_alarm
def test_the_playbook_restores_a_whole_deployment(whole: Whole, fresh_cluster: FreshCluster, tmp_path: Path) -> None:
    scene = whole.deployment.scene
    (tmp_path / "ansible.cfg").write_text("[defaults]\nshow_custom_stats = true\n")
    set_id = backed_up(whole, tmp_path)
    manifest = whole.deployment.manifest(set_id)
    assert {"dump", "secrets", "replay", "redis", "details"} <= {one["kind"] for one in manifest["artifacts"]}
    assert manifest["pairing"]["verdict"] == "pass", manifest["pairing"]
    assert list(manifest["left_out"]) == ["replay of gateway"], manifest["left_out"]

    (tmp_path / "new" / "sts" / "audit-replay").mkdir(parents=True)
    cluster = fresh_cluster()
    with redis_server.start() as redis:
        settings = {**restore_settings(whole, cluster, redis, tmp_path / "new"), "caracal_restore_confirm": [redis.confirmation]}
        play = Play("restore", settings, tmp_path)
        assert play.ended() == 0, play.output()
        assert redis_server.state(redis.client) == redis_server.state(whole.redis.client)
    assert f"Restored set {set_id}" in play.output() and "fail " not in play.output(), play.output()
    left = stats_of(play.output())["caracal_restore_stats"]
    assert (left["set_id"], left["verdict"], left["databases"]) == (set_id, "pass", 2)
    assert not [secret for secret in whole.secrets() if secret in play.output()]
    assert contents(tmp_path / "new" / "secrets") == contents(whole.deployment.directory)
    assert ReplayFolder(tmp_path / "new" / "sts").content() == whole.replay.content()
    entered = access.open_repository(scene.access()).journal.of_kind("restore")
    assert [one.body.get("asset", "databases") for one in entered] == ["secrets", "databases", "redis", "replay"]
    copy = TwinCluster(cluster, whole.deployment.cluster.spec)
    assert copy.execute(THIS_MONTH) == [(True,)]
    count = "SELECT count(*) FROM audit_events"
    assert copy.execute(count) == whole.deployment.cluster.execute(count)


def test_restores_into_a_project_with_stopped_servers(whole: Whole, fresh_cluster: FreshCluster, engine: Engine, tmp_path: Path) -> None:
    """Secrets are restored before the servers start. Services start last and are queried. Only the database is named."""
    backed_up(whole, tmp_path)
    project, volume, port = tmp_path / "project", tmp_path / "new" / "sts", free_port()
    (volume / "audit-replay").mkdir(parents=True)
    project.mkdir()
    cluster = TwinCluster(fresh_cluster(), whole.deployment.cluster.spec)
    with (
        redis_server.start(8, "--port", str(port), "--bind", "127.0.0.1") as redis,
        twin_services.deployment(cluster, redis, tmp_path / "services") as services,
    ):
        put_back: list[t.Any] = []

        def starts(name: str) -> None:
            put_back.append(redis_server.state(redis.client))
            services.start(name)

        def made(service: str, port: str, at: int, needs: str = "", mounts: t.Any = ()) -> engine_stand_in.Seen:
            labels = {f"{engine_stand_in.LABEL}project.working_dir": str(project), f"{engine_stand_in.LABEL}depends_on": needs}
            return container(service, running=False, labels=labels, mounts=mounts, ports=published(port, at=at))

        key = ("bind", str(project / "secrets" / "auditHmacKey"), "/run/secrets/auditHmacKey")
        state = ("volume", str(volume), "/var/lib/caracal")
        engine.containers = [
            made("gateway", "8081/tcp", services.port("gateway"), "sts:service_healthy:false"),
            made("sts", "8080/tcp", services.port("sts"), "redis:service_healthy:false", [key, state]),
            made("redis", "6379/tcp", port),
        ]
        engine.runs = {"sts": lambda: starts("sts"), "gateway": lambda: starts("gateway")}
        settings = restore_settings(whole, cluster.info, redis, tmp_path / "new")
        # The first run of a new host.
        settings["caracal_ops_high_water_mark"] = str(tmp_path / "of the new host" / "mark.json")
        for name in ("secrets_directory", "replay_volumes", "redis_unix_socket"):
            del settings[role_settings.named("caracal_restore", name)]
        settings |= {"caracal_ops_compose_project": "caracal", "caracal_ops_engine": engine.address, "caracal_restore_start_services": True}
        settings["caracal_restore_canaries"] = True
        rehearsed = Play("restore", settings, tmp_path, ("--check",))
        assert rehearsed.ended() == 0 and "started PostgreSQL and Redis: redis" in rehearsed.output(), rehearsed.output()
        assert engine.started == [] and not (project / "secrets").exists()
        play = Play("restore", settings, tmp_path)
        assert play.ended() == 0, play.output()
        assert put_back[0] == redis_server.state(whole.redis.client)
        assert "skipping" not in play.output().partition("Run canary requests")[2].partition("TASK")[0], play.output()
    assert engine.started == ["caracalredis1", "caracalsts1", "caracalgateway1"]
    assert contents(project / "secrets") == contents(whole.deployment.directory)
    assert ReplayFolder(volume).content() == whole.replay.content()
    refused = Play("restore", settings, tmp_path)
    assert refused.ended() != 0 and "docker compose stop" in refused.output(), refused.output()


def test_a_set_contains_the_images_of_a_project(whole: Whole, engine: Engine, tmp_path: Path) -> None:
    image, data = image_scene.saved([image_scene.archive([("bin/sts", b"1")])])
    engine.images = {image: ([], data)}
    engine.containers = [{**container("sts"), "Image": image}]
    found = {"caracal_ops_compose_project": "caracal", "caracal_ops_engine": engine.address, "caracal_backup_images": True}
    settings = {**whole.settings, **found}
    checked = Play("backup", settings, tmp_path, ("--check",))
    assert checked.ended() == 0 and "1 images" in checked.output(), checked.output()
    assert not [path for path in engine.asked if path.endswith("/get")]
    play = Play("backup", settings, tmp_path)
    assert play.ended() == 0 and "1 images" in play.output(), play.output()
    scene = whole.deployment.scene
    manifest = whole.deployment.manifest(scene.sets()[-1])
    assert [one["image_id"] for one in manifest["images"]] == [one["image_id"] for one in manifest["services"]] == [image]


@pytest.mark.mutation
def test_no_set_is_created_if_its_secrets_cannot_decrypt_it(whole: Whole, tmp_path: Path) -> None:
    scene = whole.deployment.scene
    whole.deployment.put("secretStoreKek", keys.for_seed("another").as_files("secret_store")["secretStoreKek"])
    play = Play("backup", whole.settings, tmp_path)
    assert play.ended() != 0 and "are sealed under KEK" in play.output(), play.output()
    # The preflight fails, so no repository was created.
    assert not scene.files()
    assert whole.replay.content() and whole.redis.run("DBSIZE") > 1


@pytest.mark.mutation
@pytest.mark.parametrize("kind", ["secrets", "replay", "redis", "dump"])
def test_a_flipped_byte_stops_a_restore_before_its_first_change(
    kind: str, whole: Whole, fresh_cluster: FreshCluster, tmp_path: Path
) -> None:
    scene = whole.deployment.scene
    manifest = whole.deployment.manifest(backed_up(whole, tmp_path))
    path = scene.repository / next(one["path"] for one in manifest["artifacts"] if one["kind"] == kind)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)
    (tmp_path / "new" / "sts" / "audit-replay").mkdir(parents=True)
    cluster = fresh_cluster()
    with redis_server.start() as redis:
        settings = {**restore_settings(whole, cluster, redis, tmp_path / "new"), "caracal_restore_confirm": [redis.confirmation]}
        play = Play("restore", settings, tmp_path)
        assert play.ended() != 0 and f"{path.name} was altered" in play.output(), play.output()
        assert not redis.run("DBSIZE")
    assert not (tmp_path / "new" / "secrets").exists() and not ReplayFolder(tmp_path / "new" / "sts").content()
    assert TwinCluster(cluster, whole.deployment.cluster.spec).execute(NAMES, database="postgres") == [("postgres",)]


@pytest.mark.mutation
def test_a_restore_with_failed_checks_is_completed_and_fails(whole: Whole, fresh_cluster: FreshCluster, tmp_path: Path) -> None:
    """The audit key is not the set's. Replay files that were not sent yet are restored anyway."""
    backed_up(whole, tmp_path)
    (tmp_path / "new" / "sts" / "audit-replay").mkdir(parents=True)
    other = tmp_path / "auditHmacKey"
    other.write_text(keys.for_seed("another").as_files("secret_store")["auditHmacKey"], encoding="ascii")
    with redis_server.start() as redis:
        settings = {**restore_settings(whole, fresh_cluster(), redis, tmp_path / "new"), "caracal_restore_confirm": [redis.confirmation]}
        play = Play("restore", {**settings, "caracal_ops_audit_hmac_key_files": [str(other)]}, tmp_path)
        assert play.ended() == 2 and "fail audit.hmac" in play.output() and "do not start any" in play.output(), play.output()
        assert redis_server.state(redis.client) == redis_server.state(whole.redis.client)
    assert ReplayFolder(tmp_path / "new" / "sts").content() == whole.replay.content()


def test_restore_over_a_deployment_keeps_it_and_lists_changes(whole: Whole, tmp_path: Path) -> None:
    """A session was ended and a token replaced after the backup."""
    source, secrets = whole.deployment.cluster, whole.deployment.directory
    backed_up(whole, tmp_path)
    [(session,)] = source.execute("SELECT id FROM sessions WHERE status = 'active' ORDER BY id LIMIT 1")
    source.execute(f"UPDATE sessions SET status = 'terminated', terminated_at = now() WHERE id = '{session}'")
    whole.deployment.put("caracalAdminToken", "f" * 64)
    (tmp_path / "new" / "sts" / "audit-replay").mkdir(parents=True)
    with redis_server.start() as redis:
        [(identifier,)] = source.execute("SELECT system_identifier FROM pg_control_system()")
        confirm = [redis.confirmation, f"caracal@{identifier}", f"caracal_auth@{identifier}"]
        settings = {**restore_settings(whole, source.info, redis, tmp_path / "new"), "caracal_restore_secrets_directory": str(secrets)}
        refused = Play("restore", {**settings, "caracal_restore_confirm": confirm}, tmp_path)
        assert refused.ended() != 0 and "caracalAdminToken contain other secrets" in refused.output(), refused.output()
        play = Play("restore", {**settings, "caracal_restore_confirm": confirm, "caracal_restore_replace_secrets": True}, tmp_path)
        assert play.ended() == 0, play.output()
    assert "1 - agent sessions that were" in play.output(), play.output()
    assert "unknown" not in play.output().partition("Changes lost")[2]
    [kept] = [name for (name,) in source.execute(NAMES, database="postgres") if name.startswith("caracal_replaced_")]
    status = f"SELECT status FROM sessions WHERE id = '{session}'"
    assert source.execute(status, database=kept) == [("terminated",)] and source.execute(status) == [("active",)]
    [copy] = secrets.parent.glob("secrets.replaced-*")
    assert (copy / "secrets" / "caracalAdminToken").read_text(encoding="utf-8") == "f" * 64


@pytest.mark.no_false_alarm
def test_recovery_file_commands_restore_a_whole_deployment(
    whole: Whole, recover: Recover, fresh_cluster: FreshCluster, tmp_path: Path
) -> None:
    set_id = backed_up(whole, tmp_path)
    restored = tmp_path / "by_hand"
    restored.mkdir(mode=0o700)
    cluster = fresh_cluster()
    port = free_port()
    with redis_server.start(8, "--port", str(port), "--bind", "127.0.0.1") as redis:
        given = {"SECRETS_IDENTITY": str(whole.deployment.identity), "RESTORED": str(restored), "REDIS_URL": f"redis://127.0.0.1:{port}/0"}
        script = commands(whole.deployment.scene, set_id, 9)
        done = recover(whole.deployment.scene, set_id, cluster, script, **given)
        assert done.returncode == 0, done.stderr
        assert redis_server.state(redis.client) == redis_server.state(whole.redis.client)
    index = json.loads((restored / "secrets-1" / "index.json").read_text(encoding="utf-8"))
    assert index["format"] == 1
    assert contents(restored / "secrets-1" / "secrets") == contents(whole.deployment.directory)
    found = {path.name: path.read_bytes() for path in (restored / "replay" / "sts-1").iterdir()}
    assert found == whole.replay.content()


def test_a_replay_directory_of_another_host_is_sent_encrypted(twin_cluster: TwinFactory, tmp_path: Path) -> None:
    """The other host cannot access the repository, and keeps no copy."""
    deployment = secrets_scene.make(tmp_path / "scene", twin_cluster())
    scene, replay = deployment.scene, replay_folders.folder(tmp_path / "gateway")
    replay.file("pending-7-1.ndjson", event("one"))
    volume = {"service": "gateway", "replica": "b", "path": str(replay.volume), "host": "elsewhere"}
    settings = {**backup_settings(scene), "caracal_backup_replay_volumes": [volume]}
    before = set(Path("/var/tmp").glob("caracal_backup.*"))
    for arguments in (("--check",), ()):
        play = Play("backup", settings, tmp_path, ("--inventory", "elsewhere,", "--limit", "localhost,elsewhere", *arguments))
        assert play.ended() == 0, play.output()
    assert set(Path("/var/tmp").glob("caracal_backup.*")) == before
    set_id = scene.sets()[-1]
    manifest = deployment.manifest(set_id)
    assert [one["source"] for one in manifest["artifacts"] if one["kind"] == "replay"] == ["gateway-b"]
    assert set(manifest["left_out"]) == {"secrets", "redis"}
    (tmp_path / "back" / "audit-replay").mkdir(parents=True)
    to = {"service": "gateway", "replica": "b", "path": str(tmp_path / "back")}
    scene.call("replay_volume_restore", set_id=set_id, volumes=[to], owner=OWN[0], group=OWN[1])
    assert ReplayFolder(tmp_path / "back").content() == replay.content()
