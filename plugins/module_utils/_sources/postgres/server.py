# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""How to reach a PostgreSQL server, for psycopg2 and for its own tools, without a password in argv or on disk."""

from __future__ import annotations

import dataclasses
import os
import typing as t

from ..._deps import require_psycopg2
from ..._errors import BackupError, KeyProblem, OptionError, PermissionMissing, StageFailed, StorageError, Unreachable
from ..._stream.pipes import Sink

# formats.md, Digests: what every row's text depends on is set before any row is read.
SETTINGS = {
    "caracal.zone_id": "*",
    "row_security": "off",
    "search_path": "",
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "3",
    "client_encoding": "UTF8",
    "lock_timeout": "30s",
}

# A server that waits for a lock, or works, would not notice for long that its client was killed. This setting makes it look.
CLIENT_CHECK = "client_connection_check_interval"
CLIENT_CHECK_EVERY = "1s"

# Limits that an administrator sets for services would end a long reading, or the idle session that holds our lock.
# Asked of the server, since older majors do not know all of them; a block, since it returns no rows that psql would print.
NO_LIMITS = f"""DO $$ BEGIN
    PERFORM pg_catalog.set_config(name, CASE name WHEN '{CLIENT_CHECK}' THEN '{CLIENT_CHECK_EVERY}' ELSE '0' END, false)
       FROM pg_catalog.pg_settings
      WHERE name IN ('statement_timeout', 'transaction_timeout', 'idle_session_timeout', 'idle_in_transaction_session_timeout',
                     '{CLIENT_CHECK}');
    END $$"""


@dataclasses.dataclass(frozen=True)
class Server:
    """A server and a login; the password stays in its file until a connection needs it."""

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
        """The same under another application name, by which the server tells our runs apart."""
        return dataclasses.replace(self, application=application)

    @classmethod
    def from_options(cls, options: t.Mapping[str, t.Any]) -> Server:
        """From the options of fragment `_postgres`."""
        return cls(
            options["login_unix_socket"] or options["login_host"],
            options["login_port"],
            options["login_user"],
            options["login_password_file"],
            options["ssl_mode"],
            options["ca_cert"],
            options["ssl_cert"],
            options["ssl_key"],
        )

    def __str__(self) -> str:
        return f"{self.user}@{self.host or 'local socket'}:{self.port}"

    def parameters(self, database: str) -> dict[str, t.Any]:
        """Keyword arguments of `psycopg2.connect`."""
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
        }
        return {name: value for name, value in wanted.items() if value is not None}

    def password(self) -> str | None:
        if self.password_file is None:
            return None
        try:
            with open(self.password_file, encoding="utf-8") as stream:
                return stream.read().rstrip("\r\n")
        except OSError as exc:
            raise KeyProblem(f"login_password_file {self.password_file} cannot be read: {exc.strerror}; check path and owner") from exc
        except UnicodeDecodeError:
            raise KeyProblem(f"login_password_file {self.password_file} is not UTF-8 text; write the password into it again") from None

    def environment(self, database: str) -> dict[str, str]:
        """Environment of libpq for `pg_dump` and friends, without the password (see `passfile`)."""
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
            "PGOPTIONS": f"-c bytea_output=hex -c {CLIENT_CHECK}={CLIENT_CHECK_EVERY}",
            "LC_ALL": "C.UTF-8",
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        }
        return {name: value for name, value in wanted.items() if value is not None}

    def passfile(self) -> int | None:
        """A libpq password file in memory (a file descriptor to pass on), or None without a password."""
        password = self.password()
        if password is None:
            return None
        fd = os.memfd_create("passfile", 0)
        os.fchmod(fd, 0o600)
        escaped = password.replace("\\", "\\\\").replace(":", "\\:")
        os.write(fd, f"*:*:*:*:{escaped}\n".encode())
        return fd


class Session:
    """One connection with the settings above, outside or inside one transaction. Errors become ours."""

    def __init__(self, server: Server, database: str, *, autocommit: bool = True, settings: t.Mapping[str, str] | None = None) -> None:
        psycopg2 = require_psycopg2()
        self._error = psycopg2.Error
        self.database = database
        try:
            self._connection = psycopg2.connect(**server.parameters(database))
            self._connection.autocommit = True
            with self._connection.cursor() as cursor:
                cursor.execute(NO_LIMITS)
                for name, value in (SETTINGS if settings is None else settings).items():
                    cursor.execute("SELECT pg_catalog.set_config(%s, %s, false)", (name, value))
            self._connection.autocommit = autocommit
        except psycopg2.Error as exc:
            raise _connect_problem(server, database, str(exc)) from exc

    def rows(self, sql: str, parameters: t.Sequence[t.Any] = ()) -> list[tuple[t.Any, ...]]:
        """Run a query, all rows; of a statement without rows, the empty list."""
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(sql, parameters or None)
                return cursor.fetchall() if cursor.description else []
        except self._error as exc:
            raise translate(exc, self.database) from exc

    def value(self, sql: str, parameters: t.Sequence[t.Any] = ()) -> t.Any:
        """The first column of the first row, or None."""
        return next((row[0] for row in self.rows(sql, parameters)), None)

    def verifier(self, role: str, password: str) -> str:
        """What the server keeps of a password, made here, so that the password itself is in no statement."""
        return str(require_psycopg2().extensions.encrypt_password(password, role, self._connection, "scram-sha-256"))

    def copy_to(self, sql: str, sink: Sink) -> None:
        """`COPY … TO STDOUT`: one call of `sink.write` per row, with the newline."""
        try:
            with self._connection.cursor() as cursor:
                cursor.copy_expert(sql, sink)
        except self._error as exc:
            raise translate(exc, self.database) from exc

    def copy_from(self, sql: str, source: t.Any) -> int:
        """`COPY … FROM STDIN` from an object with `read(size)`; rows. An error of ours in it comes out as it went in."""
        reader = _Reader(source)
        try:
            with self._connection.cursor() as cursor:
                cursor.copy_expert(sql, reader, 1 << 18)
                return int(cursor.rowcount)
        except (self._error, SystemError) as exc:
            # psycopg2 that is told of its session's end while it reads our object raises a SystemError because of it.
            lost = exc if isinstance(exc, self._error) else exc.__cause__ or exc
            raise reader.error or translate(lost, self.database) from exc

    def refuse_pooler(self) -> None:
        """A pooler such as PgBouncer answers with a process id of its own; behind it, sessions and snapshots are not ours to hold."""
        if self._connection.info.backend_pid != self.value("SELECT pg_catalog.pg_backend_pid()"):
            raise OptionError(
                f"database {self.database}: a connection pooler (PgBouncer or the like) answers there, and a snapshot does not survive it; "
                "set login_host and login_port to the PostgreSQL server itself"
            )

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class _Reader:
    """Keeps the source's error, of which psycopg2 passes on only the text, through the server."""

    def __init__(self, source: t.Any) -> None:
        self._source = source
        self.error: BackupError | None = None

    def read(self, size: int) -> t.Any:
        try:
            return self._source.read(size)
        except BackupError as exc:
            self.error = exc
            raise


def translate(exc: t.Any, database: str) -> BackupError:
    """Our error for psycopg2's, with the primary message only: details may hold rows."""
    diagnosis = getattr(exc, "diag", None)
    message = (getattr(diagnosis, "message_primary", None) or str(exc)).strip().splitlines()
    said = message[0] if message else type(exc).__name__
    code = getattr(exc, "pgcode", None) or ""
    if code == "42501":
        return PermissionMissing(f"database {database}: {said}; grant what the preflight names or log in as the owner")
    if code in ("53100", "58030"):
        return StorageError(f"database {database}: {said}; make room on the server's disk")
    if code.startswith(("08", "57P")) or not code:
        return Unreachable(f"database {database}: the connection was lost ({said}); check the server's log and run again")
    return StageFailed(f"database {database}: {said} (SQLSTATE {code})", sqlstate=code)


def _connect_problem(server: Server, database: str, said: str) -> BackupError:
    line = " ".join(said.split())
    if f'database "{database}" does not exist' in line:
        return Unreachable(f"database {database} does not exist on {server}; correct the database name")
    return Unreachable(f"cannot connect to database {database} as {server}: {line}; check the login_* options and the server")
