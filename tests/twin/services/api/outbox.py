# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API's outbox: events that wait in the database until they are in the stream."""

from __future__ import annotations

import os
import typing as t

import redis

from ..common import streams
from ..common.identity import compact, new_id
from ..common.journal import log
from ..common.postgres import Cursor, Database, json_value

CLAIM = """
UPDATE event_outbox SET locked_until = now() + interval '30 seconds', locked_by = %s, attempts = attempts + 1
WHERE id IN (
  SELECT id FROM event_outbox
  WHERE dispatched_at IS NULL AND available_at <= now() AND (locked_until IS NULL OR locked_until < now())
  ORDER BY available_at LIMIT 32 FOR UPDATE SKIP LOCKED)
RETURNING id, stream_name, payload_json, attempts
"""
SENT = "UPDATE event_outbox SET dispatched_at = now(), locked_until = NULL, last_error = NULL WHERE id = %s"
LATER = "UPDATE event_outbox SET locked_until = NULL, available_at = now() + make_interval(secs => %s), last_error = %s WHERE id = %s"
DEAD = "UPDATE event_outbox SET locked_until = NULL, available_at = 'infinity', last_error = %s WHERE id = %s"
HEALTH = """
SELECT count(*) FILTER (WHERE available_at <> 'infinity') AS pending, count(*) FILTER (WHERE available_at = 'infinity') AS dead,
  coalesce(extract(epoch FROM now() - min(created_at) FILTER (WHERE available_at <> 'infinity')), 0)::float AS oldest_pending,
  coalesce(extract(epoch FROM now() - min(created_at) FILTER (WHERE available_at = 'infinity')), 0)::float AS oldest_dead
FROM event_outbox WHERE dispatched_at IS NULL
"""


def enqueue(cursor: Cursor, stream: str, payload: dict[str, t.Any], request: str) -> str:
    """Add an event within the caller's transaction; return its ID."""
    identifier = new_id()
    cursor.execute(
        "INSERT INTO event_outbox (id, stream_name, payload_json, available_at, request_id) VALUES (%s, %s, %s, now(), %s)",
        [identifier, stream, json_value(payload), request],
    )
    return identifier


class Dispatcher:
    """Signs and sends events that are due."""

    def __init__(self, database: Database, client: t.Any, key: bytes | None, max_attempts: int, max_length: int) -> None:
        self._database = database
        self._client = client
        self._key = key
        self._worker = f"api:{os.getpid()}"
        self._max_attempts = max_attempts
        self._max_length = max_length

    def step(self) -> None:
        for row in self._database.rows(CLAIM, self._worker):
            fields = {"outbox_id": row["id"], **{name: _text(value) for name, value in row["payload_json"].items() if value is not None}}
            try:
                signed = streams.signed(self._key, row["stream_name"], fields)
                self._client.xadd(row["stream_name"], signed, maxlen=self._max_length, approximate=True)
            except redis.exceptions.RedisError as error:
                self._failed(row["id"], row["attempts"], str(error))
            else:
                self._database.execute(SENT, row["id"])

    def health(self) -> dict[str, t.Any]:
        """Return the number of waiting rows and of rows that were given up, and the age of the oldest."""
        return self._database.row(HEALTH) or {}

    def _failed(self, identifier: str, attempts: int, error: str) -> None:
        log("warn", "outbox event dispatch failed", id=identifier, attempts=attempts, err=error)
        if attempts >= self._max_attempts:
            self._database.execute(DEAD, error, identifier)
        else:
            self._database.execute(LATER, min(60, 2 ** min(attempts, 6)), error, identifier)


def _text(value: t.Any) -> str:
    """Return the text to which the API's language converts a value."""
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else compact(value)
