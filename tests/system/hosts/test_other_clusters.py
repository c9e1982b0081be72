# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real restore into clusters that differ from the source: another superuser, and one where the login is not a superuser."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import SandboxInfo
from harness.fixtures import FreshCluster
from scenes import scene as scenes
from scenes.fixtures import Committed
from scenes.scene import OPERATOR_HOST, Result, Scene
from scenes.twin_database import TwinCluster, TwinFactory
from twin.spec import Spec

PASSWORD = "x: y\\ 'z"


def restore(scene: Scene, info: SandboxInfo, **login: str) -> tuple[Result, Result]:
    where = {"login_unix_socket": info.socket_dir, **login}
    restored = scene.call("pg_encrypted_restore", signing_key=str(scene.key(OPERATOR_HOST)), **where)
    return restored, scene.call("state_verify", **where)


def warned(result: Result) -> dict[str, str]:
    """Return the warnings, except for dead rows in outboxes, which the source has too."""
    warnings = {check["id"]: check["message"] for check in result["checks"] if check["verdict"] == "warn"}
    return {name: message for name, message in warnings.items() if not name.startswith("state.outboxes.")}


def test_restores_under_another_superuser(scene: Scene, fresh_cluster: FreshCluster) -> None:
    restored, verified = restore(scene, fresh_cluster("postgres"), login_user="postgres")
    assert verified["verdict"] == "pass", verified
    assert warned(verified).keys() == {"inventory.roles"} == {name.replace("restore", "inventory") for name in warned(restored)}
    assert "role caracal: superuser is False instead of True" in warned(verified)["inventory.roles"]


def test_restores_without_superuser(scene: Scene, fresh_cluster: FreshCluster, committed: Committed) -> None:
    """As on a managed server: a role that may create roles and databases, with a password."""
    info = fresh_cluster("provider")
    cluster = TwinCluster(info, Spec(events=1))
    cluster.execute(
        "CREATE ROLE admin LOGIN CREATEDB CREATEROLE BYPASSRLS PASSWORD "
        + f"E'{PASSWORD.replace(chr(92), chr(92) * 2).replace(chr(39), chr(39) * 2)}'",
        "GRANT pg_read_all_data TO admin",
        database="postgres",
    )
    secret = scene.root / OPERATOR_HOST / "database_password"
    secret.write_text(PASSWORD + "\n")
    _restored, verified = restore(scene, info, login_user="admin", login_password_file=str(secret))
    assert verified["verdict"] == "pass", verified
    assert warned(verified).keys() == {"inventory.roles"}
    entries = sorted((scene.repository / "journal").glob("*.json"))
    assert b'"kind": "restore"' in entries[-1].read_bytes() and info.system_identifier.encode() in entries[-1].read_bytes()


@pytest.mark.mutation
def test_state_verify_fails_in_a_sandbox_with_other_roles(scene: Scene, fresh_cluster: FreshCluster) -> None:
    info = fresh_cluster()
    TwinCluster(info, Spec(events=1)).execute("CREATE ROLE caracalapi NOLOGIN", database="postgres")
    scene.call("pg_encrypted_restore", sandbox=info.directory)
    verified = scene.call("state_verify", sandbox=info.directory, require_valid=False)
    assert verified["verdict"] == "fail"


def test_only_a_sandbox_restores_all_role_attributes(tmp_path: Path, twin_cluster: TwinFactory, fresh_cluster: FreshCluster) -> None:
    """The login is the backup's own, which reads everything and may be named in the database's access list."""
    source = twin_cluster(seed="strong")
    source.execute("CREATE ROLE backup LOGIN BYPASSRLS", "GRANT CONNECT ON DATABASE caracal TO backup")
    scene = scenes.make(tmp_path / "scene", source.info.socket_dir)
    scene.backup()
    sandbox = fresh_cluster().directory
    scene.call("pg_encrypted_restore", sandbox=sandbox)
    assert scene.call("state_verify", sandbox=sandbox)["verdict"] == "pass"
    restored, verified = restore(scene, fresh_cluster())
    assert "role backup: bypassrls is False instead of True" in warned(restored)["restore.roles"]
    assert verified["verdict"] == "pass" and "role backup" in warned(verified)["inventory.roles"]


def test_a_sandbox_restores_memberships_and_role_settings(tmp_path: Path, twin_cluster: TwinFactory, fresh_cluster: FreshCluster) -> None:
    """The owner differs from a sandbox's superuser, as on managed servers. Rights and settings that no grant shows are restored."""
    source = twin_cluster(seed="managed")
    source.execute(
        "GRANT pg_monitor TO caracalaudit, caracal",
        "ALTER ROLE caracalsts IN DATABASE caracal SET statement_timeout = '7s'",
        "ALTER ROLE caracal CONNECTION LIMIT 50",
    )
    scene = scenes.make(tmp_path / "scene", source.info.socket_dir)
    scene.backup()
    sandbox = fresh_cluster()
    restored = scene.call("pg_encrypted_restore", sandbox=sandbox.directory)
    verified = scene.call("state_verify", sandbox=sandbox.directory)
    assert verified["verdict"] == "pass"
    assert not {name for name in warned(restored) | warned(verified) if name.endswith("roles")}
    messages = {check["id"]: check["message"] for check in verified["checks"]}
    assert messages["inventory.roles"].endswith(
        "1 membership(s) match the set; caracal was not compared, because it is the superuser of this sandbox"
    )
    copied = TwinCluster(sandbox, Spec(events=1))
    copied.execute("ALTER ROLE caracalsts IN DATABASE caracal RESET statement_timeout")
    message = "the settings of role caracalsts differ from the set: statement_timeout"
    assert failed(scene, sandbox) == {"inventory.caracal.settings": message}
    copied.execute("ALTER ROLE caracalsts IN DATABASE caracal SET statement_timeout = '7s'", "REVOKE pg_monitor FROM caracalaudit")
    assert failed(scene, sandbox) == {"inventory.roles": "1 difference(s); first: role caracalaudit is not a member of pg_monitor"}


def failed(scene: Scene, sandbox: SandboxInfo) -> dict[str, str]:
    verified = scene.call("state_verify", sandbox=sandbox.directory, require_valid=False)
    return {check["id"]: check["message"] for check in verified["checks"] if check["verdict"] == "fail"}
