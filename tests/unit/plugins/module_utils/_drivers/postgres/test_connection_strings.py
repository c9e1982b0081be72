# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Databases with names like connection strings, and servers that ask for too much: the password is not sent."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import restore, tools
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.client_binaries import ClientTools
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.definitions import Definitions
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server import Server, Session
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.tables import quote
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError
from harness.waiting import eventually
from scenes.password_listener import ASK, Listener
from scenes.twin_database import TwinCluster
from unit.plugins.module_utils._drivers.postgres.conftest import PASSWORD


@pytest.fixture
def listener() -> t.Iterator[Listener]:
    made = Listener()
    yield made
    made.close()


NAMES = {
    "keywords": "host=127.0.0.1 port={port}",
    "uri": "postgresql://127.0.0.1:{port}/postgres",
    "other uri": "postgres://127.0.0.1:{port}",
    "quotes": "host='127.0.0.1' port={port} application_name='\\\\'",
    "closes the quotes": "x' host=127.0.0.1 port={port} application_name='",
    "backslash": "x\\' host=127.0.0.1 port={port} application_name='",
    "newline": "x\n127.0.0.1:{port}:*:*",
}


@pytest.fixture(params=NAMES)
def named(request: pytest.FixtureRequest, caracal_database: TwinCluster, listener: Listener) -> t.Iterator[str]:
    """Return a database with a name that leads to the listener."""
    name = NAMES[request.param].format(port=listener.port)
    caracal_database.execute(f"CREATE DATABASE {quote(name)} TEMPLATE template0", database="postgres")
    yield name
    caracal_database.execute(f"DROP DATABASE {quote(name)} WITH (FORCE)", database="postgres")


def schema_archive(client: ClientTools, server: Server, database: str) -> bytes:
    sink = io.BytesIO()
    tools.stream_out([client.paths["pg_dump"], "--format=custom", "--schema-only", "--no-password"], server, database, sink)
    return sink.getvalue()


@pytest.mark.mutation
def test_a_database_named_like_a_connection_string_never_gets_the_password_of_the_target(
    named: str, login: t.Callable[..., Server], client: ClientTools, listener: Listener, caracal_database: TwinCluster
) -> None:
    server = login("SUPERUSER")
    caracal_database.execute("CREATE TABLE here (a int)", database=named)
    archive = schema_archive(client, server, named)
    caracal_database.execute("DROP TABLE here", database=named)
    with contextlib.suppress(BackupError), Definitions([client.paths["pg_restore"]], server, named, archive) as made:
        made.before_rows()
        made.after_rows([], 2)
    with contextlib.suppress(BackupError):
        to = restore.Destination(server, named, (client.paths["pg_restore"],), t.cast(t.Any, None), ())
        _feed_archive(to, archive)
    assert (listener.visits, listener.heard) == (0, [])
    assert caracal_database.execute("SELECT count(*) FROM here", database=named) == [(0,)]


def _feed_archive(to: restore.Destination, archive: bytes) -> None:
    """Do the same as `restore.archive`, with an archive that is not sealed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(restore, "_open", lambda _to, _key: contextlib.nullcontext(io.BytesIO(archive)))
        restore.archive(to, "any")


@pytest.mark.mutation
def test_sessions_and_other_tools_do_not_expand_the_name_either(
    named: str, login: t.Callable[..., Server], client: ClientTools, listener: Listener
) -> None:
    server = login("SUPERUSER")
    with Session(server, named) as session:
        assert session.value("SELECT current_database()") == named
    assert b"PGDMP" in schema_archive(client, server, named)
    sink = io.BytesIO()
    argv = [client.paths["psql"], "--no-psqlrc", "--no-password", "--tuples-only", "--no-align", "--command=SELECT current_database()"]
    tools.stream_out(argv, server, named, sink)
    assert sink.getvalue().decode() == f"{named}\n"
    assert (listener.visits, listener.heard) == (0, [])


@pytest.mark.mutation
@pytest.mark.parametrize("ask", ASK)
@pytest.mark.parametrize("how", ["session", "tool"])
def test_a_server_that_asks_for_the_password_in_clear_or_as_md5_does_not_get_it(
    tmp_path: Path, client: ClientTools, ask: str, how: str
) -> None:
    listener = Listener(ASK[ask])
    password = tmp_path / "password"
    password.write_text(PASSWORD)
    server = Server("127.0.0.1", listener.port, "restorer", str(password), ssl_mode="disable")
    try:
        with pytest.raises(BackupError, match="scram-sha-256"):
            if how == "session":
                Session(server, "caracal")
            else:
                tools.stream_out([client.paths["psql"], "--no-password", "--command=SELECT 1"], server, "caracal", io.BytesIO())
        eventually(lambda: listener.heard)
        assert listener.heard == [b""] * len(listener.heard)
    finally:
        listener.close()


@pytest.mark.mutation
def test_a_password_of_the_operators_own_file_is_not_given_away_in_clear(
    tmp_path: Path, client: ClientTools, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = Listener()
    passwords = tmp_path / "pgpass"
    passwords.write_text(f"127.0.0.1:{listener.port}:*:*:secret\n")
    passwords.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    server = Server("127.0.0.1", listener.port, "restorer", ssl_mode="disable")
    try:
        with pytest.raises(BackupError):
            Session(server, "caracal")
        with pytest.raises(BackupError):
            tools.stream_out([client.paths["psql"], "--no-password", "--command=SELECT 1"], server, "caracal", io.BytesIO())
        eventually(lambda: len(listener.heard) == 2)
        assert listener.heard == [b"", b""]
    finally:
        listener.close()


def lines_of(server: Server, database: str) -> list[str]:
    fd = tools.passfile(server, database)
    assert fd is not None
    try:
        return os.pread(fd, 1 << 16, 0).decode().splitlines()
    finally:
        os.close(fd)


def test_a_password_file_names_host_port_database_and_login(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("p:w\\")
    over = {"user": "a:b", "password_file": str(password), "port": 5433}
    assert lines_of(Server("db.example", **over), "ca:r\\") == ["db.example:5433:ca\\:r\\\\:a\\:b:p\\:w\\\\"]
    assert lines_of(Server("::1", **over), "x") == ["\\:\\:1:5433:x:a\\:b:p\\:w\\\\"]
    assert [line.split(":")[0] for line in lines_of(Server("one,two", **over), "x")] == ["one", "two"]
    assert [line.split(":")[0] for line in lines_of(Server("/run/postgresql", **over), "x")] == ["/run/postgresql", "localhost"]
    assert [line.split(":")[0] for line in lines_of(Server("", **over), "x")] == ["localhost"]


@pytest.mark.mutation
def test_star_in_name_is_not_a_pattern_in_password_file(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("secret")
    (line,) = lines_of(Server("*", user="*", password_file=str(password)), "*")
    assert line == "\\*:5432:\\*:\\*:secret"


@pytest.mark.mutation
def test_tools_see_nothing_of_the_operators_environment_and_home(
    login: t.Callable[..., Server], client: ClientTools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = login()
    for name in ("PGSERVICE", "PGHOSTADDR", "PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "PGREQUIREPEER", "PSQLRC"):
        monkeypatch.setenv(name, "operator")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".psqlrc").write_text("\\echo operator\n")
    child = tools.start(["/usr/bin/env"], server, "postgres", stdout=tools.PIPE)
    output = child.process.communicate()[0].decode()
    assert "operator" not in output and str(tmp_path) not in output
    environment = dict(line.partition("=")[::2] for line in output.splitlines())
    assert not os.path.exists(environment["HOME"])
    assert environment["PGPASSFILE"].startswith("/proc/self/fd/")
    sink = io.BytesIO()
    tools.stream_out([client.paths["psql"], "--no-password", "--tuples-only", "--command=SELECT 1"], server, "postgres", sink)
    for name in ("PGSERVICE", "PGHOSTADDR", "PGREQUIREPEER"):
        monkeypatch.delenv(name)
    assert sink.getvalue().split() == [b"1"]


@pytest.mark.no_false_alarm
def test_a_password_of_the_operators_own_file_still_opens_a_session_and_reaches_the_tools(
    login: t.Callable[..., Server], client: ClientTools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = login(password="plain")
    (tmp_path / ".pgpass").write_text(f"*:*:*:{server.user}:plain\n")
    (tmp_path / ".pgpass").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    own = dataclasses.replace(server, password_file=None)
    with Session(own, "postgres") as session:
        assert session.value("SELECT current_user") == server.user
    sink = io.BytesIO()
    tools.stream_out([client.paths["psql"], "--no-password", "--tuples-only", "--command=SELECT 1"], own, "postgres", sink)
    assert sink.getvalue().split() == [b"1"]
