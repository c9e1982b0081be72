# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Move events from the stream into the ledger, and invalid ones into the dead letters."""

from __future__ import annotations

import hmac
import os
import socket
import time
import typing as t

import psycopg2
import redis

from ..common import streams
from ..common.journal import log
from ..common.streams import Entry
from .ledger import Altered, Ledger, Malformed

GROUP = "audit-ingestor"


class Ingest:
    """One consumer of the group. An entry is acknowledged only when it is stored or in the dead letters."""

    def __init__(self, client: t.Any, ledger: Ledger, key: bytes | None) -> None:
        self._client = client
        self._ledger = ledger
        self._key = key
        self._consumer = f"audit-{socket.gethostname()}-{os.getpid()}"
        self._begun = False
        self.healthy = False
        self.hmac_failures = self.parse_errors = self.altered = self.dead = self.retries = 0

    def step(self) -> None:
        """Run one turn: at first create the group and read pending entries, then read new entries."""
        try:
            if not self._begun:
                streams.ensure_group(self._client, streams.AUDIT, GROUP)
                self._claim(min_idle_ms=0)
                self._begun = True
            self._take(streams.read_group(self._client, streams.AUDIT, GROUP, self._consumer))
            self.healthy = True
        except redis.exceptions.RedisError:
            # A new server has no group.
            self._begun = self.healthy = False
            raise

    def reap(self, idle_seconds: int) -> None:
        """Try entries again that have been pending for too long."""
        if self._begun:
            self.retries += self._claim(idle_seconds * 1000)

    def lag(self) -> tuple[int, float]:
        """Return the number of entries that are not stored yet, and how long the oldest delivered one has waited."""
        groups = {one["name"]: one for one in self._client.xinfo_groups(streams.AUDIT)}
        about = groups.get(GROUP, {})
        pending = int(about.get("pending") or 0)
        oldest = self._client.xpending_range(streams.AUDIT, GROUP, "-", "+", 1) if pending else []
        age = max((one["time_since_delivered"] / 1000 for one in oldest), default=0.0)
        return pending + int(about.get("lag") or 0), age

    def dead_letters(self) -> tuple[int, float]:
        """Return the number of dead letters, and the age of the oldest."""
        first = self._client.xrange(streams.DEAD_AUDIT, count=1)
        age = time.time() - int(first[0][0].partition("-")[0]) / 1000 if first else 0.0
        return int(self._client.xlen(streams.DEAD_AUDIT)), max(age, 0.0)

    def _claim(self, min_idle_ms: int) -> int:
        start, count = "0-0", 0
        while True:
            start, entries, *_deleted = self._client.xautoclaim(streams.AUDIT, GROUP, self._consumer, min_idle_ms, start, count=100)
            self._take(entries)
            count += len(entries)
            if start == "0-0":
                return count

    def _take(self, entries: list[Entry]) -> None:
        for identifier, fields in entries:
            try:
                reason = self._store(fields.get("data"), fields.get("sig", ""))
            except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
                log("warn", "transient pg insert; will retry", id=identifier, err=" ".join(str(error).split()))
                continue
            except psycopg2.Error as error:
                reason = f"pg_permanent_error:{' '.join(str(error).split())}"
            if reason:
                self._bury(identifier, fields, reason)
            self._client.xack(streams.AUDIT, GROUP, identifier)

    def _store(self, data: str | None, signature: str) -> str:
        """Return why the entry cannot be stored, or an empty string if it was stored."""
        if data is None:
            self.parse_errors += 1
            return "missing_data_field"
        if self._key and not hmac.compare_digest(streams.audit_signature(self._key, data), signature):
            self.hmac_failures += 1
            return "hmac_verify_failed"
        try:
            self._ledger.add(data, signature)
        except Malformed as error:
            self.parse_errors += 1
            return f"json_parse_error:{error}"
        except Altered:
            self.altered += 1
            return "tamper_on_replay"
        return ""

    def _bury(self, identifier: str, fields: streams.Fields, reason: str) -> None:
        self._client.xadd(streams.DEAD_AUDIT, {"original_id": identifier, "reason": reason, **fields})
        self.dead += 1
        log("warn", "event sent to DLQ", id=identifier, reason=reason)
