# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a sandbox is: its request, its folders, its description."""

from __future__ import annotations

import dataclasses
import os
import typing as t

from .._drivers.postgres.server_binaries import Install
from .._errors import OptionError

PORT = 5432
# sun_path holds 108 bytes with the closing zero.
SOCKET_PATH_LIMIT = 107
AUTO = "auto"
REQUIRED = "required"
# In the environment of every module of a drill: the token of its sandbox.
TOKEN = "CARACAL_OPS_DRILL"
LEASE_SECONDS = 600


@dataclasses.dataclass(frozen=True)
class SourceFacts:
    """What is known of the cluster whose data comes here: its data directory on this host, its locale."""

    data_directory: str | None = None
    locale: str | None = None


@dataclasses.dataclass(frozen=True)
class SandboxSpec:
    """A sandbox as somebody wants it. `minimum_free` is in bytes; `isolation` is `required`, or `auto` with a reason. Only who
    knows `token` finds it. It ends when nobody has worked with it for `lease` seconds, or when it holds more than `maximum` bytes."""

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
    """The folders of a sandbox, all below `root`, which is absolute and free of symbolic links."""

    root: str

    @classmethod
    def of(cls, directory: str) -> Layout:
        """Raises OptionError for a path that no server socket can live under."""
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
        """The copy of the server install, where the original is out of the server's reach."""
        return os.path.join(self.root, "install")

    @property
    def programs(self) -> str:
        """A folder for each program that a drill starts beside the server."""
        return os.path.join(self.root, "programs")

    @property
    def clients(self) -> str:
        """PostgreSQL's client programs of the image that the server is of, if it is of one."""
        return os.path.join(self.root, "clients")

    @property
    def holders(self) -> str:
        """Who works with it."""
        return os.path.join(self.root, "holders")

    @property
    def log(self) -> str:
        """What the server says before it has a log of its own."""
        return os.path.join(self.root, "server.log")

    @property
    def passwd(self) -> str:
        """What the server sees as /etc/passwd inside bubblewrap."""
        return os.path.join(self.root, "passwd")


class SandboxRecord(t.TypedDict):
    """A sandbox in its marker and in the state of a drill; `SandboxInfo` describes the fields."""

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
    """A running sandbox. `pid` is the server's as this host sees it, `uid` whom its programs run as; `isolation_reason` says why there
    is none, and `unisolated_reason` why that was accepted. `image` is the id of the image that the server is of, and `pg_bin` the folder of
    that image's client programs; empty without."""

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
        """From what `to_result` gave. Raises TypeError for other fields, KeyError without warnings."""
        fields: dict[str, t.Any] = {**record, "warnings": tuple(record["warnings"])}
        return cls(**fields)
