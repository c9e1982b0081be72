# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connect to a PostgreSQL server with psycopg2 or with its own tools, without a password in argv or on disk."""

from __future__ import annotations

import dataclasses
import os
import socket
import stat
import typing as t

from ..._deps import require_psycopg2
from ..._errors import BackupError, KeyProblem, OptionError, PermissionMissing, StageFailed, VersionMismatch
from ..._options.shared import PostgresOptions
from ..._stream import secret_files
from ..._stream.pipes import Sink
from . import libpq, problems
from .opening import (
    CLIENT_CHECK,
    CLIENT_CHECK_EVERY,
    RESTRICTED,
    RESTRICTION,
    SETTINGS,
    STARTUP,
    STRANGE_CAST,
    opening,
)


def own_passfile() -> str:
    """Return the path of libpq's default password file."""
    return os.environ.get("PGPASSFILE") or os.path.expanduser("~/.pgpass")


def _refuse_shared_passfile() -> None:
    """Raise KeyProblem if other users can read that password file.

    Its directory does not matter. libpq ignores such a file, and the error of the failed login does not give the reason.
    """
    path = own_passfile()
    mode = stat.S_IMODE(os.stat(path).st_mode) if os.path.isfile(path) else 0
    if mode & 0o077:
        raise KeyProblem(
            f"password file {path} has mode {mode:04o}, so other users can read it; run chmod 600 {path}, and change the password"
        )


@dataclasses.dataclass(frozen=True)
class Server:
    """A server and a login. The password is read from its file only when a connection needs it."""

    host: str = ""
    port: int = 5432
    user: str = "caracal"
    password_file: str | None = None
    ssl_mode: str = "prefer"
    ca_cert: str | None = None
    ssl_cert: str | None = None
    ssl_key: str | None = None
    application: str = "caracal_ops.backup"

    def named(self, application: str) -> Server:
        """Return the server with another application name, which distinguishes the runs of this collection in the server's views."""
        return dataclasses.replace(self, application=application)

    @classmethod
    def from_options(cls, given: PostgresOptions) -> Server:
        """Return the server for the options. Raises KeyProblem if others can read the password file that libpq would use."""
        if given.login_password_file is None:
            _refuse_shared_passfile()
        return cls(
            given.login_unix_socket or given.login_host,
            given.login_port,
            given.login_user,
            given.login_password_file,
            given.ssl_mode,
            given.ca_cert,
            given.ssl_cert,
            given.ssl_key,
        )

    def __str__(self) -> str:
        return f"{self.user}@{self.host or 'local socket'}:{self.port}"

    def parameters(self, database: str) -> dict[str, t.Any]:
        """Return the keyword arguments for `psycopg2.connect`."""
        wanted = {
            "dbname": database,
            "host": self.host or None,
            "port": self.port,
            "user": self.user,
            "password": self.password(),
            "sslmode": self.ssl_mode,
            "sslrootcert": self.ca_cert,
            "sslcert": self.ssl_cert,
            "sslkey": self.ssl_key,
            "connect_timeout": 15,
            "application_name": self.application,
            "client_encoding": "UTF8",
            "options": STARTUP,
            "require_auth": self.methods() if _knows_require_auth() else None,
        }
        return {name: value for name, value in wanted.items() if value is not None}

    def methods(self) -> str:
        return libpq.methods(self.host, self.password_file is not None)

    def password(self) -> str | None:
        if self.password_file is None:
            return None
        return secret_files.text(self.password_file, "login_password_file").rstrip("\r\n")

    def environment(self, database: str) -> dict[str, str]:
        """Return the environment of libpq for `pg_dump` and other tools, without the password (see `tools.passfile`)."""
        wanted = {
            "PGDATABASE": database,
            "PGHOST": self.host or None,
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGSSLMODE": self.ssl_mode,
            "PGSSLROOTCERT": self.ca_cert,
            "PGSSLCERT": self.ssl_cert,
            "PGSSLKEY": self.ssl_key,
            "PGCONNECT_TIMEOUT": "15",
            "PGAPPNAME": self.application,
            "PGTZ": "UTC",
            "PGOPTIONS": f"{STARTUP} -c bytea_output=hex -c {CLIENT_CHECK}={CLIENT_CHECK_EVERY}",
            "LC_ALL": "C.UTF-8",
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        }
        return {name: value for name, value in wanted.items() if value is not None}


class Session:
    """A connection with the settings of `opening`. It raises only errors of this collection."""

    def __init__(self, server: Server, database: str, *, autocommit: bool = True, settings: t.Mapping[str, str] | None = None) -> None:
        psycopg2 = require_psycopg2()
        self._error = psycopg2.Error
        self.database = database
        try:
            self._connection = psycopg2.connect(**server.parameters(database))
            self._connection.autocommit = True
            with self._connection.cursor() as cursor:
                cursor.execute(opening())
                cursor.execute("SELECT pg_catalog.current_setting(%s, true), pg_catalog.current_setting('server_version')", (RESTRICTION,))
                restricted, version = cursor.fetchone()
                cursor.execute(STRANGE_CAST)
                casts = cursor.fetchall()
                for name, value in (SETTINGS if settings is None else settings).items():
                    cursor.execute("SELECT pg_catalog.set_config(%s, %s, false)", (name, value))
            self._connection.autocommit = autocommit
        except psycopg2.Error as exc:
            raise problems.connect(server, database, str(exc)) from exc
        except UnicodeError:
            # Either the given name or an error that the server sent before it knew the client's encoding is not UTF-8.
            raise problems.connect(server, database, "its error message is not UTF-8") from None
        if restricted != RESTRICTED or casts:
            self.close()
        for cast, role in casts:
            raise PermissionMissing(
                f"database {database}: the cast ({cast}) calls a function of role {role}. Queries of this module would run it with the "
                f"privileges of {server.user}; drop the cast, or give its function to a superuser"
            )
        if restricted != RESTRICTED:
            raise VersionMismatch(
                f"database {database}: PostgreSQL {version} would run code of a view that replaces a table with the privileges of "
                f"{server.user} (CVE-2024-7348). Update the server to PostgreSQL 17 or newer, or to 16.4, 15.8 or 14.13"
            )

    def rows(self, sql: str, parameters: t.Sequence[t.Any] = ()) -> list[tuple[t.Any, ...]]:
        """Run a statement and return all its rows, or an empty list if it has none."""
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(sql, parameters or None)
                return cursor.fetchall() if cursor.description else []
        except self._error as exc:
            raise problems.translate(exc, self.database) from exc
        except UnicodeError:
            raise problems.no_text(self.database) from None

    def value(self, sql: str, parameters: t.Sequence[t.Any] = ()) -> t.Any:
        """Return the first column of the first row, or None."""
        return next((row[0] for row in self.rows(sql, parameters)), None)

    def conceal(self, sql: str, what: str) -> None:
        """Run a statement that contains secret values.

        If the server refuses it, the error omits the server's message, which could repeat the values.
        """
        try:
            self.rows(sql)
        except StageFailed as exc:
            state = exc.details.get("sqlstate")
            raise StageFailed(
                f"database {self.database}: the server refused {what} (SQLSTATE {state}); check the server's log", sqlstate=state
            ) from None

    def verifier(self, role: str, password: str) -> str:
        """Return the password verifier that the server stores. It is computed here, so no statement contains the password."""
        return str(require_psycopg2().extensions.encrypt_password(password, role, self._connection, "scram-sha-256"))

    def copy_to(self, sql: str, sink: Sink) -> None:
        """Run `COPY … TO STDOUT`, with one call of `sink.write` per row, including the newline."""
        try:
            with self._connection.cursor() as cursor:
                cursor.copy_expert(sql, sink)
        except self._error as exc:
            raise problems.translate(exc, self.database) from exc

    def copy_from(self, sql: str, source: t.Any) -> int:
        """Run `COPY … FROM STDIN` from an object with `read(size)`, and return the number of rows.

        A BackupError from `source` is raised unchanged.
        """
        reader = _Reader(source)
        try:
            with self._connection.cursor() as cursor:
                cursor.copy_expert(sql, reader, 1 << 18)
                return int(cursor.rowcount)
        except (self._error, SystemError) as exc:
            # psycopg2 raises a SystemError if it notices the end of its session while it reads from a Python object.
            lost = exc if isinstance(exc, self._error) else exc.__cause__ or exc
            raise reader.error or problems.translate(lost, self.database) from exc

    def refuse_pooler(self) -> None:
        """Raise OptionError if the server is a connection pooler such as PgBouncer, which reports its own process ID.

        Behind a pooler, sessions and snapshots cannot be held.
        """
        if self._connection.info.backend_pid != self.value("SELECT pg_catalog.pg_backend_pid()"):
            raise OptionError(
                f"database {self.database}: the server is a connection pooler (such as PgBouncer), which does not preserve snapshots; "
                "set login_host and login_port to the PostgreSQL server"
            )

    def abandon(self) -> None:
        """Abort the running statement from another thread. It then raises Unreachable.

        A function can catch the cancellation of its query, but not the loss of the connection.
        """
        with socket.socket(fileno=os.dup(self._connection.fileno())) as own:
            own.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class _Reader:
    """A reader that keeps the error of its source. psycopg2 passes only its text on, through the server."""

    def __init__(self, source: t.Any) -> None:
        self._source = source
        self.error: BackupError | None = None

    def read(self, size: int) -> t.Any:
        try:
            return self._source.read(size)
        except BackupError as exc:
            self.error = exc
            raise


def _knows_require_auth() -> bool:
    return int(require_psycopg2().extensions.libpq_version()) >= libpq.REQUIRE_AUTH_SINCE
