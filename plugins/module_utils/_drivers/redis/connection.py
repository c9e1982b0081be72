# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A connection to a Redis server. The server's refusals become errors of this collection."""

from __future__ import annotations

import dataclasses
import os
import typing as t

from ..._deps import require_redis
from ..._errors import (
    BackupError,
    Busy,
    KeyProblem,
    PermissionMissing,
    StageFailed,
    StorageError,
    Unreachable,
    VersionMismatch,
)
from ..._options.shared import RedisOptions
from ..._reasons import REDIS_UNREACHABLE
from ..._stream import secret_files
from .deadline import Deadline

CLIENT = "caracal_ops.backup"
CONNECT_SECONDS = 10
REPLY_SECONDS = 60
# The limit for a whole answer, which may be a page of the largest entries over a slow connection.
ANSWER_SECONDS = 300


@dataclasses.dataclass(frozen=True)
class Address:
    """A server and a login. The password is read from its file only when the connection needs it."""

    host: str
    port: int
    unix_socket: str | None
    username: str | None
    password_file: str | None
    db: int
    tls: bool
    ca_cert: str | None
    client_cert: str | None
    client_key: str | None

    @classmethod
    def from_options(cls, given: RedisOptions) -> Address:
        return cls(**{name.removeprefix("redis_"): value for name, value in vars(given).items()})

    def __str__(self) -> str:
        return f"{self.unix_socket or f'{self.host}:{self.port}'}/{self.db}"

    def password(self) -> str | None:
        if self.password_file is None:
            return None
        return secret_files.text(self.password_file, "redis_password_file").partition("\n")[0].rstrip("\r")

    def connection(self) -> t.Any:
        """Return a connection that is not connected yet."""
        redis = require_redis()
        given: dict[str, t.Any] = {
            "db": self.db,
            "username": self.username,
            "password": self.password(),
            "protocol": 2,
            "socket_timeout": REPLY_SECONDS,
            "retry": redis.retry.Retry(redis.backoff.NoBackoff(), 0),
        }
        if self.unix_socket:
            return redis.UnixDomainSocketConnection(path=self.unix_socket, **given)
        given.update(host=self.host, port=self.port, socket_connect_timeout=CONNECT_SECONDS)
        if not self.tls:
            return redis.Connection(**given)
        for name in ("ca_cert", "client_cert", "client_key"):
            path = getattr(self, name)
            if path and not os.access(path, os.R_OK):
                raise KeyProblem(f"cannot read redis_{name} {path}; check path and owner")
        # Set explicitly, since redis-py before 6 does not check the host name by default.
        given["ssl_check_hostname"] = True
        return redis.SSLConnection(ssl_ca_certs=self.ca_cert, ssl_certfile=self.client_cert, ssl_keyfile=self.client_key, **given)


class Session:
    """A connection with this collection's client name. `lost` is True if the server closed the connection."""

    def __init__(self, address: Address, set_id: str) -> None:
        self.address = address
        self.lost = False
        self._redis = require_redis().exceptions
        self._connection = address.connection()
        self._deadline = Deadline(ANSWER_SECONDS)
        self._deadline.bind(self._connection)
        try:
            self._connection.connect()
        except (self._redis.RedisError, OSError) as exc:
            raise self._connect_problem(exc) from exc
        self.attempt("CLIENT", "SETNAME", f"{CLIENT}.{set_id}")

    def call(self, *command: t.Any) -> t.Any:
        """Return the reply to one command: bytes, integers, None and lists of them. Raise BackupError if it is refused."""
        try:
            self._deadline.begin()
            self._connection.send_command(*command)
            return self._connection.read_response()
        except (self._redis.RedisError, OSError) as exc:
            raise self._problem(exc, str(command[0])) from exc

    def attempt(self, *command: t.Any) -> t.Any:
        """Return the reply, or None if the server refuses the command, for example because of missing privileges."""
        try:
            return self.call(*command)
        except (PermissionMissing, StageFailed):
            if self.lost:
                raise
            return None

    def pipeline(self, packed: bytes, names: t.Sequence[str]) -> list[t.Any]:
        """Return the replies to commands that are already encoded. Raise the error of the first refused command."""
        name, replies = names[0], []
        try:
            self._connection.send_packed_command([packed])
            for name in names:  # noqa: B007 - the error names the command that was refused
                self._deadline.begin()
                replies.append(self._connection.read_response())
            return replies
        except (self._redis.RedisError, OSError) as exc:
            self._connection.disconnect()  # replies to the remaining commands may still arrive
            raise self._problem(exc, name) from exc

    def close(self) -> None:
        self._connection.disconnect()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _connect_problem(self, exc: Exception) -> BackupError:
        text = _first_line(exc)
        if isinstance(exc, self._redis.BusyLoadingError):
            return Busy(f"Redis {self.address} is still loading its data; wait, then run again")
        if isinstance(exc, self._redis.AuthenticationError):
            words = f"Redis {self.address} refuses the login ({text}); check redis_username and redis_password_file"
            return Unreachable(words, reason=REDIS_UNREACHABLE)
        if self.address.tls and ("SSL" in text or "certificate" in text):
            return Unreachable(
                f"the TLS connection to Redis {self.address} is not trusted ({text}); check redis_ca_cert, the host name and the port"
            )
        words = f"cannot reach Redis {self.address} ({text}); check redis_host, redis_port, redis_tls and the network"
        return Unreachable(words, reason=REDIS_UNREACHABLE)

    def _problem(self, exc: Exception, command: str) -> BackupError:
        """Return the error for a refused command. It contains the server's message about keys and commands, which never repeats a field."""
        redis, text, where = self._redis, _first_line(exc), f"Redis {self.address}"
        if isinstance(exc, redis.NoPermissionError):
            rule = f"+{command.lower()} and the streams' keys"
            return PermissionMissing(
                f"{where}: user {self.address.username or 'default'} is not allowed to run {command} ({text}); grant {rule} (ACL SETUSER)"
            )
        if isinstance(exc, redis.OutOfMemoryError):
            return StorageError(f"{where} is out of memory at {command}; raise its maxmemory")
        if isinstance(exc, redis.ReadOnlyError):
            return StageFailed(f"{where} is a read-only replica and refuses {command}; use its primary")
        if isinstance(exc, redis.AuthenticationError):
            return Unreachable(f"{where} requires a login ({text}); set redis_username and redis_password_file")
        if isinstance(exc, redis.BusyLoadingError):
            return Busy(f"{where} is still loading its data; wait, then run again")
        if isinstance(exc, (redis.MovedError, redis.AskError, redis.ClusterDownError)):
            return VersionMismatch(
                f"{where} is a node of a Redis Cluster, and the keys are on other nodes ({text}); use a Redis without cluster mode"
            )
        if isinstance(exc, redis.ResponseError):
            return StageFailed(f"{where} refuses {command}: {text}; check its log")
        self.lost = True
        return Unreachable(f"the connection to {where} was lost during {command} ({text}); check that it is running, then run again")


def _first_line(exc: Exception) -> str:
    lines = str(exc).splitlines()
    return (lines[0] if lines else type(exc).__name__).partition(", with args")[0].rstrip(".")[:200]
