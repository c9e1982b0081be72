# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The data of a sandbox: its specification, its directories, its description."""

from __future__ import annotations

import dataclasses
import os
import typing as t

from .._drivers.postgres.server_binaries import Install
from .._errors import OptionError

PORT = 5432
# sun_path has 108 bytes including the terminating zero.
SOCKET_PATH_LIMIT = 107
AUTO = "auto"
REQUIRED = "required"
# The variable with the sandbox's token, in the environment of every module of a drill.
TOKEN = "CARACAL_OPS_DRILL"
LEASE_SECONDS = 600


@dataclasses.dataclass(frozen=True)
class SourceFacts:
    """Facts about the cluster that is restored: its data directory on this host, its locale."""

    data_directory: str | None = None
    locale: str | None = None


@dataclasses.dataclass(frozen=True)
class SandboxSpec:
    """The specification of a sandbox.

    `minimum_free` is in bytes. `isolation` is `required`, or `auto` with a reason. Only runs with `token` find the sandbox. It
    is removed if no process has used it for `lease` seconds, or if it uses more than `maximum` bytes.
    """

    directory: str
    install: Install
    superuser: str = "caracal"
    minimum_free: int = 0
    source: SourceFacts = SourceFacts()
    isolation: str = REQUIRED
    unisolated_reason: str = ""
    allow_shared_filesystem: bool = False
    token: str = ""
    lease: float = LEASE_SECONDS
    maximum: int | None = None


@dataclasses.dataclass(frozen=True)
class Layout:
    """The directories of a sandbox, all below `root`, which is an absolute path without symbolic links."""

    root: str

    @classmethod
    def of(cls, directory: str) -> Layout:
        """Return the layout of a directory. Raise OptionError for a path that cannot contain a server socket."""
        if not os.path.isabs(directory):
            raise OptionError(f"{directory} is not an absolute path; use a path such as /var/tmp/caracal-drill")
        clean = os.path.normpath(directory)
        root = os.path.join(os.path.realpath(os.path.dirname(clean)), os.path.basename(clean))
        if any(char in root for char in "\"',\\") or not root.isprintable():
            raise OptionError(f"{root!r} has characters that a socket path cannot contain; use letters, digits and hyphens")
        layout = cls(root)
        length = len(os.fsencode(layout.socket))
        if length > SOCKET_PATH_LIMIT:
            raise OptionError(
                f"{layout.socket} has {length} bytes, but a socket path has at most {SOCKET_PATH_LIMIT}; use a shorter directory"
            )
        return layout

    @property
    def marker(self) -> str:
        return os.path.join(self.root, ".caracal-ops-sandbox.json")

    @property
    def data(self) -> str:
        return os.path.join(self.root, "data")

    @property
    def socket_dir(self) -> str:
        return os.path.join(self.root, "socket")

    @property
    def socket(self) -> str:
        return os.path.join(self.socket_dir, f".s.PGSQL.{PORT}")

    @property
    def install(self) -> str:
        """The copy of the server's installation, if the server cannot access the original."""
        return os.path.join(self.root, "install")

    @property
    def programs(self) -> str:
        """A directory for each program that a drill starts next to the server."""
        return os.path.join(self.root, "programs")

    @property
    def clients(self) -> str:
        """PostgreSQL's client programs from the image of the server, if it runs from an image."""
        return os.path.join(self.root, "clients")

    @property
    def holders(self) -> str:
        """The directory with one file for each process that uses the sandbox."""
        return os.path.join(self.root, "holders")

    @property
    def log(self) -> str:
        """The server's output before it has a log of its own."""
        return os.path.join(self.root, "server.log")

    @property
    def passwd(self) -> str:
        """The file that the server sees as /etc/passwd inside bubblewrap."""
        return os.path.join(self.root, "passwd")


class SandboxRecord(t.TypedDict):
    """A sandbox in its marker and in the state of a drill. `SandboxInfo` describes the fields."""

    directory: str
    data_directory: str
    socket_dir: str
    port: int
    superuser: str
    server_version: str
    system_identifier: str
    pid: int
    uid: int
    protection: str
    isolation: str
    isolation_reason: str
    warnings: list[str]
    unisolated_reason: str
    image: str
    pg_bin: str


@dataclasses.dataclass(frozen=True)
class SandboxInfo:
    """A running sandbox.

    `pid` is the server's process ID on this host, `uid` the user of its programs. `isolation_reason` is the reason why there is
    no isolation, `unisolated_reason` the reason why the operator accepts that. `image` is the ID of the server's image,
    `pg_bin` the directory of that image's client programs. Both are empty without an image.
    """

    directory: str
    data_directory: str
    socket_dir: str
    port: int
    superuser: str
    server_version: str
    system_identifier: str
    pid: int
    uid: int
    protection: str
    isolation: str
    isolation_reason: str
    warnings: tuple[str, ...]
    unisolated_reason: str = ""
    image: str = ""
    pg_bin: str = ""

    def to_result(self) -> SandboxRecord:
        return {
            "directory": self.directory,
            "data_directory": self.data_directory,
            "socket_dir": self.socket_dir,
            "port": self.port,
            "superuser": self.superuser,
            "server_version": self.server_version,
            "system_identifier": self.system_identifier,
            "pid": self.pid,
            "uid": self.uid,
            "protection": self.protection,
            "isolation": self.isolation,
            "isolation_reason": self.isolation_reason,
            "warnings": list(self.warnings),
            "unisolated_reason": self.unisolated_reason,
            "image": self.image,
            "pg_bin": self.pg_bin,
        }

    @classmethod
    def of(cls, record: SandboxRecord) -> SandboxInfo:
        """Return the sandbox from a result of `to_result`. Raise TypeError for other fields, KeyError without warnings."""
        fields: dict[str, t.Any] = {**record, "warnings": tuple(record["warnings"])}
        return cls(**fields)
