# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The coordinator's periodic work: agents past their time end, services without a heartbeat are suspended."""

from __future__ import annotations

import itertools
import typing as t

from ..common.postgres import Cursor, Database, Release
from .endings import Endings

LOCK = "SELECT pg_try_advisory_xact_lock(hashtext(%s)) AS got"
OVERDUE = """
SELECT id, zone_id FROM {agents} WHERE status IN ('active', 'suspended') AND heartbeat_deadline_at IS NULL
  AND ttl_seconds IS NOT NULL AND {started} + make_interval(secs => ttl_seconds) < now() ORDER BY zone_id, id LIMIT 500
"""
SILENT = """
SELECT id, zone_id FROM {agents} WHERE status = 'active' AND heartbeat_deadline_at < now() ORDER BY zone_id, id LIMIT 500
"""


class Sweepers:
    """Each method runs one pass and counts its changes."""

    def __init__(self, database: Database, release: Release, endings: Endings) -> None:
        self._database = database
        self._names = {"agents": release.agents, "started": release.started}
        self._endings = endings
        self._status = "expired" if release.secret_store else "terminated"
        self.terminated = self.suspended = 0

    def end_overdue(self) -> None:
        def end(cursor: Cursor, zone: str, ids: list[str]) -> int:
            return self._endings.terminate(cursor, zone, ids, "ttl", self._status)

        self.terminated += self._pass("coordinator:ttl_sweep", OVERDUE, end)

    def suspend_silent(self) -> None:
        def suspend(cursor: Cursor, zone: str, ids: list[str]) -> int:
            return self._endings.suspend(cursor, zone, ids, "service_heartbeat_lost")

        self.suspended += self._pass("coordinator:lease_sweep", SILENT, suspend)

    def _pass(self, lock: str, sql: str, change: t.Callable[[Cursor, str, list[str]], int]) -> int:
        with self._database.transaction() as cursor:
            cursor.execute(LOCK, [lock])
            if not cursor.fetchone()["got"]:
                return 0
            cursor.execute(sql.format(**self._names))
            zones = itertools.groupby(cursor.fetchall(), key=lambda row: row["zone_id"])
            return sum([change(cursor, zone, [row["id"] for row in rows]) for zone, rows in zones])
