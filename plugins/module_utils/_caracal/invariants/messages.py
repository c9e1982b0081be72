# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules for outboxes with rows that are not sent any more, sealed values, signing keys, and the markers of the audit log."""

from __future__ import annotations

from ..._report.check import WARN
from ..keys.sealed_columns import COLUMNS, CSS1, DETACHED, ZONES, Column
from ..outbox import COORDINATOR, DEAD, EVENTS
from .rule import Invariant

_RETRY = "the API is not ready if their number is above its limit; send the events again, or raise the limit by their number"
_REQUEUE = "send them again through the Coordinator: POST /zones/{zone}/outbox/{id}/requeue"

OUTBOXES = (
    Invariant(
        "outboxes.api_dead", "events of the API", "were given up and will not be sent again", _RETRY, f"public.{EVENTS}",
        f"SELECT id FROM public.{EVENTS} WHERE {DEAD[EVENTS]}", severity=WARN),
    Invariant(
        "outboxes.coordinator_dead", "events of the coordinator", "were given up and will not be sent again", _REQUEUE,
        f"public.{COORDINATOR}",
        f"SELECT id FROM public.{COORDINATOR} WHERE {DEAD[COORDINATOR]}", severity=WARN),
)  # fmt: skip

AUDIT = (
    # Reads only the first row. Other checks verify the chain and read all of audit_events.
    Invariant(
        "audit_query.rehash_marker", "audit logs with events", "have no rehash marker in audit_chain_rehash",
        "the audit service would recompute every audit hash and hide changes; do not start it, restore another set",
        "(SELECT FROM public.audit_events LIMIT 1) e",
        """SELECT 'audit_chain_rehash' FROM (SELECT FROM public.audit_events LIMIT 1) e
            WHERE NOT EXISTS (SELECT FROM public.audit_chain_rehash)"""),
    Invariant(
        "audit_query.export_watermark", "export watermarks", "are not a full hour in the past",
        "hourly exports would have a gap; set last_exported_hour to the last hour in the bucket",
        "public.audit_export_watermark",
        """SELECT name FROM public.audit_export_watermark
            WHERE last_exported_hour <> date_trunc('hour', last_exported_hour, 'UTC') OR last_exported_hour > now()"""),
)  # fmt: skip

# A webhook's cursor never passes the newest event of its zone and never moves back. Severity is warn: the newest event
# of a quiet zone can arrive so late that its month is dropped before older ones. Then the cursor stays where it was.
WEBHOOKS = Invariant(
    "audit_query.webhook_cursor", "webhooks of zones with audit events", "have a cursor after the newest audit event of their zone",
    "the end of the audit log was removed, unless retention dropped a late event; compare with the hourly exports",
    "public.notification_sinks s WHERE EXISTS (SELECT FROM public.audit_events e WHERE e.zone_id = s.zone_id)",
    """SELECT s.id FROM public.notification_sinks s
        WHERE s.cursor_chain_seq > (SELECT max(e.chain_seq) FROM public.audit_events e WHERE e.zone_id = s.zone_id)""",
    severity=WARN)  # fmt: skip


def keys(family: str) -> tuple[Invariant, ...]:
    zones, columns = f"({ZONES[family].rows})", COLUMNS[family]
    return (
        Invariant(
            "keys.zone_signing_key", "live zones with subject sessions", "have no signing key",
            "the STS creates a new key and refuses tokens of the old one; if these zones had a key, restore another set",
            f"{zones} z", f"SELECT z.id FROM {zones} z WHERE NOT z.held", severity=WARN),
        Invariant(
            "keys.sealed_form", "sealed values", "do not have the format of a sealed value",
            "no key can decrypt them; compare with the source, or restore another set",
            f"({' UNION ALL '.join(_given(column, 'true') for column in columns)}) s",
            " UNION ALL ".join(_given(column, _malformed(column)) for column in columns)),
    )  # fmt: skip


def _given(column: Column, condition: str) -> str:
    """Return a query for the IDs of the column's sealed values, prefixed with the table."""
    given = " OR ".join(f"{name} IS NOT NULL" for name in (column.column, column.nonce) if name)
    where = f" AND {column.where}" if column.where else ""
    return f"SELECT '{column.name} ' || ({column.row_id}) FROM public.{column.table} WHERE ({given}) AND ({condition}){where}"


def _malformed(column: Column) -> str:
    """Return the condition for a malformed value.

    An envelope has at least 100 bytes. A value sealed directly under the KEK has a nonce of 12 bytes and more bytes
    than its tag of 16.
    """
    if column.layout == CSS1:
        return f"substr({column.column}, 1, 4) <> 'CSS1'::bytea OR length({column.column}) < 100"
    if column.layout == DETACHED:
        return f"coalesce(length({column.nonce}), 0) <> 12 OR coalesce(length({column.column}), 0) <= 16"
    return f"length({column.column}) <= 28"
