# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Signed audit frames in the API's outbox: each event must have its row in the audit log, or still be waiting to be sent.

A frame is sent before its row is written. Between the two it exists only in Redis. A restore without Redis loses the
frame unless the outbox sends it again. The outbox never deletes a row.
"""

from __future__ import annotations

import datetime

from .._errors import StageFailed
from .._report.check import NOT_APPLICABLE, PASS, UNPROVEN, WARN, Check
from .inventory.inventory import Reader
from .releases import SECRET_STORE

CHECK_ID = "outbox.audit_frames_landed"
AUDIT_EVENTS = "caracal.audit.events"
REVOCATIONS = "caracal.sessions.revoke"
SHOWN = 50
EVENTS, COORDINATOR = "event_outbox", "caracal_outbox"
# Condition for rows that a service has given up on, by outbox.
DEAD = {EVENTS: "dispatched_at IS NULL AND available_at = 'infinity'", COORDINATOR: "status = 'dead'"}

LANDED, WAITING, EXPIRED, LOST, UNREADABLE = "landed", "waiting", "expired", "lost", "unreadable"
# The frame's own `id` identifies the request. The event's `id` is in `data`, which is untrusted text: a value that
# jsonb cannot hold must not end the query. Retention drops whole partitions, so an event older than the oldest
# partition may have lost its row legitimately. LIMIT prevents a plan that reads the whole audit log for a few frames.
_FRAMES = f"""
    WITH oldest AS (
      SELECT to_char(min(substring(pg_get_expr(c.relpartbound, c.oid) FROM 'FROM \\(''([^'']+)''\\)')::timestamptz),
                     'YYYY-MM-DD"T"HH24:MI:SS') AS start
        FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'public.audit_events'::regclass),
    frames AS (
      SELECT id, dispatched_at IS NULL AND available_at <> 'infinity' AS sending,
             CASE WHEN payload_json ->> 'data' IS JSON OBJECT AND payload_json ->> 'data' !~* '\\\\u(0000|d[89a-f])'
                  THEN (payload_json ->> 'data')::jsonb END AS event
        FROM public.event_outbox WHERE stream_name = '{AUDIT_EVENTS}'),
    judged AS (
      SELECT f.id, CASE WHEN found.yes THEN '{LANDED}' WHEN f.sending THEN '{WAITING}' WHEN f.event ->> 'id' IS NULL THEN '{UNREADABLE}'
                        WHEN (f.event ->> 'occurred_at') COLLATE "C" < oldest.start THEN '{EXPIRED}' ELSE '{LOST}' END AS became
        FROM frames f CROSS JOIN oldest
        LEFT JOIN LATERAL (SELECT true AS yes FROM public.audit_events e WHERE e.id = f.event ->> 'id' LIMIT 1) found ON true)"""


def landed(reader: Reader, family: str) -> Check:
    """Check that each event of the outbox is in the audit log or waiting to be sent. Otherwise the verdict is `warn`:
    `outbox_reopen` sends the event again.
    """
    if family != SECRET_STORE:
        return Check(CHECK_ID, NOT_APPLICABLE, "this release does not write audit events to its outbox", required=False)
    try:
        rows = reader.rows(f'{_FRAMES} SELECT became, count(*), (array_agg(id ORDER BY id COLLATE "C"))[1:{SHOWN}] FROM judged GROUP BY 1')
    except StageFailed as exc:
        return Check(CHECK_ID, UNPROVEN, f"event_outbox and audit_events cannot be compared: {exc.msg}", required=False)
    counts = {became: count for became, count, _ids in rows}
    shown = {became: ids for became, _count, ids in rows}
    if LOST in counts:
        words = (
            f"{counts[LOST]} audit event(s) were sent but have no row in audit_events (first: row {shown[LOST][0]} of event_outbox); "
            "if Redis was lost too, run outbox_reopen before the services start"
        )
        return Check(CHECK_ID, WARN, words, required=False, details={"counts": counts, "ids": shown[LOST]})
    if UNREADABLE in counts:
        words = f"{counts[UNREADABLE]} row(s) of event_outbox have no readable audit event; first: row {shown[UNREADABLE][0]}"
        return Check(CHECK_ID, UNPROVEN, words, required=False, details={"counts": counts, "ids": shown[UNREADABLE]})
    if not counts.keys() - {EXPIRED}:
        return Check(CHECK_ID, NOT_APPLICABLE, _words(counts), required=False, details={"counts": counts})
    return Check(CHECK_ID, PASS, _words(counts), required=False, details={"counts": counts})


def _words(counts: dict[str, int]) -> str:
    if not counts:
        return "the outbox contains no audit event"
    meanings = {LANDED: "have their row in audit_events", WAITING: "wait to be sent", EXPIRED: "are older than the oldest audit partition"}
    return "audit events in the outbox: " + ", ".join(f"{counts[became]} {words}" for became, words in meanings.items() if became in counts)


# Query for the rows of a stream to send again, by table. Its parameters are the stream and the start of the time range.
_SENT = {
    "event_outbox": """SELECT id FROM public.event_outbox
                        WHERE stream_name = %s AND created_at >= %s AND dispatched_at IS NOT NULL ORDER BY 1""",
    "caracal_outbox": """SELECT id FROM public.caracal_outbox WHERE topic = %s AND created_at >= %s AND status = 'published' ORDER BY 1""",
}
REOPEN = {
    "event_outbox": """UPDATE public.event_outbox SET dispatched_at = NULL, available_at = now(), attempts = 0, locked_until = NULL
                        WHERE id = ANY(%s)""",
    "caracal_outbox": """UPDATE public.caracal_outbox SET status = 'pending', published_at = NULL, available_at = now(), attempts = 0
                          WHERE id = ANY(%s)""",
}


def to_reopen(reader: Reader, family: str, stream: str, since: datetime.datetime | None) -> dict[str, list[str]]:
    """Return the IDs of the outbox rows to send again, by outbox table.

    For audit frames, these are the rows whose event has no audit row. For other streams, these are all rows created
    since `since` that were sent.
    """
    if stream == AUDIT_EVENTS and family != SECRET_STORE:
        return {}
    if stream == AUDIT_EVENTS:
        rows = reader.rows(f"{_FRAMES} SELECT id FROM judged WHERE became = '{LOST}' ORDER BY 1")
        return {"event_outbox": [row[0] for row in rows]}
    return {table: [row[0] for row in reader.rows(sql, (stream, since))] for table, sql in _SENT.items()}
