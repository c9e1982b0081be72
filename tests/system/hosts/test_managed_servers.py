# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""PostgreSQL and Redis as providers offer them: no superuser, only TLS, forbidden commands. Runs the guide's own examples."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import typing as t
from pathlib import Path

import psycopg2
import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server_binaries import Install
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import PermissionMissing, StageFailed, Unreachable
from harness.fixtures import FreshCluster
from harness.free_ports import free_port
from scenes import guide_pages, own_server, redis_server, replay_folders, role_settings, secrets_scene
from scenes import scene as scenes
from scenes.certificates import certificate
from scenes.own_server import Cluster
from scenes.playing import Play, backup_settings
from scenes.redis_server import RedisServer
from scenes.replay_folders import ReplayFolder, event
from scenes.scene import DEPLOYMENT, OPERATOR_HOST, Scene
from scenes.secrets_scene import Deployment, contents
from scenes.twin_database import TwinCluster

PAGE = "guide_managed_databases"
READER, MEMBER, RESTORER, MEMBERSHIP, PASSWORD = guide_pages.blocks(PAGE, "sql")
ACL_BACKUP, ACL_RESTORE = guide_pages.blocks(PAGE, "text")
BACKUP, RESTORE = guide_pages.settings(PAGE)
SECRET = "login-at-the-provider"
# Redis commands that such services forbid.
FORBIDDEN = ("config", "debug", "save", "bgsave", "bgrewriteaof", "shutdown", "slaveof", "replicaof", "sync", "psync", "migrate", "module")


@dataclasses.dataclass(frozen=True)
class Provider:
    """A server where only the provider is superuser, and only TLS connections are accepted."""

    cluster: Cluster
    authority: str
    folder: Path

    def made(self, sql: str, maker: str | None = None) -> None:
        """Create a login as a page of documentation does, with a password, as the provider or as another login."""
        done = guide_pages.statements(sql)
        for statement in done:
            self.execute(statement, maker)
        for name in {one.split()[2] for one in done if one.startswith("CREATE ROLE")}:
            self.execute(f"ALTER ROLE {name} PASSWORD '{SECRET}'", maker)

    def execute(self, statement: str, user: str | None = None, database: str = "postgres") -> list[tuple[t.Any, ...]]:
        if user is None:
            return self.cluster.execute(statement, database=database)
        given = {"host": "127.0.0.1", "port": self.cluster.port, "dbname": database, "user": user, "password": SECRET}
        with contextlib.closing(psycopg2.connect(sslmode="verify-full", sslrootcert=self.authority, **given)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []

    def login(self, user: str, **own: t.Any) -> dict[str, t.Any]:
        """Return connection options of our modules."""
        password = self.folder / "database_password"
        password.write_text(f"{SECRET}\n")
        usual = {"login_host": "127.0.0.1", "login_port": self.cluster.port, "login_user": user, "login_password_file": str(password)}
        return {**usual, "ssl_mode": "verify-full", "ca_cert": self.authority, **own}


@contextlib.contextmanager
def provided(install: Install, folder: Path) -> t.Iterator[Provider]:
    cert, key = (Path(one) for one in certificate(folder))
    with own_server.folder(install) as (place, copy):
        cluster = Cluster(place, copy, free_port(), "provider")
        cluster.create()
        cluster.put("pg_hba.conf", b"local all provider trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n")
        files = {"ssl_cert_file": cluster.put("cert.pem", cert.read_bytes()), "ssl_key_file": cluster.put("key.pem", key.read_bytes())}
        try:
            cluster.start(listen_addresses="127.0.0.1", ssl="on", **files)
            yield Provider(cluster, str(cert), folder)
        finally:
            cluster.stop()


@pytest.fixture
def provider(server_install: Install, tmp_path: Path) -> t.Iterator[Provider]:
    with provided(server_install, tmp_path / "provider") as made:
        yield made


@pytest.fixture
def managed(provider: Provider, scene: Scene) -> Provider:
    """Return the provider with a deployment that was restored there with the guide's login."""
    provider.made(RESTORER)
    restored = scene.call("pg_encrypted_restore", signing_key=str(scene.key(OPERATOR_HOST)), **provider.login("restorer"))
    warned = {check["id"]: check["message"] for check in restored["checks"] if check["verdict"] == "warn"}
    assert warned.keys() == {"restore.roles"} and "superuser is False instead of True" in warned["restore.roles"]
    return provider


def backed_up(managed: Provider, folder: Path) -> tuple[Scene, scenes.Result]:
    made = scenes.make(folder / "own", "")
    return made, made.backup(**managed.login("backup"))


def test_restore_login_needs_only_createdb_and_createrole(managed: Provider, scene: Scene) -> None:
    (rights,) = managed.execute(
        "SELECT rolsuper, rolbypassrls, pg_has_role('restorer', 'pg_read_all_data', 'USAGE') FROM pg_roles WHERE rolname = 'restorer'"
    )
    assert rights == (False, False, False)
    verified = scene.call("state_verify", **managed.login("restorer"))
    assert verified["verdict"] == "pass", verified
    migrated = scene.call("migration_verify", **managed.login("restorer"))
    assert migrated["verdict"] == "pass", migrated
    (changed,) = guide_pages.statements(PASSWORD)
    managed.execute(changed.replace("the one that the restored secrets have", SECRET), "restorer")
    assert managed.execute("SELECT current_user", "caracalapi", "caracal") == [("caracalapi",)]


@pytest.mark.mutation
@pytest.mark.parametrize("right", ["CREATEDB", "CREATEROLE"])
def test_a_restore_without_createdb_or_createrole_is_refused(provider: Provider, scene: Scene, right: str) -> None:
    provider.made(RESTORER.replace(right, f"NO{right}"))
    given = {"signing_key": str(scene.key(OPERATOR_HOST)), **provider.login("restorer")}
    with pytest.raises((PermissionMissing, StageFailed)):
        scene.call("pg_encrypted_restore", **given)
    assert provider.execute("SELECT count(*) FROM pg_database") == [(3,)]


def test_existing_owner_roles_must_be_granted_to_the_login(provider: Provider, scene: Scene) -> None:
    provider.made(RESTORER)
    for owner in ("caracal", "caracalauth"):
        provider.execute(f"CREATE ROLE {owner} LOGIN CREATEDB")
    given = {"signing_key": str(scene.key(OPERATOR_HOST)), **provider.login("restorer")}
    with pytest.raises((PermissionMissing, StageFailed)) as refused:
        scene.call("pg_encrypted_restore", **given)
    assert "SET ROLE" in refused.value.msg
    provider.made(MEMBERSHIP)
    scene.call("pg_encrypted_restore", **given)
    assert scene.call("state_verify", **provider.login("restorer"))["verdict"] == "pass"


def test_a_member_of_the_owner_roles_can_back_up(managed: Provider, fresh_cluster: FreshCluster, tmp_path: Path) -> None:
    managed.made(MEMBER, "restorer")
    made, result = backed_up(managed, tmp_path)
    assert [one["sight"] for one in result["databases"]] == ["owner", "owner"]
    assert made.call("audit_checkpoint", **managed.login("backup"))["rows"] == 0
    for name in ("audit_chain_verify", "retention_verify"):
        assert made.call(name, require_valid=False, **managed.login("backup"))["checks"]
    sandbox = fresh_cluster().directory
    made.call("pg_encrypted_restore", sandbox=sandbox)
    assert made.call("state_verify", sandbox=sandbox)["verdict"] == "pass"
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
        managed.execute("DELETE FROM zones", "backup", "caracal")
    # The login could write on purpose, but not by mistake.
    managed.execute("BEGIN READ WRITE; CREATE TABLE made_by_backup (); COMMIT", "backup", "caracal")


@pytest.mark.mutation
def test_a_member_of_only_one_owner_role_is_refused(managed: Provider, tmp_path: Path) -> None:
    managed.made(MEMBER.replace("caracal, caracalauth", "caracalauth"), "restorer")
    made = scenes.make(tmp_path / "own", "")
    with pytest.raises(PermissionMissing):
        made.backup(**managed.login("backup"))


def test_a_reader_role_can_back_up_if_it_can_be_created(managed: Provider, tmp_path: Path) -> None:
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        managed.made(READER, "restorer")
    managed.execute("ALTER ROLE restorer BYPASSRLS")
    managed.execute("GRANT pg_read_all_data TO restorer WITH ADMIN OPTION")
    managed.made(READER, "restorer")
    _made, result = backed_up(managed, tmp_path)
    assert [one["sight"] for one in result["databases"]] == ["pg_read_all_data with BYPASSRLS"] * 2
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        managed.execute("DELETE FROM zones", "backup", "caracal")


@pytest.mark.mutation
def test_a_wrong_ca_a_wrong_host_name_and_no_tls_are_refused(provider: Provider, scene: Scene, tmp_path: Path) -> None:
    provider.made(RESTORER)
    other = certificate(tmp_path / "other")[0]
    given = {"signing_key": str(scene.key(OPERATOR_HOST))}
    for own in ({"ca_cert": other}, {"login_host": "localhost"}, {"ssl_mode": "disable"}):
        with pytest.raises(Unreachable):
            scene.call("pg_encrypted_restore", check_mode=True, **given, **provider.login("restorer", **own))


@contextlib.contextmanager
def managed_redis(folder: Path) -> t.Iterator[tuple[RedisServer, dict[str, t.Any]]]:
    """Start a Redis with TLS and without the commands that services forbid; yield it with its connection options."""
    cert, key = certificate(folder)
    port = free_port()
    tls = ["--tls-port", str(port), "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert, "--tls-auth-clients", "no"]
    renamed = [part for name in FORBIDDEN for part in ("--rename-command", name, "")]
    with redis_server.start(7, *tls, *renamed) as server:
        password = folder / "redis_password"
        password.write_text(f"{SECRET}\n")
        options = {"host": "127.0.0.1", "port": port, "password_file": str(password), "tls": True, "ca_cert": cert}
        yield server, options


def setuser(server: RedisServer, line: str) -> None:
    server.run(*(word.replace("PASSWORD", SECRET) for word in line.split()))


def of(role: str, kind: str, options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return options of a module as variables of a role."""
    return role_settings.of(role, {f"{kind}{name}": value for name, value in options.items()})


@pytest.mark.no_false_alarm
def test_playbooks_back_up_and_restore_with_guide_settings(
    managed: Provider, caracal_database: TwinCluster, server_install: Install, tmp_path: Path
) -> None:
    """A backup of the managed servers, then a restore into others, with the logins of the guide."""
    deployment = secrets_scene.make(tmp_path / "deployment", caracal_database)
    folders = {name: replay_folders.folder(tmp_path / name) for name in ("sts", "gateway")}
    folders["sts"].file("pending-7-1.ndjson", event("one"))
    managed.made(MEMBER, "restorer")
    with managed_redis(tmp_path / "redis") as (redis, options):
        redis_server.fill(redis)
        # Delivered, then deleted: no command can make such an entry pending again.
        redis.run("XACK", "caracal.audit.events", "audit-ingestor", "1795564600000-96")
        setuser(redis, ACL_BACKUP)
        play = Play("backup", backup_play(deployment, managed, options, folders), tmp_path)
        assert play.ended() == 0 and SECRET not in play.output(), play.output()
        with provided(server_install, tmp_path / "new") as target, managed_redis(tmp_path / "new_redis") as (other, there):
            target.made(RESTORER)
            setuser(other, ACL_RESTORE)
            settings = restore_play(deployment, target, there, tmp_path)
            play = Play("restore", settings, tmp_path)
            assert play.ended() == 0 and SECRET not in play.output(), play.output()
            assert redis_server.state(other.client) == redis_server.state(redis.client)
            count = "SELECT count(*) FROM audit_events"
            assert target.execute(count, database="caracal") == managed.execute(count, database="caracal")
    assert contents(tmp_path / "restored" / "secrets") == contents(deployment.directory)
    assert ReplayFolder(tmp_path / "restored" / "sts").content() == folders["sts"].content()


def backup_play(deployment: Deployment, managed: Provider, redis: dict[str, t.Any], folders: dict[str, ReplayFolder]) -> dict[str, t.Any]:
    scene = deployment.scene
    here = {
        "caracal_ops_repository": str(scene.repository),
        "caracal_ops_deployment": DEPLOYMENT,
        **of("caracal_backup", "", managed.login("backup")),
        **of("caracal_backup", "redis_", {**redis, "username": "backup"}),
        "caracal_backup_secrets_directory": str(deployment.directory),
        "caracal_backup_replay_volumes": [{"service": name, "path": str(one.volume)} for name, one in folders.items()],
    }
    keys = ("create_repository", "signing_key", "allowed_signers", "high_water_mark", "recipients_files")
    usual = {name: backup_settings(scene)[name] for name in (role_settings.named("caracal_backup", one) for one in keys)}
    own = {"caracal_backup_secrets_recipients_files": [str(deployment.recipients)], "caracal_ops_login_port": managed.cluster.port}
    here.pop("caracal_ops_login_port")
    return {**guide_pages.played(BACKUP, here), **usual, **own}


def restore_play(deployment: Deployment, target: Provider, redis: dict[str, t.Any], folder: Path) -> dict[str, t.Any]:
    scene = deployment.scene
    for name in ("sts", "gateway"):
        (folder / "restored" / name / "audit-replay").mkdir(parents=True)
    here = {
        "caracal_ops_repository": str(scene.repository),
        "caracal_ops_deployment": DEPLOYMENT,
        "caracal_restore_identity_files": [str(scene.identity)],
        **of("caracal_restore", "", target.login("restorer")),
        **of("caracal_restore", "redis_", {**redis, "username": "restorer"}),
        "caracal_restore_confirm": [f"127.0.0.1:{redis['port']}/0"],
        "caracal_restore_secrets_directory": str(folder / "restored" / "secrets"),
        "caracal_restore_secrets_identity_files": [str(deployment.identity)],
        "caracal_restore_replay_volumes": [{"service": name, "path": str(folder / "restored" / name)} for name in ("sts", "gateway")],
    }
    own = {
        "caracal_restore_signing_key": str(scene.key(OPERATOR_HOST)),
        "caracal_ops_allowed_signers": str(scene.root / "allowed_signers"),
        "caracal_ops_high_water_mark": str(scene.mark(OPERATOR_HOST)),
        "caracal_ops_audit_retention_days": 3650,
        "caracal_restore_replay_owner": os.getuid(),
        "caracal_restore_replay_group": os.getgid(),
        "caracal_ops_login_port": here.pop("caracal_ops_login_port"),
    }
    return {**guide_pages.played(RESTORE, here), **own}
