# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fields of each object that the API shows, in either family."""

from __future__ import annotations

import typing as t

from ..common.postgres import Release

ATTRIBUTION = ("created_by", "created_via_operator", "updated_by", "updated_via_operator")
STAMPS = ("created_at", "updated_at")
AUTHORITY = (
    "id AS authority_record_id",
    "zone_id",
    "session_type AS authority_record_type",
    "subject_id",
    "claims_json->>'iss' AS federated_user_issuer",
    "parent_id AS parent_authority_record_id",
    "status",
    "expires_at",
    "authenticated_at",
    "created_at",
    "revoked_at",
    "revoked_reason",
)
SESSIONS = (
    "id AS session_id",
    "application_id",
    "parent_id AS parent_session_id",
    "status",
    "lifecycle",
    "labels",
    "depth",
    "child_count",
    "subject_authority_record_id",
    "(SELECT a.subject_id FROM authority_records a WHERE a.id = x.subject_authority_record_id) AS subject_id",
    "started_at",
    "last_active_at",
    "terminated_at",
    "termination_reason",
    "ttl_seconds",
)
EVENTS = (
    "id",
    "zone_id",
    "event_type",
    "request_id",
    "decision",
    "policy_set_id",
    "policy_set_version_id",
    "manifest_sha",
    "evaluation_status",
    "determining_policies_json",
    "diagnostics_json",
    "metadata_json",
    "occurred_at",
    "ingested_at",
)
ADMIN_EVENTS = (
    "id",
    "request_id",
    "actor_id",
    "actor_name",
    "actor_scope",
    "action",
    "method",
    "path",
    "entity_type",
    "entity_id",
    "status_code",
    "payload_json",
    "occurred_at",
    "chain_seq::text AS chain_seq",
    "(chain_hmac IS NOT NULL) AS signed",
)
ACTIVE = "(SELECT b.active_version_id FROM policy_set_bindings b WHERE b.policy_set_id = x.id) AS active_version_id"
BOUND = (
    "(SELECT b.application_id FROM gateway_resource_bindings b"
    " WHERE b.zone_id = x.zone_id AND b.resource_identifier = x.identifier) AS gateway_application_id"
)
NAMED = ("id", "zone_id", "name")
PROVIDER = (*NAMED, "identifier", "provider_kind AS kind", "config_json", "secret_config_keys")
RESOURCE = (*NAMED, "identifier", "upstream_url", "scopes", "credential_provider_id")


class Listing(t.NamedTuple):
    """A list: its table, the fields shown, the time by which it is sorted, and whether archived rows are left out.

    `rows` are the lists that the older family also wraps as `rows`.
    """

    table: str
    columns: tuple[str, ...]
    ordered_by: str = "created_at"
    archives: bool = True
    rows: bool = False


def listings(release: Release) -> dict[str, Listing]:
    """Return all lists by the last part of their path."""
    return _newer() if release.secret_store else _older(release)


def _newer() -> dict[str, Listing]:
    return {
        "zones": Listing(
            "zones", ("id", "name", "slug", "dcr_enabled", "operator_coauthor_badge", "operator_governed", *ATTRIBUTION, *STAMPS)
        ),
        "applications": Listing(
            "applications", (*NAMED, "registration_method", "traits", "expires_at", "archived_at", *ATTRIBUTION, *STAMPS)
        ),
        "providers": Listing("providers", (*PROVIDER, "connectivity_failed_at", *ATTRIBUTION, *STAMPS, "archived_at")),
        "resources": Listing("resources", (*RESOURCE, "operations", "operation_enforcement", *ATTRIBUTION, *STAMPS, "archived_at")),
        "policies": Listing("policies", (*NAMED, "description", *ATTRIBUTION, *STAMPS)),
        "policy-sets": Listing("policy_sets", (*NAMED, "description", *ATTRIBUTION, *STAMPS, ACTIVE)),
        "grants": Listing(
            "delegated_grants", ("id", "zone_id", "application_id", "user_id", "resource_id", "scopes", "status", *STAMPS), archives=False
        ),
        "authority-records": Listing("authority_records", AUTHORITY, archives=False, rows=True),
        "sessions": Listing("sessions", SESSIONS, "started_at", archives=False, rows=True),
        "audit": Listing("audit_events", EVENTS, "occurred_at", archives=False, rows=True),
        "admin-audit": Listing("admin_audit_events", ADMIN_EVENTS, "occurred_at", archives=False, rows=True),
    }


def _older(release: Release) -> dict[str, Listing]:
    traits = ("traits",) if release.admin_chain else ()
    found = {
        "zones": Listing("zones", ("id", "name", "slug", "dcr_enabled", *STAMPS)),
        "applications": Listing("applications", (*NAMED, "registration_method", *traits, "expires_at", "created_at")),
        "providers": Listing("providers", (*PROVIDER, *STAMPS)),
        "resources": Listing("resources", (*RESOURCE, BOUND, *STAMPS)),
        "policies": Listing("policies", (*NAMED, "description", "owner_type", "created_by", "created_at")),
        "policy-sets": Listing("policy_sets", (*NAMED, "description", "created_at", ACTIVE)),
        "grants": Listing(
            "delegated_grants", ("id", "zone_id", "application_id", "user_id", "resource_id", "scopes", "status", *STAMPS), archives=False
        ),
        "sessions": Listing("sessions", (*AUTHORITY_OLD,), archives=False, rows=True),
        "audit": Listing("audit_events", EVENTS, "occurred_at", archives=False, rows=True),
    }
    if release.admin_chain:
        labels = (
            "id",
            "zone_id",
            "application_id",
            "parent_id",
            "subject_session_id",
            "status",
            "depth",
            "labels",
            "spawned_at",
            "terminated_at",
        )
        found["agent-sessions"] = Listing("agent_sessions", labels, "spawned_at", archives=False, rows=True)
    return found


AUTHORITY_OLD = ("id", "zone_id", "session_type", "subject_id", "parent_id", "status", "expires_at", "authenticated_at", "created_at")
