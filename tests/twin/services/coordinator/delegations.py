# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Delegations between agents: creating, listing, tracing, revoking."""

from __future__ import annotations

import typing as t

from ..common import streams
from ..common.http import App, Refusal, Request, Response
from ..common.identity import milliseconds_text, new_id
from ..common.postgres import Cursor, Database, Release, Row, json_value
from . import outbox
from .endings import Endings, next_epoch

ENDPOINTS = "SELECT id, application_id FROM sessions WHERE id = ANY(%s) AND zone_id = %s AND status = 'active'"
RESOURCE = "SELECT id, identifier, scopes FROM resources WHERE zone_id = %s AND (id = %s OR identifier = %s) AND archived_at IS NULL"
INSERT = """
INSERT INTO delegation_edges (id, zone_id, source_session_id, target_session_id, issuer_application_id, receiver_application_id,
  resource_id, scopes, constraints_json, expires_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, now() + make_interval(secs => %s)) RETURNING id
"""
SHOWN = (
    "zone_id, source_session_id, target_session_id, issuer_application_id, receiver_application_id, parent_edge_id,"
    " resource_id, scopes, constraints_json, status, expires_at, edge_version, revoked_at, created_at"
)
FOLLOW = """
WITH RECURSIVE path AS (
  SELECT id, source_session_id, target_session_id, 1 AS depth FROM delegation_edges WHERE id = %s AND zone_id = %s {active}
  UNION ALL SELECT e.id, e.source_session_id, e.target_session_id, depth + 1 FROM delegation_edges e
  JOIN path ON e.source_session_id = path.target_session_id WHERE e.zone_id = %s AND e.status = 'active' AND depth < 10)
SELECT * FROM path ORDER BY depth, id
"""
REVOKE = """
UPDATE delegation_edges SET status = 'revoked', revoked_at = now(), edge_version = edge_version + 1, updated_at = now()
WHERE id = ANY(%s) AND status = 'active'
"""


class Delegations:
    """Routes for delegations. Only delegations of the newer family can be created here."""

    def __init__(self, database: Database, release: Release, endings: Endings) -> None:
        self._database = database
        self._release = release
        self._endings = endings

    def add_routes(self, app: App) -> None:
        base = "/zones/{zone}/delegations"
        if self._release.secret_store:
            app.route("POST", base, self.add)
        app.route("GET", f"{base}/active", lambda request: self._list(request, "status = 'active' AND expires_at > now()"))
        app.route("GET", f"{base}/inbound/{{id}}", lambda request: self._list(request, "target_session_id = %s", request.params["id"]))
        app.route("GET", f"{base}/outbound/{{id}}", lambda request: self._list(request, "source_session_id = %s", request.params["id"]))
        app.route("GET", f"{base}/{{id}}/traverse", self.traverse)
        app.route("GET", f"{base}/{{id}}/impact", self.impact)
        app.route("PATCH", f"{base}/{{id}}/revoke", self.revoke)

    def add(self, request: Request) -> Response:
        body, zone = request.json(), request.params["zone"]
        issuer, receiver = str(body.get("issuer_application_id")), str(body.get("receiver_application_id"))
        source, target = str(body.get("source_session_id")), str(body.get("target_session_id"))
        constraints = self._constraints(body)
        if not request.actor.owns(issuer):
            raise Refusal(403, {"error": "issuer_ownership_required"})
        if source == target:
            raise Refusal(400, {"error": "self_delegation_denied"})
        resource, scopes = self._resource(zone, body), list(body.get("scopes", []))
        if not set(scopes) <= set(resource["scopes"]):
            raise Refusal(403, {"error": "delegation_scopes_exceed_resource"})
        edge = new_id()
        with self._database.transaction() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"delegation:{zone}"])
            cursor.execute(ENDPOINTS, [[source, target], zone])
            found = {row["id"]: row["application_id"] for row in cursor.fetchall()}
            if len(found) != 2:
                raise Refusal(404, {"error": "delegation_endpoint_not_found"})
            if (found[source], found[target]) != (issuer, receiver):
                raise Refusal(409, {"error": "delegation_application_mismatch"})
            ends = [edge, zone, source, target, issuer, receiver]
            cursor.execute(INSERT, [*ends, resource["id"], scopes, json_value(constraints), constraints["ttl_seconds"]])
            event = {"event": "edge_create", "zone_id": zone, "edge_id": edge, "source_session_id": source, "target_session_id": target}
            outbox.enqueue(cursor, streams.DELEGATIONS, f"edge_create:{edge}", {**event, "epoch": next_epoch(cursor, zone)})
            cursor.execute(f"SELECT id AS delegation_edge_id, {SHOWN} FROM delegation_edges WHERE id = %s", [edge])
            return Response(201, _explained(dict(cursor.fetchone()), resource))

    def _constraints(self, body: dict[str, t.Any]) -> dict[str, t.Any]:
        found = {**body.get("constraints_json", {}), **body.get("constraints", {})}
        if body.get("ttl_seconds"):
            found.setdefault("ttl_seconds", body["ttl_seconds"])
        if not found.get("ttl_seconds"):
            raise Refusal(400, {"error": "delegation_expiry_required"})
        return found

    def _resource(self, zone: str, body: dict[str, t.Any]) -> Row:
        named = body.get("resource_id")
        if not named:
            raise Refusal(403, {"error": "broad_delegation_permission_required"})
        row = self._database.row(RESOURCE, zone, named, named)
        if row is None:
            raise Refusal(404, {"error": "resource_not_found"})
        return row

    def _list(self, request: Request, condition: str, *values: str) -> Response:
        limit, cursor = request.query.get("limit", "100"), request.query.get("cursor")
        if not limit.isdigit() or not 1 <= int(limit) <= 500:
            raise Refusal(400, {"error": "invalid_query"})
        before, given = (" AND id < %s", [cursor]) if cursor else ("", [])
        sql = f"SELECT id, {SHOWN} FROM delegation_edges WHERE zone_id = %s AND {condition}{before} ORDER BY id DESC LIMIT %s"
        rows = self._database.rows(sql, request.params["zone"], *values, *given, int(limit))
        return Response(200, {"items": rows, "next_cursor": rows[-1]["id"] if len(rows) == int(limit) else None})

    def _path(self, request: Request, active: str = "") -> list[Row]:
        zone, edge = request.params["zone"], request.params["id"]
        return self._database.rows(FOLLOW.format(active=active), edge, zone, zone)

    def traverse(self, request: Request) -> Response:
        return Response(200, self._path(request))

    def impact(self, request: Request) -> Response:
        path = self._path(request)
        if not path:
            raise Refusal(404, {"error": "delegation_not_found"})
        agents = sorted({row["target_session_id"] for row in path})
        subject = f"SELECT DISTINCT {self._release.subject} AS id FROM {self._release.agents} WHERE id = ANY(%s)"
        records = [row["id"] for row in self._database.rows(subject, agents)]
        about = "affected_authority_records" if self._release.secret_store else "affected_subject_sessions"
        return Response(200, {"edge_id": request.params["id"], "affected_edges": path, "affected_sessions": agents, about: records})

    def revoke(self, request: Request) -> Response:
        zone, edge = request.params["zone"], request.params["id"]
        path = self._path(request, "AND status = 'active'")
        if not path:
            raise Refusal(404, {"error": "delegation_not_found"})
        ids, targets = [row["id"] for row in path], [row["target_session_id"] for row in path]
        with self._database.transaction() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"delegation:{zone}"])
            cursor.execute(REVOKE, [ids])
            release = self._release
            live = "id = ANY(%s) AND zone_id = %s AND status IN ('active', 'suspended')"
            cursor.execute(f"SELECT id, {release.subject} AS subject FROM {release.agents} WHERE {live}", [targets, zone])
            agents = cursor.fetchall()
            ended = (
                self._endings.terminate(cursor, zone, [row["id"] for row in agents], "delegation_revoked") if release.secret_store else 0
            )
            event = {
                "event": "edge_revoke",
                "zone_id": zone,
                "edge_id": edge,
                "affected_edges": len(ids),
                "epoch": next_epoch(cursor, zone),
            }
            outbox.enqueue(cursor, streams.DELEGATIONS, f"edge_revoke:{edge}", event)
            subjects = self._revoke_subjects(cursor, zone, edge, agents)
        return Response(200, {"revoked_edges": len(ids), "affected_sessions": subjects, "terminated_sessions": ended})

    def _revoke_subjects(self, cursor: Cursor, zone: str, edge: str, agents: list[Row]) -> int:
        """Publish the revocation of the records under which the agents acted; return their number."""
        first = {row["subject"]: row["id"] for row in reversed(agents)}
        for subject, agent in first.items():
            payload = {"zone_id": zone, "session_id": subject, "agent_session_id": agent, "delegation_edge_id": edge}
            key = f"delegation:{edge}:subject:{subject}"
            outbox.enqueue(cursor, streams.REVOCATIONS, key, {**payload, "reason": "delegation_revoked"})
        return len(first)


def _explained(row: Row, resource: Row) -> Row:
    effective = {
        **{name: row[name] for name in ("source_session_id", "target_session_id", "parent_edge_id", "resource_id")},
        "resources": [resource["identifier"]],
        "scopes": row["scopes"],
        "expires_at": milliseconds_text(row["expires_at"]),
        "max_hops": row["constraints_json"].get("max_hops", 1),
        "ttl_seconds": row["constraints_json"].get("ttl_seconds"),
        "broad": False,
        "parent_edges_considered": [],
    }
    reasons = ["same_zone_endpoints_active", "resource_scope_checked", "source_authority_root", "typed_constraints_validated"]
    return {**row, "warnings": [], "allow_reason": reasons, "effective_authority": effective}
