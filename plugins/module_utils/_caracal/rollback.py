# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Changes since the backup that a restore would lose, by category.

Each category has a query that returns `(key, value)` of each row, and a function that decides whether a pair of rows is
a loss. Keys are IDs. Values contain only what is compared: for a secret, its digest, computed in the database.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .releases import SECRET_STORE, ZONE_KEK

Value: t.TypeAlias = "str | None"
# Called with the former and the restored value of one key, None for a missing row. Returns how much is lost.
Loss = t.Callable[[Value, Value], int]

OPEN = "open"


def reopened(former: Value, restored: Value) -> int:
    """Return 1 if a row that was ended or deleted since is valid or waiting again."""
    return int(restored == OPEN and former != OPEN)


def changed(former: Value, restored: Value) -> int:
    return int(None not in (former, restored) and former != restored)


def vanished(_former: Value, restored: Value) -> int:
    return int(restored is None)


def cut(former: Value, restored: Value) -> int:
    """Return by how much a number is lower than before."""
    return max(0, int(former or 0) - int(restored or 0))


def lower(former: Value, restored: Value) -> int:
    return int(cut(former, restored) > 0)


@dataclasses.dataclass(frozen=True)
class Category:
    """A category of losses.

    `words` describe the count and `remedy` the action to take. Both databases must have all `tables`.
    """

    id: str
    tables: tuple[str, ...]
    sql: str
    loss: Loss
    words: str
    remedy: str

    @property
    def numeric(self) -> bool:
        return self.loss in (cut, lower)


def _open(category: str, table: str, condition: str, words: str, remedy: str) -> Category:
    sql = f"SELECT id, CASE WHEN {condition} THEN '{OPEN}' ELSE 'ended' END FROM public.{table}"
    return Category(category, (table,), sql, reopened, words, remedy)


def _secret(category: str, table: str, value: str, words: str, remedy: str, key: str = "id", where: str = "true") -> Category:
    sql = f"SELECT {key}, encode(sha256({value}), 'hex') FROM public.{table} WHERE {where}"
    return Category(category, (table,), sql, changed, words, remedy)


def _number(category: str, table: str, key: str, column: str, words: str, remedy: str) -> Category:
    return Category(category, (table,), f"SELECT {key}, {column}::text FROM public.{table}", lower, words, remedy)


def _made(category: str, table: str, words: str, remedy: str, where: str = "true") -> Category:
    return Category(category, (table,), f"SELECT id, '' FROM public.{table} WHERE {where}", vanished, words, remedy)


ACTIVE = "status = 'active'"
LIVE = f"{ACTIVE} AND expires_at > now()"
UNUSED = "consumed_at IS NULL AND expires_at > now()"
SEND = "nothing to do: repeated events are harmless inside Caracal"
AGAIN = "create them again, or copy them from the former database"
SUBJECTS = "subject sessions that were revoked are valid again"
AGENTS = "agent sessions that were ended or suspended are active again"
END_AGENT = "end them again: DELETE /zones/{zone}/agents/{id} at the coordinator"
APPROVED = "approvals that were used or refused are open again"
APPROVALS = "keep the services stopped until the approvals expire, or refuse the approvals again"
CLIENTS = "rotate these secrets and give the new ones to the clients"
CONNECTIONS = "connections to providers that were ended are active again"
PROVIDERS = "providers have an earlier credential again"
CREDENTIAL = "enter the newest credential of each provider again"
REFRESHED = "connections have an earlier refresh token, which the provider may refuse"
RECONNECT = "ask their users to connect again"
REREAD = (
    "if Redis kept its data, run XGROUP SETID caracal.sessions.revoke sts-revocation 0 before the STS starts, so it rereads revocations"
)
LOST_SUBJECTS = "subject sessions created since the backup are lost"
LOG_IN = "ask their users to log in again"
REVOKE_SUBJECT = "revoke their subjects again: POST /v1/zones/{zone}/subjects/revoke at the API"

_COMMON = (
    _open("revoked.delegation_edges", "delegation_edges", LIVE, "delegations that were revoked are valid again",
          "revoke them again: PATCH /zones/{zone}/delegations/{id}/revoke at the coordinator"),
    _open("revoked.grants", "delegated_grants", ACTIVE, "grants that were revoked or deleted are active again",
          "delete them again at the API"),
    _open("revoked.admin_tokens", "admin_tokens", "revoked_at IS NULL", "admin tokens that were revoked are valid again",
          "revoke them again: DELETE /v1/admin-tokens/{id} at the API"),
    _secret("rotated.client_secrets", "applications", "convert_to(coalesce(client_secret_hash, ''), 'UTF8')",
            "applications have an earlier client secret again", CLIENTS),
    _made("rotated.signing_keys", "secrets", "signing keys created since the backup are lost; their tokens are refused",
          "clients must fetch new tokens; if a key had been replaced because it leaked, replace the restored key again: "
          "POST /internal/zones/{zone}/signing-key/rotate at the STS", "name = 'zone_signing_key'"),
    _made("rotated.admin_tokens", "admin_tokens", "admin tokens created since the backup are lost",
          "create new ones: POST /v1/admin-tokens at the API"),
    _number("back.delegation_epochs", "delegation_graph_epochs", "zone_id", "epoch",
            "zones have a lower delegation epoch, so resource servers refuse new tokens as delegation_stale for up to a day",
            "set epoch in delegation_graph_epochs above the former value"),
    _number("back.edge_versions", "delegation_edges", "id", "edge_version", "delegations have an older version",
            "compare them with the former database and change them again"),
    Category("back.policy_activations", ("policy_set_bindings",),
             "SELECT zone_id || ' ' || policy_set_id, coalesce(active_version_id, '') FROM public.policy_set_bindings", changed,
             "policy sets have another active version than before", "activate the correct version: "
             "POST /v1/zones/{zone}/policy-sets/{id}/activate at the API"),
    Category("audit.events", ("audit_events", "zones"),
             "SELECT z.id, (SELECT e.chain_seq FROM public.audit_events e WHERE e.zone_id = z.id AND e.chain_seq IS NOT NULL "
             "ORDER BY e.chain_seq DESC LIMIT 1)::text FROM public.zones z", cut, "the newest audit events of these zones are lost",
             "keep the former database or its exports as evidence; let the audit service read again what Redis still has: "
             "XGROUP SETID caracal.audit.events audit-ingestor 0"),
    _open("again.event_outbox", "event_outbox", "dispatched_at IS NULL AND available_at <> 'infinity'", "events of the API are sent again",
          SEND),
    _open("again.coordinator_outbox", "caracal_outbox", "status = 'pending'", "events of the coordinator are sent again", SEND),
    *(_made(f"created.{table}", table, f"{table.replace('_', ' ')} created since the backup are lost", AGAIN)
      for table in ("zones", "applications", "providers", "resources", "policies", "policy_sets")),
)  # fmt: skip

CATEGORIES = {
    SECRET_STORE: (
        _open("revoked.subject_sessions", "authority_records", LIVE, SUBJECTS, REVOKE_SUBJECT),
        _open("revoked.agent_sessions", "sessions", ACTIVE, AGENTS, END_AGENT),
        _open("revoked.provider_connections", "provider_connections", ACTIVE, CONNECTIONS, REVOKE_SUBJECT),
        _open("reopened.approvals", "step_up_challenges", f"{UNUSED} AND rejected_at IS NULL", APPROVED, APPROVALS),
        _secret("rotated.workload_secrets", "workloads", "convert_to(secret_hash, 'UTF8')",
                "workloads have an earlier secret again", CLIENTS),
        _secret("rotated.provider_secrets", "secret_store", "envelope", PROVIDERS, CREDENTIAL, "ref", "ref LIKE '%/providers/%'"),
        _number("rotated.refresh_tokens", "provider_connections", "id", "refresh_token_version", REFRESHED, RECONNECT),
        _open("again.notifications", "notification_deliveries", "delivered_at IS NULL AND abandoned_at IS NULL",
              "notifications are delivered again to their real addresses",
              "warn their recipients, or delete the rows before the API starts"),
        *_COMMON,
        _made("created.workloads", "workloads", "workloads created since the backup are lost", AGAIN),
        _made("created.subject_sessions", "authority_records", LOST_SUBJECTS, LOG_IN),
        _made("created.agent_sessions", "sessions", "agent sessions created since the backup are lost", "start the agents again"),
    ),
    ZONE_KEK: (
        _open("revoked.subject_sessions", "sessions", LIVE, SUBJECTS, REREAD),
        _open("revoked.agent_sessions", "agent_sessions", ACTIVE, AGENTS, END_AGENT),
        _open("revoked.provider_connections", "provider_grants", ACTIVE, CONNECTIONS, "delete them again at the API"),
        _open("reopened.approvals", "step_up_challenges", UNUSED, APPROVED, APPROVALS),
        _secret("rotated.provider_secrets", "providers",
                "coalesce(secret_config_nonce, '') || coalesce(secret_config_ct, '')", PROVIDERS, CREDENTIAL),
        _number("rotated.refresh_tokens", "provider_grants", "id", "refresh_token_version", REFRESHED, RECONNECT),
        *_COMMON,
        _number("back.binding_revision", "gateway_binding_revision", "id::text", "version",
                "the revision of the Gateway's bindings is lower", "restart every Gateway, so it reads all bindings again"),
        _made("created.subject_sessions", "sessions", LOST_SUBJECTS, LOG_IN),
        _made("created.agent_sessions", "agent_sessions", "agent sessions created since the backup are lost", "start the agents again"),
    ),
}  # fmt: skip
