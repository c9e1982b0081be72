# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The login of backups is created with exactly its rights, and other users cannot read its password."""

from __future__ import annotations

import contextlib
import os
import shutil
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible.boundary import Invocation, complete
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server_binaries import Install
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import KeyProblem, OptionError, PermissionMissing
from ansible_collections.caracal_ops.backup.plugins.module_utils._setup import database_login, wal_summaries_setup
from harness.fixtures import sandbox_path
from scenes import own_server
from scenes.own_server import Cluster

PASSWORD = "chosen-by-the-operator"
# The system has a user of this name too, and the server runs as that user.
ADMIN = "nobody"
LETS_IN = "local all backup scram-sha-256\nlocal all all trust\n"
RIGHTS = """
SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolinherit, rolcanlogin, rolbypassrls,
       ARRAY(SELECT roleid::regrole::text FROM pg_auth_members WHERE member = r.oid)
FROM pg_roles r WHERE rolname = 'backup'
"""


class Host:
    """A server with these rules for logins, and a directory for keys."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster, self.file = cluster, folder / "database_password"
        folder.mkdir(mode=0o700)

    def call(self, check_mode: bool = False, **own: t.Any) -> dict[str, t.Any]:
        usual = {"user": "backup", "password_file": str(self.file), "unix_socket": str(self.cluster.folder), "port": self.cluster.port}
        options = complete(database_login.Options, {**usual, "admin": ADMIN, **own})
        return database_login.run(Invocation(options, check_mode, lambda _text: None))

    def execute(self, *statements: str) -> list[tuple[t.Any, ...]]:
        return self.cluster.execute(*statements, database="postgres")

    def rules(self, text: str) -> None:
        """Set the rules for logins. A restart makes sure that they apply."""
        self.cluster.stop()
        self.cluster.put("pg_hba.conf", text.encode())
        self.cluster.start()


@pytest.fixture(scope="module")
def cluster(server_install: Install) -> t.Iterator[Cluster]:
    with own_server.folder(server_install) as (folder, install):
        made = Cluster(folder, install, 5433, ADMIN)
        made.create()
        made.put("pg_hba.conf", LETS_IN.encode())
        made.start()
        yield made
        made.stop()


@pytest.fixture
def host(cluster: Cluster, tmp_path: Path) -> t.Iterator[Host]:
    made = Host(cluster, tmp_path / "etc")
    yield made
    made.execute("DROP ROLE IF EXISTS backup")


@pytest.mark.no_false_alarm
def test_a_login_is_made_with_its_rights_and_no_others_and_only_once(host: Host) -> None:
    assert host.call(check_mode=True)["changed"] and not host.file.exists() and not host.execute(RIGHTS)
    made = host.call()
    assert made["changed"] and len(made["made"]) == 6
    assert host.execute(RIGHTS) == [(False, False, False, False, True, True, True, ["pg_read_all_data"])]
    assert host.file.stat().st_mode & 0o777 == 0o600 and len(host.file.read_text()) > 40
    for check_mode in (True, False):
        assert host.call(check_mode)["made"] == []


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("statement", "lacks"),
    [
        ("ALTER ROLE backup NOBYPASSRLS", "BYPASSRLS of backup"),
        ("ALTER ROLE backup NOLOGIN", "LOGIN of backup"),
        ("REVOKE pg_read_all_data FROM backup", "pg_read_all_data of backup"),
        ("ALTER ROLE backup PASSWORD 'another'", "its password of backup"),
        ("ALTER ROLE backup PASSWORD NULL", "its password of backup"),
    ],
)
def test_missing_right_or_password_is_added(host: Host, statement: str, lacks: str) -> None:
    host.call()
    host.execute(statement)
    assert host.call()["made"] == [lacks] and host.call()["made"] == []


def summarizing(host: Host) -> tuple[str, bool]:
    """Return the server's setting, and whether the login may request checkpoints."""
    ((setting, member),) = host.execute("SELECT current_setting('summarize_wal'), pg_has_role('backup', 'pg_checkpoint', 'USAGE')")
    return setting, member


def test_server_summarizes_wal_on_request(host: Host) -> None:
    host.call()
    assert summarizing(host) == ("off", False)
    made = ["pg_checkpoint of backup", "summarize_wal of the server"]
    try:
        assert host.call(check_mode=True, summarize_wal=True)["made"] == made and summarizing(host) == ("off", False)
        assert host.call(summarize_wal=True)["made"] == made and summarizing(host) == ("on", True)
        assert host.call(summarize_wal=True)["made"] == [] and host.call()["made"] == []
        host.execute("REVOKE pg_checkpoint FROM backup")
        assert host.call(summarize_wal=True)["made"] == made[:1] and summarizing(host) == ("on", True)
    finally:
        host.execute("ALTER SYSTEM RESET summarize_wal", "SELECT pg_reload_conf()")


@pytest.mark.mutation
@pytest.mark.parametrize("state", [(16, "replica", None), (17, "minimal", "off")], ids=["older server", "minimal WAL"])
def test_server_without_wal_summaries_is_refused(host: Host, monkeypatch: pytest.MonkeyPatch, state: tuple[object, ...]) -> None:
    host.call()
    values = ", ".join("NULL" if one is None else repr(one) for one in state)
    monkeypatch.setattr(wal_summaries_setup, "_STATE", f"SELECT {values}")
    with pytest.raises(OptionError):
        host.call(summarize_wal=True)
    assert summarizing(host) == ("off", False)


def test_a_password_that_is_there_is_kept_and_in_no_result(host: Host) -> None:
    host.file.write_text(f"{PASSWORD}\n")
    host.file.chmod(0o600)
    made = host.call()
    assert host.file.read_text() == f"{PASSWORD}\n" and PASSWORD not in str(made)


@pytest.mark.mutation
def test_a_password_that_others_can_read_is_refused(host: Host) -> None:
    # In a directory that all users may enter.
    folder = Path(sandbox_path())
    folder.mkdir()
    folder.chmod(0o755)
    try:
        (folder / "password").write_text(PASSWORD)
        (folder / "password").chmod(0o644)
        with pytest.raises(KeyProblem):
            host.call(password_file=str(folder / "password"))
    finally:
        shutil.rmtree(folder)


@pytest.mark.mutation
def test_an_empty_password_is_refused(host: Host) -> None:
    host.file.write_text("\n")
    with pytest.raises(OptionError):
        host.call()


@pytest.mark.mutation
def test_superuser_is_refused_as_backup_login(host: Host) -> None:
    host.execute("CREATE ROLE backup SUPERUSER LOGIN")
    for own in ({}, {"user": ADMIN}):
        with pytest.raises(OptionError):
            host.call(**own)


def test_a_name_is_quoted(host: Host) -> None:
    name = "odd \"name'; DROP ROLE nobody; --"
    with contextlib.suppress(PermissionMissing):
        host.call(user=name)
    assert host.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE 'odd%'") == [(name,)]
    host.execute('DROP ROLE "odd ""name\'; DROP ROLE nobody; --"')


def test_admin_step_runs_with_user_id_from_system(host: Host) -> None:
    """Root takes that user's ID temporarily; any other user keeps its own."""
    ours = os.geteuid(), os.getegid()
    with database_login._as_admin(ADMIN):
        inside = os.geteuid()
    assert inside == (own_server.UID if ours[0] == 0 else ours[0]) and (os.geteuid(), os.getegid()) == ours
    with database_login._as_admin("no-such-user"):
        assert os.geteuid() == ours[0]


@pytest.mark.mutation
def test_rejected_login_is_reported_with_pg_hba_file(host: Host) -> None:
    host.rules("local all backup reject\nlocal all all trust\n")
    try:
        with pytest.raises(PermissionMissing) as caught:
            host.call()
        assert caught.value.details["file"] == str(host.cluster.data / "pg_hba.conf")
        assert host.execute(RIGHTS)
    finally:
        host.rules(LETS_IN)
    assert host.call()["made"] == []
