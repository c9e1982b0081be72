# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""PostgreSQL servers in configurations that a sandbox cannot have: a primary with its standby, or one with TLS."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import typing as t
from pathlib import Path

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server import Server
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server_binaries import Install
from harness.fixtures import sandbox_path
from harness.waiting import PATIENCE, eventually
from twin import load

UID = 65534


@contextlib.contextmanager
def folder(install: Install) -> t.Iterator[tuple[Path, Install]]:
    """Yield a folder for servers, and the installation as their user can access it."""
    made = Path(sandbox_path())
    made.mkdir(mode=0o755)
    try:
        copy = made / "install"
        root = Path(os.path.commonpath([install.bindir, install.libdir, install.sharedir]))
        shutil.copytree(root, copy, symlinks=True)
        if os.geteuid() == 0:
            os.chown(made, UID, UID)
        os.chmod(made, 0o755)
        for path in (copy, *copy.rglob("*")):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
        yield made, Install(str(copy / Path(install.bindir).relative_to(root)), "", "", install.version, "copy")
    finally:
        shutil.rmtree(made)


class Cluster:
    """One server in `folder`. Its superuser may log in through its socket."""

    def __init__(self, folder: Path, install: Install, port: int, superuser: str = "caracal") -> None:
        self.folder, self.install, self.port, self.superuser = folder, install, port, superuser
        self.data = folder / str(port) / "data"
        self._server: subprocess.Popen[bytes] | None = None

    def run(self, *argv: str) -> None:
        subprocess.run(self._as_user(argv), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def _as_user(self, argv: t.Sequence[str]) -> list[str]:
        program = os.path.join(self.install.bindir, argv[0])
        drop = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups"] if os.geteuid() == 0 else []
        return [*drop, program, *argv[1:]]

    def create(self) -> None:
        self.run("initdb", "-D", str(self.data), "-U", self.superuser, "-E", "UTF8", "--locale=C.UTF-8", "-A", "trust", "--no-sync")

    def put(self, name: str, content: bytes) -> str:
        """Write a file in the data directory that only the server's user can read."""
        path = self.data / name
        path.write_bytes(content)
        path.chmod(0o600)
        if os.geteuid() == 0:
            os.chown(path, UID, UID)
        return str(path)

    def start(self, **settings: str) -> None:
        usual = {"port": self.port, "unix_socket_directories": self.folder, "listen_addresses": "", "timezone": "UTC", "fsync": "off"}
        given = {**usual, "dynamic_shared_memory_type": "mmap", **settings}
        options = [part for name, value in given.items() for part in ("-c", f"{name}={value}")]
        self._server = subprocess.Popen(
            self._as_user(["postgres", "-D", str(self.data), *options]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        eventually(self._answers)

    def _answers(self) -> bool:
        with contextlib.suppress(Exception), contextlib.closing(load.open_database(self.target, "postgres")):
            return True
        return False

    def stop(self) -> None:
        if self._server:
            self._server.terminate()
            self._server.wait(PATIENCE)

    @property
    def server(self) -> Server:
        return Server(host=str(self.folder), port=self.port, user=self.superuser)

    @property
    def target(self) -> dict[str, t.Any]:
        return {"host": str(self.folder), "port": self.port, "user": self.superuser, "password": None}

    def execute(self, *statements: str, database: str = "caracal") -> list[tuple[t.Any, ...]]:
        with contextlib.closing(load.open_database(self.target, database)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
