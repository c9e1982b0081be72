# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Agents: start by applications, lists, suspension and termination."""

from __future__ import annotations

import typing as t

from ..common import streams
from ..common.http import App, Refusal, Request, Response
from ..common.identity import new_id
from ..common.postgres import Cursor, Database, Release, Row, json_value
from . import outbox
from .access import Caller
from .endings import Endings

DEFAULT_TTL = 3600
MAX_CHILDREN = 10
LEASE = "now() + make_interval(secs => %s)"
REFERENCES = """
SELECT EXISTS (SELECT 1 FROM applications WHERE id = %(application)s AND zone_id = %(zone)s AND archived_at IS NULL
    AND (expires_at IS NULL OR expires_at > now())) AS application,
  EXISTS (SELECT 1 FROM authority_records WHERE id = %(authority)s AND zone_id = %(zone)s AND status = 'active'
    AND expires_at > now()) AS authority
"""
STARTED = """
SELECT id AS agent_session_id, zone_id, application_id, parent_id, subject_authority_record_id, lifecycle, labels, status, depth,
  ttl_seconds, started_at, last_heartbeat_at, heartbeat_deadline_at, lease_generation FROM sessions WHERE id = %s
"""
PARENT = "SELECT depth, application_id FROM sessions WHERE id = %s AND zone_id = %s AND status = 'active' FOR UPDATE"
NEWER = (
    "id AS agent_session_id",
    "zone_id",
    "application_id",
    "parent_id",
    "subject_authority_record_id",
    "lifecycle",
    "labels",
    "status",
    "depth",
    "ttl_seconds",
    "coalesce(metadata_json, '{}') AS metadata",
    "started_at",
    "terminated_at",
    "termination_reason",
    "last_heartbeat_at",
    "heartbeat_deadline_at",
    "lease_generation::text AS lease_generation",
)
OLDER = ("id AS agent_session_id", "zone_id", "application_id", "parent_id", "subject_session_id", "status", "depth", "ttl_seconds")


class Agents:
    """Routes for agents. Only agents of the newer family can be started here."""

    def __init__(self, database: Database, release: Release, endings: Endings, lease_seconds: int) -> None:
        self._database = database
        self._release = release
        self._endings = endings
        self._lease = lease_seconds
        shown = NEWER if release.secret_store else (*OLDER, f"{release.labels} AS {release.labels}", f"{release.started}", "terminated_at")
        self._select = f"SELECT {', '.join(shown)} FROM {release.agents}"

    def add_routes(self, app: App) -> None:
        base = "/zones/{zone}/agents"
        if self._release.secret_store:
            app.route("POST", base, self.start)
        app.route("GET", base, self.list)
        app.route("GET", f"{base}/{{id}}", self.one)
        app.route("GET", f"{base}/{{id}}/children", self.children)
        app.route("PATCH", f"{base}/{{id}}/suspend", self.suspend)
        app.route("DELETE", f"{base}/{{id}}", self.terminate)

    def start(self, request: Request) -> Response:
        caller: Caller = request.actor
        body, zone = request.json(), request.params["zone"]
        application = str(body.get("application_id") or "")
        authority = body.get("subject_session_id") or caller.authority
        if not caller.owns(application):
            raise Refusal(403, {"error": "application_ownership_required"})
        service = body.get("lifecycle", "task") == "service"
        identifier = new_id()
        with self._database.transaction() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"coordinator:session_start:{zone}"])
            cursor.execute(REFERENCES, {"application": application, "zone": zone, "authority": authority})
            there = cursor.fetchone()
            if not there["application"]:
                raise Refusal(404, {"error": "application_not_found"})
            if not there["authority"]:
                raise Refusal(404, {"error": "session_not_found"})
            row = {
                "id": identifier,
                "zone_id": zone,
                "application_id": application,
                "parent_id": body.get("parent_id"),
                "subject_authority_record_id": authority,
                "lifecycle": "service" if service else "task",
                "depth": self._depth(cursor, zone, body.get("parent_id"), application),
                "labels": body.get("labels", []),
                "max_children": MAX_CHILDREN,
                "ttl_seconds": None if service else body.get("ttl_seconds") or DEFAULT_TTL,
                "metadata_json": json_value(body.get("metadata", {})),
                "lease_generation": 1 if service else 0,
            }
            self._insert(cursor, row, service)
            event = {"event": "spawn", "zone_id": zone, "agent_session_id": identifier, "parent_id": row["parent_id"]}
            outbox.enqueue(cursor, streams.LIFECYCLE, f"spawn:{identifier}", {**event, "application_id": application})
            cursor.execute(STARTED, [identifier])
            return Response(201, {**dict(cursor.fetchone()), "delegation_edge_id": None})

    def _depth(self, cursor: Cursor, zone: str, parent: str | None, application: str) -> int:
        if parent is None:
            return 0
        cursor.execute(PARENT, [parent, zone])
        row = cursor.fetchone()
        if row is None:
            raise Refusal(404, {"error": "parent_not_found"})
        if row["application_id"] != application:
            raise Refusal(403, {"error": "parent_ownership_required"})
        return int(row["depth"]) + 1

    def _insert(self, cursor: Cursor, row: dict[str, t.Any], service: bool) -> None:
        heartbeat = f", now(), {LEASE}" if service else ""
        columns = ", ".join([*row, *(("last_heartbeat_at", "heartbeat_deadline_at") if service else ())])
        marks = ", ".join(["%s"] * len(row))
        cursor.execute(
            f"INSERT INTO sessions ({columns}) VALUES ({marks}{heartbeat})", [*row.values(), *([self._lease] if service else [])]
        )
        if row["parent_id"]:
            cursor.execute("INSERT INTO agent_topology (parent_id, child_id) VALUES (%s, %s)", [row["parent_id"], row["id"]])
            cursor.execute("UPDATE sessions SET child_count = child_count + 1 WHERE id = %s", [row["parent_id"]])

    def list(self, request: Request) -> Response:
        return Response(200, self._page(request, "zone_id = %s", request.params["zone"]))

    def children(self, request: Request) -> Response:
        return Response(200, self._page(request, "zone_id = %s AND parent_id = %s", request.params["zone"], request.params["id"]))

    def _page(self, request: Request, where: str, *values: str) -> dict[str, t.Any]:
        cursor, limit = request.query.get("cursor"), request.query.get("limit", "100")
        if not limit.isdigit() or not 1 <= int(limit) <= 500:
            raise Refusal(400, {"error": "invalid_query"})
        before, given = (" AND id < %s", [cursor]) if cursor else ("", [])
        own = request.actor.application
        mine, owner = (" AND application_id = %s", [own]) if own else ("", [])
        sql = f"{self._select} WHERE {where}{before}{mine} ORDER BY id DESC LIMIT %s"
        rows = self._database.rows(sql, *values, *given, *owner, int(limit))
        return {"items": rows, "next_cursor": rows[-1]["agent_session_id"] if len(rows) == int(limit) else None}

    def one(self, request: Request) -> Response:
        return Response(200, self._owned(request))

    def _owned(self, request: Request) -> Row:
        row = self._database.row(f"{self._select} WHERE id = %s AND zone_id = %s", request.params["id"], request.params["zone"])
        if row is None or not request.actor.owns(row["application_id"]):
            raise Refusal(404, {"error": "agent_session_not_found"})
        return row

    def suspend(self, request: Request) -> Response:
        self._owned(request)
        with self._database.transaction() as cursor:
            count = self._endings.suspend(cursor, request.params["zone"], [request.params["id"]], "requested")
        return Response(200, {"suspended": count})

    def terminate(self, request: Request) -> Response:
        self._owned(request)
        with self._database.transaction() as cursor:
            reason = request.query.get("reason", "requested")
            if not self._endings.terminate(cursor, request.params["zone"], [request.params["id"]], reason):
                raise Refusal(404, {"error": "agent_session_not_found"})
        return Response(204)
