# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lists in pages, with the product's own gaps: the cursor has milliseconds, but the database has microseconds."""

from __future__ import annotations

import base64
import binascii
import functools
import json
import typing as t
import urllib.parse

from ..common.http import App, Refusal, Request, Response
from ..common.identity import compact
from ..common.postgres import Database, Release, Row
from .shapes import Listing, listings

FILTERS = ("request_id", "decision", "event_type")
SYSTEM_ZONE = "caracal-sys-internal"


class Lists:
    """Every list of the API."""

    def __init__(self, database: Database, release: Release) -> None:
        self._database = database
        self._newer = release.secret_store
        self.shapes = listings(release)

    def add_routes(self, app: App) -> None:
        for name in self.shapes:
            path = "/v1/zones" if name == "zones" else f"/v1/zones/{{zone}}/{name}"
            app.route("GET", path, functools.partial(self._page, self.shapes[name]))
        app.route("GET", "/v1/zones/{zone}/audit/by-request/{request}", self.by_request)

    def one(self, name: str, identifier: str) -> Row | None:
        """Return one live object by its ID, as its list shows it."""
        shape = self.shapes[name]
        live = " AND archived_at IS NULL" if shape.archives else ""
        return self._database.row(f"SELECT {', '.join(shape.columns)} FROM {shape.table} x WHERE id = %s{live}", identifier)

    def by_request(self, request: Request) -> Response:
        columns = ", ".join(self.shapes["audit"].columns)
        sql = f"SELECT {columns} FROM audit_events WHERE zone_id = %s AND request_id = %s ORDER BY occurred_at"
        rows = self._database.rows(sql, request.params["zone"], request.params["request"])
        if not rows:
            raise Refusal(404, {"error": "request_not_found"})
        return Response(200, rows)

    def _page(self, shape: Listing, request: Request) -> Response:
        query = request.query
        default, most = (100, 1000) if shape.rows else (200, 500)
        limit = query.get("limit", str(default))
        if not limit.isdigit() or not 1 <= int(limit) <= most:
            raise Refusal(400, {"error": "invalid_query"})
        where, values = self._conditions(request, shape)
        stamp = f"date_trunc('milliseconds', {shape.ordered_by})"
        sql = f"SELECT {', '.join(shape.columns)}, {stamp} AS _at, id AS _id FROM {shape.table} x WHERE {where}"
        rows = self._database.rows(f"{sql} ORDER BY {shape.ordered_by} DESC, id DESC LIMIT %s", *values, int(limit))
        following = _cursor(rows[-1]) if len(rows) == int(limit) else None
        shown = [{name: value for name, value in row.items() if name not in ("_at", "_id")} for row in rows]
        return self._wrapped(request, shape, shown, following)

    def _conditions(self, request: Request, shape: Listing) -> tuple[str, list[t.Any]]:
        query, conditions, values = request.query, [], []
        if shape.table == "zones":
            conditions.append(f"slug <> '{SYSTEM_ZONE}'")
        else:
            conditions.append("zone_id = %s")
            values.append(request.params["zone"])
        if shape.archives:
            conditions.append("archived_at IS NULL")
        if shape.table == "audit_events":
            given = [(f"{name} = %s", query[name]) for name in FILTERS if name in query]
            given += [(f"occurred_at {sign} %s", query[name]) for name, sign in (("since", ">="), ("until", "<")) if name in query]
            conditions += [condition for condition, _value in given]
            values += [value for _condition, value in given]
        if "cursor" in query:
            conditions.append(f"({shape.ordered_by}, id) < (%s, %s)")
            values += _decoded(query["cursor"])
        return " AND ".join(conditions), values

    def _wrapped(self, request: Request, shape: Listing, rows: list[Row], following: str | None) -> Response:
        if self._newer:
            return Response(200, {"items": rows, "next_cursor": following})
        if shape.rows:
            return Response(200, {"rows": rows, "next_cursor": following})
        query = urllib.parse.urlencode({"limit": request.query.get("limit", "200"), "cursor": following or ""})
        return Response(200, rows, {"Link": f'<{request.path}?{query}>; rel="next"'} if following else {})


def _cursor(row: Row) -> str:
    text = compact({"ts": row["_at"], "id": row["_id"]})
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decoded(cursor: str) -> list[str]:
    try:
        found = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return [found["ts"], found["id"]]
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise Refusal(400, {"error": "invalid_cursor"}) from None
