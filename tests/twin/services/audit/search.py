# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The operator's search in a zone's events."""

from __future__ import annotations

import datetime as dt
import hmac
import json
import typing as t

from ..common.environment import Environment
from ..common.http import Handler, Refusal, Request, Response
from ..common.identity import utc_now
from ..common.postgres import Database, Row
from .ledger import DOCUMENTS, ROWS, TEXTS

WHERE = """
WHERE zone_id = %(zone_id)s AND occurred_at >= %(since)s AND occurred_at < %(until)s AND chain_seq > %(cursor)s
  AND (%(decision)s = '' OR decision = %(decision)s) AND (%(request_id)s = '' OR request_id = %(request_id)s)
ORDER BY chain_seq LIMIT %(limit)s
"""


def handler(environment: Environment, database: Database) -> Handler:
    """Return the handler, which requires AUDIT_ADMIN_TOKEN. Without that variable the page does not exist."""
    expected = environment.optional("AUDIT_ADMIN_TOKEN")

    def answer(request: Request) -> Response:
        if not expected:
            raise Refusal(404, b"404 page not found\n")
        if not hmac.compare_digest(request.bearer, expected):
            raise Refusal(401, b"unauthorized\n")
        query = request.query
        if not query.get("zone_id"):
            raise Refusal(400, b"zone_id is required\n")
        limit = min(_number(query.get("limit"), 100), 1000)
        values = {
            "zone_id": query["zone_id"],
            "decision": query.get("decision", ""),
            "request_id": query.get("request_id", ""),
            "since": _time(query.get("since"), utc_now() - dt.timedelta(days=1)),
            "until": _time(query.get("until"), utc_now()),
            "cursor": _number(query.get("cursor"), 0),
            "limit": limit,
        }
        with database.transaction() as cursor:
            cursor.execute(ROWS + WHERE, values)
            rows = [dict(row) for row in cursor.fetchall()]
        following = str(rows[-1]["chain_seq"]) if len(rows) == limit else ""
        return Response(200, {"events": [_shown(row) for row in rows] or None, "next_cursor": following})

    return answer


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.isdigit() and int(text) else default


def _time(text: str | None, default: dt.datetime) -> dt.datetime:
    try:
        return dt.datetime.fromisoformat(text.replace("Z", "+00:00")) if text else default
    except ValueError:
        return default


def _shown(row: Row) -> dict[str, t.Any]:
    """Return the event without columns that are empty and optional, as on the wire."""
    event = {name: row[name] or "" for name in TEXTS}
    for name in ("policy_set_id", "policy_set_version_id", "manifest_sha"):
        if not event[name]:
            del event[name]
    event.update({name: json.loads(row[name] or "null") for name in DOCUMENTS})
    event["occurred_at"] = row["occurred_at"].isoformat().replace("+00:00", "Z")
    return {
        "Event": event,
        "IngestedAt": row["ingested_at"].isoformat().replace("+00:00", "Z"),
        "ContentSHA256": row["content_sha256"],
        "PrevContentSHA256": row["prev_content_sha256"],
        "ChainHMAC": row["chain_hmac"],
        "ChainSeq": row["chain_seq"],
    }
