# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Policies, their sets, and the active version of a zone's set."""

from __future__ import annotations

import hashlib
import typing as t
import urllib.parse

from ..common import documents, streams
from ..common.http import App, Refusal, Request, Response
from ..common.identity import compact, new_id
from ..common.postgres import Database, Release, Row, json_value
from . import outbox
from .catalog import _insert, fields
from .lists import Lists
from .sts_status import StsStatus

SCHEMA_VERSION = "2026-05-20"
SET = "SELECT 1 AS one FROM policy_sets WHERE id = %s AND zone_id = %s AND archived_at IS NULL"
BINDING = """
SELECT b.active_version_id, v.manifest_sha256{shadow} FROM policy_set_bindings b
JOIN policy_sets s ON s.id = b.policy_set_id AND s.zone_id = b.zone_id
LEFT JOIN policy_set_versions v ON v.id = b.active_version_id
WHERE b.zone_id = %s AND b.policy_set_id = %s AND s.archived_at IS NULL
"""
OUTBOX = """
SELECT id, payload_json, attempts, last_error, dispatched_at FROM event_outbox
WHERE stream_name = %s AND (id = %s OR (%s IS NULL AND payload_json @> %s)) ORDER BY created_at DESC LIMIT 1
"""
POLICIES = """
SELECT v.id, v.content FROM policy_versions v JOIN policies p ON p.id = v.policy_id WHERE v.id = ANY(%s) AND p.zone_id = %s
"""
Json = dict[str, t.Any]


class Policies:
    """Routes for policies and sets."""

    def __init__(self, database: Database, release: Release, lists: Lists, sts: StsStatus) -> None:
        self._database = database
        self._newer = release.secret_store
        self._contract = release.contract
        self._chained = release.admin_chain
        self._lists = lists
        self._sts = sts

    def add_routes(self, app: App) -> None:
        sets = "/v1/zones/{zone}/policy-sets"
        app.route("POST", "/v1/zones/{zone}/policies", self.add_policy)
        app.route("POST", sets, self.add_set)
        app.route("GET", f"{sets}/{{id}}", self.policy_set)
        app.route("DELETE", f"{sets}/{{id}}", self.delete_set)
        app.route("POST", f"{sets}/{{id}}/versions", self.add_version)
        app.route("POST", f"{sets}/{{id}}/activate", self.activate)
        app.route("GET", f"{sets}/{{id}}/activation-status", self.status)

    def add_policy(self, request: Request) -> Response:
        zone = self._zone(request)
        body = fields(request, ("name", "content"), ("description", "schema_version"))
        self._check(body["content"])
        policy, version = new_id(), new_id()
        digest = hashlib.sha256(body["content"].encode()).hexdigest()
        about = {"id": version, "policy_id": policy, "version": 1, "content_sha256": digest, "schema_version": SCHEMA_VERSION}
        actor = self._actor(request)
        with self._database.transaction() as cursor:
            row = {"id": policy, "zone_id": zone, "name": body["name"], "description": body.get("description"), "created_by": actor}
            _insert(cursor, "policies", row)
            _insert(cursor, "policy_versions", {**about, "content": body["content"], "created_by": actor})
            cursor.execute("SELECT created_at FROM policy_versions WHERE id = %s", [version])
            about |= dict(cursor.fetchone())
        found = {"id": policy, "zone_id": zone, "name": body["name"], "description": body.get("description"), "version": about}
        return Response(201, self._with_version_id(found, version))

    def _check(self, content: str) -> None:
        """Refuse a policy that the stand-in for the STS could not read, as the product refuses invalid Rego."""
        try:
            if self._contract or documents.is_document(content):
                documents.document(content)
            else:
                documents.canary(content)
        except documents.PolicyError as error:
            raise Refusal(422, {"error": "invalid_rego", "error_description": str(error)}) from None

    def add_set(self, request: Request) -> Response:
        zone, identifier = self._zone(request), new_id()
        body = fields(request, ("name",), ("description",))
        with self._database.transaction() as cursor:
            row = {"id": identifier, "zone_id": zone, "name": body["name"], "description": body.get("description")}
            _insert(cursor, "policy_sets", {**row, "created_by": self._actor(request)})
            _insert(cursor, "policy_set_bindings", {"zone_id": zone, "policy_set_id": identifier})
        return Response(201, {name: value for name, value in self._found(identifier).items() if name != "active_version_id"})

    def policy_set(self, request: Request) -> Response:
        self._set(request)
        return Response(200, self._found(request.params["id"]))

    def add_version(self, request: Request) -> Response:
        zone, policy_set = self._set(request)
        manifest = fields(request, ("manifest",))["manifest"]
        identifiers = [entry.get("policy_version_id") for entry in manifest]
        rows = self._database.rows(POLICIES, identifiers, zone)
        if len(rows) != len(set(identifiers)) or len(rows) != len(identifiers):
            raise Refusal(422, {"error": "invalid_policy_contract", "error_description": "policy versions unknown or named twice"})
        if self._newer:
            self._sts.verify(policy_set, rows)
        digest = hashlib.sha256(compact(manifest).encode()).hexdigest()
        with self._database.transaction() as cursor:
            cursor.execute("SELECT coalesce(max(version), 0) + 1 AS next FROM policy_set_versions WHERE policy_set_id = %s", [policy_set])
            row = {
                "id": new_id(),
                "policy_set_id": policy_set,
                "version": cursor.fetchone()["next"],
                "manifest_sha256": digest,
                "schema_version": SCHEMA_VERSION,
            }
            _insert(cursor, "policy_set_versions", {**row, "manifest_json": json_value(manifest), "created_by": self._actor(request)})
            cursor.execute("SELECT created_at FROM policy_set_versions WHERE id = %s", [row["id"]])
            row |= dict(cursor.fetchone())
        return Response(201, self._with_version_id(row, row["id"]))

    def activate(self, request: Request) -> Response:
        zone, policy_set = self._set(request)
        version = fields(request, ("version_id",), ("shadow_version_id",))["version_id"]
        known = "SELECT 1 AS one FROM policy_set_versions WHERE id = %s AND policy_set_id = %s"
        if self._database.row(known, version, policy_set) is None:
            raise Refusal(404, {"error": "version_not_found"})
        payload: Json = {"zone_id": zone, "policy_set_id": policy_set, "policy_set_version_id": version}
        shadow = {} if self._newer else {"shadow_version_id": None}
        with self._database.transaction() as cursor:
            if self._newer:
                # One set governs a zone. In the older family, each set that was ever activated stays active.
                cursor.execute("UPDATE policy_set_bindings SET active_version_id = NULL WHERE zone_id = %s", [zone])
            sql = "UPDATE policy_set_bindings SET active_version_id = %s, updated_at = now() WHERE zone_id = %s AND policy_set_id = %s"
            cursor.execute(sql, [version, zone, policy_set])
            event = outbox.enqueue(cursor, streams.POLICIES, {**payload, **shadow}, request.id)
        query = urllib.parse.urlencode({"version_id": version, "outbox_id": event})
        url = f"/v1/zones/{zone}/policy-sets/{policy_set}/activation-status?{query}"
        return Response(202, {"activated": True, "version_id": version, **shadow, "outbox_id": event, "status_url": url})

    def delete_set(self, request: Request) -> Response:
        zone, policy_set = self._set(request)
        with self._database.transaction() as cursor:
            cursor.execute("UPDATE policy_sets SET archived_at = now(), updated_at = now() WHERE id = %s", [policy_set])
            if self._newer:
                sql = "UPDATE policy_set_bindings SET active_version_id = NULL, updated_at = now() WHERE policy_set_id = %s"
                cursor.execute(f"{sql} AND active_version_id IS NOT NULL", [policy_set])
                if cursor.rowcount:
                    payload = {"zone_id": zone, "policy_set_id": policy_set, "policy_set_version_id": None}
                    outbox.enqueue(cursor, streams.POLICIES, payload, request.id)
        return Response(204)

    def status(self, request: Request) -> Response:
        zone, policy_set, query = request.params["zone"], request.params["id"], request.query
        binding = self._database.row(BINDING.format(shadow="" if self._newer else ", b.shadow_version_id"), zone, policy_set)
        if binding is None:
            raise Refusal(404, {"error": "policy_set_binding_not_found"})
        version = query.get("version_id") or binding["active_version_id"]
        if not version:
            raise Refusal(404, {"error": "active_policy_set_version_not_found"})
        sent = self._outbox({"zone_id": zone, "policy_set_id": policy_set, "policy_set_version_id": version}, query.get("outbox_id"))
        loaded = self._sts.of(zone)
        active = binding["active_version_id"] == version
        shadow = {} if self._newer else {"shadow_version_id": binding["shadow_version_id"]}
        return Response(
            200,
            {
                "zone_id": zone,
                "policy_set_id": policy_set,
                "version_id": version,
                "active": active,
                "active_version_id": binding["active_version_id"],
                **shadow,
                "manifest_sha256": binding["manifest_sha256"],
                "propagation_status": _propagation(active, sent["state"], loaded, version),
                "outbox": sent,
                "sts": loaded,
            },
        )

    def _outbox(self, payload: Json, identifier: str | None) -> Json:
        """Return the state of the event. An event that was given up is shown as pending, because the product compares a
        number with a text.
        """
        row = self._database.row(OUTBOX, streams.POLICIES, identifier, identifier, json_value(payload))
        if row is None:
            return {"id": identifier, "state": "missing", "attempts": 0, "last_error": None, "dispatched_at": None}
        same = all(row["payload_json"].get(name) == value for name, value in payload.items())
        state = "mismatch" if not same else "dispatched" if row["dispatched_at"] else "pending"
        about = {name: row[name] for name in ("attempts", "last_error", "dispatched_at")}
        return {"id": row["id"], "state": state, **about}

    def _zone(self, request: Request) -> str:
        if self._lists.one("zones", request.params["zone"]) is None:
            raise Refusal(404, {"error": "zone_not_found"})
        return request.params["zone"]

    def _set(self, request: Request) -> tuple[str, str]:
        zone, policy_set = request.params["zone"], request.params["id"]
        if self._database.row(SET, policy_set, zone) is None:
            raise Refusal(404, {"error": "policy_set_not_found"})
        return zone, policy_set

    def _found(self, identifier: str) -> Row:
        return self._lists.one("policy-sets", identifier) or {}

    def _actor(self, request: Request) -> str:
        return str(request.actor.label if self._newer else request.actor.name)

    def _with_version_id(self, found: Json, version: str) -> Json:
        """Add the field that the very first release does not have."""
        return {"version_id": version, **found} if self._chained else found


def _propagation(active: bool, sent: str, loaded: Json, version: str) -> str:
    if not active:
        return "waiting_for_activation"
    if sent == "mismatch":
        return "failed"
    if sent != "dispatched":
        return "waiting_for_outbox"
    if loaded.get("loaded") and loaded.get("policy_set_version_id") == version:
        return "loaded"
    return "failed" if loaded["state"] == "failed" else "waiting_for_sts"
