# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The values of the fixtures `caracal_database` and `twin_cluster`."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server import Server
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import SandboxInfo
from twin import load
from twin.spec import Spec


@dataclasses.dataclass(frozen=True)
class TwinCluster:
    """A server with the twin's databases, and the specification from which they were created."""

    info: SandboxInfo
    spec: Spec

    @property
    def server(self) -> Server:
        return Server(host=self.info.socket_dir, port=self.info.port, user=self.info.superuser)

    @property
    def target(self) -> dict[str, t.Any]:
        """Return the connection in the form that the twin's own functions use."""
        return {"host": self.info.socket_dir, "port": self.info.port, "user": self.info.superuser, "password": None}

    def execute(self, *statements: str, database: str = "caracal") -> list[tuple[t.Any, ...]]:
        """Run statements one by one; return the rows of the last one."""
        with contextlib.closing(load.open_database(self.target, database)) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []


TwinFactory = t.Callable[..., TwinCluster]
Copier = t.Callable[[], str]
