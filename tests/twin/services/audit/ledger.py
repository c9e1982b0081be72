# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The chain of audit events in the database: adding events, verifying the chain, and rewriting it."""

from __future__ import annotations

import datetime as dt
import json
import typing as t

from ... import chain
from ...dice import microseconds
from ..common.identity import compact
from ..common.postgres import Cursor, Database, Release, Row

TEXTS = (
    "id",
    "zone_id",
    "event_type",
    "request_id",
    "decision",
    "policy_set_id",
    "policy_set_version_id",
    "manifest_sha",
    "evaluation_status",
)
DOCUMENTS = ("determining_policies_json", "diagnostics_json", "metadata_json")
LOCK = "SELECT pg_advisory_xact_lock(hashtext(%s))"
STORED = "SELECT %s::jsonb::text AS first, %s::jsonb::text AS second, %s::jsonb::text AS third"
HEAD = """
SELECT coalesce(content_sha256, '') AS content, coalesce(chain_seq, 0) AS seq FROM audit_events
WHERE zone_id = %s ORDER BY chain_seq DESC NULLS LAST LIMIT 1
"""
INSERT = """
INSERT INTO audit_events (id, zone_id, event_type, request_id, decision, policy_set_id, policy_set_version_id, manifest_sha,
  evaluation_status, determining_policies_json, diagnostics_json, metadata_json, occurred_at, content_sha256,
  prev_content_sha256, chain_hmac, chain_seq, ingest_signature)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s::jsonb, %s::jsonb, %s, %s, %s, %s, %s, %s)
ON CONFLICT (id, occurred_at) DO NOTHING
"""
EXISTING = "SELECT coalesce(content_sha256, '') AS content FROM audit_events WHERE id = %s AND occurred_at = %s"
ALERT = "INSERT INTO audit_ingest_alerts (event_id, zone_id, kind, detail) VALUES (%s, %s, 'content_mismatch_on_replay', %s)"
ROWS = f"""
SELECT {", ".join(TEXTS)}, {", ".join(f"{name}::text AS {name}" for name in DOCUMENTS)}, occurred_at, ingested_at,
  coalesce(content_sha256, '') AS content_sha256, coalesce(prev_content_sha256, '') AS prev_content_sha256,
  coalesce(chain_hmac, '') AS chain_hmac, coalesce(chain_seq, 0) AS chain_seq
FROM audit_events
"""
REWRITE = "UPDATE audit_events SET content_sha256 = %s, prev_content_sha256 = %s, chain_hmac = %s WHERE id = %s AND occurred_at = %s"


class Altered(Exception):
    """An event was received again with other content."""


class Malformed(Exception):
    """The received data is not an event."""


def stored_hash(row: Row) -> str:
    """Return the content hash of a stored row."""
    return chain.event_hash([row[name] for name in TEXTS], [row[name] for name in DOCUMENTS], microseconds(row["occurred_at"]) * 1000)


def nanoseconds(text: str) -> int:
    """Return the Unix nanoseconds of an RFC 3339 text. Raises Malformed."""
    whole, _dot, rest = text.removesuffix("Z").partition(".")
    try:
        base = dt.datetime.fromisoformat(f"{whole}+00:00")
        return microseconds(base) * 1000 + int(f"{rest:0<9}"[:9])
    except ValueError:
        raise Malformed(f"occurred_at {text!r}") from None


class Ledger:
    """Adds events one by one, in order within each zone."""

    def __init__(self, database: Database, release: Release, key: bytes | None) -> None:
        self._database = database
        self._release = release
        self._key = key
        self.inserts = 0

    def add(self, data: str, signature: str) -> None:
        """Add the event of a stream entry. An event that is stored already changes nothing. Raises Malformed, Altered."""
        try:
            event = json.loads(data)
            zone, instant = str(event["zone_id"]), nanoseconds(event["occurred_at"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Malformed(str(error)) from None
        try:
            with self._database.transaction() as cursor:
                cursor.execute(LOCK, [zone])
                self.inserts += self._insert(cursor, event, instant, signature)
        except _Differs as differs:
            # The alert is kept although the event is refused.
            self._database.execute(ALERT, event["id"], zone, f"stored={differs.stored} incoming={differs.incoming}")
            raise Altered(event["id"]) from None

    def _insert(self, cursor: Cursor, event: dict[str, t.Any], instant: int, signature: str) -> int:
        texts = [_clean(event.get(name) or "") for name in TEXTS]
        wire = [None if event.get(name) is None else _clean(compact(event[name])) for name in DOCUMENTS]
        cursor.execute(STORED, wire)
        stored = list(dict(cursor.fetchone()).values())
        if self._release.wire_hash:
            content = chain.event_hash(texts, wire, instant)
        else:
            content = chain.event_hash(texts, stored, instant // 1000 * 1000)
        cursor.execute(HEAD, [event["zone_id"]])
        head = cursor.fetchone() or {"content": "", "seq": 0}
        link = chain.link(self._key, content, head["content"]) if self._key else ""
        occurred = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc) + dt.timedelta(microseconds=instant // 1000)
        cursor.execute(INSERT, [*texts, *wire, occurred, content, head["content"] or None, link, head["seq"] + 1, signature or None])
        if cursor.rowcount:
            return 1
        cursor.execute(EXISTING, [event["id"], occurred])
        existing = cursor.fetchone()
        if existing and existing["content"] not in ("", content):
            raise _Differs(existing["content"], content)
        return 0

    def rehash(self) -> int:
        """Rewrite every chain unless a marker shows that this was done; return the number of events. The marker is set last."""
        if self._release.wire_hash or self._database.row("SELECT 1 AS one FROM audit_chain_rehash"):
            return 0
        zones = self._database.rows("SELECT DISTINCT zone_id FROM audit_events")
        total = sum(self._rehash_zone(row["zone_id"]) for row in zones)
        self._database.execute("INSERT INTO audit_chain_rehash (id) VALUES (1) ON CONFLICT (id) DO NOTHING")
        return total

    def _rehash_zone(self, zone: str) -> int:
        with self._database.transaction() as cursor:
            cursor.execute(LOCK, [zone])
            cursor.execute(f"{ROWS} WHERE zone_id = %s ORDER BY chain_seq", [zone])
            rows, previous = cursor.fetchall(), ""
            for row in rows:
                content = stored_hash(row)
                link = chain.link(self._key, content, previous) if self._key else ""
                cursor.execute(REWRITE, [content, previous or None, link, row["id"], row["occurred_at"]])
                previous = content
            return len(rows)


class _Differs(Exception):
    def __init__(self, stored: str, incoming: str) -> None:
        super().__init__(stored, incoming)
        self.stored = stored
        self.incoming = incoming


def _clean(value: t.Any) -> t.Any:
    """Remove NUL, which PostgreSQL cannot store."""
    return value.replace("\x00", "").replace("\\u0000", "") if isinstance(value, str) else value
