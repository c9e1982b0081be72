# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The coordinator's outbox: events of agents and delegations on their way to the streams."""

from __future__ import annotations

import typing as t

import redis

from ..common import streams
from ..common.identity import compact, new_id
from ..common.journal import log
from ..common.postgres import Cursor, Database, Row, json_value

INSERT = """
INSERT INTO caracal_outbox (id, producer, topic, dedupe_key, payload_json) VALUES (%s, 'coordinator', %s, %s, %s)
ON CONFLICT (producer, topic, dedupe_key) DO NOTHING
"""
DUE = """
SELECT id, topic, dedupe_key, payload_json, attempts FROM caracal_outbox
WHERE producer = 'coordinator' AND status = 'pending' AND available_at <= now()
ORDER BY created_at LIMIT 100 FOR UPDATE SKIP LOCKED
"""
PUBLISHED = """
UPDATE caracal_outbox SET status = 'published', attempts = attempts + 1, published_at = now(), updated_at = now() WHERE id = %s
"""
LATER = """
UPDATE caracal_outbox SET attempts = attempts + 1, updated_at = now(),
  available_at = now() + make_interval(secs => least(attempts + 1, 60) + random()) WHERE id = %s
"""
DEAD = "UPDATE caracal_outbox SET status = 'dead', attempts = attempts + 1, updated_at = now() WHERE id = %s"


def enqueue(cursor: Cursor, topic: str, key: str, payload: dict[str, t.Any]) -> None:
    """Add an event within the caller's transaction. The same key twice is one event."""
    cursor.execute(INSERT, [new_id(), topic, key, json_value(payload)])


class Publisher:
    """Signs and sends events that are due."""

    def __init__(self, database: Database, client: t.Any, key: bytes | None, max_attempts: int, max_length: int) -> None:
        self._database = database
        self._client = client
        self._key = key
        self._max_attempts = max_attempts
        self._max_length = max_length

    def step(self) -> None:
        with self._database.transaction() as cursor:
            cursor.execute(DUE)
            for row in cursor.fetchall():
                cursor.execute(self._publish(row), [row["id"]])

    def counts(self) -> dict[str, int]:
        """Return the number of rows with each status."""
        return {
            row["status"]: row["n"] for row in self._database.rows("SELECT status, count(*) AS n FROM caracal_outbox GROUP BY 1 ORDER BY 1")
        }

    def _publish(self, row: Row) -> str:
        """Send the event; return the statement that records the result."""
        values = {name: value if isinstance(value, str) else compact(value) for name, value in row["payload_json"].items()}
        fields = {"outbox_id": row["id"], "dedupe_key": row["dedupe_key"], **values}
        try:
            self._client.xadd(row["topic"], streams.signed(self._key, row["topic"], fields), maxlen=self._max_length, approximate=True)
        except redis.exceptions.RedisError as error:
            log("error", "outbox_publish_failed", id=row["id"], err=str(error))
            return DEAD if row["attempts"] + 1 >= self._max_attempts else LATER
        return PUBLISHED
