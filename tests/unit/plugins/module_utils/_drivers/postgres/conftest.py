# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Client programs, separate logins, and points at which a call between two statements pauses."""

from __future__ import annotations

import typing as t
import uuid
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import client_binaries
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.client_binaries import ClientTools
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server import Server
from scenes.twin_database import TwinCluster

# Every character that has a meaning in a password file, a shell or a connection string.
PASSWORD = "p\\w:d 'x\" $HOME %s {ö} #\t`id`"


@pytest.fixture(scope="session")
def client() -> ClientTools:
    return client_binaries.find(None, minimum_major=17, tools=("pg_dump", "pg_restore", "psql"))


@pytest.fixture
def login(caracal_database: TwinCluster, tmp_path: Path) -> t.Iterator[t.Callable[..., Server]]:
    """Return a function that creates roles with a password for one test: `login("BYPASSRLS")`. They own nothing afterwards."""
    made: list[str] = []

    def make(attributes: str = "", password: str = PASSWORD) -> Server:
        made.append(f"login_{uuid.uuid4().hex[:12]}")
        escaped = password.replace("'", "''")
        caracal_database.execute(f"CREATE ROLE {made[-1]} LOGIN {attributes} PASSWORD '{escaped}'", database="postgres")
        path = tmp_path / f"{made[-1]}.password"
        path.write_text(password + "\n", encoding="utf-8")
        path.chmod(0o600)
        return Server(caracal_database.info.socket_dir, caracal_database.info.port, made[-1], str(path))

    yield make
    databases = caracal_database.execute("SELECT datname FROM pg_database WHERE datallowconn", database="postgres")
    for name in made:
        for (database,) in databases:
            caracal_database.execute(f"REASSIGN OWNED BY {name} TO caracal", f"DROP OWNED BY {name}", database=database)
        caracal_database.execute(f"DROP ROLE {name}", database="postgres")
