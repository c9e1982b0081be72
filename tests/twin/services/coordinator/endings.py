# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The end of agents: everything that they started, their delegations, and the notification of other services."""

from __future__ import annotations

import typing as t

from ..common import streams
from ..common.identity import milliseconds_text
from ..common.postgres import Cursor, Release, Row
from . import outbox

TREE = """
WITH RECURSIVE tree AS (
  SELECT id FROM {agents} WHERE id = ANY(%(roots)s) AND zone_id = %(zone)s AND status IN ({live})
  UNION ALL SELECT a.id FROM {agents} a JOIN tree ON a.parent_id = tree.id WHERE a.zone_id = %(zone)s AND a.status IN ({live}))
UPDATE {agents} SET {changes} WHERE id IN (SELECT id FROM tree)
RETURNING id, {subject} AS subject, parent_id, updated_at
"""
ENDED = "status = CASE WHEN id = ANY(%(roots)s) THEN %(status)s ELSE 'terminated' END, terminated_at = now(), updated_at = now()"
REASON = ", termination_reason = CASE WHEN id = ANY(%(roots)s) THEN %(reason)s ELSE 'parent_terminated' END"
ORPHANED = """
UPDATE {agents} p SET child_count = greatest(p.child_count - c.n, 0), updated_at = now()
FROM (SELECT parent_id, count(*)::int AS n FROM {agents} WHERE id = ANY(%(ids)s) AND parent_id <> ALL(%(ids)s) GROUP BY 1) c
WHERE p.id = c.parent_id
"""
EDGES = """
UPDATE delegation_edges SET status = 'revoked', revoked_at = now(), edge_version = edge_version + 1, updated_at = now()
WHERE zone_id = %(zone)s AND status = 'active' AND (source_session_id = ANY(%(ids)s) OR target_session_id = ANY(%(ids)s)) RETURNING id
"""
# Records that another live session uses, or that belong to an application, are not revoked with a session.
EXEMPT = """
SELECT DISTINCT {subject} AS id FROM {agents}
WHERE zone_id = %(zone)s AND {subject} = ANY(%(subjects)s) AND id <> ALL(%(ids)s) AND status IN ('active', 'suspended')
UNION SELECT id FROM {authority} WHERE zone_id = %(zone)s AND id = ANY(%(subjects)s) AND session_type = 'application'
"""
EPOCH = """
INSERT INTO delegation_graph_epochs (zone_id, epoch) VALUES (%s, 1)
ON CONFLICT (zone_id) DO UPDATE SET epoch = delegation_graph_epochs.epoch + 1, updated_at = now() RETURNING epoch
"""


def next_epoch(cursor: Cursor, zone: str) -> int:
    """Increment and return the number that shows other services that the zone's delegations changed."""
    cursor.execute(EPOCH, [zone])
    return int(cursor.fetchone()["epoch"])


class Endings:
    """Changes subtrees within the caller's transaction; each method returns the number of changed agents."""

    def __init__(self, release: Release) -> None:
        self._names = {"agents": release.agents, "subject": release.subject, "authority": release.authority}
        self._newer = release.secret_store

    def terminate(self, cursor: Cursor, zone: str, roots: list[str], reason: str, status: str = "terminated") -> int:
        changes = ENDED + (REASON if self._newer else "")
        rows = self._change(cursor, zone, roots, "'active', 'suspended'", changes, status=status, reason=reason)
        if not rows:
            return 0
        ids = [row["id"] for row in rows]
        cursor.execute(ORPHANED.format(**self._names), {"ids": ids})
        if self._newer:
            self._revoke_edges(cursor, zone, ids, reason)
        self._tell(cursor, zone, rows, "terminate", reason, lambda row: "")
        return len(rows)

    def suspend(self, cursor: Cursor, zone: str, roots: list[str], reason: str) -> int:
        rows = self._change(cursor, zone, roots, "'active'", "status = 'suspended', updated_at = now()")
        # An agent can be suspended again, so the time is part of the key.
        self._tell(cursor, zone, rows, "suspend", reason, lambda row: f":{milliseconds_text(row['updated_at'])}")
        return len(rows)

    def _change(self, cursor: Cursor, zone: str, roots: list[str], live: str, changes: str, **values: str) -> list[Row]:
        cursor.execute(TREE.format(**self._names, live=live, changes=changes), {"roots": roots, "zone": zone, **values})
        return [dict(row) for row in cursor.fetchall()]

    def _revoke_edges(self, cursor: Cursor, zone: str, ids: list[str], reason: str) -> None:
        cursor.execute(EDGES, {"zone": zone, "ids": ids})
        edges = [row["id"] for row in cursor.fetchall()]
        epoch = next_epoch(cursor, zone) if edges else 0
        for edge in edges:
            payload = {"event": "edge_revoke", "zone_id": zone, "edge_id": edge, "reason": reason, "epoch": epoch}
            outbox.enqueue(cursor, streams.DELEGATIONS, f"edge_revoke:{edge}", payload)

    def _tell(self, cursor: Cursor, zone: str, rows: list[Row], event: str, reason: str, occurrence: t.Callable[[Row], str]) -> None:
        values = {"zone": zone, "ids": [row["id"] for row in rows], "subjects": [row["subject"] for row in rows]}
        cursor.execute(EXEMPT.format(**self._names), values)
        exempt = {row["id"] for row in cursor.fetchall()}
        for row in rows:
            about = {"zone_id": zone, "agent_session_id": row["id"], "reason": reason}
            key = f"{row['id']}{occurrence(row)}"
            outbox.enqueue(cursor, streams.LIFECYCLE, f"{event}:{key}", {"event": event, "parent_id": row["parent_id"], **about})
            if row["subject"] not in exempt:
                outbox.enqueue(cursor, streams.REVOCATIONS, f"agent_{event}:{key}", {"session_id": row["subject"], **about})
