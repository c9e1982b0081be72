# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The restore: refusals before the first change, the scope of a confirmation, and the state after a failure."""

from __future__ import annotations

import os
import shutil
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._assets.databases import dump_set
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import server_binaries
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import (
    KeyProblem,
    MissingDependency,
    ObjectMissing,
    OptionError,
    StageFailed,
    TamperedData,
    TargetRefused,
    Unreachable,
    VersionMismatch,
    WrongIdentity,
)
from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import access
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import lifecycle
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import SandboxSpec
from harness.fixtures import FreshCluster, sandbox_path
from scenes.scene import Scene, new_identity, new_ssh_key, tree
from scenes.twin_database import TwinCluster

RESTORE = "pg_encrypted_restore"
DATABASES = ["caracal", "caracal_auth"]
Target = TwinCluster


@pytest.fixture
def target(fresh_cluster: FreshCluster, caracal_database: TwinCluster) -> Target:
    """Return an empty cluster for one test."""
    return TwinCluster(fresh_cluster(), caracal_database.spec)


@pytest.fixture(scope="module")
def empty(server_install: server_binaries.Install, caracal_database: TwinCluster) -> t.Iterator[Target]:
    """Yield an empty cluster for tests in which every call is refused."""
    directory = sandbox_path()
    try:
        yield TwinCluster(lifecycle.create(SandboxSpec(directory, server_install)).info, caracal_database.spec)
    finally:
        lifecycle.destroy(directory)


def state(target: Target) -> tuple[t.Any, ...]:
    """Return the databases, their relations, and roles."""
    names = [name for (name,) in target.execute("SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1", database="postgres")]
    relations = [
        target.execute("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1", database=name)
        for name in names
    ]
    return names, relations, target.execute("SELECT rolname FROM pg_roles ORDER BY 1", database="postgres")


def server(target: Target, scene: Scene) -> dict[str, t.Any]:
    """Return options for a cluster that the module does not treat as a sandbox."""
    return {
        "login_unix_socket": target.info.socket_dir,
        "signing_key": str(scene.key("operator")),
        "high_water_mark": str(scene.mark("operator")),
    }


def test_check_mode_writes_nothing_and_predicts_the_run(scene: Scene, target: Target) -> None:
    before, files = state(target), tree(scene.root)
    predicted = scene.call(RESTORE, check_mode=True, sandbox=target.info.directory)
    assert state(target) == before and tree(scene.root) == files
    made = scene.call(RESTORE, sandbox=target.info.directory)
    assert predicted["changed"] and made["changed"] and predicted.keys() == made.keys()
    for name in ("set_id", "target", "diff", "journal_head"):
        assert predicted[name] == made[name], name
    for name in ("database", "leaves"):
        assert [one[name] for one in predicted["databases"]] == [one[name] for one in made["databases"]]
    assert made["target"] == target.info.system_identifier and [one["database"] for one in made["databases"]] == DATABASES
    assert tree(scene.repository) == {path.removeprefix("repository/"): one for path, one in _below(files, "repository").items()}


def _below(files: dict[str, t.Any], folder: str) -> dict[str, t.Any]:
    return {"." if path == folder else path: one for path, one in files.items() if path == folder or path.startswith(f"{folder}/")}


def test_a_real_restore_is_written_into_the_journal(scene: Scene, target: Target) -> None:
    result = scene.call(RESTORE, **server(target, scene))
    opened = access.open_repository(scene.access())
    entry = opened.journal.entries[-1]
    assert result["journal_head"] == opened.head and result["journal_head"].startswith("4-")
    assert (entry.kind, entry.principal, entry.body["set"]) == ("restore", "operator@prod", result["set_id"])
    assert entry.body["target"] == {"system_identifier": target.info.system_identifier, "databases": DATABASES}
    assert scene.call("backup_set_verify")["verdict"] == "pass" and scene.backup()["changed"]


@pytest.mark.mutation
def test_replaces_a_non_empty_target_only_if_confirmed(scene: Scene, target: Target) -> None:
    where, identifier = server(target, scene), target.info.system_identifier
    target.execute("CREATE DATABASE caracal", database="postgres")
    target.execute("CREATE TABLE precious (a int)")
    for wrong in ([], ["yes"], [f"caracal@{identifier}0"], ["caracal"], [f"caracal_auth@{identifier}"], [f"CARACAL@{identifier}"]):
        before = state(target)
        words = ("database caracal at", "not empty", "relation public.precious", f"set confirm to caracal@{identifier}")
        scene.refused(RESTORE, TargetRefused, *words, **where, confirm=wrong)
        assert state(target) == before
    for sql in (
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE TYPE kind AS ENUM ('a')",
        "CREATE SCHEMA s CREATE VIEW v AS SELECT 1",
    ):
        target.execute("DROP SCHEMA public CASCADE", "CREATE SCHEMA public", sql)
        scene.refused(RESTORE, TargetRefused, "not empty (1 objects", check_mode=True, **where)
        scene.refused(RESTORE, TargetRefused, "not empty (1 objects", check_mode=True, sandbox=target.info.directory)
    (predicted,) = scene.call(RESTORE, check_mode=True, **where, confirm=[f"caracal@{identifier}"])["replaced"]
    result = scene.call(RESTORE, **where, confirm=[f"caracal@{identifier}"])
    (kept,) = result["replaced"]
    assert predicted["database"] == kept["database"] == "caracal" and len(predicted["kept_as"]) == len(kept["kept_as"])
    assert result["diff"] == {"before": "caracal\n", "after": f"caracal\ncaracal_auth\n{kept['kept_as']}\n"}
    assert target.execute("SELECT count(*) FROM s.v", database=kept["kept_as"]) == [(1,)]
    assert target.execute("SELECT count(*) FROM pg_class WHERE relname IN ('precious', 'v')") == [(0,)]
    assert scene.call("state_verify", sandbox=target.info.directory)["verdict"] == "pass"
    # Restore again into the same cluster: every database must be confirmed, and the error lists all that are missing.
    scene.refused(RESTORE, TargetRefused, f"caracal@{identifier}, caracal_auth@{identifier}", **where)
    scene.refused(RESTORE, TargetRefused, "database caracal_auth at", **where, confirm=[f"caracal@{identifier}"])


def test_an_empty_database_is_an_empty_target(scene: Scene, target: Target) -> None:
    target.execute("CREATE DATABASE caracal", database="postgres")
    target.execute("CREATE EXTENSION pgcrypto")
    before = len(state(target)[0])
    result = scene.call(RESTORE, **server(target, scene), databases=["caracal"])
    assert result["changed"] and result["replaced"] == [] and len(state(target)[0]) == before


@pytest.mark.mutation
def test_a_cluster_that_is_backed_up_is_refused(scene: Scene, caracal_database: TwinCluster) -> None:
    """Name and address do not matter: the journal knows the system identifier."""
    before, identifier = state(caracal_database), caracal_database.info.system_identifier
    words = (f"system_identifier {identifier}", "is backed up to", f"set confirm to caracal@{identifier}")
    where = server(caracal_database, scene)
    scene.refused(RESTORE, TargetRefused, *words, check_mode=True, **where)
    scene.refused(RESTORE, TargetRefused, "caracal_auth@", check_mode=True, **where, databases=["caracal_auth"])
    scene.refused(RESTORE, TargetRefused, *words, **where)
    assert state(caracal_database) == before


def test_refuses_wrong_and_unusable_identities(scene: Scene, empty: Target, tmp_path: Path) -> None:
    before = state(empty)
    where: dict[str, t.Any] = {"sandbox": empty.info.directory}
    other, loose, blank, secret = (tmp_path / name for name in ("other", "loose", "empty", "secret"))
    new_identity(other)
    scene.refused(RESTORE, WrongIdentity, "inventory.json", **where, identity_files=[str(other)])
    shutil.copy(scene.identity, loose)
    loose.chmod(0o644)
    message = scene.refused(RESTORE, WrongIdentity, str(loose), "chmod 600", **where, identity_files=[str(loose)])
    assert scene.identity.read_text().strip() not in message
    blank.touch(0o600)
    scene.refused(RESTORE, WrongIdentity, str(blank), "no age identity", **where, identity_files=[str(blank)])
    secret.write_text("AGE-SECRET-KEY-1WRONG\n")
    secret.chmod(0o600)
    scene.refused(RESTORE, WrongIdentity, str(secret), "no age identity", **where, identity_files=[str(secret)])
    scene.refused(RESTORE, KeyProblem, str(tmp_path / "none"), "check the path", **where, identity_files=[str(tmp_path / "none")])
    scene.refused(RESTORE, OptionError, "identity_files", **where, identity_files=[])
    assert state(empty) == before


def test_ssh_key_decrypts_a_set_encrypted_for_it(scene: Scene, target: Target) -> None:
    key = scene.root / "drill" / "recovery_key"
    new_ssh_key(key)
    scene.backup(recipients=[key.with_suffix(".pub").read_text()])
    assert scene.call(RESTORE, check_mode=True, sandbox=target.info.directory, identity_files=[str(key)])["changed"]
    assert scene.call(RESTORE, sandbox=target.info.directory, identity_files=[str(key)], databases=["caracal_auth"])["changed"]


def test_refuses_missing_sets_databases_and_targets(scene: Scene, empty: Target, tmp_path: Path, empty_scene: Scene) -> None:
    before = state(empty)
    where: dict[str, t.Any] = {"sandbox": empty.info.directory}
    scene.refused(RESTORE, ObjectMissing, "20200101T000000Z-aaaa", "not committed", **where, set_id="20200101T000000Z-aaaa")
    scene.refused(RESTORE, ObjectMissing, "../../etc", **where, set_id="../../etc")
    scene.refused(RESTORE, OptionError, "no database nothing", "caracal, caracal_auth", **where, databases=["caracal", "nothing"])
    scene.refused(RESTORE, OptionError, "belongs to deployment prod", **where, deployment="test")
    scene.refused(RESTORE, ObjectMissing, "/var/tmp/no-such-sandbox", "restore_drill", sandbox="/var/tmp/no-such-sandbox")
    scene.refused(RESTORE, Unreachable, str(tmp_path), **server(empty, scene) | {"login_unix_socket": str(tmp_path)})
    scene.refused(RESTORE, MissingDependency, str(tmp_path), "pg_restore", **where, pg_bin=str(tmp_path))
    empty_scene.call("backup_set", state="open", create_repository=True)
    empty_scene.refused(RESTORE, ObjectMissing, "no backup set", **where)
    key = scene.key("operator")
    key.chmod(0o644)
    scene.refused(RESTORE, KeyProblem, str(key), "0644", **server(empty, scene))
    assert state(empty) == before


@pytest.mark.mutation
@pytest.mark.parametrize("check_mode", [True, False])
def test_a_damaged_set_is_refused_before_the_first_change(scene: Scene, empty: Target, check_mode: bool, tmp_path: Path) -> None:
    before, set_id = state(empty), scene.sets()[-1]
    for number, pattern in enumerate(
        ("sets/{}/postgres/caracal.dump.*", "sets/{}/postgres/caracal_auth.schema.*", "objects/audit/*2026m01/*", "sets/{}/audit-*")
    ):
        broken = scene.copy(tmp_path / f"broken{number}")
        (path,) = broken.repository.glob(pattern.format(set_id))
        whole = path.read_bytes()
        middle = len(whole) // 2
        path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
        broken.refused(RESTORE, TamperedData, str(path), "was altered", check_mode=check_mode, sandbox=empty.info.directory)
        path.write_bytes(whole[:-1])
        broken.refused(RESTORE, TamperedData, str(path), "bytes instead of", check_mode=check_mode, sandbox=empty.info.directory)
        path.unlink()
        broken.refused(RESTORE, ObjectMissing, str(path), "missing", check_mode=check_mode, sandbox=empty.info.directory)
    assert state(empty) == before


def test_a_newer_inventory_is_refused(scene: Scene, empty: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    seal = dump_set._seal_inventory
    with monkeypatch.context() as later:
        later.setattr(dump_set, "_seal_inventory", lambda plan, inventory: seal(plan, {**inventory, "format": 2}))
        scene.backup()
    before = state(empty)
    scene.refused(RESTORE, VersionMismatch, "inventory.json", "format 2", "newer release", sandbox=empty.info.directory)
    scene.refused("state_verify", VersionMismatch, "inventory.json", "format 2", sandbox=empty.info.directory)
    with monkeypatch.context() as mixed:
        mixed.setattr(dump_set, "_seal_inventory", lambda plan, inventory: seal(plan, {**inventory, "set": scene.sets()[0]}))
        scene.backup()
    scene.refused(RESTORE, TamperedData, "inventory of set", sandbox=empty.info.directory)
    assert state(empty) == before


@pytest.mark.mutation
def test_partition_row_count_mismatch_undoes_the_restore(scene: Scene, target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """The set has a valid signature, but contradicts its inventory. This is found after loading, so the loaded data is removed."""
    seal = dump_set._seal_inventory

    def wrong(plan: t.Any, inventory: dict[str, t.Any]) -> dict[str, t.Any]:
        leaf = inventory["databases"][0]["leaves"]["public.audit_events_y2026m01"]
        leaf["rows"] += 1
        return seal(plan, inventory)

    monkeypatch.setattr(dump_set, "_seal_inventory", wrong)
    scene.backup()
    before = state(target)[0]
    with pytest.raises(TamperedData, match=r"audit_events_y2026m01.* rows, but the inventory records"):
        scene.call(RESTORE, sandbox=target.info.directory)
    assert state(target)[0] == before


@pytest.mark.mutation
def test_failed_pg_restore_creates_no_database_and_keeps_existing_one(
    scene: Scene, target: Target, server_install: t.Any, tmp_path: Path
) -> None:
    """A database that existed before stays, even if its replacement was confirmed."""
    target.execute("CREATE DATABASE caracal", database="postgres")
    target.execute("CREATE TABLE precious (a int)")
    before = state(target)[:2]
    for section in ("pre-data", "--section=data", "post-data"):
        tools = tmp_path / section.strip("-")
        tools.mkdir()
        real = os.path.join(server_install.bindir, "pg_restore")
        (tools / "pg_restore").write_text(
            f'#!/bin/sh\ncase "$*" in *{section}*) echo "pg_restore: broken" >&2; exit 1;; *) exec {real} "$@";; esac\n'
        )
        (tools / "pg_restore").chmod(0o755)
        with pytest.raises(StageFailed) as raised:
            scene.call(RESTORE, **server(target, scene), pg_bin=str(tools), confirm=[f"caracal@{target.info.system_identifier}"])
        assert "pg_restore: broken" in raised.value.msg and "\n" not in raised.value.msg
        assert state(target)[:2] == before
    assert scene.call("backup_set_verify")["journal_head"].startswith("3-"), "what failed is no restore"


@pytest.mark.mutation
def test_keeps_a_database_with_the_working_name(scene: Scene, target: Target) -> None:
    """This also holds if another database of the set has already been loaded."""
    working = f"caracal_auth_restoring_{scene.sets()[-1][-4:]}"
    target.execute(f"CREATE DATABASE {working}", database="postgres")
    target.execute("CREATE TABLE precious (a int)", database=working)
    before = state(target)[:2]
    with pytest.raises(TargetRefused, match=f"^database {working} .*drop or rename it$"):
        scene.call(RESTORE, **server(target, scene))
    assert state(target)[:2] == before


def test_roles_that_exist_are_never_altered(scene: Scene, target: Target) -> None:
    target.execute("CREATE ROLE caracalapi NOLOGIN PASSWORD 'theirs' CONNECTION LIMIT 3", database="postgres")
    query = "SELECT rolcanlogin, rolconnlimit, rolpassword FROM pg_authid WHERE rolname = 'caracalapi'"
    before = target.execute(query, database="postgres")
    result = scene.call(RESTORE, **server(target, scene), databases=["caracal_auth"])
    (check,) = [one for one in result["checks"] if one["id"] == "restore.roles"]
    assert check["verdict"] == "warn" and "role caracalapi: login is False instead of True" in check["message"]
    target.execute("DROP DATABASE caracal_auth", database="postgres")
    result = scene.call(RESTORE, sandbox=target.info.directory)
    check = next(one for one in result["checks"] if one["id"] == "restore.roles")
    assert check["verdict"] == "fail" and "role caracalapi: login is False instead of True" in check["message"]
    assert target.execute(query, database="postgres") == before


def test_the_password_of_a_target_is_read_from_its_file(scene: Scene, target: Target) -> None:
    target.execute("CREATE ROLE restorer SUPERUSER LOGIN PASSWORD 'se:cr\\et'", database="postgres")
    password = scene.root / "operator" / "password"
    password.write_text("se:cr\\et\n")
    password.chmod(0o600)
    login = {**server(target, scene), "login_user": "restorer", "login_password_file": str(password)}
    assert scene.call(RESTORE, **login, databases=["caracal_auth"])["changed"]
    assert scene.call("state_verify", require_valid=False, **{name: login[name] for name in login if name not in ("signing_key",)})
    password.write_text("wrong\n")
    scene.refused(RESTORE, Unreachable, "restorer", "password authentication failed", **login)


def test_a_set_of_a_newer_server_is_refused(scene: Scene, empty: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    seal = dump_set._seal_inventory

    def newer(plan: t.Any, inventory: dict[str, t.Any]) -> dict[str, t.Any]:
        for one in inventory["databases"]:
            one["server_version"] = 990001
        return seal(plan, inventory)

    with monkeypatch.context() as later:
        later.setattr(dump_set, "_seal_inventory", newer)
        scene.backup()
    scene.refused(RESTORE, MissingDependency, "no pg_restore of version 99", sandbox=empty.info.directory)
    scene.refused("state_verify", MissingDependency, "99", sandbox=empty.info.directory)


@pytest.mark.mutation
def test_refuses_another_family_before_any_change(scene: Scene, fresh_cluster: FreshCluster) -> None:
    sandbox = fresh_cluster().directory
    scene.refused("pg_encrypted_restore", TargetRefused, "family zone_kek", sandbox=sandbox, release="v2026.06.21")
