# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Caracal v2026.06.21, family `zone_kek`: the result of its 47 migrations in PostgreSQL. It has no second database.

Every service connects as the superuser that owns the database. The service roles exist and cannot log in.
"""

from __future__ import annotations

from ..facts import Database, Function, Names, Release, Sequence, Table
from .v1_0_0 import REJECT, ZONE_ISOLATION

ROLES = dict.fromkeys(("caracalapi", "caracalaudit", "caracalcoordinator", "caracalgateway", "caracalsts"), "NOLOGIN NOCREATEDB")

CARACAL_TABLES = {
    "admin_audit_events": Table(
        columns=(
            "id text not null",
            "request_id text not null",
            "actor_id text",
            "actor_name text",
            "actor_scope text",
            "action text not null",
            "method text not null",
            "path text not null",
            "zone_id text",
            "entity_type text",
            "entity_id text",
            "status_code integer not null",
            "payload_json jsonb",
            "occurred_at timestamp with time zone not null default now()",
            "content_sha256 text",
            "prev_content_sha256 text",
            "chain_hmac text",
            "chain_seq bigint",
        ),
        constraints={
            "admin_audit_events_pkey": "PRIMARY KEY (id)",
        },
        indexes={
            "admin_audit_events_actor_time": "btree (actor_id, occurred_at DESC) WHERE (actor_id IS NOT NULL)",
            "admin_audit_events_chain": "btree (zone_id, chain_seq DESC)",
            "admin_audit_events_request": "btree (request_id)",
            "admin_audit_events_zone_time": "btree (zone_id, occurred_at DESC)",
        },
        policies=ZONE_ISOLATION,
        row_security=True,
    ),
    "admin_tokens": Table(
        columns=(
            "id text not null",
            "name text not null",
            "token_sha256 bytea not null",
            "scope text not null",
            "zone_id text",
            "created_by text not null",
            "created_at timestamp with time zone not null default now()",
            "last_used_at timestamp with time zone",
            "revoked_at timestamp with time zone",
            "token_hash text",
        ),
        constraints={
            "admin_tokens_pkey": "PRIMARY KEY (id)",
            "admin_token_scope_zone_pair": (
                "CHECK ((((scope = 'global'::text) AND (zone_id IS NULL)) OR ((scope = 'zone'::text) AND (zone_id IS NOT NULL))))"
            ),
            "admin_tokens_scope_check": "CHECK ((scope = ANY (ARRAY['global'::text, 'zone'::text])))",
            "admin_tokens_zone_id_fkey": "FOREIGN KEY (zone_id) REFERENCES zones(id) ON DELETE CASCADE",
        },
        indexes={
            "admin_tokens_token_sha256_active": "UNIQUE btree (token_sha256) WHERE (revoked_at IS NULL)",
            "admin_tokens_zone_active": "btree (zone_id) WHERE ((revoked_at IS NULL) AND (scope = 'zone'::text))",
        },
        policies=ZONE_ISOLATION,
        row_security=True,
    ),
    "agent_invocations": Table(
        columns=(
            "id text not null",
            "zone_id text not null",
            "service_id text not null",
            "source_session_id text",
            "target_session_id text",
            "idempotency_key text not null",
            "method text not null",
            "params_json jsonb not null default '{}'::jsonb",
            "metadata_json jsonb not null default '{}'::jsonb",
            "status text not null default 'pending'::text",
            "attempts integer not null default 0",
            "max_attempts integer not null default 3",
            "timeout_ms integer not null default 30000",
            "retry_policy_json jsonb not null default '{}'::jsonb",
            "error_json jsonb",
            "deadline_at timestamp with time zone",
            "cancel_requested_at timestamp with time zone",
            "started_at timestamp with time zone",
            "completed_at timestamp with time zone",
            "created_at timestamp with time zone not null default now()",
            "updated_at timestamp with time zone not null default now()",
        ),
        constraints={
            "agent_invocations_pkey": "PRIMARY KEY (id)",
            "agent_invocations_zone_id_id_unique": "UNIQUE (zone_id, id)",
            "agent_invocations_zone_id_service_id_idempotency_key_key": "UNIQUE (zone_id, service_id, idempotency_key)",
            "agent_invocations_max_attempts_check": "CHECK ((max_attempts > 0))",
            "agent_invocations_status_check": (
                "CHECK ((status = ANY (ARRAY['pending'::text, 'running'::text, 'succeeded'::text, 'failed'::text, "
                "'cancel_requested'::text, 'canceled'::text, 'timed_out'::text, 'dead'::text])))"
            ),
            "agent_invocations_timeout_ms_check": "CHECK ((timeout_ms > 0))",
            "agent_invocations_service_id_fkey": "FOREIGN KEY (service_id) REFERENCES agent_services(id) ON DELETE CASCADE",
            "agent_invocations_source_session_id_fkey": "FOREIGN KEY (source_session_id) REFERENCES agent_sessions(id) ON DELETE SET NULL",
            "agent_invocations_target_session_id_fkey": "FOREIGN KEY (target_session_id) REFERENCES agent_sessions(id) ON DELETE SET NULL",
            "agent_invocations_zone_id_fkey": "FOREIGN KEY (zone_id) REFERENCES zones(id) ON DELETE CASCADE",
            "agent_invocations_zone_service_fk": (
                "FOREIGN KEY (zone_id, service_id) REFERENCES agent_services(zone_id, id) ON DELETE CASCADE"
            ),
            "agent_invocations_zone_source_fk": "FOREIGN KEY (zone_id, source_session_id) REFERENCES agent_sessions(zone_id, id)",
            "agent_invocations_zone_target_fk": "FOREIGN KEY (zone_id, target_session_id) REFERENCES agent_sessions(zone_id, id)",
        },
        indexes={
            "agent_invocations_deadline_at_idx": "btree (deadline_at) WHERE (status = 'running'::text)",
            "agent_invocations_zone_id_service_id_status_created_at_idx": "btree (zone_id, service_id, status, created_at DESC)",
            "agent_invocations_zone_id_source_session_id_status_idx": (
                "btree (zone_id, source_session_id, status) WHERE (source_session_id IS NOT NULL)"
            ),
            "agent_invocations_zone_id_target_session_id_status_idx": (
                "btree (zone_id, target_session_id, status) WHERE (target_session_id IS NOT NULL)"
            ),
        },
        policies=ZONE_ISOLATION,
        row_security=True,
        grants={"caracalapi": "SELECT", "caracalcoordinator": "INSERT, SELECT, UPDATE", "caracalsts": "SELECT"},
    ),
    "agent_services": Table(
        columns=(
            "id text not null",
            "zone_id text not null",
            "application_id text not null",
            "endpoint_url text not null",
            "protocol_versions text[] not null default '{}'::text[]",
            "framework_name text",
            "framework_version text",
            "capabilities text[] not null default '{}'::text[]",
            "health text not null default 'starting'::text",
            "metadata_json jsonb not null default '{}'::jsonb",
            "last_heartbeat_at timestamp with time zone",
            "created_at timestamp with time zone not null default now()",
            "updated_at timestamp with time zone not null default now()",
        ),
        constraints={
            "agent_services_pkey": "PRIMARY KEY (id)",
            "agent_services_zone_id_application_id_endpoint_url_key": "UNIQUE (zone_id, application_id, endpoint_url)",
            "agent_services_zone_id_id_unique": "UNIQUE (zone_id, id)",
            "agent_services_health_check": (
                "CHECK ((health = ANY (ARRAY['starting'::text, 'healthy'::text, 'degraded'::text, 'unhealthy'::text])))"
            ),
            "agent_services_application_id_fkey": "FOREIGN KEY (application_id) REFERENCES applications(id) ON DELETE CASCADE",
            "agent_services_zone_application_fk": "FOREIGN KEY (zone_id, application_id) REFERENCES applications(zone_id, id)",
            "agent_services_zone_id_fkey": "FOREIGN KEY (zone_id) REFERENCES zones(id) ON DELETE CASCADE",
        },
        indexes={
            "agent_services_last_heartbeat_at_idx": (
                "btree (last_heartbeat_at) WHERE (health = ANY (ARRAY['healthy'::text, 'degraded'::text]))"
            ),
            "agent_services_zone_id_application_id_idx": "btree (zone_id, application_id)",
            "agent_services_zone_id_health_idx": "btree (zone_id, health)",
        },
        policies=ZONE_ISOLATION,
        row_security=True,
        grants={"caracalapi": "SELECT", "caracalcoordinator": "INSERT, SELECT, UPDATE", "caracalsts": "SELECT"},
    ),
    "agent_sessions": Table(
        columns=(
            "id text not null",
            "zone_id text not null",
            "application_id text not null",
            "parent_id text",
            "subject_session_id text not null",
            "status text not null default 'active'::text",
            "depth integer not null default 0",
            "labels text[] not null default '{}'::text[]",
            "max_children integer not null default 10",
            "child_count integer not null default 0",
            "spawned_at timestamp with time zone not null default now()",
            "last_active_at timestamp with time zone not null default now()",
            "terminated_at timestamp with time zone",
            "ttl_seconds integer default 3600",
            "metadata_json jsonb",
            "updated_at timestamp with time zone not null default now()",
            "lifecycle text not null default 'task'::text",
            "last_heartbeat_at timestamp with time zone",
            "heartbeat_deadline_at timestamp with time zone",
            "idempotency_key text",
        ),
        constraints={
            "agent_sessions_pkey": "PRIMARY KEY (id)",
            "agent_sessions_zone_id_id_unique": "UNIQUE (zone_id, id)",
            "agent_sessions_lifecycle_check": "CHECK ((lifecycle = ANY (ARRAY['task'::text, 'service'::text])))",
            "agent_sessions_status_check": (
                "CHECK ((status = ANY (ARRAY['active'::text, 'suspended'::text, 'terminated'::text, 'expired'::text])))"
            ),
            "agent_sessions_parent_id_fkey": "FOREIGN KEY (parent_id) REFERENCES agent_sessions(id)",
            "agent_sessions_zone_application_fk": "FOREIGN KEY (zone_id, application_id) REFERENCES applications(zone_id, id)",
            "agent_sessions_zone_parent_fk": "FOREIGN KEY (zone_id, parent_id) REFERENCES agent_sessions(zone_id, id)",
            "agent_sessions_zone_session_fk": "FOREIGN KEY (zone_id, subject_session_id) REFERENCES sessions(zone_id, id)",
        },
        indexes={
            "agent_sessions_idempotency_key_idx": (
                "UNIQUE btree (zone_id, application_id, idempotency_key) WHERE ((idempotency_key IS NOT NULL) AND (status = ANY "
                "(ARRAY['active'::text, 'suspended'::text])))"
            ),
            "agent_sessions_last_active_at_idx": "btree (last_active_at) WHERE (status = 'active'::text)",
            "agent_sessions_service_heartbeat_deadline_idx": (
                "btree (heartbeat_deadline_at) WHERE ((status = 'active'::text) AND (lifecycle = 'service'::text))"
            ),
            "agent_sessions_subject_session_id_idx": "btree (subject_session_id)",
            "agent_sessions_zone_id_parent_id_status_idx": "btree (zone_id, parent_id, status)",
        },
        policies=ZONE_ISOLATION,
        row_security=True,
        grants={"caracalapi": "SELECT, UPDATE", "caracalcoordinator": "INSERT, SELECT, UPDATE"},
    ),
    "agent_topology": Table(
        columns=(
            "parent_id text not null",
            "child_id text not null",
        ),
        constraints={
            "agent_topology_pkey": "PRIMARY KEY (parent_id, child_id)",
            "agent_topology_child_id_fkey": "FOREIGN KEY (child_id) REFERENCES agent_sessions(id) ON DELETE CASCADE",
            "agent_topology_parent_id_fkey": "FOREIGN KEY (parent_id) REFERENCES agent_sessions(id) ON DELETE CASCADE",
        },
        grants={"caracalcoordinator": "INSERT, SELECT, UPDATE"},
    ),
    "applications": Table(
        columns=(
            "id text not null",
            "zone_id text not null",
            "name text not null",
            "registration_method text not null",
            "credential_type text not null default 'token'::text",
            "client_secret_hash text",
            "traits text[] not null default '{}'::text[]",
            "expires_at timestamp with time zone",
            "archived_at timestamp with time zone",
            "created_at timestamp with time zone not null default now()",
        ),
        constraints={
            "applications_pkey": "PRIMARY KEY (id)",
            "applications_zone_id_id_unique": "UNIQUE (zone_id, id)",
            "applications_credential_type_check": "CHECK ((credential_type = 'token'::text))",
            "applications_dcr_expires_at_required": "CHECK (((registration_method <> 'dcr'::text) OR (expires_at IS NOT NULL)))",
            "applications_registration_method_check": "CHECK ((registration_method = ANY (ARRAY['managed'::text, 'dcr'::text])))",
            "applications_zone_id_fkey": "FOREIGN KEY (zone_id) REFERENCES zones(id)",
        },
        indexes={
            "applications_zone_id_expires_at_idx": "btree (zone_id, expires_at) WHERE (expires_at IS NOT NULL)",
            "applications_zone_id_idx": "btree (zone_id)",
        },
        policies=ZONE_ISOLATION,
        row_security=True,
        grants={
            "caracalapi": "DELETE, INSERT, SELECT, UPDATE",
            "caracalcoordinator": "SELECT",
            "caracalgateway": "SELECT",
            "caracalsts": "SELECT",
        },
    ),
    "audit_chain_rehash": Table(
        columns=(
            "id smallint not null default 1",
            "completed_at timestamp with time zone not null default now()",
        ),
        constraints={
            "audit_chain_rehash_pkey": "PRIMARY KEY (id)",
            "audit_chain_rehash_id_check": "CHECK ((id = 1))",
        },
    ),
    "audit_events": Table(
        columns=(
            "id text not null",
            "zone_id text not null",
            "event_type text not null",
            "request_id text",
            "decision text",
            "policy_set_id text",
            "policy_set_version_id text",
            "manifest_sha text",
            "evaluation_status text",
            "determining_policies_json jsonb",
            "diagnostics_json jsonb",
            "metadata_json jsonb",
            "occurred_at timestamp with time zone not null",
            "ingested_at timestamp with time zone not null default now()",
            "content_sha256 text",
            "prev_content_sha256 text",
            "chain_hmac text",
            "chain_seq bigint",
            "ingest_signature text",
        ),
        constraints={
            "audit_events_pkey": "PRIMARY KEY (id, occurred_at)",
        },
        indexes={
            "audit_events_agent_labels_idx": "gin (((metadata_json -> 'agent_labels'::text)))",
            "audit_events_agent_session_idx": (
                "btree (((metadata_json ->> 'agent_session_id'::text))) WHERE (metadata_json ? 'agent_session_id'::text)"
            ),
            "audit_events_request_id_idx": "btree (request_id) WHERE (request_id IS NOT NULL)",
            "audit_events_zone_chain": "btree (zone_id, chain_seq DESC)",
            "audit_events_zone_id_occurred_at_idx": "btree (zone_id, occurred_at DESC)",
        },
        policies=ZONE_ISOLATION,
        row_security=True,
        grants={"caracalaudit": "INSERT, SELECT"},
        partition_by="RANGE (occurred_at)",
    ),
    "audit_export_watermark": Table(
        columns=(
            "name text not null",
            "last_exported_hour timestamp with time zone not null",
            "updated_at timestamp with time zone not null default now()",
        ),
        constraints={
            "audit_export_watermark_pkey": "PRIMARY KEY (name)",
        },
        grants={"caracalaudit": "INSERT, SELECT, UPDATE"},
    ),
    "audit_ingest_alerts": Table(
        columns=(
            "id bigint not null default nextval('audit_ingest_alerts_id_seq'::regclass)",
            "event_id text not null",
            "zone_id text not null",
            "kind text not null",
            "detail text",
            "observed_at timestamp with time zone not null default now()",
        ),
        constraints={
            "audit_ingest_alerts_pkey": "PRIMARY KEY (id)",
        },
        indexes={
            "audit_ingest_alerts_zone_time": "btree (zone_id, observed_at DESC)",
        },
        grants={"caracalaudit": "INSERT, SELECT"},
    ),
    "caracal_outbox": Table(
        columns=(
            "id text not null",
            "producer text not null",
            "topic text not null",
            "dedupe_key text not null",
            "payload_json jsonb not null",
            "status text not null default 'pending'::text",
            "attempts integer not null default 0",
            "available_at timestamp with time zone not null default now()",
            "published_at timestamp with time zone",
            "created_at timestamp with time zone not null default now()",
            "updated_at timestamp with time zone not null default now()",
        ),
        constraints={
            "caracal_outbox_pkey": "PRIMARY KEY (id)",
            "caracal_outbox_producer_topic_dedupe_key_key": "UNIQUE (producer, topic, dedupe_key)",
            "caracal_outbox_producer_check": "CHECK ((producer = ANY (ARRAY['api'::text, 'coordinator'::text])))",
            "caracal_outbox_status_check": "CHECK ((status = ANY (ARRAY['pending'::text, 'published'::text, 'dead'::text])))",
        },
        indexes={
            "caracal_outbox_status_available_at_idx": "btree (status, available_at)",
            "caracal_outbox_topic_status_idx": "btree (topic, status)",
        },
        grants={"caracalapi": "INSERT, SELECT, UPDATE", "caracalcoordinator": "INSERT, SELECT, UPDATE"},
    ),
    "delegated_grants": Table(
        columns=(
            "id text not null",
            "zone_id text not null",
            "application_id text",
            "user_id text not null",
            "resource_id text not null",
            "scopes text[] not null",
            "status text not null default 'active'::text",
            "created_at timestamp with time zone not null default now()",
            "updated_at timestamp with time zone not null default now()",
        ),
        constraints={
            "delegated_grants_pkey": "PRIMARY KEY (id)",
            "delegated_grants_status_check": "CHECK ((status = ANY (ARRAY['active'::text, 'revoked'::text, 'expired'::text])))",
            "delegated_grants_application_id_fkey": "FOREIGN KEY (application_id) REFERENCES applications(id)",
            "delegated_grants_resource_id_fkey": "FOREIGN KEY (resource_id) REFERENCES resources(id)",
            "delegated_grants_zone_application_fk": "FOREIGN KEY (zone_id, application_id) REFERENCES applications(zone_id, id)",
            "delegated_grants_zone_id_fkey": "FOREIGN KEY (zone_id) REFERENCES zones(id)",
            "delegated_grants_zone_resource_fk": "FOREIGN KEY (zone_id, resource_id) REFERENCES resources(zone_id, id)",
        },
        indexes={
            "delegated_grants_zone_id_user_id_idx": "btree (zone_id, user_id)",
            "delegated_grants_zone_id_user_id_resource_id_status_idx": "btree (zone_id, user_id, resource_id, status)",
        },
        policies=ZONE_ISOLATION,
        row_security=True,
        grants={"caracalapi": "DELETE, INSERT, SELECT, UPDATE", "caracalsts": "INSERT, SELECT, UPDATE"},
    ),
    "delegation_edges": Table(
        columns=(
            "id text not null",
            "zone_id text not null",
            "source_session_id text not null",
            "target_session_id text not null",
            "issuer_application_id text not null",
            "receiver_application_id text not null",
            "resource_id text",
            "scopes text[] not null default '{}'::text[]",
            "constraints_json jsonb not null default '{}'::jsonb",
            "status text not null default 'active'::text",
            "expires_at timestamp with time zone not null",
            "edge_version integer not null default 0",
            "revoked_at timestamp with time zone",
            "created_at timestamp with time zone not null default now()",
            "updated_at timestamp with time zone not null default now()",
            "parent_edge_id text",
        ),
        constraints={
            "delegation_edges_pkey": "PRIMARY KEY (id)",
            "delegation_edges_check": "CHECK ((source_session_id <> target_session_id))",
            "delegation_edges_status_check": "CHECK ((status = ANY (ARRAY['active'::text, 'revoked'::text, 'expired'::text])))",
            "delegation_edges_parent_edge_id_fkey": "FOREIGN KEY (parent_edge_id) REFERENCES delegation_edges(id) ON DELETE SET NULL",
            "delegation_edges_resource_id_fkey": "FOREIGN KEY (resource_id) REFERENCES resources(id)",
            "delegation_edges_source_session_id_fkey": "FOREIGN KEY (source_session_id) REFERENCES agent_sessions(id) ON DELETE CASCADE",
            "delegation_edges_target_session_id_fkey": "FOREIGN KEY (target_session_id) REFERENCES agent_sessions(id) ON DELETE CASCADE",
            "delegation_edges_zone_issuer_application_fk": (
                "FOREIGN KEY (zone_id, issuer_application_id) REFERENCES applications(zone_id, id)"
            ),
            "delegation_edges_zone_receiver_application_fk": (
                "FOREIGN KEY (zone_id, receiver_application_id) REFERENCES applications(zone_id, id)"
            ),
            "delegation_edges_zone_resource_fk": "FOREIGN KEY (zone_id, resource_id) REFERENCES resources(zone_id, id)",
            "delegation_edges_zone_source_fk": (
                "FOREIGN KEY (zone_id, source_session_id) REFERENCES agent_sessions(zone_id, id) ON DELETE CASCADE"
            ),
            "delegation_edges_zone_target_fk": (
                "FOREIGN KEY (zone_id, target_session_id) REFERENCES agent_sessions(zone_id, id) ON DELETE CASCADE"
            ),
        },
        indexes={
            "delegation_edges_expires_at_idx": "btree (expires_at) WHERE (status = 'active'::text)",
            "delegation_edges_zone_id_parent_edge_id_idx": "btree (zone_id, parent_edge_id) WHERE (parent_edge_id IS NOT NULL)",
            "delegation_edges_zone_id_resource_id_status_idx": "btree (zone_id, resource_id, status) WHERE (resource_id IS NOT NULL)",
            "delegation_edges_zone_id_source_session_id_status_idx": "btree (zone_id, source_session_id, status)",
            "delegation_edges_zone_id_target_session_id_status_idx": "btree (zone_id, target_session_id, status)",
        },
        policies=ZONE_ISOLATION,
        row_security=True,
        grants={"caracalapi": "SELECT, UPDATE", "caracalcoordinator": "INSERT, SELECT, UPDATE", "caracalsts": "SELECT"},
    ),
    "delegation_graph_epochs": Table(
        columns=(
            "zone_id text not null",
            "epoch bigint not null default 0",
            "updated_at timestamp with time zone not null default now()",
        ),
        constraints={
            "delegation_graph_epochs_pkey": "PRIMARY KEY (zone_id)",
            "delegation_graph_epochs_zone_id_fkey": "FOREIGN KEY (zone_id) REFERENCES zones(id) ON DELETE CASCADE",
        },
        policies=ZONE_ISOLATION,
        row_security=True,
        grants={"caracalapi": "SELECT", "caracalcoordinator": "INSERT, SELECT, UPDATE", "caracalsts": "SELECT"},
    ),
    "event_outbox": Table(
        columns=(
            "id text not null",
            "stream_name text not null",
            "payload_json jsonb not null",
            "attempts integer not null default 0",
            "available_at timestamp with time zone not null default now()",
            "locked_until timestamp with time zone",
            "locked_by text",
            "last_error text",
            "dispatched_at timestamp with time zone",
            "request_id text",
            "created_at timestamp with time zone not null default now()",
        ),
        constraints={
            "event_outbox_pkey": "PRIMARY KEY (id)",
        },
        indexes={
            "event_outbox_dispatch_ready": "btree (available_at) WHERE (dispatched_at IS NULL)",
            "event_outbox_undispatched_age": "btree (created_at) WHERE (dispatched_at IS NULL)",
        },
    ),
    "gateway_binding_revision": Table(
        columns=(
            "id boolean not null default true",
            "version bigint not null default 0",
            "updated_at timestamp with time zone not null default now()",
        ),
        constraints={
            "gateway_binding_revision_pkey": "PRIMARY KEY (id)",
            "gateway_binding_revision_id_check": "CHECK (id)",
        },
        grants={"caracalapi": "SELECT, UPDATE", "caracalgateway": "SELECT"},
    ),
    "gateway_resource_bindings": Table(
        columns=(
            "resource_identifier text not null",
            "application_id text not null",
            "zone_id text not null",
            "created_at timestamp with time zone not null default now()",
            "updated_at timestamp with time zone not null default now()",
        ),
        constraints={
            "gateway_resource_bindings_pkey": "PRIMARY KEY (zone_id, resource_identifier)",
        },
        indexes={
            "gateway_resource_bindings_zone_id_idx": "btree (zone_id)",
        },
        policies=ZONE_ISOLATION,
        row_security=True,
        grants={"caracalapi": "DELETE, INSERT, SELECT, UPDATE", "caracalcoordinator": "SELECT", "caracalgateway": "SELECT"},
    ),
    "policies": Table(
        columns=(
            "id text not null",
            "zone_id text not null",
            "name text not null",
            "description text",
            "owner_type text not null default 'customer'::text",
            "archived_at timestamp with time zone",
            "created_by text not null",
            "created_at timestamp with time zone not null default now()",
            "updated_at timestamp with time zone not null default now()",
        ),
        constraints={
            "policies_pkey": "PRIMARY KEY (id)",
            "policies_zone_id_name_key": "UNIQUE (zone_id, name)",
            "policies_zone_id_fkey": "FOREIGN KEY (zone_id) REFERENCES zones(id)",
        },
        policies=ZONE_ISOLATION,
        row_security=True,
        grants={"caracalapi": "DELETE, INSERT, SELECT, UPDATE", "caracalsts": "SELECT"},
    ),
    "policy_set_bindings": Table(
        columns=(
            "zone_id text not null",
            "policy_set_id text not null",
            "active_version_id text",
            "shadow_version_id text",
            "updated_at timestamp with time zone not null default now()",
        ),
        constraints={
            "policy_set_bindings_pkey": "PRIMARY KEY (zone_id, policy_set_id)",
            "policy_set_bindings_active_version_id_fkey": "FOREIGN KEY (active_version_id) REFERENCES policy_set_versions(id)",
            "policy_set_bindings_policy_set_id_fkey": "FOREIGN KEY (policy_set_id) REFERENCES policy_sets(id)",
            "policy_set_bindings_shadow_version_id_fkey": "FOREIGN KEY (shadow_version_id) REFERENCES policy_set_versions(id)",
            "policy_set_bindings_zone_id_fkey": "FOREIGN KEY (zone_id) REFERENCES zones(id)",
        },
        policies=ZONE_ISOLATION,
        row_security=True,
        grants={"caracalapi": "DELETE, INSERT, SELECT, UPDATE", "caracalsts": "SELECT"},
    ),
    "policy_set_versions": Table(
        columns=(
            "id text not null",
            "policy_set_id text not null",
            "version integer not null",
            "manifest_json jsonb not null",
            "manifest_sha256 text not null",
            "schema_version text not null",
            "created_by text not null",
            "created_at timestamp with time zone not null default now()",
            "archived_at timestamp with time zone",
        ),
        constraints={
            "policy_set_versions_pkey": "PRIMARY KEY (id)",
            "policy_set_versions_policy_set_id_version_key": "UNIQUE (policy_set_id, version)",
            "policy_set_versions_policy_set_id_fkey": "FOREIGN KEY (policy_set_id) REFERENCES policy_sets(id)",
        },
        grants={"caracalapi": "INSERT, SELECT", "caracalsts": "SELECT"},
    ),
    "policy_sets": Table(
        columns=(
            "id text not null",
            "zone_id text not null",
            "name text not null",
            "description text",
            "scope_type text not null default 'zone'::text",
            "owner_type text not null default 'customer'::text",
            "archived_at timestamp with time zone",
            "created_by text not null",
            "created_at timestamp with time zone not null default now()",
            "updated_at timestamp with time zone not null default now()",
        ),
        constraints={
            "policy_sets_pkey": "PRIMARY KEY (id)",
            "policy_sets_zone_id_name_key": "UNIQUE (zone_id, name)",
            "policy_sets_zone_id_fkey": "FOREIGN KEY (zone_id) REFERENCES zones(id)",
        },
        policies=ZONE_ISOLATION,
        row_security=True,
        grants={"caracalapi": "DELETE, INSERT, SELECT, UPDATE", "caracalsts": "SELECT"},
    ),
    "policy_versions": Table(
        columns=(
            "id text not null",
            "policy_id text not null",
            "version integer not null",
            "content text not null",
            "content_sha256 text not null",
            "schema_version text not null",
            "created_by text not null",
            "created_at timestamp with time zone not null default now()",
            "archived_at timestamp with time zone",
        ),
        constraints={
            "policy_versions_pkey": "PRIMARY KEY (id)",
            "policy_versions_policy_id_version_key": "UNIQUE (policy_id, version)",
            "policy_versions_policy_id_fkey": "FOREIGN KEY (policy_id) REFERENCES policies(id)",
        },
        indexes={
            "policy_versions_policy_id_created_at_idx": "btree (policy_id, created_at DESC)",
        },
        triggers={
            "policy_versions_immutable": "BEFORE DELETE OR UPDATE FOR EACH ROW EXECUTE FUNCTION reject_policy_version_mutation()",
        },
        grants={"caracalapi": "INSERT, SELECT", "caracalsts": "SELECT"},
    ),
    "provider_grants": Table(
        columns=(
            "id text not null",
            "zone_id text not null",
            "user_id text not null",
            "resource_id text not null",
            "provider_id text not null",
            "scopes text[] not null default '{}'::text[]",
            "status text not null default 'active'::text",
            "access_token_ct bytea",
            "refresh_token_ct bytea",
            "expires_at timestamp with time zone",
            "refreshed_at timestamp with time zone",
            "refresh_token_version integer not null default 0",
            "created_at timestamp with time zone not null default now()",
            "updated_at timestamp with time zone not null default now()",
        ),
        constraints={
            "provider_grants_pkey": "PRIMARY KEY (id)",
            "provider_grants_status_check": "CHECK ((status = ANY (ARRAY['active'::text, 'revoked'::text, 'expired'::text])))",
            "provider_grants_zone_provider_fk": "FOREIGN KEY (zone_id, provider_id) REFERENCES providers(zone_id, id)",
            "provider_grants_zone_resource_fk": "FOREIGN KEY (zone_id, resource_id) REFERENCES resources(zone_id, id)",
        },
        indexes={
            "provider_grants_active_subject_provider_uidx": (
                "UNIQUE btree (zone_id, user_id, resource_id, provider_id) WHERE (status = 'active'::text)"
            ),
            "provider_grants_zone_provider_status_idx": "btree (zone_id, provider_id, status)",
            "provider_grants_zone_user_resource_status_idx": "btree (zone_id, user_id, resource_id, status)",
        },
        policies=ZONE_ISOLATION,
        row_security=True,
        grants={"caracalapi": "DELETE, INSERT, SELECT, UPDATE", "caracalsts": "INSERT, SELECT, UPDATE"},
    ),
    "providers": Table(
        columns=(
            "id text not null",
            "zone_id text not null",
            "name text not null",
            "identifier text not null",
            "config_json jsonb not null default '{}'::jsonb",
            "created_at timestamp with time zone not null default now()",
            "updated_at timestamp with time zone not null default now()",
            "archived_at timestamp with time zone",
            "secret_config_ct bytea",
            "secret_config_nonce bytea",
            "secret_config_keys text[] not null default '{}'::text[]",
            "provider_kind text not null",
        ),
        constraints={
            "providers_pkey": "PRIMARY KEY (id)",
            "providers_zone_id_id_unique": "UNIQUE (zone_id, id)",
            "providers_provider_kind_check": (
                "CHECK ((provider_kind = ANY (ARRAY['none'::text, 'caracal_mandate'::text, 'oauth2_authorization_code'::text, "
                "'oauth2_client_credentials'::text, 'api_key'::text, 'bearer_token'::text])))"
            ),
            "providers_zone_id_fkey": "FOREIGN KEY (zone_id) REFERENCES zones(id)",
        },
        indexes={
            "providers_active_idx": "btree (id) WHERE (archived_at IS NULL)",
            "providers_zone_identifier_active_uidx": "UNIQUE btree (zone_id, identifier) WHERE (archived_at IS NULL)",
        },
        policies=ZONE_ISOLATION,
        row_security=True,
        grants={"caracalapi": "DELETE, INSERT, SELECT, UPDATE", "caracalgateway": "SELECT", "caracalsts": "SELECT"},
    ),
    "resources": Table(
        columns=(
            "id text not null",
            "zone_id text not null",
            "name text not null",
            "identifier text not null",
            "upstream_url text",
            "credential_provider_id text not null",
            "scopes text[] not null default '{}'::text[]",
            "created_at timestamp with time zone not null default now()",
            "updated_at timestamp with time zone not null default now()",
            "archived_at timestamp with time zone",
        ),
        constraints={
            "resources_pkey": "PRIMARY KEY (id)",
            "resources_zone_id_id_unique": "UNIQUE (zone_id, id)",
            "resources_zone_id_identifier_key": "UNIQUE (zone_id, identifier)",
            "resources_credential_provider_id_fkey": "FOREIGN KEY (credential_provider_id) REFERENCES providers(id)",
            "resources_zone_id_fkey": "FOREIGN KEY (zone_id) REFERENCES zones(id)",
            "resources_zone_provider_fk": "FOREIGN KEY (zone_id, credential_provider_id) REFERENCES providers(zone_id, id)",
        },
        indexes={
            "resources_active_idx": "btree (id) WHERE (archived_at IS NULL)",
            "resources_credential_provider_id_idx": "btree (credential_provider_id)",
        },
        policies=ZONE_ISOLATION,
        row_security=True,
        grants={
            "caracalapi": "DELETE, INSERT, SELECT, UPDATE",
            "caracalcoordinator": "SELECT",
            "caracalgateway": "SELECT",
            "caracalsts": "SELECT",
        },
    ),
    "schema_migrations": Table(
        columns=(
            "version text not null",
            "applied_at timestamp with time zone not null default now()",
        ),
        constraints={
            "schema_migrations_pkey": "PRIMARY KEY (version)",
        },
    ),
    "secrets": Table(
        columns=(
            "id text not null",
            "zone_id text not null",
            "entity_id text not null",
            "name text not null",
            "type text not null",
            "ciphertext bytea not null",
            "nonce bytea not null",
            "dek_id text not null",
            "version integer not null default 1",
            "created_at timestamp with time zone not null default now()",
            "updated_at timestamp with time zone not null default now()",
        ),
        constraints={
            "secrets_pkey": "PRIMARY KEY (id)",
            "secrets_type_check": "CHECK ((type = ANY (ARRAY['token'::text, 'password'::text])))",
            "secrets_zone_id_fkey": "FOREIGN KEY (zone_id) REFERENCES zones(id)",
        },
        indexes={
            "secrets_zone_id_entity_id_idx": "btree (zone_id, entity_id)",
        },
        policies=ZONE_ISOLATION,
        row_security=True,
        grants={"caracalapi": "DELETE, INSERT, SELECT, UPDATE", "caracalsts": "INSERT, SELECT, UPDATE"},
    ),
    "sessions": Table(
        columns=(
            "id text not null",
            "zone_id text not null",
            "session_type text not null",
            "subject_id text",
            "parent_id text",
            "status text not null default 'active'::text",
            "expires_at timestamp with time zone not null",
            "authenticated_at timestamp with time zone not null",
            "claims_json jsonb",
            "created_at timestamp with time zone not null default now()",
        ),
        constraints={
            "sessions_pkey": "PRIMARY KEY (id)",
            "sessions_zone_id_id_unique": "UNIQUE (zone_id, id)",
            "sessions_session_type_check": "CHECK ((session_type = ANY (ARRAY['user'::text, 'application'::text])))",
            "sessions_status_check": "CHECK ((status = ANY (ARRAY['active'::text, 'revoked'::text, 'expired'::text])))",
            "sessions_parent_id_fkey": "FOREIGN KEY (parent_id) REFERENCES sessions(id)",
            "sessions_zone_id_fkey": "FOREIGN KEY (zone_id) REFERENCES zones(id)",
        },
        indexes={
            "sessions_expires_at_idx": "btree (expires_at) WHERE (status = 'active'::text)",
            "sessions_zone_id_subject_id_status_idx": "btree (zone_id, subject_id, status)",
        },
        policies=ZONE_ISOLATION,
        row_security=True,
        grants={"caracalapi": "SELECT, UPDATE", "caracalcoordinator": "SELECT", "caracalsts": "INSERT, SELECT, UPDATE"},
    ),
    "step_up_challenges": Table(
        columns=(
            "id text not null",
            "zone_id text not null",
            "session_id text",
            "challenge_type text not null",
            "metadata_json jsonb not null default '{}'::jsonb",
            "created_at timestamp with time zone not null default now()",
            "expires_at timestamp with time zone not null",
            "satisfied_at timestamp with time zone",
            "challenge_secret_hash bytea",
            "principal_id text",
            "resource_set_hash bytea",
            "consumed_at timestamp with time zone",
            "approver_subject_id text",
        ),
        constraints={
            "step_up_challenges_pkey": "PRIMARY KEY (id)",
            "step_up_challenges_challenge_type_check": (
                "CHECK ((challenge_type = ANY (ARRAY['human_approval'::text, 'mfa'::text, 'software_attestation'::text])))"
            ),
            "step_up_challenges_zone_id_fkey": "FOREIGN KEY (zone_id) REFERENCES zones(id) ON DELETE CASCADE",
        },
        indexes={
            "step_up_challenges_approver": "btree (approver_subject_id) WHERE (approver_subject_id IS NOT NULL)",
            "step_up_challenges_consume_uniq": "UNIQUE btree (id) WHERE (consumed_at IS NOT NULL)",
            "step_up_challenges_session_id_idx": "btree (session_id)",
            "step_up_challenges_zone_principal": "btree (zone_id, principal_id) WHERE (consumed_at IS NULL)",
        },
        policies=ZONE_ISOLATION,
        row_security=True,
        grants={"caracalsts": "INSERT, SELECT, UPDATE"},
    ),
    "zones": Table(
        columns=(
            "id text not null",
            "name text not null",
            "slug text not null",
            "dek_ciphertext bytea not null",
            "kek_arn text",
            "dcr_enabled boolean not null default false",
            "created_at timestamp with time zone not null default now()",
            "updated_at timestamp with time zone not null default now()",
            "archived_at timestamp with time zone",
        ),
        constraints={
            "zones_pkey": "PRIMARY KEY (id)",
            "zones_slug_key": "UNIQUE (slug)",
        },
        indexes={
            "zones_active_idx": "btree (id) WHERE (archived_at IS NULL)",
        },
        grants={
            "caracalapi": "DELETE, INSERT, SELECT, UPDATE",
            "caracalcoordinator": "SELECT",
            "caracalgateway": "SELECT",
            "caracalsts": "SELECT",
        },
    ),
}

CARACAL = Database(
    name="caracal",
    owner="caracal",
    tables=CARACAL_TABLES,
    sequences={
        "audit_ingest_alerts_id_seq": Sequence(
            owned_by="audit_ingest_alerts.id", type="bigint", acl="{caracal=rwU/caracal,caracalaudit=rU/caracal}"
        )
    },
    functions={"reject_policy_version_mutation()": Function("trigger", REJECT)},
    extensions=("pgcrypto",),
    default_partitions={"audit_events_default": "audit_events"},
)

# A session of v1.0.0 is an agent session here, and an authority record of v1.0.0 is a session here.
NAMES = Names(
    tables={"authority_records": "sessions", "sessions": "agent_sessions", "provider_connections": "provider_grants"},
    columns={
        "sessions": {"subject_authority_record_id": "subject_session_id", "started_at": "spawned_at"},
        "provider_connections": {"subject_id": "user_id"},
    },
)

MIGRATIONS = (
    "0001_init",
    "0002_roles",
    "0003_audit_hash",
    "0004_grant_version",
    "0005_delegation_edges",
    "0006_agent_services_outbox",
    "0007_agent_invocations",
    "0008_domain_integrity",
    "0009_api_hardening",
    "0010_tenant_fks_archive",
    "0011_audit_hardening",
    "0012_sts_hardening",
    "0013_provider_secret_config",
    "0014_gateway_bindings",
    "0015_gateway_binding_appid",
    "0016_rls_zones",
    "0017_agent_sessions_updated_at",
    "0018_agent_sessions_subject_session_id",
    "0019_providers_provider_kind",
    "0020_step_up_approver",
    "0021_rls_zones_failclosed",
    "0022_gateway_binding_zone_key",
    "0023_agent_session_kind",
    "0024_agent_session_lease",
    "0025_admin_token_argon2",
    "0026_gateway_binding_revision",
    "0027_zone_surface_cleanup",
    "0028_application_surface_cleanup",
    "0029_application_internal_cleanup",
    "0030_dcr_identity_hardening",
    "0031_dcr_shutdown_flow",
    "0032_provider_surface_cleanup",
    "0033_resource_surface_cleanup",
    "0034_provider_grants",
    "0035_provider_caracal_mandate",
    "0036_provider_none_required_resources",
    "0037_provider_grant_active_unique",
    "0038_provider_identifier_unique",
    "0039_coordinator_resource_authority",
    "0040_delegation_parent_edge",
    "0041_drop_teams_invitations",
    "0042_rename_agent_session_labels",
    "0043_audit_agent_index",
    "0044_agent_session_lifecycle",
    "0045_admin_audit_chain",
    "0046_agent_session_idempotency",
    "0047_audit_chain_rehash",
)

RELEASE = Release(
    name="v2026.06.21",
    family="zone_kek",
    databases=(CARACAL,),
    roles=ROLES,
    migrations=MIGRATIONS,
    names=NAMES,
)
