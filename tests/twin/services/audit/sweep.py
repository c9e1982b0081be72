# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The search for tampering: every row is compared with its content hash, its predecessor and its HMAC."""

from __future__ import annotations

import contextlib
import datetime as dt
import hmac
import time
import typing as t

import psycopg2
import psycopg2.extras

from ... import chain
from ..common.identity import utc_now
from ..common.journal import log
from ..common.postgres import Database, Row
from .ledger import ROWS, stored_hash

WINDOW = f"{ROWS} WHERE ingested_at >= %s AND ingested_at < %s ORDER BY zone_id, chain_seq"


class Sweep:
    """Counts its findings. The first run covers the whole retention time, later runs the last hours."""

    def __init__(self, database: Database, key: bytes | None, retention_days: int, rolling_hours: int) -> None:
        self._database = database
        self._key = key
        self._full = dt.timedelta(days=retention_days)
        self._rolling = dt.timedelta(hours=rolling_hours)
        self.checked = self.mismatches = self.breaks = self.hmac_failures = 0
        self.last_sweep = self.last_full = 0

    def run(self) -> None:
        full = not self.last_full
        before = (self.mismatches, self.breaks, self.hmac_failures)
        self._check(utc_now(), self._full if full else self._rolling)
        self.last_sweep = int(time.time())
        if full:
            self.last_full = self.last_sweep
        after = (self.mismatches, self.breaks, self.hmac_failures)
        found = dict(zip(("mismatches", "chain_breaks", "hmac_failures"), (b - a for a, b in zip(before, after, strict=True)), strict=True))
        log("error" if any(found.values()) else "info", "tamper sweep complete", full=full, **found)

    def _check(self, until: dt.datetime, window: dt.timedelta) -> None:
        previous: Row | None = None
        for row in self._rows(until - window, until):
            self.checked += 1
            if stored_hash(row) != row["content_sha256"]:
                self.mismatches += 1
                log("error", "tamper: content hash mismatch", event_id=row["id"], zone_id=row["zone_id"], chain_seq=row["chain_seq"])
            if previous and previous["zone_id"] == row["zone_id"] and row["prev_content_sha256"] != previous["content_sha256"]:
                self.breaks += 1
                log("error", "tamper: chain break (prev hash mismatch)", zone_id=row["zone_id"], chain_seq=row["chain_seq"])
            if self._key and not self._linked(row):
                self.hmac_failures += 1
                log("error", "tamper: chain HMAC mismatch", event_id=row["id"], zone_id=row["zone_id"])
            previous = row

    def _linked(self, row: Row) -> bool:
        expected = chain.link(self._key or b"", row["content_sha256"], row["prev_content_sha256"])
        return hmac.compare_digest(expected, row["chain_hmac"])

    def _rows(self, since: dt.datetime, until: dt.datetime) -> t.Iterator[Row]:
        connected = contextlib.closing(self._database.connect())
        with connected as connection, connection.cursor(name="sweep", cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
            cursor.itersize = 5000
            cursor.execute(WINDOW, [since, until])
            yield from cursor
