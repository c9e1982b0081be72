# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The audit of the administration: a row for every change and every refusal, in a chain for each zone."""

from __future__ import annotations

import datetime as dt
import typing as t

from ... import chain
from .identity import new_id, utc_now
from .postgres import Database, Release, json_value

HEAD = """
SELECT coalesce(content_sha256, '') AS content, coalesce(chain_seq, 0) AS seq FROM admin_audit_events
WHERE zone_id IS NOT DISTINCT FROM %s ORDER BY chain_seq DESC NULLS LAST LIMIT 1
"""
GLOBAL = "admin-audit-global"


class AdminAudit:
    """Writes rows. Without a key they are linked but not signed."""

    def __init__(self, database: Database, release: Release, key: bytes | None) -> None:
        self._database = database
        self._release = release
        self._key = key

    def write(self, row: dict[str, t.Any], payload: dict[str, t.Any] | None) -> None:
        """Add the row with the fields of `chain.ADMIN_FIELDS` except the ID. The payload's keys are in the writer's order."""
        zone = row["zone_id"]
        if zone is None and self._release.admin_chain and not self._release.secret_store:
            # The first releases with the chain lose rows without a zone: their lock has a name that the server rejects.
            return
        now = utc_now()
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        full: dict[str, t.Any] = {"id": new_id(), **row}
        with self._database.transaction() as cursor:
            links: dict[str, t.Any] = {}
            if self._release.admin_chain:
                cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [zone or GLOBAL])
                cursor.execute(HEAD, [zone])
                links = self._links(full, payload, now, cursor.fetchone() or {"content": "", "seq": 0})
            values = {**full, "payload_json": json_value(payload) if payload is not None else None, "occurred_at": now, **links}
            marks = ", ".join(["%s"] * len(values))
            cursor.execute(f"INSERT INTO admin_audit_events ({', '.join(values)}) VALUES ({marks})", list(values.values()))

    def _links(self, row: dict[str, t.Any], payload: dict[str, t.Any] | None, now: dt.datetime, head: t.Any) -> dict[str, t.Any]:
        content = chain.admin_hash(row, chain.written_payload(payload), now)
        return {
            "content_sha256": content,
            "prev_content_sha256": head["content"] or None,
            "chain_hmac": chain.link(self._key, content, head["content"]) if self._key else None,
            "chain_seq": head["seq"] + 1,
        }
