# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Administration: the admin audit chains, the singletons, the migrations."""

from __future__ import annotations

import datetime as dt
import typing as t

from .. import chain
from ..copytext import Json
from .world import World, Zone

UNKNOWN_ZONE = "nope"
BASE = {"rls_mode": "control_plane_wildcard", "rls_zone_guc": "*"}


def build(world: World) -> None:
    _singletons(world)
    for version in world.release.migrations:
        world.add("schema_migrations", version=version, applied_at=world.origin)
    for zone in world.zones:
        _Chain(world, zone.id).zone_history(zone)
    # The first releases with a chain lose every row without a zone.
    if not (world.zone_kek and world.release.has("admin_audit_events.chain_seq")):
        _Chain(world, None).global_history()
    _Chain(world, UNKNOWN_ZONE).probes()


def _singletons(world: World) -> None:
    at = world.origin
    world.add("audit_retention", singleton=True, retention_days=400, updated_at=at, updated_by="admin:bootstrap")
    world.add("sts_rate_limit", singleton=True, limit_per_minute=600, updated_at=at, updated_by=None)
    world.add("audit_chain_rehash", id=1, completed_at=at)


class _Chain:
    """The admin audit chain of one zone ID. None is the global chain, and the ID may belong to no zone."""

    def __init__(self, world: World, zone: str | None) -> None:
        self.world = world
        self.zone = zone
        self.seq = 0
        self.previous: str | None = None
        self.at = world.ago(days=30)

    def zone_history(self, zone: Zone) -> None:
        path = f"/v1/zones/{zone.id}"
        created = {**BASE, "change_kind": "create", "changed_fields": ["name", "größe"]}
        self.append("POST", "/v1/zones", 201, created, "zones", zone.id)
        for application in zone.applications:
            self.append("POST", f"{path}/applications", 201, {**created, "secret_rotated": True}, "applications", application)
        self.append("GET", f"{path}/policy-sets/x/activation-status", 404, BASE, "policy-sets", "x")
        for agent in zone.agents:
            # The coordinator writes without a key and without a payload.
            self.append("POST", f"/zones/{zone.id}/agents", 201, None, None, None, signed=False, actor=agent.application)
        if not self.world.zone_kek:
            self.revocation(path)
        for number in range(8):
            changed = {**BASE, "operator": True, "change_kind": "update", "changed_fields": ["scopes", 'größe \\ "x"']}
            self.append("PATCH", f"{path}/resources/{zone.resources[number % 5]}", 200, changed, "resources", zone.resources[number % 5])
        for grant in self.world.rows["delegated_grants"]:
            if grant["zone_id"] == zone.id and grant["status"] == "revoked":
                self.append("DELETE", f"{path}/grants/{grant['id']}", 204, {**BASE, "change_kind": "delete"}, "grants", grant["id"])

    def revocation(self, path: str) -> None:
        """Add the row of a subject's complete revocation. It is written without the key."""
        revoked = {"subject_id": "user-2", "reason": "subject_revoked", "revoked_authority_records": 1, "terminated_sessions": 0}
        revoked.update(revoked_delegations=0, revoked_connections=0)
        self.append("POST", f"{path}/subjects/revoke", 200, revoked, "subjects", "user-2", signed=False)

    def global_history(self) -> None:
        """Add a row for every token that was created with the API, and for some that do not exist any more."""
        token = {**BASE, "change_kind": "create", "changed_fields": ["capability", "name", "scope"]}
        made = [row["id"] for row in self.world.rows["admin_tokens"] if not row["created_by"].startswith("env-")]
        for number in range(12):
            if number % 3:
                self.append("GET", "/v1/zones", 401, BASE, None, None, actor=None)
            else:
                self.append("POST", "/v1/admin-tokens", 201, token, "admin-tokens", made.pop() if made else f"token-{number}")
        for row in self.world.rows["admin_tokens"]:
            if row["revoked_at"]:
                self.append("DELETE", f"/v1/admin-tokens/{row['id']}", 204, {**BASE, "change_kind": "delete"}, "admin-tokens", row["id"])

    def probes(self) -> None:
        for _turn in range(3):
            self.append("GET", f"/v1/zones/{UNKNOWN_ZONE}", 404, BASE, "zones", UNKNOWN_ZONE)

    def append(
        self,
        method: str,
        path: str,
        status: int,
        payload: dict[str, t.Any] | None,
        entity_type: str | None,
        entity_id: str | None,
        *,
        signed: bool = True,
        actor: str | None = "bootstrap",
    ) -> None:
        """Add a row. Times have only milliseconds, as in the product."""
        world = self.world
        self.at += dt.timedelta(minutes=7, milliseconds=world.dice.randrange(60_000))
        at = self.at.replace(microsecond=self.at.microsecond // 1000 * 1000)
        row: dict[str, t.Any] = {
            "id": world.id(at),
            "request_id": f"req-{world.dice.hex(6)}",
            "actor_id": actor,
            "actor_name": actor,
            "actor_scope": None if actor is None else "global",
            "action": f"{method} {path}",
            "method": method,
            "path": path,
            "zone_id": self.zone,
            "entity_type": entity_type,
            "entity_id": entity_id,
            "status_code": status,
        }
        if self.world.zone_kek and payload:
            payload = BASE
        content = chain.admin_hash(row, chain.written_payload(payload), at)
        if not self.world.release.has("admin_audit_events.chain_seq") and payload:
            payload = {**payload, "rls_bypass": True}
        self.seq += 1
        world.add(
            "admin_audit_events",
            **row,
            payload_json=None if payload is None else Json(payload),
            occurred_at=at,
            content_sha256=content,
            prev_content_sha256=self.previous,
            chain_hmac=chain.link(world.keys.audit_hmac_key, content, self.previous) if signed else None,
            chain_seq=self.seq,
        )
        self.previous = content
