# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import io
import os
import subprocess
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import tools
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.client_binaries import ClientTools
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.opening import SETTINGS
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server import Server, Session
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import (
    BackupError,
    KeyProblem,
    PermissionMissing,
    StageFailed,
    StorageError,
    TamperedData,
    Unreachable,
)
from ansible_collections.caracal_ops.backup.plugins.module_utils._options.shared import PostgresOptions
from scenes.twin_database import Copier, TwinCluster
from unit.plugins.module_utils._drivers.postgres.conftest import PASSWORD

Login = t.Callable[..., Server]


def problem(server: Server, database: str = "caracal") -> BackupError:
    with pytest.raises(BackupError) as caught:
        Session(server, database)
    assert "\n" not in caught.value.msg
    return caught.value


def test_every_option_has_its_place() -> None:
    options = PostgresOptions(
        login_host="db.example",
        login_port=5433,
        login_user="reader",
        login_password_file="/p",
        ssl_mode="verify-full",
        ca_cert="/ca",
        ssl_cert="/cert",
        ssl_key="/key",
    )
    server = Server.from_options(options)
    assert server == Server("db.example", 5433, "reader", "/p", "verify-full", "/ca", "/cert", "/key")
    assert Server.from_options(dataclasses.replace(options, login_unix_socket="/run/postgresql")).host == "/run/postgresql"
    assert str(server) == "reader@db.example:5433"
    environment = server.environment("caracal")
    assert {name: environment[name] for name in ("PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGSSLMODE", "PGSSLROOTCERT")} == {
        "PGHOST": "db.example",
        "PGPORT": "5433",
        "PGUSER": "reader",
        "PGDATABASE": "caracal",
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": "/ca",
    }
    assert (environment["PGTZ"], environment["PGOPTIONS"]) == (
        "UTC",
        "-c search_path= -c bytea_output=hex -c client_connection_check_interval=1s",
    )


@pytest.mark.parametrize("password", [PASSWORD, "plain", "::", "\\", "trailing\\", " "])
def test_any_password_opens_a_session_and_reaches_the_tools(login: Login, client: ClientTools, password: str) -> None:
    server = login(password=password)
    with Session(server, "postgres") as session:
        assert session.value("SELECT current_user") == server.user
    sink = io.BytesIO()
    argv = [client.paths["psql"], "--no-psqlrc", "--no-password", "--tuples-only", "--no-align", "--command=SELECT current_user"]
    tools.stream_out(argv, server, "postgres", sink)
    assert sink.getvalue().decode().strip() == server.user


@pytest.mark.mutation
def test_a_wrong_password_is_refused_and_not_repeated(login: Login, client: ClientTools) -> None:
    server = login()
    Path(server.password_file or "").write_text("a wrong secret")
    error = problem(server, "postgres")
    assert isinstance(error, Unreachable)
    assert f'password authentication failed for user "{server.user}"' in error.msg
    with pytest.raises(StageFailed, match="password authentication failed") as caught:
        tools.stream_out([client.paths["psql"], "--no-password", "--command=SELECT 1"], server, "postgres", io.BytesIO())
    assert "secret" not in f"{error.msg} {error.details} {caught.value.msg} {caught.value.details}"


def test_a_password_is_in_no_list_of_processes_and_in_no_environment(login: Login, client: ClientTools) -> None:
    server = login()
    argv = [client.paths["psql"], "--no-psqlrc", "--no-password", "--tuples-only", "--command=SELECT 'up'", "--command=SELECT pg_sleep(30)"]
    child = tools.start(argv, server, "postgres", stdout=subprocess.PIPE)
    try:
        assert child.process.stdout is not None
        assert b"up" in child.process.stdout.readline()
        seen = b"".join(Path(f"/proc/{child.process.pid}/{name}").read_bytes() for name in ("cmdline", "environ"))
        assert server.user.encode() in seen
        assert PASSWORD.encode() not in seen
        assert PASSWORD[:6].encode() not in seen
    finally:
        child.kill()


def test_the_password_file_in_memory_is_private_and_never_left_open(login: Login) -> None:
    server = login()
    before = sorted(os.listdir("/proc/self/fd"))
    fd = tools.passfile(server, "postgres")
    assert fd is not None
    assert os.fstat(fd).st_mode & 0o777 == 0o600
    os.close(fd)
    tools.start(["/bin/true"], server, "postgres").finish()
    assert sorted(os.listdir("/proc/self/fd")) == before
    assert tools.passfile(Server(), "postgres") is None


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_password_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "password"
    if content is not None:
        path.write_bytes(content)
    error = problem(Server("/nowhere", password_file=str(path)))
    assert isinstance(error, KeyProblem)
    assert error.msg.startswith(f"login_password_file {path} ")


def test_a_host_that_does_not_answer() -> None:
    error = problem(Server("127.0.0.1", 1, "reader"))
    assert isinstance(error, Unreachable)
    assert error.msg.startswith("cannot connect to database caracal as reader@127.0.0.1:1: ")
    assert "Connection refused" in error.msg
    assert error.msg.endswith("; check the login_* options and the server")


def test_a_socket_that_is_not_there() -> None:
    error = problem(Server("/var/tmp/no-such-folder"))
    assert isinstance(error, Unreachable)
    assert "No such file or directory" in error.msg


def test_an_unknown_database_is_named(caracal_database: TwinCluster) -> None:
    error = problem(caracal_database.server, 'no"such')
    assert isinstance(error, Unreachable)
    assert error.msg == f'database no"such does not exist on {caracal_database.server}; correct the database name'


def test_an_unknown_role_is_named(caracal_database: TwinCluster) -> None:
    error = problem(Server(caracal_database.info.socket_dir, caracal_database.info.port, "nobody_here"))
    assert isinstance(error, Unreachable)
    assert "nobody_here" in error.msg


def test_session_settings_override_database_settings(caracal_database: TwinCluster, caracal_copy: Copier) -> None:
    name = caracal_copy()
    bad = {
        "TimeZone": "Asia/Kolkata",
        "DateStyle": "SQL, DMY",
        "bytea_output": "escape",
        "extra_float_digits": "0",
        "search_path": "public",
    }
    caracal_database.execute(*(f"ALTER DATABASE {name} SET {key} = '{value}'" for key, value in bad.items() if key != "search_path"))
    caracal_database.execute(f"ALTER DATABASE {name} SET search_path = public")
    with Session(caracal_database.server, name) as session:
        assert {key: session.value("SELECT current_setting(%s)", (key,)) for key in SETTINGS} == SETTINGS
    with Session(caracal_database.server, name, settings={}) as session:
        assert session.value("SHOW TimeZone") == "Asia/Kolkata"


def test_limits_for_services_do_not_end_our_sessions(caracal_database: TwinCluster, caracal_copy: Copier) -> None:
    name = caracal_copy()
    limits = ("statement_timeout", "transaction_timeout", "idle_session_timeout", "idle_in_transaction_session_timeout")
    caracal_database.execute(*(f"ALTER DATABASE {name} SET {limit} = '150ms'" for limit in limits))
    for settings in (SETTINGS, {}):
        with Session(caracal_database.server, name, settings=settings) as session:
            time.sleep(0.3)
            session.rows("BEGIN")
            time.sleep(0.3)
            assert session.value("SELECT 1 FROM pg_sleep(0.3)") == 1


def test_login_without_rights_raises_permission_missing(login: Login) -> None:
    with (
        Session(login(), "caracal") as session,
        pytest.raises(PermissionMissing, match=r"^database caracal: permission denied for table zones;"),
    ):
        session.rows("SELECT * FROM public.zones")


@pytest.mark.mutation
def test_a_filtered_reading_is_an_error(caracal_database: TwinCluster, login: Login) -> None:
    server = login()
    caracal_database.execute(f"GRANT SELECT ON secrets TO {server.user}", f"GRANT USAGE ON SCHEMA public TO {server.user}")
    with Session(server, "caracal") as session, pytest.raises(PermissionMissing, match="row-level security policy"):
        session.rows("SELECT * FROM public.secrets")


@pytest.mark.mutation
def test_lost_connection_raises_unreachable(caracal_database: TwinCluster) -> None:
    with Session(caracal_database.server, "caracal") as session:
        pid = session.value("SELECT pg_backend_pid()")
        caracal_database.execute(f"SELECT pg_terminate_backend({pid}, 5000)")
        with pytest.raises(Unreachable, match=r"^database caracal: the connection was lost \("):
            session.rows("SELECT 1")


@pytest.mark.parametrize(
    ("state", "kind", "words"),
    [
        ("53100", StorageError, "database caracal: x; free space on the server's disk"),
        ("P0001", StageFailed, "database caracal: x (SQLSTATE P0001)"),
        ("57P01", Unreachable, "database caracal: the connection was lost (x)"),
    ],
)
def test_each_trouble_has_its_class(caracal_database: TwinCluster, state: str, kind: type[BackupError], words: str) -> None:
    with Session(caracal_database.server, "caracal") as session, pytest.raises(kind) as caught:
        session.rows(f"DO $$ BEGIN RAISE 'x' USING ERRCODE = '{state}', DETAIL = 'a row'; END $$")
    assert caught.value.msg.startswith(words)
    assert "a row" not in str(caught.value)


def test_rows_of_an_error_are_not_repeated(caracal_database: TwinCluster) -> None:
    with Session(caracal_database.server, "caracal") as session, pytest.raises(StageFailed, match="duplicate key") as caught:
        session.rows("INSERT INTO public.schema_migrations SELECT * FROM public.schema_migrations")
    assert "0001_baseline" not in str(caught.value)


def test_rows_in_and_out(caracal_database: TwinCluster) -> None:
    with Session(caracal_database.server, "caracal") as session:
        session.rows("CREATE TEMPORARY TABLE t (a text)")
        session.copy_from("COPY pg_temp.t FROM STDIN", io.BytesIO(b"x\ny\\nz\n"))
        lines: list[bytes] = []

        class Sink:
            def write(self, data: bytes) -> None:
                lines.append(data)

        session.copy_to("COPY pg_temp.t TO STDOUT", Sink())
        assert lines == [b"x\n", b"y\\nz\n"]
        assert session.value("SELECT count(*) FROM pg_temp.t WHERE a = %s", ("y\nz",)) == 1
        assert session.value("SELECT 1 WHERE false") is None


class Broken(io.BytesIO):
    """A source and a sink that fail after a first piece."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error
        self._calls = 0

    def _count(self) -> None:
        self._calls += 1
        if self._calls > 1:
            raise self._error

    def read(self, size: int | None = -1, /) -> bytes:
        self._count()
        return b"1\n" * 10

    def write(self, data: t.Any, /) -> int:
        self._count()
        return len(data)


@pytest.mark.mutation
@pytest.mark.parametrize("error", [TamperedData("objects/x: altered or truncated", key="x"), StorageError("full")])
def test_an_error_of_ours_inside_a_copy_comes_out_as_it_went_in(caracal_database: TwinCluster, error: BackupError) -> None:
    with Session(caracal_database.server, "caracal") as session:
        session.rows("CREATE TEMPORARY TABLE t (a int)")
        with pytest.raises(BackupError) as caught:
            session.copy_from("COPY pg_temp.t FROM STDIN", Broken(error))
        assert caught.value is error
        assert session.value("SELECT count(*) FROM pg_temp.t") == 0
    with Session(caracal_database.server, "caracal") as session, pytest.raises(BackupError) as caught:
        session.copy_to("COPY (SELECT generate_series(1, 1000)) TO STDOUT", Broken(error))
    assert caught.value is error


@pytest.mark.mutation
def test_rows_that_do_not_fit_are_an_error(caracal_database: TwinCluster) -> None:
    with Session(caracal_database.server, "caracal") as session:
        session.rows("CREATE TEMPORARY TABLE t (a int)")
        with pytest.raises(StageFailed, match=r"missing data|extra data|invalid input"):
            session.copy_from("COPY pg_temp.t FROM STDIN", io.BytesIO(b"1\t2\n"))
