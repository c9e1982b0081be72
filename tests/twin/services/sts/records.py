# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rows that an exchange reads and writes."""

from __future__ import annotations

import datetime as dt
import typing as t

from ..common.postgres import Database, Release, Row

APPLICATION = """
SELECT * FROM applications
WHERE id = %s AND zone_id = coalesce(%s, zone_id) AND archived_at IS NULL AND (expires_at IS NULL OR expires_at > now())
"""
RESOURCE = "SELECT * FROM resources WHERE zone_id = %s AND identifier = %s AND archived_at IS NULL"
EDGE = "SELECT * FROM delegation_edges WHERE id = %s AND zone_id = %s AND status = 'active' AND expires_at > now() AND revoked_at IS NULL"
REVOKED_TREE = """
WITH RECURSIVE tree AS (
  SELECT id FROM {table} WHERE id = %s AND zone_id = %s
  UNION ALL SELECT a.id FROM {table} a JOIN tree ON a.parent_id = tree.id)
UPDATE {table} SET status = 'revoked'{columns} WHERE id IN (SELECT id FROM tree) AND status <> 'revoked'
"""


class Records:
    """Looks up live rows. A row that has ended counts as missing."""

    def __init__(self, database: Database, release: Release) -> None:
        self._database = database
        self.release = release

    def application(self, identifier: str, zone: str | None) -> Row | None:
        """Return an application by ID, in a zone or (None) in any zone."""
        live = "archived_at IS NULL AND (expires_at IS NULL OR expires_at > now())"
        return self._database.row(
            f"SELECT * FROM applications WHERE id = %s AND zone_id = coalesce(%s, zone_id) AND {live}", identifier, zone
        )

    def resource(self, zone: str, identifier: str) -> Row | None:
        return self._database.row(
            "SELECT * FROM resources WHERE zone_id = %s AND identifier = %s AND archived_at IS NULL", zone, identifier
        )

    def provider(self, identifier: str) -> Row | None:
        return self._database.row("SELECT * FROM providers WHERE id = %s AND archived_at IS NULL", identifier)

    def custody(self, ref: str) -> bytes | None:
        row = self._database.row("SELECT envelope FROM secret_store WHERE ref = %s", ref)
        return bytes(row["envelope"]) if row else None

    def authority(self, zone: str, identifier: str) -> Row | None:
        table = self.release.authority
        return self._database.row(
            f"SELECT * FROM {table} WHERE id = %s AND zone_id = %s AND status = 'active' AND expires_at > now()", identifier, zone
        )

    def agent(self, zone: str, identifier: str) -> Row | None:
        """Return an active session within its time. `labels` and `subject` have these names in every release."""
        release = self.release
        task = f"{release.started} + make_interval(secs => coalesce(ttl_seconds, 0)) > now()"
        return self._database.row(
            f"SELECT *, {release.labels} AS labels, {release.subject} AS subject FROM {release.agents}"
            f" WHERE id = %s AND zone_id = %s AND status = 'active'"
            f" AND CASE WHEN heartbeat_deadline_at IS NOT NULL THEN heartbeat_deadline_at > now() ELSE {task} END",
            identifier,
            zone,
        )

    def edge(self, zone: str, identifier: str) -> Row | None:
        return self._database.row(EDGE, identifier, zone)

    def epoch(self, zone: str) -> int:
        row = self._database.row("SELECT epoch FROM delegation_graph_epochs WHERE zone_id = %s", zone)
        return int(row["epoch"]) if row else 0

    def add_authority(self, row: dict[str, t.Any], lifetime: dt.timedelta) -> None:
        """Add an authority record. Its times are the database's."""
        columns = ", ".join([*row, "status", "expires_at", "authenticated_at"])
        marks = ", ".join(["%s"] * len(row))
        self._database.execute(
            f"INSERT INTO {self.release.authority} ({columns}) VALUES ({marks}, 'active', now() + %s, now())", *row.values(), lifetime
        )

    def revoke(self, zone: str, authority: str, reason: str) -> None:
        """Revoke the record and all records derived from it, with any status."""
        newer = self.release.secret_store
        sql = REVOKED_TREE.format(table=self.release.authority, columns=", revoked_at = now(), revoked_reason = %s" if newer else "")
        self._database.execute(sql, authority, zone, *([reason or "session_revoked"] if newer else []))
