# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The application of a resource, for releases that store it in a table with a revision."""

from __future__ import annotations

from ..common.postgres import Database


class BindingsError(Exception):
    """The revision row is invalid."""


class Bindings:
    """The table as last loaded. It is loaded again only if the revision changed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._revision = -1
        self._applications: dict[tuple[str, str], str] = {}

    def refresh(self) -> None:
        """Load changes. After BindingsError the last state is kept."""
        revision = self.revision()
        if revision == self._revision:
            return
        rows = self._database.rows("SELECT zone_id, resource_identifier, application_id FROM gateway_resource_bindings")
        self._applications = {(row["zone_id"], row["resource_identifier"]): row["application_id"] for row in rows}
        self._revision = revision

    def revision(self) -> int:
        rows = self._database.rows("SELECT version FROM gateway_binding_revision WHERE id = true")
        if len(rows) != 1:
            raise BindingsError("gateway binding revision row missing" if not rows else "gateway binding revision returned multiple rows")
        version = int(rows[0]["version"])
        if version < 0:
            raise BindingsError(f"gateway binding revision is negative: {version}")
        return version

    def application(self, zone: str, resource: str) -> str | None:
        return self._applications.get((zone, resource))

    def __len__(self) -> int:
        return len(self._applications)
