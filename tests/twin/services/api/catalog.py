# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Zones and the objects registered in them: creating, reading, archiving."""

from __future__ import annotations

import json
import re
import secrets
import typing as t

import psycopg2.errors

from ... import passwords
from ..common import streams
from ..common.http import App, Refusal, Request, Response
from ..common.identity import compact, milliseconds_text, new_id, utc_now
from ..common.keyring import Keyring
from ..common.postgres import Cursor, Database, Release, Row, json_value
from . import outbox
from .lists import Lists

SECRET_KEYS = ("api_key", "bearer_token", "client_secret", "private_key")
CUSTODY = """
INSERT INTO secret_store (ref, zone_id, envelope) VALUES (%s, %s, %s)
ON CONFLICT (ref) DO UPDATE SET envelope = excluded.envelope, version = secret_store.version + 1, updated_at = now()
"""
Json = dict[str, t.Any]


class Catalog:
    """Routes for zones, applications, providers and resources. `keyring` returns the KEK when a value is encrypted."""

    def __init__(
        self, database: Database, release: Release, lists: Lists, keyring: t.Callable[[], Keyring], audit_key: bytes | None
    ) -> None:
        self._database = database
        self._release = release
        self._lists = lists
        self._keyring = keyring
        self._audit_key = audit_key

    def add_routes(self, app: App) -> None:
        app.route("POST", "/v1/zones", self.add_zone)
        app.route("GET", "/v1/zones/{zone}", self.zone)
        app.route("DELETE", "/v1/zones/{zone}", self.delete_zone)
        app.route("POST", "/v1/zones/{zone}/applications", self.add_application)
        app.route("POST", "/v1/zones/{zone}/providers", self.add_provider)
        app.route("POST", "/v1/zones/{zone}/resources", self.add_resource)
        if self._release.secret_store:
            app.route("GET", "/v1/zones/{zone}/applications/{id}/client-secret", self.client_secret)

    def zone(self, request: Request) -> Response:
        found = self._lists.one("zones", request.params["zone"])
        if found is None:
            raise Refusal(404, {"error": "zone_not_found"})
        return Response(200, found)

    def add_zone(self, request: Request) -> Response:
        body = fields(request, ("name",), ("slug",))
        slug = body.get("slug") or self._free_slug(body["name"])
        row = {"id": new_id(), "name": body["name"], "slug": slug, **self._made_by(request)}
        if not self._release.secret_store:
            row["dek_ciphertext"] = secrets.token_bytes(32)
        try:
            self._insert("zones", row)
        except psycopg2.errors.UniqueViolation:
            raise Refusal(409, {"error": "zone_slug_conflict"}) from None
        return Response(201, self._lists.one("zones", row["id"]))

    def _free_slug(self, name: str) -> str:
        base = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "zone"
        taken = {row["slug"] for row in self._database.rows("SELECT slug FROM zones")}
        number, slug = 2, base
        while slug in taken:
            number, slug = number + 1, f"{base}-{number}"
        return slug

    def delete_zone(self, request: Request) -> Response:
        self._require_zone(request)
        self._database.execute("UPDATE zones SET archived_at = now(), updated_at = now() WHERE id = %s", request.params["zone"])
        return Response(204)

    def add_application(self, request: Request) -> Response:
        zone = self._require_zone(request)
        body = fields(request, ("name", "registration_method"), ("traits", "expires_at"))
        same = "SELECT 1 AS one FROM applications WHERE zone_id = %s AND name = %s AND archived_at IS NULL"
        if self._release.secret_store and self._database.row(same, zone, body["name"]):
            raise Refusal(409, {"error": "application_name_taken"})
        secret = f"cs_{secrets.token_urlsafe(32)}"
        row = {"id": new_id(), "zone_id": zone, **body, "client_secret_hash": passwords.hashed(secret, passwords.CLIENT)}
        self._insert("applications", {**row, **self._made_by(request)})
        if self._release.secret_store:
            self._keep(zone, f"applications/{row['id']}/clientSecret", secret)
        return Response(201, {**self._shown("applications", row["id"], ("traits", "archived_at")), "client_secret": secret})

    def client_secret(self, request: Request) -> Response:
        """Return a stored client secret and record that in the zone's audit. A wrong KEK is an internal error."""
        zone, identifier = request.params["zone"], request.params["id"]
        ref = f"zones/{zone}/applications/{identifier}/clientSecret"
        application = self._lists.one("applications", identifier)
        if application is None or application["zone_id"] != zone:
            raise Refusal(404, {"error": "application_not_found"})
        row = self._database.row("SELECT envelope FROM secret_store WHERE ref = %s", ref)
        if row is None:
            raise Refusal(404, {"error": "client_secret_not_stored"})
        secret = self._keyring().open(ref, bytes(row["envelope"])).decode()
        metadata = {
            "credential": "application_client_secret",
            "application_id": identifier,
            "application_name": application["name"],
            "actor": request.actor.label,
        }
        self._reveal(request, zone, metadata)
        return Response(200, {"client_secret": secret})

    def _reveal(self, request: Request, zone: str, metadata: Json) -> None:
        data = compact(
            {
                "id": new_id(),
                "zone_id": zone,
                "event_type": "credential_revealed",
                "request_id": request.id,
                "decision": "allow",
                "evaluation_status": "complete",
                "determining_policies_json": [],
                "diagnostics_json": [],
                "metadata_json": metadata,
                "occurred_at": milliseconds_text(utc_now()),
            }
        )
        frame = {"id": request.id, "data": data}
        if self._audit_key:
            frame["sig"] = streams.audit_signature(self._audit_key, data)
        with self._database.transaction() as cursor:
            outbox.enqueue(cursor, streams.AUDIT, frame, request.id)

    def add_provider(self, request: Request) -> Response:
        zone = self._require_zone(request)
        body = fields(request, ("name", "kind"), ("identifier", "config_json"))
        config = dict(body.get("config_json") or {})
        secret = {name: config.pop(name) for name in SECRET_KEYS if name in config}
        if body["kind"] == "api_key":
            config.setdefault("auth_location", "header")
        slug = re.sub(r"[^a-z0-9]+", "-", body["name"].lower()).strip("-")
        row = {
            "id": new_id(),
            "zone_id": zone,
            "name": body["name"],
            "identifier": body.get("identifier") or f"provider://{slug}",
            "provider_kind": body["kind"],
            "config_json": json_value(config),
            "secret_config_keys": list(secret),
            **self._made_by(request),
        }
        if secret and not self._release.secret_store:
            sealed = self._keyring().seal("", compact(secret).encode())
            row |= {"secret_config_nonce": sealed[:12], "secret_config_ct": sealed[12:]}
        try:
            self._insert("providers", row)
        except psycopg2.errors.UniqueViolation:
            raise Refusal(409, {"error": "provider_identifier_conflict"}) from None
        if secret and self._release.secret_store:
            self._keep(zone, f"providers/{row['id']}/secretConfig", compact(secret))
        return Response(201, self._shown("providers", row["id"]))

    def add_resource(self, request: Request) -> Response:
        zone, newer = self._require_zone(request), self._release.secret_store
        own = ("operations", "operation_enforcement") if newer else ("gateway_application_id",)
        body = fields(request, ("name", "identifier", "scopes"), ("upstream_url", "credential_provider_id", *own))
        needed = ("credential_provider_id", "upstream_url", *(() if newer else own))
        for name in needed:
            if not body.get(name):
                raise Refusal(400, {"error": f"{name.removesuffix('_id')}_required"})
        application = body.pop("gateway_application_id", None)
        if "operations" in body:
            body["operations"] = json_value(body["operations"])
        row = {"id": new_id(), "zone_id": zone, **body, **self._made_by(request)}
        # In the older family, archived objects conflict too.
        live = " AND archived_at IS NULL" if newer else ""
        with self._database.transaction() as cursor:
            cursor.execute(f"SELECT 1 FROM resources WHERE zone_id = %s AND identifier = %s{live}", [zone, body["identifier"]])
            if cursor.fetchone():
                raise Refusal(409, {"error": "resource_identifier_conflict"})
            _insert(cursor, "resources", row)
            if application:
                binding = {"zone_id": zone, "resource_identifier": body["identifier"], "application_id": application}
                _insert(cursor, "gateway_resource_bindings", binding)
                cursor.execute("UPDATE gateway_binding_revision SET version = version + 1, updated_at = now()")
        return Response(201, self._shown("resources", row["id"]))

    def _require_zone(self, request: Request) -> str:
        if self._lists.one("zones", request.params["zone"]) is None:
            raise Refusal(404, {"error": "zone_not_found"})
        return request.params["zone"]

    def _shown(self, kind: str, identifier: str, without: tuple[str, ...] = ()) -> Row:
        found = self._lists.one(kind, identifier) or {}
        return {name: value for name, value in found.items() if name not in without}

    def _made_by(self, request: Request) -> Json:
        return {"created_by": request.actor.label} if self._release.secret_store else {}

    def _insert(self, table: str, row: Json) -> None:
        with self._database.transaction() as cursor:
            _insert(cursor, table, row)

    def _keep(self, zone: str, part: str, secret: str) -> None:
        """Store a secret. This is a separate statement, so the secret may outlive the row that it belongs to."""
        ref = f"zones/{zone}/{part}"
        self._database.execute(CUSTODY, ref, zone, self._keyring().seal(ref, secret.encode()))


def fields(request: Request, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> Json:
    """Return the body with exactly these fields. Raises Refusal for other fields."""
    body = request.json()
    missing = [name for name in required if not body.get(name)]
    if missing or set(body) - {*required, *optional}:
        raise Refusal(400, {"error": "validation_error", "error_description": json.dumps(sorted({*missing, *body}))})
    return body


def _insert(cursor: Cursor, table: str, row: Json) -> None:
    marks = ", ".join(["%s"] * len(row))
    cursor.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", list(row.values()))
