# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Caracal v1.0.0, family `secret_store`: the result of its migrations and its console's auth server in PostgreSQL.

The function bodies are this project's own; names, arguments, permissions and effects are the release's.
"""

from __future__ import annotations

from ..facts import Database, Function, Release, Sequence, Table

ZONE_ISOLATION = {
    "zone_isolation": (
        "((current_setting('caracal.zone_id'::text, true) = '*'::text) OR (zone_id = current_setting('caracal.zone_id'::text, true)))"
    ),
}

ROLES = {
    "caracalapi": "LOGIN NOCREATEDB",
    "caracalaudit": "LOGIN NOCREATEDB",
    "caracalauth": "LOGIN CREATEDB",
    "caracalcoordinator": "LOGIN NOCREATEDB",
    "caracalgateway": "LOGIN NOCREATEDB",
    "caracalsts": "LOGIN NOCREATEDB",
}

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
        grants={"caracalapi": "INSERT, SELECT", "caracalcoordinator": "INSERT, SELECT"},
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
            "capability text not null default 'write'::text",
        ),
        constraints={
            "admin_tokens_pkey": "PRIMARY KEY (id)",
            "admin_token_scope_zone_pair": (
                "CHECK ((((scope = 'global'::text) AND (zone_id IS NULL)) OR ((scope = 'zone'::text) AND (zone_id IS NOT NULL))))"
            ),
            "admin_tokens_capability_check": "CHECK ((capability = ANY (ARRAY['read'::text, 'write'::text, 'approve'::text])))",
            "admin_tokens_scope_check": "CHECK ((scope = ANY (ARRAY['global'::text, 'zone'::text])))",
            "admin_tokens_zone_id_fkey": "FOREIGN KEY (zone_id) REFERENCES zones(id) ON DELETE CASCADE",
        },
        indexes={
            "admin_tokens_token_sha256_active": "UNIQUE btree (token_sha256) WHERE (revoked_at IS NULL)",
            "admin_tokens_zone_active": "btree (zone_id) WHERE ((revoked_at IS NULL) AND (scope = 'zone'::text))",
        },
        policies=ZONE_ISOLATION,
        row_security=True,
        grants={"caracalapi": "DELETE, INSERT, SELECT, UPDATE"},
    ),
    "agent_invocations": Table(
        columns=(
            "id text not null",
            "zone_id text not null",
            "service_id text not null",
            "source_session_id text",
            "target_session_id text",
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
            "agent_invocations_max_attempts_check": "CHECK ((max_attempts > 0))",
            "agent_invocations_status_check": (
                "CHECK ((status = ANY (ARRAY['pending'::text, 'running'::text, 'succeeded'::text, 'failed'::text, "
                "'cancel_requested'::text, 'canceled'::text, 'timed_out'::text, 'dead'::text])))"
            ),
            "agent_invocations_timeout_ms_check": "CHECK ((timeout_ms > 0))",
            "agent_invocations_service_id_fkey": "FOREIGN KEY (service_id) REFERENCES agent_services(id) ON DELETE CASCADE",
            "agent_invocations_source_session_id_fkey": "FOREIGN KEY (source_session_id) REFERENCES sessions(id) ON DELETE SET NULL",
            "agent_invocations_target_session_id_fkey": "FOREIGN KEY (target_session_id) REFERENCES sessions(id) ON DELETE SET NULL",
            "agent_invocations_zone_id_fkey": "FOREIGN KEY (zone_id) REFERENCES zones(id) ON DELETE CASCADE",
            "agent_invocations_zone_service_fk": (
                "FOREIGN KEY (zone_id, service_id) REFERENCES agent_services(zone_id, id) ON DELETE CASCADE"
            ),
            "agent_invocations_zone_source_fk": "FOREIGN KEY (zone_id, source_session_id) REFERENCES sessions(zone_id, id)",
            "agent_invocations_zone_target_fk": "FOREIGN KEY (zone_id, target_session_id) REFERENCES sessions(zone_id, id)",
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
    "agent_topology": Table(
        columns=(
            "parent_id text not null",
            "child_id text not null",
        ),
        constraints={
            "agent_topology_pkey": "PRIMARY KEY (parent_id, child_id)",
            "agent_topology_child_id_fkey": "FOREIGN KEY (child_id) REFERENCES sessions(id) ON DELETE CASCADE",
            "agent_topology_parent_id_fkey": "FOREIGN KEY (parent_id) REFERENCES sessions(id) ON DELETE CASCADE",
        },
        indexes={
            "agent_topology_child_id_idx": "btree (child_id)",
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
            "created_by text",
            "created_via_operator boolean not null default false",
            "updated_by text",
            "updated_via_operator boolean not null default false",
            "updated_at timestamp with time zone",
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
            "applications_zone_keyset_idx": "btree (zone_id, created_at DESC, id DESC) WHERE (archived_at IS NULL)",
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
        grants={"caracalaudit": "DELETE, INSERT, SELECT, UPDATE"},
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
            "audit_events_session_idx": "btree (((metadata_json ->> 'session_id'::text))) WHERE (metadata_json ? 'session_id'::text)",
            "audit_events_zone_chain": "btree (zone_id, chain_seq DESC)",
            "audit_events_zone_id_occurred_at_idx": "btree (zone_id, occurred_at DESC)",
        },
        policies=ZONE_ISOLATION,
        row_security=True,
        grants={"caracalapi": "SELECT", "caracalaudit": "INSERT, SELECT"},
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
    "audit_retention": Table(
        columns=(
            "singleton boolean not null default true",
            "retention_days integer not null",
            "updated_at timestamp with time zone not null default now()",
            "updated_by text",
        ),
        constraints={
            "audit_retention_pkey": "PRIMARY KEY (singleton)",
            "audit_retention_retention_days_check": "CHECK ((retention_days >= 1))",
            "audit_retention_singleton_check": "CHECK (singleton)",
        },
        grants={"caracalapi": "DELETE, INSERT, SELECT, UPDATE", "caracalaudit": "SELECT"},
    ),
    "authority_records": Table(
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
            "revoked_at timestamp with time zone",
            "revoked_reason text",
        ),
        constraints={
            "authority_records_pkey": "PRIMARY KEY (id)",
            "authority_records_zone_id_id_unique": "UNIQUE (zone_id, id)",
            "authority_records_session_type_check": "CHECK ((session_type = ANY (ARRAY['user'::text, 'application'::text])))",
            "authority_records_status_check": "CHECK ((status = ANY (ARRAY['active'::text, 'revoked'::text, 'expired'::text])))",
            "authority_records_parent_id_fkey": "FOREIGN KEY (parent_id) REFERENCES authority_records(id)",
            "authority_records_zone_id_fkey": "FOREIGN KEY (zone_id) REFERENCES zones(id)",
        },
        indexes={
            "authority_records_expires_at_idx": "btree (expires_at) WHERE (status = 'active'::text)",
            "authority_records_zone_active_idx": "btree (zone_id, expires_at) WHERE (status = 'active'::text)",
            "authority_records_zone_created_idx": "btree (zone_id, created_at DESC, id DESC)",
            "authority_records_zone_id_subject_id_status_idx": "btree (zone_id, subject_id, status)",
            "authority_records_zone_subject_idx": "btree (zone_id, subject_id)",
        },
        policies=ZONE_ISOLATION,
        row_security=True,
        grants={
            "caracalapi": "SELECT, UPDATE",
            "caracalcoordinator": "SELECT",
            "caracalgateway": "SELECT",
            "caracalsts": "INSERT, SELECT, UPDATE",
        },
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
    "coordinator_idempotency_receipts": Table(
        columns=(
            "id text not null",
            "operation text not null",
            "zone_id text not null",
            "scope_id text not null",
            "key_digest bytea not null",
            "request_digest bytea not null",
            "resource_type text not null",
            "resource_id text not null",
            "response_status smallint not null",
            "response_json jsonb not null",
            "created_at timestamp with time zone not null default now()",
            "expires_at timestamp with time zone not null",
        ),
        constraints={
            "coordinator_idempotency_receipts_pkey": "PRIMARY KEY (id)",
            "coordinator_idempotency_scope_unique": "UNIQUE (operation, zone_id, scope_id, key_digest)",
            "coordinator_idempotency_expiry_check": "CHECK ((expires_at > created_at))",
            "coordinator_idempotency_key_digest_check": "CHECK ((octet_length(key_digest) = 32))",
            "coordinator_idempotency_operation_check": (
                "CHECK ((operation = ANY (ARRAY['session.start.v2'::text, 'delegation.create.v2'::text, 'invocation.create.v2'::text])))"
            ),
            "coordinator_idempotency_request_digest_check": "CHECK ((octet_length(request_digest) = 32))",
            "coordinator_idempotency_response_size_check": "CHECK ((octet_length((response_json)::text) <= 65536))",
            "coordinator_idempotency_response_status_check": "CHECK (((response_status >= 200) AND (response_status <= 299)))",
            "coordinator_idempotency_receipts_zone_id_fkey": "FOREIGN KEY (zone_id) REFERENCES zones(id) ON DELETE CASCADE",
        },
        indexes={
            "coordinator_idempotency_expiry_idx": "btree (expires_at, id)",
        },
        policies=ZONE_ISOLATION,
        row_security=True,
        grants={"caracalcoordinator": "DELETE, INSERT, SELECT"},
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
            "created_by text",
            "created_via_operator boolean not null default false",
            "updated_by text",
            "updated_via_operator boolean not null default false",
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
            "delegated_grants_zone_keyset_idx": "btree (zone_id, created_at DESC, id DESC)",
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
            "delegation_edges_zone_id_id_unique": "UNIQUE (zone_id, id)",
            "delegation_edges_check": "CHECK ((source_session_id <> target_session_id))",
            "delegation_edges_revocation_fields_check": (
                "CHECK ((((status = 'revoked'::text) AND (revoked_at IS NOT NULL)) OR ((status = ANY (ARRAY['active'::text, "
                "'expired'::text])) AND (revoked_at IS NULL))))"
            ),
            "delegation_edges_status_check": "CHECK ((status = ANY (ARRAY['active'::text, 'revoked'::text, 'expired'::text])))",
            "delegation_edges_resource_id_fkey": "FOREIGN KEY (resource_id) REFERENCES resources(id)",
            "delegation_edges_source_session_id_fkey": "FOREIGN KEY (source_session_id) REFERENCES sessions(id) ON DELETE CASCADE",
            "delegation_edges_target_session_id_fkey": "FOREIGN KEY (target_session_id) REFERENCES sessions(id) ON DELETE CASCADE",
            "delegation_edges_zone_issuer_application_fk": (
                "FOREIGN KEY (zone_id, issuer_application_id) REFERENCES applications(zone_id, id)"
            ),
            "delegation_edges_zone_parent_fk": (
                "FOREIGN KEY (zone_id, parent_edge_id) REFERENCES delegation_edges(zone_id, id) ON DELETE SET NULL (parent_edge_id)"
            ),
            "delegation_edges_zone_receiver_application_fk": (
                "FOREIGN KEY (zone_id, receiver_application_id) REFERENCES applications(zone_id, id)"
            ),
            "delegation_edges_zone_resource_fk": "FOREIGN KEY (zone_id, resource_id) REFERENCES resources(zone_id, id)",
            "delegation_edges_zone_source_fk": (
                "FOREIGN KEY (zone_id, source_session_id) REFERENCES sessions(zone_id, id) ON DELETE CASCADE"
            ),
            "delegation_edges_zone_target_fk": (
                "FOREIGN KEY (zone_id, target_session_id) REFERENCES sessions(zone_id, id) ON DELETE CASCADE"
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
        grants={
            "caracalapi": "SELECT, UPDATE",
            "caracalcoordinator": "INSERT, SELECT, UPDATE",
            "caracalgateway": "SELECT",
            "caracalsts": "SELECT",
        },
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
        grants={"caracalapi": "DELETE, INSERT, SELECT, UPDATE", "caracalsts": "INSERT"},
    ),
    "notification_deliveries": Table(
        columns=(
            "id text not null",
            "sink_id text not null",
            "zone_id text not null",
            "event_id text not null",
            "event_type text not null",
            "payload_json jsonb not null",
            "attempts integer not null default 0",
            "available_at timestamp with time zone not null default now()",
            "delivered_at timestamp with time zone",
            "abandoned_at timestamp with time zone",
            "response_status integer",
            "last_error text",
            "created_at timestamp with time zone not null default now()",
        ),
        constraints={
            "notification_deliveries_pkey": "PRIMARY KEY (id)",
            "notification_deliveries_sink_event_uniq": "UNIQUE (sink_id, event_id)",
            "notification_deliveries_sink_id_fkey": "FOREIGN KEY (sink_id) REFERENCES notification_sinks(id) ON DELETE CASCADE",
        },
        indexes={
            "notification_deliveries_due_idx": "btree (available_at) WHERE ((delivered_at IS NULL) AND (abandoned_at IS NULL))",
            "notification_deliveries_settled_idx": "btree (created_at) WHERE ((delivered_at IS NOT NULL) OR (abandoned_at IS NOT NULL))",
            "notification_deliveries_sink_keyset_idx": "btree (sink_id, created_at DESC, id DESC)",
        },
        grants={"caracalapi": "DELETE, INSERT, SELECT, UPDATE"},
    ),
    "notification_sinks": Table(
        columns=(
            "id text not null",
            "zone_id text not null",
            "name text not null",
            "url text not null",
            "secret_ct bytea not null",
            "event_types text[] not null",
            "active boolean not null default true",
            "cursor_chain_seq bigint not null default 0",
            "consecutive_failures integer not null default 0",
            "last_success_at timestamp with time zone",
            "last_failure_at timestamp with time zone",
            "last_error text",
            "created_at timestamp with time zone not null default now()",
            "updated_at timestamp with time zone not null default now()",
        ),
        constraints={
            "notification_sinks_pkey": "PRIMARY KEY (id)",
            "notification_sinks_event_types_check": "CHECK ((cardinality(event_types) > 0))",
            "notification_sinks_zone_id_fkey": "FOREIGN KEY (zone_id) REFERENCES zones(id) ON DELETE CASCADE",
        },
        indexes={
            "notification_sinks_zone_keyset_idx": "btree (zone_id, created_at DESC, id DESC)",
        },
        grants={"caracalapi": "DELETE, INSERT, SELECT, UPDATE"},
    ),
    "operator_ai_providers": Table(
        columns=(
            "slug text not null",
            "label text not null",
            "base_url text not null",
            "models jsonb not null default '[]'::jsonb",
            "context_window integer not null default 0",
            "enabled boolean not null default true",
            "sort_order integer not null default 0",
            "created_at timestamp with time zone not null default now()",
            "updated_at timestamp with time zone not null default now()",
            "auth_config jsonb not null default '{}'::jsonb",
        ),
        constraints={
            "operator_ai_providers_pkey": "PRIMARY KEY (slug)",
            "operator_ai_providers_context_window_check": "CHECK ((context_window >= 0))",
            "operator_ai_providers_slug_check": "CHECK ((slug ~ '^[a-z0-9_]{1,32}$'::text))",
        },
        indexes={
            "operator_ai_providers_order_idx": "btree (sort_order, slug)",
        },
        grants={"caracalapi": "DELETE, INSERT, SELECT, UPDATE"},
    ),
    "operator_conversation_counters": Table(
        columns=(
            "zone_id text not null",
            "next_number bigint not null",
        ),
        constraints={
            "operator_conversation_counters_pkey": "PRIMARY KEY (zone_id)",
        },
        grants={"caracalapi": "DELETE, INSERT, SELECT, UPDATE"},
    ),
    "operator_conversations": Table(
        columns=(
            "id text not null",
            "zone_id text not null",
            "title text not null",
            "status text not null default 'active'::text",
            "created_by text not null",
            "next_seq bigint not null default 1",
            "created_at timestamp with time zone not null default now()",
            "updated_at timestamp with time zone not null default now()",
            "last_activity_at timestamp with time zone not null default now()",
            "archived_at timestamp with time zone",
            "mode text not null default 'agent'::text",
            "autopilot boolean not null default false",
            "number bigint",
        ),
        constraints={
            "operator_conversations_pkey": "PRIMARY KEY (id)",
            "operator_conversations_mode_check": "CHECK ((mode = ANY (ARRAY['ask'::text, 'agent'::text])))",
            "operator_conversations_next_seq_check": "CHECK ((next_seq >= 1))",
            "operator_conversations_status_check": "CHECK ((status = ANY (ARRAY['active'::text, 'archived'::text])))",
        },
        indexes={
            "operator_conversations_zone_keyset_idx": "btree (zone_id, created_at DESC, id DESC) WHERE (archived_at IS NULL)",
            "operator_conversations_zone_number_idx": "UNIQUE btree (zone_id, number)",
        },
        policies=ZONE_ISOLATION,
        row_security=True,
        grants={"caracalapi": "INSERT, SELECT, UPDATE"},
    ),
    "operator_message_run_events": Table(
        columns=(
            "id text not null",
            "run_id text not null",
            "zone_id text not null",
            "conversation_id text not null",
            "event_seq bigint not null",
            "state text not null",
            "reason text",
            "error_code text",
            "error_detail text",
            "payload jsonb not null default '{}'::jsonb",
            "created_at timestamp with time zone not null default now()",
        ),
        constraints={
            "operator_message_run_events_pkey": "PRIMARY KEY (id)",
            "operator_message_run_events_run_seq_key": "UNIQUE (run_id, event_seq)",
            "operator_message_run_events_event_seq_check": "CHECK ((event_seq >= 1))",
            "operator_message_run_events_state_check": (
                "CHECK ((state = ANY (ARRAY['queued'::text, 'sending'::text, 'waiting_for_model'::text, 'reasoning'::text, "
                "'waiting_for_tool'::text, 'waiting_for_user_approval'::text, 'executing'::text, 'streaming'::text, "
                "'completed'::text, 'cancelled'::text, 'failed'::text, 'timeout'::text])))"
            ),
            "operator_message_run_events_conversation_fkey": (
                "FOREIGN KEY (conversation_id) REFERENCES operator_conversations(id) ON DELETE CASCADE"
            ),
            "operator_message_run_events_run_fkey": "FOREIGN KEY (run_id) REFERENCES operator_message_runs(id) ON DELETE CASCADE",
        },
        indexes={
            "operator_message_run_events_conversation_idx": "btree (conversation_id, event_seq)",
        },
        policies=ZONE_ISOLATION,
        row_security=True,
        grants={"caracalapi": "INSERT, SELECT"},
    ),
    "operator_message_runs": Table(
        columns=(
            "id text not null",
            "zone_id text not null",
            "conversation_id text not null",
            "client_message_id text not null",
            "server_message_turn_id text",
            "correlation_id text not null",
            "state text not null",
            "actor_id text",
            "provider_id text",
            "reason text",
            "error_code text",
            "error_detail text",
            "deadline_at timestamp with time zone",
            "started_at timestamp with time zone not null default now()",
            "updated_at timestamp with time zone not null default now()",
            "completed_at timestamp with time zone",
            "last_event_seq bigint not null default 0",
            "input_tokens bigint not null default 0",
            "output_tokens bigint not null default 0",
            "usage_by_provider_model jsonb not null default '[]'::jsonb",
            "served_provider_id text",
            "served_model text",
        ),
        constraints={
            "operator_message_runs_pkey": "PRIMARY KEY (id)",
            "operator_message_runs_completion_check": (
                "CHECK (((state = ANY (ARRAY['completed'::text, 'cancelled'::text, 'failed'::text, 'timeout'::text])) OR "
                "(completed_at IS NULL)))"
            ),
            "operator_message_runs_input_tokens_check": "CHECK ((input_tokens >= 0)) NOT VALID",
            "operator_message_runs_last_event_seq_check": "CHECK ((last_event_seq >= 0))",
            "operator_message_runs_output_tokens_check": "CHECK ((output_tokens >= 0)) NOT VALID",
            "operator_message_runs_state_check": (
                "CHECK ((state = ANY (ARRAY['queued'::text, 'sending'::text, 'waiting_for_model'::text, 'reasoning'::text, "
                "'waiting_for_tool'::text, 'waiting_for_user_approval'::text, 'executing'::text, 'streaming'::text, "
                "'completed'::text, 'cancelled'::text, 'failed'::text, 'timeout'::text])))"
            ),
            "operator_message_runs_usage_by_provider_model_check": (
                "CHECK ((jsonb_typeof(usage_by_provider_model) = 'array'::text)) NOT VALID"
            ),
            "operator_message_runs_conversation_fkey": (
                "FOREIGN KEY (conversation_id) REFERENCES operator_conversations(id) ON DELETE CASCADE"
            ),
            "operator_message_runs_message_turn_fkey": (
                "FOREIGN KEY (server_message_turn_id) REFERENCES operator_turns(id) ON DELETE SET NULL"
            ),
        },
        indexes={
            "operator_message_runs_active_idx": (
                "btree (zone_id, conversation_id, updated_at DESC) WHERE (state <> ALL (ARRAY['completed'::text, "
                "'cancelled'::text, 'failed'::text, 'timeout'::text]))"
            ),
            "operator_message_runs_client_id_idx": "UNIQUE btree (conversation_id, client_message_id)",
            "operator_message_runs_conversation_state_idx": "btree (conversation_id, state, started_at DESC)",
            "operator_message_runs_correlation_idx": "UNIQUE btree (correlation_id)",
        },
        policies=ZONE_ISOLATION,
        row_security=True,
        grants={"caracalapi": "INSERT, SELECT, UPDATE"},
    ),
    "operator_plan_secrets": Table(
        columns=(
            "conversation_id text not null",
            "zone_id text not null",
            "plan_seq bigint not null",
            "step_id text not null",
            "envelope bytea not null",
            "secret_keys text[] not null",
            "created_at timestamp with time zone not null default now()",
            "expires_at timestamp with time zone not null",
        ),
        constraints={
            "operator_plan_secrets_pkey": "PRIMARY KEY (conversation_id, plan_seq, step_id)",
            "operator_plan_secrets_plan_seq_check": "CHECK ((plan_seq >= 1))",
            "operator_plan_secrets_conversation_fkey": (
                "FOREIGN KEY (conversation_id) REFERENCES operator_conversations(id) ON DELETE CASCADE"
            ),
        },
        policies=ZONE_ISOLATION,
        row_security=True,
        grants={"caracalapi": "DELETE, INSERT, SELECT, UPDATE"},
    ),
    "operator_turns": Table(
        columns=(
            "id text not null",
            "conversation_id text not null",
            "zone_id text not null",
            "seq bigint not null",
            "role text not null",
            "kind text not null",
            "content jsonb not null default '{}'::jsonb",
            "actor_id text",
            "client_token text",
            "created_at timestamp with time zone not null default now()",
        ),
        constraints={
            "operator_turns_pkey": "PRIMARY KEY (id)",
            "operator_turns_conversation_seq_key": "UNIQUE (conversation_id, seq)",
            "operator_turns_kind_check": (
                "CHECK ((kind = ANY (ARRAY['message'::text, 'plan'::text, 'approval'::text, 'rejection'::text, "
                "'execution'::text, 'error'::text, 'note'::text])))"
            ),
            "operator_turns_role_check": "CHECK ((role = ANY (ARRAY['user'::text, 'operator'::text, 'system'::text])))",
            "operator_turns_seq_check": "CHECK ((seq >= 1))",
            "operator_turns_conversation_fkey": "FOREIGN KEY (conversation_id) REFERENCES operator_conversations(id) ON DELETE CASCADE",
        },
        indexes={
            "operator_turns_conversation_seq_idx": "btree (conversation_id, seq)",
            "operator_turns_idempotency_idx": "UNIQUE btree (conversation_id, client_token) WHERE (client_token IS NOT NULL)",
        },
        policies=ZONE_ISOLATION,
        row_security=True,
        grants={"caracalapi": "INSERT, SELECT"},
    ),
    "operator_zone_memory": Table(
        columns=(
            "id text not null",
            "zone_id text not null",
            "conversation_id text",
            "text text not null",
            "created_at timestamp with time zone not null default now()",
        ),
        constraints={
            "operator_zone_memory_pkey": "PRIMARY KEY (id)",
            "operator_zone_memory_text_check": "CHECK (((char_length(text) >= 1) AND (char_length(text) <= 2000)))",
        },
        indexes={
            "operator_zone_memory_recall_idx": "btree (zone_id, created_at DESC, id DESC)",
        },
        policies=ZONE_ISOLATION,
        row_security=True,
        grants={"caracalapi": "INSERT, SELECT"},
    ),
    "policies": Table(
        columns=(
            "id text not null",
            "zone_id text not null",
            "name text not null",
            "description text",
            "archived_at timestamp with time zone",
            "created_by text not null",
            "created_at timestamp with time zone not null default now()",
            "updated_at timestamp with time zone not null default now()",
            "created_via_operator boolean not null default false",
            "updated_by text",
            "updated_via_operator boolean not null default false",
        ),
        constraints={
            "policies_pkey": "PRIMARY KEY (id)",
            "policies_zone_id_fkey": "FOREIGN KEY (zone_id) REFERENCES zones(id)",
        },
        indexes={
            "policies_zone_id_name_key": "UNIQUE btree (zone_id, name) WHERE (archived_at IS NULL)",
            "policies_zone_keyset_idx": "btree (zone_id, created_at DESC, id DESC) WHERE (archived_at IS NULL)",
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
            "updated_at timestamp with time zone not null default now()",
        ),
        constraints={
            "policy_set_bindings_pkey": "PRIMARY KEY (zone_id, policy_set_id)",
            "policy_set_bindings_active_version_id_fkey": "FOREIGN KEY (active_version_id) REFERENCES policy_set_versions(id)",
            "policy_set_bindings_policy_set_id_fkey": "FOREIGN KEY (policy_set_id) REFERENCES policy_sets(id)",
            "policy_set_bindings_zone_id_fkey": "FOREIGN KEY (zone_id) REFERENCES zones(id)",
        },
        indexes={
            "policy_set_bindings_one_active_per_zone": "UNIQUE btree (zone_id) WHERE (active_version_id IS NOT NULL)",
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
            "created_via_operator boolean not null default false",
        ),
        constraints={
            "policy_set_versions_pkey": "PRIMARY KEY (id)",
            "policy_set_versions_policy_set_id_version_key": "UNIQUE (policy_set_id, version)",
            "policy_set_versions_policy_set_id_fkey": "FOREIGN KEY (policy_set_id) REFERENCES policy_sets(id)",
        },
        triggers={
            "policy_set_versions_immutable": "BEFORE DELETE OR UPDATE FOR EACH ROW EXECUTE FUNCTION reject_policy_version_mutation()",
        },
        grants={"caracalapi": "INSERT, SELECT", "caracalsts": "SELECT"},
    ),
    "policy_sets": Table(
        columns=(
            "id text not null",
            "zone_id text not null",
            "name text not null",
            "description text",
            "archived_at timestamp with time zone",
            "created_by text not null",
            "created_at timestamp with time zone not null default now()",
            "updated_at timestamp with time zone not null default now()",
            "created_via_operator boolean not null default false",
            "updated_by text",
            "updated_via_operator boolean not null default false",
        ),
        constraints={
            "policy_sets_pkey": "PRIMARY KEY (id)",
            "policy_sets_zone_id_fkey": "FOREIGN KEY (zone_id) REFERENCES zones(id)",
        },
        indexes={
            "policy_sets_zone_id_name_key": "UNIQUE btree (zone_id, name) WHERE (archived_at IS NULL)",
            "policy_sets_zone_keyset_idx": "btree (zone_id, created_at DESC, id DESC) WHERE (archived_at IS NULL)",
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
            "created_via_operator boolean not null default false",
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
        grants={"caracalapi": "INSERT, SELECT, UPDATE", "caracalsts": "SELECT"},
    ),
    "provider_connections": Table(
        columns=(
            "id text not null",
            "zone_id text not null",
            "subject_id text not null",
            "provider_id text not null",
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
            "provider_connections_pkey": "PRIMARY KEY (id)",
            "provider_connections_status_check": "CHECK ((status = ANY (ARRAY['active'::text, 'revoked'::text, 'expired'::text])))",
            "provider_connections_zone_provider_fk": "FOREIGN KEY (zone_id, provider_id) REFERENCES providers(zone_id, id)",
        },
        indexes={
            "provider_connections_active_subject_provider_uidx": (
                "UNIQUE btree (zone_id, subject_id, provider_id) WHERE (status = 'active'::text)"
            ),
            "provider_connections_zone_provider_status_idx": "btree (zone_id, provider_id, status)",
            "provider_connections_zone_subject_status_idx": "btree (zone_id, subject_id, status)",
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
            "secret_config_keys text[] not null default '{}'::text[]",
            "provider_kind text not null",
            "connectivity_failed_at timestamp with time zone",
            "created_by text",
            "created_via_operator boolean not null default false",
            "updated_by text",
            "updated_via_operator boolean not null default false",
        ),
        constraints={
            "providers_pkey": "PRIMARY KEY (id)",
            "providers_zone_id_id_unique": "UNIQUE (zone_id, id)",
            "providers_provider_kind_check": (
                "CHECK ((provider_kind = ANY (ARRAY['none'::text, 'caracal_mandate'::text, 'oauth2_authorization_code'::text, "
                "'oauth2_client_credentials'::text, 'api_key'::text, 'bearer_token'::text, 'http_basic'::text])))"
            ),
            "providers_zone_id_fkey": "FOREIGN KEY (zone_id) REFERENCES zones(id)",
        },
        indexes={
            "providers_active_idx": "btree (id) WHERE (archived_at IS NULL)",
            "providers_zone_identifier_active_uidx": "UNIQUE btree (zone_id, identifier) WHERE (archived_at IS NULL)",
            "providers_zone_keyset_idx": "btree (zone_id, created_at DESC, id DESC) WHERE (archived_at IS NULL)",
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
            "operations jsonb not null default '[]'::jsonb",
            "operation_enforcement text not null default 'transport_uniform'::text",
            "created_by text",
            "created_via_operator boolean not null default false",
            "updated_by text",
            "updated_via_operator boolean not null default false",
        ),
        constraints={
            "resources_pkey": "PRIMARY KEY (id)",
            "resources_zone_id_id_unique": "UNIQUE (zone_id, id)",
            "resources_operation_enforcement_check": (
                "CHECK ((operation_enforcement = ANY (ARRAY['enforced'::text, 'transport_uniform'::text])))"
            ),
            "resources_credential_provider_id_fkey": "FOREIGN KEY (credential_provider_id) REFERENCES providers(id)",
            "resources_zone_id_fkey": "FOREIGN KEY (zone_id) REFERENCES zones(id)",
            "resources_zone_provider_fk": "FOREIGN KEY (zone_id, credential_provider_id) REFERENCES providers(zone_id, id)",
        },
        indexes={
            "resources_active_idx": "btree (id) WHERE (archived_at IS NULL)",
            "resources_credential_provider_id_idx": "btree (credential_provider_id)",
            "resources_zone_id_identifier_key": "UNIQUE btree (zone_id, identifier) WHERE (archived_at IS NULL)",
            "resources_zone_keyset_idx": "btree (zone_id, created_at DESC, id DESC) WHERE (archived_at IS NULL)",
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
    "secret_store": Table(
        columns=(
            "ref text not null",
            "zone_id text not null",
            "envelope bytea not null",
            "version integer not null default 1",
            "created_at timestamp with time zone not null default now()",
            "updated_at timestamp with time zone not null default now()",
        ),
        constraints={
            "secret_store_pkey": "PRIMARY KEY (ref)",
            "secret_store_zone_id_fkey": "FOREIGN KEY (zone_id) REFERENCES zones(id)",
        },
        indexes={
            "secret_store_zone_id_idx": "btree (zone_id)",
        },
        policies=ZONE_ISOLATION,
        row_security=True,
        grants={"caracalapi": "DELETE, INSERT, SELECT, UPDATE", "caracalsts": "SELECT"},
    ),
    "secrets": Table(
        columns=(
            "id text not null",
            "zone_id text not null",
            "entity_id text not null",
            "name text not null",
            "type text not null",
            "envelope bytea not null",
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
            "application_id text not null",
            "parent_id text",
            "subject_authority_record_id text not null",
            "status text not null default 'active'::text",
            "depth integer not null default 0",
            "labels text[] not null default '{}'::text[]",
            "max_children integer not null default 10",
            "child_count integer not null default 0",
            "started_at timestamp with time zone not null default now()",
            "last_active_at timestamp with time zone not null default now()",
            "terminated_at timestamp with time zone",
            "ttl_seconds integer default 3600",
            "metadata_json jsonb",
            "updated_at timestamp with time zone not null default now()",
            "lifecycle text not null default 'task'::text",
            "last_heartbeat_at timestamp with time zone",
            "heartbeat_deadline_at timestamp with time zone",
            "termination_reason text",
            "lease_generation bigint not null default 0",
        ),
        constraints={
            "sessions_pkey": "PRIMARY KEY (id)",
            "sessions_zone_id_id_unique": "UNIQUE (zone_id, id)",
            "sessions_lease_generation_check": "CHECK ((lease_generation >= 0))",
            "sessions_lifecycle_check": "CHECK ((lifecycle = ANY (ARRAY['task'::text, 'service'::text])))",
            "sessions_lifecycle_fields_check": (
                "CHECK ((((lifecycle = 'task'::text) AND (ttl_seconds IS NOT NULL) AND (ttl_seconds > 0) AND (last_heartbeat_at "
                "IS NULL) AND (heartbeat_deadline_at IS NULL)) OR ((lifecycle = 'service'::text) AND (ttl_seconds IS NULL) AND "
                "(last_heartbeat_at IS NOT NULL) AND (heartbeat_deadline_at IS NOT NULL))))"
            ),
            "sessions_status_check": (
                "CHECK ((status = ANY (ARRAY['active'::text, 'suspended'::text, 'terminated'::text, 'expired'::text])))"
            ),
            "sessions_terminal_fields_check": (
                "CHECK ((((status = ANY (ARRAY['terminated'::text, 'expired'::text])) AND (terminated_at IS NOT NULL)) OR "
                "((status = ANY (ARRAY['active'::text, 'suspended'::text])) AND (terminated_at IS NULL))))"
            ),
            "sessions_parent_id_fkey": "FOREIGN KEY (parent_id) REFERENCES sessions(id)",
            "sessions_zone_application_fk": "FOREIGN KEY (zone_id, application_id) REFERENCES applications(zone_id, id)",
            "sessions_zone_authority_record_fk": (
                "FOREIGN KEY (zone_id, subject_authority_record_id) REFERENCES authority_records(zone_id, id)"
            ),
            "sessions_zone_parent_fk": "FOREIGN KEY (zone_id, parent_id) REFERENCES sessions(zone_id, id)",
        },
        indexes={
            "sessions_last_active_at_idx": "btree (last_active_at) WHERE (status = 'active'::text)",
            "sessions_service_heartbeat_deadline_idx": (
                "btree (heartbeat_deadline_at) WHERE ((status = 'active'::text) AND (lifecycle = 'service'::text))"
            ),
            "sessions_subject_authority_record_id_idx": "btree (subject_authority_record_id)",
            "sessions_terminal_retention_idx": (
                "btree (terminated_at, id) WHERE (status = ANY (ARRAY['terminated'::text, 'expired'::text]))"
            ),
            "sessions_zone_id_parent_id_status_idx": "btree (zone_id, parent_id, status)",
        },
        policies=ZONE_ISOLATION,
        row_security=True,
        grants={
            "caracalapi": "SELECT, UPDATE",
            "caracalcoordinator": "DELETE, INSERT, SELECT, UPDATE",
            "caracalgateway": "SELECT",
            "caracalsts": "SELECT",
        },
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
            "principal_id text",
            "resource_set_hash bytea",
            "consumed_at timestamp with time zone",
            "approver_subject_id text",
            "application_id text",
            "tier text",
            "approver_class text not null default 'operator'::text",
            "privacy_mode text not null default 'identified'::text",
            "rejected_at timestamp with time zone",
            "decision_reason text",
            "approver_session_id text",
            "subject_anchor text",
            "consumed_authority_record_id text",
        ),
        constraints={
            "step_up_challenges_pkey": "PRIMARY KEY (id)",
            "step_up_challenges_approver_class_check": (
                "CHECK ((approver_class = ANY (ARRAY['operator'::text, 'subject'::text, 'any'::text])))"
            ),
            "step_up_challenges_challenge_type_check": "CHECK ((challenge_type = 'human_approval'::text))",
            "step_up_challenges_privacy_mode_check": (
                "CHECK ((privacy_mode = ANY (ARRAY['identified'::text, 'pseudonymous'::text, 'anonymous'::text])))"
            ),
            "step_up_challenges_application_id_fkey": "FOREIGN KEY (application_id) REFERENCES applications(id) ON DELETE CASCADE",
            "step_up_challenges_zone_id_fkey": "FOREIGN KEY (zone_id) REFERENCES zones(id) ON DELETE CASCADE",
        },
        indexes={
            "step_up_challenges_application_idx": "btree (application_id) WHERE (application_id IS NOT NULL)",
            "step_up_challenges_approver": "btree (approver_subject_id) WHERE (approver_subject_id IS NOT NULL)",
            "step_up_challenges_consume_uniq": "UNIQUE btree (id) WHERE (consumed_at IS NOT NULL)",
            "step_up_challenges_expires_idx": "btree (expires_at)",
            "step_up_challenges_live_binding_uniq": (
                "UNIQUE btree (zone_id, principal_id, session_id, resource_set_hash) NULLS NOT DISTINCT WHERE (consumed_at IS NULL)"
            ),
            "step_up_challenges_session_id_idx": "btree (session_id)",
            "step_up_challenges_sweep_idx": (
                "btree (GREATEST(COALESCE(consumed_at, '-infinity'::timestamp with time zone), COALESCE(rejected_at, "
                "'-infinity'::timestamp with time zone), expires_at))"
            ),
            "step_up_challenges_zone_keyset_idx": "btree (zone_id, created_at DESC, id DESC)",
            "step_up_challenges_zone_principal": "btree (zone_id, principal_id) WHERE (consumed_at IS NULL)",
        },
        policies=ZONE_ISOLATION,
        row_security=True,
        grants={"caracalapi": "SELECT, UPDATE", "caracalsts": "DELETE, INSERT, SELECT, UPDATE"},
    ),
    "sts_rate_limit": Table(
        columns=(
            "singleton boolean not null default true",
            "limit_per_minute integer not null",
            "updated_at timestamp with time zone not null default now()",
            "updated_by text",
        ),
        constraints={
            "sts_rate_limit_pkey": "PRIMARY KEY (singleton)",
            "sts_rate_limit_limit_per_minute_check": "CHECK ((limit_per_minute >= 1))",
            "sts_rate_limit_singleton_check": "CHECK (singleton)",
        },
        grants={"caracalapi": "DELETE, INSERT, SELECT, UPDATE", "caracalsts": "SELECT"},
    ),
    "subject_issuers": Table(
        columns=(
            "id text not null",
            "zone_id text not null",
            "issuer text not null",
            "jwks_url text not null",
            "audience text not null",
            "created_at timestamp with time zone not null default now()",
            "updated_at timestamp with time zone not null default now()",
            "archived_at timestamp with time zone",
            "created_by text",
            "created_via_operator boolean not null default false",
            "updated_by text",
            "updated_via_operator boolean not null default false",
        ),
        constraints={
            "subject_issuers_pkey": "PRIMARY KEY (id)",
            "subject_issuers_zone_id_fkey": "FOREIGN KEY (zone_id) REFERENCES zones(id)",
        },
        indexes={
            "subject_issuers_zone_issuer_active_uidx": "UNIQUE btree (zone_id, issuer) WHERE (archived_at IS NULL)",
            "subject_issuers_zone_keyset_idx": "btree (zone_id, created_at DESC, id DESC) WHERE (archived_at IS NULL)",
        },
        policies=ZONE_ISOLATION,
        row_security=True,
        grants={"caracalapi": "DELETE, INSERT, SELECT, UPDATE", "caracalsts": "SELECT"},
    ),
    "workloads": Table(
        columns=(
            "id text not null",
            "zone_id text not null",
            "name text not null",
            "secret_hash text not null",
            "bindings jsonb not null default '[]'::jsonb",
            "created_at timestamp with time zone not null default now()",
            "updated_by text",
            "updated_at timestamp with time zone",
            "created_by text",
            "created_via_operator boolean not null default false",
            "updated_via_operator boolean not null default false",
        ),
        constraints={
            "workloads_pkey": "PRIMARY KEY (id)",
            "workloads_zone_id_fkey": "FOREIGN KEY (zone_id) REFERENCES zones(id) ON DELETE CASCADE",
        },
        indexes={
            "workloads_zone_idx": "btree (zone_id, created_at DESC, id DESC)",
        },
        grants={"caracalapi": "DELETE, INSERT, SELECT, UPDATE", "caracalsts": "SELECT"},
    ),
    "zones": Table(
        columns=(
            "id text not null",
            "name text not null",
            "slug text not null",
            "dcr_enabled boolean not null default false",
            "created_at timestamp with time zone not null default now()",
            "updated_at timestamp with time zone not null default now()",
            "archived_at timestamp with time zone",
            "owner_account_id text",
            "operator_coauthor_badge boolean not null default true",
            "operator_governed boolean not null default false",
            "created_by text",
            "created_via_operator boolean not null default false",
            "updated_by text",
            "updated_via_operator boolean not null default false",
        ),
        constraints={
            "zones_pkey": "PRIMARY KEY (id)",
            "zones_slug_key": "UNIQUE (slug)",
        },
        indexes={
            "zones_active_idx": "btree (id) WHERE (archived_at IS NULL)",
            "zones_owner_account_id_idx": "btree (owner_account_id) WHERE (owner_account_id IS NOT NULL)",
        },
        grants={
            "caracalapi": "DELETE, INSERT, SELECT, UPDATE",
            "caracalcoordinator": "SELECT",
            "caracalgateway": "SELECT",
            "caracalsts": "SELECT",
        },
    ),
}

ENSURE = """
DECLARE
  low date := date_trunc('month', month)::date;
  part text := to_char(low, '"audit_events_y"YYYY"m"MM');
BEGIN
  IF to_regclass('public.' || quote_ident(part)) IS NULL THEN
    EXECUTE format('CREATE TABLE public.%I PARTITION OF public.audit_events FOR VALUES FROM (%L) TO (%L)',
                   part, low, (low + interval '1 month')::date);
  END IF;
END
"""

DROP = """
BEGIN
  IF part_name !~ '^audit_events_y[0-9]{4}m[0-9]{2}$' THEN
    RAISE EXCEPTION 'not a monthly audit partition: %', part_name;
  END IF;
  EXECUTE format('DROP TABLE IF EXISTS public.%I', part_name);
END
"""

REJECT = """
BEGIN
  RAISE EXCEPTION 'rows of % are immutable', TG_TABLE_NAME;
END
"""

CARACAL = Database(
    name="caracal",
    owner="caracal",
    tables=CARACAL_TABLES,
    sequences={
        "audit_ingest_alerts_id_seq": Sequence(
            owned_by="audit_ingest_alerts.id", type="bigint", acl="{caracal=rwU/caracal,caracalaudit=rU/caracal}"
        )
    },
    functions={
        "audit_partition_drop(part_name text)": Function("void", DROP, True, "public", "{caracal=X/caracal,caracalaudit=X/caracal}"),
        "audit_partition_ensure(month date)": Function("void", ENSURE, True, "public", "{caracal=X/caracal,caracalaudit=X/caracal}"),
        "reject_policy_version_mutation()": Function("trigger", REJECT),
    },
    extensions=("pgcrypto",),
    default_partitions={"audit_events_default": "audit_events"},
)

AUTH_TABLES = {
    "account": Table(
        columns=(
            "id text not null",
            '"accountId" text not null',
            '"providerId" text not null',
            '"userId" text not null',
            '"accessToken" text',
            '"refreshToken" text',
            '"idToken" text',
            '"accessTokenExpiresAt" timestamp with time zone',
            '"refreshTokenExpiresAt" timestamp with time zone',
            "scope text",
            "password text",
            '"createdAt" timestamp with time zone not null default CURRENT_TIMESTAMP',
            '"updatedAt" timestamp with time zone not null',
        ),
        constraints={
            "account_pkey": "PRIMARY KEY (id)",
            "account_userId_fkey": 'FOREIGN KEY ("userId") REFERENCES "user"(id) ON DELETE CASCADE',
        },
        indexes={
            "account_userId_idx": 'btree ("userId")',
        },
    ),
    "rateLimit": Table(
        columns=(
            "id text not null",
            "key text not null",
            "count integer not null",
            '"lastRequest" bigint not null',
        ),
        constraints={
            "rateLimit_pkey": "PRIMARY KEY (id)",
            "rateLimit_key_key": "UNIQUE (key)",
        },
    ),
    "session": Table(
        columns=(
            "id text not null",
            '"expiresAt" timestamp with time zone not null',
            "token text not null",
            '"createdAt" timestamp with time zone not null default CURRENT_TIMESTAMP',
            '"updatedAt" timestamp with time zone not null',
            '"ipAddress" text',
            '"userAgent" text',
            '"userId" text not null',
        ),
        constraints={
            "session_pkey": "PRIMARY KEY (id)",
            "session_token_key": "UNIQUE (token)",
            "session_userId_fkey": 'FOREIGN KEY ("userId") REFERENCES "user"(id) ON DELETE CASCADE',
        },
        indexes={
            "session_userId_idx": 'btree ("userId")',
        },
    ),
    "user": Table(
        columns=(
            "id text not null",
            "name text not null",
            "email text not null",
            '"emailVerified" boolean not null',
            "image text",
            '"createdAt" timestamp with time zone not null default CURRENT_TIMESTAMP',
            '"updatedAt" timestamp with time zone not null default CURRENT_TIMESTAMP',
            "guides text",
        ),
        constraints={
            "user_pkey": "PRIMARY KEY (id)",
            "user_email_key": "UNIQUE (email)",
        },
    ),
    "verification": Table(
        columns=(
            "id text not null",
            "identifier text not null",
            "value text not null",
            '"expiresAt" timestamp with time zone not null',
            '"createdAt" timestamp with time zone not null default CURRENT_TIMESTAMP',
            '"updatedAt" timestamp with time zone not null default CURRENT_TIMESTAMP',
        ),
        constraints={
            "verification_pkey": "PRIMARY KEY (id)",
        },
        indexes={
            "verification_identifier_idx": "btree (identifier)",
        },
    ),
}

AUTH = Database(name="caracal_auth", owner="caracalauth", tables=AUTH_TABLES)

RELEASE = Release(
    name="v1.0.0",
    family="secret_store",
    databases=(CARACAL, AUTH),
    roles=ROLES,
    migrations=("0001_baseline", "0002_approval_hardening", "0003_operator_run_token_usage"),
)
