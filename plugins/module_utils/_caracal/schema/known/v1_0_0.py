# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The schema that the migrations of v1.0.0 create, as `migration_verify` describes it."""

from __future__ import annotations

from ..schema_facts import text

CARACAL = text(
    """
column admin_audit_events action: text not null
column admin_audit_events actor_id: text
column admin_audit_events actor_name: text
column admin_audit_events actor_scope: text
column admin_audit_events chain_hmac: text
column admin_audit_events chain_seq: bigint
column admin_audit_events content_sha256: text
column admin_audit_events entity_id: text
column admin_audit_events entity_type: text
column admin_audit_events id: text not null
column admin_audit_events method: text not null
column admin_audit_events occurred_at: timestamp with time zone not null default now()
column admin_audit_events path: text not null
column admin_audit_events payload_json: jsonb
column admin_audit_events prev_content_sha256: text
column admin_audit_events request_id: text not null
column admin_audit_events status_code: integer not null
column admin_audit_events zone_id: text
column admin_tokens capability: text not null default 'write'::text
column admin_tokens created_at: timestamp with time zone not null default now()
column admin_tokens created_by: text not null
column admin_tokens id: text not null
column admin_tokens last_used_at: timestamp with time zone
column admin_tokens name: text not null
column admin_tokens revoked_at: timestamp with time zone
column admin_tokens scope: text not null
column admin_tokens token_hash: text
column admin_tokens token_sha256: bytea not null
column admin_tokens zone_id: text
column agent_invocations attempts: integer not null default 0
column agent_invocations cancel_requested_at: timestamp with time zone
column agent_invocations completed_at: timestamp with time zone
column agent_invocations created_at: timestamp with time zone not null default now()
column agent_invocations deadline_at: timestamp with time zone
column agent_invocations error_json: jsonb
column agent_invocations id: text not null
column agent_invocations max_attempts: integer not null default 3
column agent_invocations metadata_json: jsonb not null default '{}'::jsonb
column agent_invocations method: text not null
column agent_invocations params_json: jsonb not null default '{}'::jsonb
column agent_invocations retry_policy_json: jsonb not null default '{}'::jsonb
column agent_invocations service_id: text not null
column agent_invocations source_session_id: text
column agent_invocations started_at: timestamp with time zone
column agent_invocations status: text not null default 'pending'::text
column agent_invocations target_session_id: text
column agent_invocations timeout_ms: integer not null default 30000
column agent_invocations updated_at: timestamp with time zone not null default now()
column agent_invocations zone_id: text not null
column agent_services application_id: text not null
column agent_services capabilities: text[] not null default '{}'::text[]
column agent_services created_at: timestamp with time zone not null default now()
column agent_services endpoint_url: text not null
column agent_services framework_name: text
column agent_services framework_version: text
column agent_services health: text not null default 'starting'::text
column agent_services id: text not null
column agent_services last_heartbeat_at: timestamp with time zone
column agent_services metadata_json: jsonb not null default '{}'::jsonb
column agent_services protocol_versions: text[] not null default '{}'::text[]
column agent_services updated_at: timestamp with time zone not null default now()
column agent_services zone_id: text not null
column agent_topology child_id: text not null
column agent_topology parent_id: text not null
column applications archived_at: timestamp with time zone
column applications client_secret_hash: text
column applications created_at: timestamp with time zone not null default now()
column applications created_by: text
column applications created_via_operator: boolean not null default false
column applications credential_type: text not null default 'token'::text
column applications expires_at: timestamp with time zone
column applications id: text not null
column applications name: text not null
column applications registration_method: text not null
column applications traits: text[] not null default '{}'::text[]
column applications updated_at: timestamp with time zone
column applications updated_by: text
column applications updated_via_operator: boolean not null default false
column applications zone_id: text not null
column audit_chain_rehash completed_at: timestamp with time zone not null default now()
column audit_chain_rehash id: smallint not null default 1
column audit_events chain_hmac: text
column audit_events chain_seq: bigint
column audit_events content_sha256: text
column audit_events decision: text
column audit_events determining_policies_json: jsonb
column audit_events diagnostics_json: jsonb
column audit_events evaluation_status: text
column audit_events event_type: text not null
column audit_events id: text not null
column audit_events ingest_signature: text
column audit_events ingested_at: timestamp with time zone not null default now()
column audit_events manifest_sha: text
column audit_events metadata_json: jsonb
column audit_events occurred_at: timestamp with time zone not null
column audit_events policy_set_id: text
column audit_events policy_set_version_id: text
column audit_events prev_content_sha256: text
column audit_events request_id: text
column audit_events zone_id: text not null
column audit_export_watermark last_exported_hour: timestamp with time zone not null
column audit_export_watermark name: text not null
column audit_export_watermark updated_at: timestamp with time zone not null default now()
column audit_ingest_alerts detail: text
column audit_ingest_alerts event_id: text not null
column audit_ingest_alerts id: bigint not null default nextval('public.audit_ingest_alerts_id_seq'::regclass)
column audit_ingest_alerts kind: text not null
column audit_ingest_alerts observed_at: timestamp with time zone not null default now()
column audit_ingest_alerts zone_id: text not null
column audit_retention retention_days: integer not null
column audit_retention singleton: boolean not null default true
column audit_retention updated_at: timestamp with time zone not null default now()
column audit_retention updated_by: text
column authority_records authenticated_at: timestamp with time zone not null
column authority_records claims_json: jsonb
column authority_records created_at: timestamp with time zone not null default now()
column authority_records expires_at: timestamp with time zone not null
column authority_records id: text not null
column authority_records parent_id: text
column authority_records revoked_at: timestamp with time zone
column authority_records revoked_reason: text
column authority_records session_type: text not null
column authority_records status: text not null default 'active'::text
column authority_records subject_id: text
column authority_records zone_id: text not null
column caracal_outbox attempts: integer not null default 0
column caracal_outbox available_at: timestamp with time zone not null default now()
column caracal_outbox created_at: timestamp with time zone not null default now()
column caracal_outbox dedupe_key: text not null
column caracal_outbox id: text not null
column caracal_outbox payload_json: jsonb not null
column caracal_outbox producer: text not null
column caracal_outbox published_at: timestamp with time zone
column caracal_outbox status: text not null default 'pending'::text
column caracal_outbox topic: text not null
column caracal_outbox updated_at: timestamp with time zone not null default now()
column coordinator_idempotency_receipts created_at: timestamp with time zone not null default now()
column coordinator_idempotency_receipts expires_at: timestamp with time zone not null
column coordinator_idempotency_receipts id: text not null
column coordinator_idempotency_receipts key_digest: bytea not null
column coordinator_idempotency_receipts operation: text not null
column coordinator_idempotency_receipts request_digest: bytea not null
column coordinator_idempotency_receipts resource_id: text not null
column coordinator_idempotency_receipts resource_type: text not null
column coordinator_idempotency_receipts response_json: jsonb not null
column coordinator_idempotency_receipts response_status: smallint not null
column coordinator_idempotency_receipts scope_id: text not null
column coordinator_idempotency_receipts zone_id: text not null
column delegated_grants application_id: text
column delegated_grants created_at: timestamp with time zone not null default now()
column delegated_grants created_by: text
column delegated_grants created_via_operator: boolean not null default false
column delegated_grants id: text not null
column delegated_grants resource_id: text not null
column delegated_grants scopes: text[] not null
column delegated_grants status: text not null default 'active'::text
column delegated_grants updated_at: timestamp with time zone not null default now()
column delegated_grants updated_by: text
column delegated_grants updated_via_operator: boolean not null default false
column delegated_grants user_id: text not null
column delegated_grants zone_id: text not null
column delegation_edges constraints_json: jsonb not null default '{}'::jsonb
column delegation_edges created_at: timestamp with time zone not null default now()
column delegation_edges edge_version: integer not null default 0
column delegation_edges expires_at: timestamp with time zone not null
column delegation_edges id: text not null
column delegation_edges issuer_application_id: text not null
column delegation_edges parent_edge_id: text
column delegation_edges receiver_application_id: text not null
column delegation_edges resource_id: text
column delegation_edges revoked_at: timestamp with time zone
column delegation_edges scopes: text[] not null default '{}'::text[]
column delegation_edges source_session_id: text not null
column delegation_edges status: text not null default 'active'::text
column delegation_edges target_session_id: text not null
column delegation_edges updated_at: timestamp with time zone not null default now()
column delegation_edges zone_id: text not null
column delegation_graph_epochs epoch: bigint not null default 0
column delegation_graph_epochs updated_at: timestamp with time zone not null default now()
column delegation_graph_epochs zone_id: text not null
column event_outbox attempts: integer not null default 0
column event_outbox available_at: timestamp with time zone not null default now()
column event_outbox created_at: timestamp with time zone not null default now()
column event_outbox dispatched_at: timestamp with time zone
column event_outbox id: text not null
column event_outbox last_error: text
column event_outbox locked_by: text
column event_outbox locked_until: timestamp with time zone
column event_outbox payload_json: jsonb not null
column event_outbox request_id: text
column event_outbox stream_name: text not null
column notification_deliveries abandoned_at: timestamp with time zone
column notification_deliveries attempts: integer not null default 0
column notification_deliveries available_at: timestamp with time zone not null default now()
column notification_deliveries created_at: timestamp with time zone not null default now()
column notification_deliveries delivered_at: timestamp with time zone
column notification_deliveries event_id: text not null
column notification_deliveries event_type: text not null
column notification_deliveries id: text not null
column notification_deliveries last_error: text
column notification_deliveries payload_json: jsonb not null
column notification_deliveries response_status: integer
column notification_deliveries sink_id: text not null
column notification_deliveries zone_id: text not null
column notification_sinks active: boolean not null default true
column notification_sinks consecutive_failures: integer not null default 0
column notification_sinks created_at: timestamp with time zone not null default now()
column notification_sinks cursor_chain_seq: bigint not null default 0
column notification_sinks event_types: text[] not null
column notification_sinks id: text not null
column notification_sinks last_error: text
column notification_sinks last_failure_at: timestamp with time zone
column notification_sinks last_success_at: timestamp with time zone
column notification_sinks name: text not null
column notification_sinks secret_ct: bytea not null
column notification_sinks updated_at: timestamp with time zone not null default now()
column notification_sinks url: text not null
column notification_sinks zone_id: text not null
column operator_ai_providers auth_config: jsonb not null default '{}'::jsonb
column operator_ai_providers base_url: text not null
column operator_ai_providers context_window: integer not null default 0
column operator_ai_providers created_at: timestamp with time zone not null default now()
column operator_ai_providers enabled: boolean not null default true
column operator_ai_providers label: text not null
column operator_ai_providers models: jsonb not null default '[]'::jsonb
column operator_ai_providers slug: text not null
column operator_ai_providers sort_order: integer not null default 0
column operator_ai_providers updated_at: timestamp with time zone not null default now()
column operator_conversation_counters next_number: bigint not null
column operator_conversation_counters zone_id: text not null
column operator_conversations archived_at: timestamp with time zone
column operator_conversations autopilot: boolean not null default false
column operator_conversations created_at: timestamp with time zone not null default now()
column operator_conversations created_by: text not null
column operator_conversations id: text not null
column operator_conversations last_activity_at: timestamp with time zone not null default now()
column operator_conversations mode: text not null default 'agent'::text
column operator_conversations next_seq: bigint not null default 1
column operator_conversations number: bigint
column operator_conversations status: text not null default 'active'::text
column operator_conversations title: text not null
column operator_conversations updated_at: timestamp with time zone not null default now()
column operator_conversations zone_id: text not null
column operator_message_run_events conversation_id: text not null
column operator_message_run_events created_at: timestamp with time zone not null default now()
column operator_message_run_events error_code: text
column operator_message_run_events error_detail: text
column operator_message_run_events event_seq: bigint not null
column operator_message_run_events id: text not null
column operator_message_run_events payload: jsonb not null default '{}'::jsonb
column operator_message_run_events reason: text
column operator_message_run_events run_id: text not null
column operator_message_run_events state: text not null
column operator_message_run_events zone_id: text not null
column operator_message_runs actor_id: text
column operator_message_runs client_message_id: text not null
column operator_message_runs completed_at: timestamp with time zone
column operator_message_runs conversation_id: text not null
column operator_message_runs correlation_id: text not null
column operator_message_runs deadline_at: timestamp with time zone
column operator_message_runs error_code: text
column operator_message_runs error_detail: text
column operator_message_runs id: text not null
column operator_message_runs input_tokens: bigint not null default 0
column operator_message_runs last_event_seq: bigint not null default 0
column operator_message_runs output_tokens: bigint not null default 0
column operator_message_runs provider_id: text
column operator_message_runs reason: text
column operator_message_runs served_model: text
column operator_message_runs served_provider_id: text
column operator_message_runs server_message_turn_id: text
column operator_message_runs started_at: timestamp with time zone not null default now()
column operator_message_runs state: text not null
column operator_message_runs updated_at: timestamp with time zone not null default now()
column operator_message_runs usage_by_provider_model: jsonb not null default '[]'::jsonb
column operator_message_runs zone_id: text not null
column operator_plan_secrets conversation_id: text not null
column operator_plan_secrets created_at: timestamp with time zone not null default now()
column operator_plan_secrets envelope: bytea not null
column operator_plan_secrets expires_at: timestamp with time zone not null
column operator_plan_secrets plan_seq: bigint not null
column operator_plan_secrets secret_keys: text[] not null
column operator_plan_secrets step_id: text not null
column operator_plan_secrets zone_id: text not null
column operator_turns actor_id: text
column operator_turns client_token: text
column operator_turns content: jsonb not null default '{}'::jsonb
column operator_turns conversation_id: text not null
column operator_turns created_at: timestamp with time zone not null default now()
column operator_turns id: text not null
column operator_turns kind: text not null
column operator_turns role: text not null
column operator_turns seq: bigint not null
column operator_turns zone_id: text not null
column operator_zone_memory conversation_id: text
column operator_zone_memory created_at: timestamp with time zone not null default now()
column operator_zone_memory id: text not null
column operator_zone_memory text: text not null
column operator_zone_memory zone_id: text not null
column policies archived_at: timestamp with time zone
column policies created_at: timestamp with time zone not null default now()
column policies created_by: text not null
column policies created_via_operator: boolean not null default false
column policies description: text
column policies id: text not null
column policies name: text not null
column policies updated_at: timestamp with time zone not null default now()
column policies updated_by: text
column policies updated_via_operator: boolean not null default false
column policies zone_id: text not null
column policy_set_bindings active_version_id: text
column policy_set_bindings policy_set_id: text not null
column policy_set_bindings updated_at: timestamp with time zone not null default now()
column policy_set_bindings zone_id: text not null
column policy_set_versions archived_at: timestamp with time zone
column policy_set_versions created_at: timestamp with time zone not null default now()
column policy_set_versions created_by: text not null
column policy_set_versions created_via_operator: boolean not null default false
column policy_set_versions id: text not null
column policy_set_versions manifest_json: jsonb not null
column policy_set_versions manifest_sha256: text not null
column policy_set_versions policy_set_id: text not null
column policy_set_versions schema_version: text not null
column policy_set_versions version: integer not null
column policy_sets archived_at: timestamp with time zone
column policy_sets created_at: timestamp with time zone not null default now()
column policy_sets created_by: text not null
column policy_sets created_via_operator: boolean not null default false
column policy_sets description: text
column policy_sets id: text not null
column policy_sets name: text not null
column policy_sets updated_at: timestamp with time zone not null default now()
column policy_sets updated_by: text
column policy_sets updated_via_operator: boolean not null default false
column policy_sets zone_id: text not null
column policy_versions archived_at: timestamp with time zone
column policy_versions content: text not null
column policy_versions content_sha256: text not null
column policy_versions created_at: timestamp with time zone not null default now()
column policy_versions created_by: text not null
column policy_versions created_via_operator: boolean not null default false
column policy_versions id: text not null
column policy_versions policy_id: text not null
column policy_versions schema_version: text not null
column policy_versions version: integer not null
column provider_connections access_token_ct: bytea
column provider_connections created_at: timestamp with time zone not null default now()
column provider_connections expires_at: timestamp with time zone
column provider_connections id: text not null
column provider_connections provider_id: text not null
column provider_connections refresh_token_ct: bytea
column provider_connections refresh_token_version: integer not null default 0
column provider_connections refreshed_at: timestamp with time zone
column provider_connections status: text not null default 'active'::text
column provider_connections subject_id: text not null
column provider_connections updated_at: timestamp with time zone not null default now()
column provider_connections zone_id: text not null
column providers archived_at: timestamp with time zone
column providers config_json: jsonb not null default '{}'::jsonb
column providers connectivity_failed_at: timestamp with time zone
column providers created_at: timestamp with time zone not null default now()
column providers created_by: text
column providers created_via_operator: boolean not null default false
column providers id: text not null
column providers identifier: text not null
column providers name: text not null
column providers provider_kind: text not null
column providers secret_config_keys: text[] not null default '{}'::text[]
column providers updated_at: timestamp with time zone not null default now()
column providers updated_by: text
column providers updated_via_operator: boolean not null default false
column providers zone_id: text not null
column resources archived_at: timestamp with time zone
column resources created_at: timestamp with time zone not null default now()
column resources created_by: text
column resources created_via_operator: boolean not null default false
column resources credential_provider_id: text not null
column resources id: text not null
column resources identifier: text not null
column resources name: text not null
column resources operation_enforcement: text not null default 'transport_uniform'::text
column resources operations: jsonb not null default '[]'::jsonb
column resources scopes: text[] not null default '{}'::text[]
column resources updated_at: timestamp with time zone not null default now()
column resources updated_by: text
column resources updated_via_operator: boolean not null default false
column resources upstream_url: text
column resources zone_id: text not null
column schema_migrations applied_at: timestamp with time zone not null default now()
column schema_migrations version: text not null
column secret_store created_at: timestamp with time zone not null default now()
column secret_store envelope: bytea not null
column secret_store ref: text not null
column secret_store updated_at: timestamp with time zone not null default now()
column secret_store version: integer not null default 1
column secret_store zone_id: text not null
column secrets created_at: timestamp with time zone not null default now()
column secrets entity_id: text not null
column secrets envelope: bytea not null
column secrets id: text not null
column secrets name: text not null
column secrets type: text not null
column secrets updated_at: timestamp with time zone not null default now()
column secrets version: integer not null default 1
column secrets zone_id: text not null
column sessions application_id: text not null
column sessions child_count: integer not null default 0
column sessions depth: integer not null default 0
column sessions heartbeat_deadline_at: timestamp with time zone
column sessions id: text not null
column sessions labels: text[] not null default '{}'::text[]
column sessions last_active_at: timestamp with time zone not null default now()
column sessions last_heartbeat_at: timestamp with time zone
column sessions lease_generation: bigint not null default 0
column sessions lifecycle: text not null default 'task'::text
column sessions max_children: integer not null default 10
column sessions metadata_json: jsonb
column sessions parent_id: text
column sessions started_at: timestamp with time zone not null default now()
column sessions status: text not null default 'active'::text
column sessions subject_authority_record_id: text not null
column sessions terminated_at: timestamp with time zone
column sessions termination_reason: text
column sessions ttl_seconds: integer default 3600
column sessions updated_at: timestamp with time zone not null default now()
column sessions zone_id: text not null
column step_up_challenges application_id: text
column step_up_challenges approver_class: text not null default 'operator'::text
column step_up_challenges approver_session_id: text
column step_up_challenges approver_subject_id: text
column step_up_challenges challenge_type: text not null
column step_up_challenges consumed_at: timestamp with time zone
column step_up_challenges consumed_authority_record_id: text
column step_up_challenges created_at: timestamp with time zone not null default now()
column step_up_challenges decision_reason: text
column step_up_challenges expires_at: timestamp with time zone not null
column step_up_challenges id: text not null
column step_up_challenges metadata_json: jsonb not null default '{}'::jsonb
column step_up_challenges principal_id: text
column step_up_challenges privacy_mode: text not null default 'identified'::text
column step_up_challenges rejected_at: timestamp with time zone
column step_up_challenges resource_set_hash: bytea
column step_up_challenges satisfied_at: timestamp with time zone
column step_up_challenges session_id: text
column step_up_challenges subject_anchor: text
column step_up_challenges tier: text
column step_up_challenges zone_id: text not null
column sts_rate_limit limit_per_minute: integer not null
column sts_rate_limit singleton: boolean not null default true
column sts_rate_limit updated_at: timestamp with time zone not null default now()
column sts_rate_limit updated_by: text
column subject_issuers archived_at: timestamp with time zone
column subject_issuers audience: text not null
column subject_issuers created_at: timestamp with time zone not null default now()
column subject_issuers created_by: text
column subject_issuers created_via_operator: boolean not null default false
column subject_issuers id: text not null
column subject_issuers issuer: text not null
column subject_issuers jwks_url: text not null
column subject_issuers updated_at: timestamp with time zone not null default now()
column subject_issuers updated_by: text
column subject_issuers updated_via_operator: boolean not null default false
column subject_issuers zone_id: text not null
column workloads bindings: jsonb not null default '[]'::jsonb
column workloads created_at: timestamp with time zone not null default now()
column workloads created_by: text
column workloads created_via_operator: boolean not null default false
column workloads id: text not null
column workloads name: text not null
column workloads secret_hash: text not null
column workloads updated_at: timestamp with time zone
column workloads updated_by: text
column workloads updated_via_operator: boolean not null default false
column workloads zone_id: text not null
column zones archived_at: timestamp with time zone
column zones created_at: timestamp with time zone not null default now()
column zones created_by: text
column zones created_via_operator: boolean not null default false
column zones dcr_enabled: boolean not null default false
column zones id: text not null
column zones name: text not null
column zones operator_coauthor_badge: boolean not null default true
column zones operator_governed: boolean not null default false
column zones owner_account_id: text
column zones slug: text not null
column zones updated_at: timestamp with time zone not null default now()
column zones updated_by: text
column zones updated_via_operator: boolean not null default false
constraint admin_audit_events admin_audit_events_pkey: PRIMARY KEY (id)
constraint admin_tokens admin_token_scope_zone_pair: CHECK ((((scope = 'global'::text) AND (zone_id IS NULL)) OR ((scope =
  'zone'::text) AND (zone_id IS NOT NULL))))
constraint admin_tokens admin_tokens_capability_check: CHECK ((capability = ANY (ARRAY['read'::text, 'write'::text,
  'approve'::text])))
constraint admin_tokens admin_tokens_pkey: PRIMARY KEY (id)
constraint admin_tokens admin_tokens_scope_check: CHECK ((scope = ANY (ARRAY['global'::text, 'zone'::text])))
constraint admin_tokens admin_tokens_zone_id_fkey: FOREIGN KEY (zone_id) REFERENCES public.zones(id) ON DELETE CASCADE
constraint agent_invocations agent_invocations_max_attempts_check: CHECK ((max_attempts > 0))
constraint agent_invocations agent_invocations_pkey: PRIMARY KEY (id)
constraint agent_invocations agent_invocations_service_id_fkey: FOREIGN KEY (service_id) REFERENCES public.agent_services(id) ON
  DELETE CASCADE
constraint agent_invocations agent_invocations_source_session_id_fkey: FOREIGN KEY (source_session_id) REFERENCES
  public.sessions(id) ON DELETE SET NULL
constraint agent_invocations agent_invocations_status_check: CHECK ((status = ANY (ARRAY['pending'::text, 'running'::text,
  'succeeded'::text, 'failed'::text, 'cancel_requested'::text, 'canceled'::text, 'timed_out'::text, 'dead'::text])))
constraint agent_invocations agent_invocations_target_session_id_fkey: FOREIGN KEY (target_session_id) REFERENCES
  public.sessions(id) ON DELETE SET NULL
constraint agent_invocations agent_invocations_timeout_ms_check: CHECK ((timeout_ms > 0))
constraint agent_invocations agent_invocations_zone_id_fkey: FOREIGN KEY (zone_id) REFERENCES public.zones(id) ON DELETE CASCADE
constraint agent_invocations agent_invocations_zone_id_id_unique: UNIQUE (zone_id, id)
constraint agent_invocations agent_invocations_zone_service_fk: FOREIGN KEY (zone_id, service_id) REFERENCES
  public.agent_services(zone_id, id) ON DELETE CASCADE
constraint agent_invocations agent_invocations_zone_source_fk: FOREIGN KEY (zone_id, source_session_id) REFERENCES
  public.sessions(zone_id, id)
constraint agent_invocations agent_invocations_zone_target_fk: FOREIGN KEY (zone_id, target_session_id) REFERENCES
  public.sessions(zone_id, id)
constraint agent_services agent_services_application_id_fkey: FOREIGN KEY (application_id) REFERENCES public.applications(id) ON
  DELETE CASCADE
constraint agent_services agent_services_health_check: CHECK ((health = ANY (ARRAY['starting'::text, 'healthy'::text,
  'degraded'::text, 'unhealthy'::text])))
constraint agent_services agent_services_pkey: PRIMARY KEY (id)
constraint agent_services agent_services_zone_application_fk: FOREIGN KEY (zone_id, application_id) REFERENCES
  public.applications(zone_id, id)
constraint agent_services agent_services_zone_id_application_id_endpoint_url_key: UNIQUE (zone_id, application_id, endpoint_url)
constraint agent_services agent_services_zone_id_fkey: FOREIGN KEY (zone_id) REFERENCES public.zones(id) ON DELETE CASCADE
constraint agent_services agent_services_zone_id_id_unique: UNIQUE (zone_id, id)
constraint agent_topology agent_topology_child_id_fkey: FOREIGN KEY (child_id) REFERENCES public.sessions(id) ON DELETE CASCADE
constraint agent_topology agent_topology_parent_id_fkey: FOREIGN KEY (parent_id) REFERENCES public.sessions(id) ON DELETE CASCADE
constraint agent_topology agent_topology_pkey: PRIMARY KEY (parent_id, child_id)
constraint applications applications_credential_type_check: CHECK ((credential_type = 'token'::text))
constraint applications applications_dcr_expires_at_required: CHECK (((registration_method <> 'dcr'::text) OR (expires_at IS NOT
  NULL)))
constraint applications applications_pkey: PRIMARY KEY (id)
constraint applications applications_registration_method_check: CHECK ((registration_method = ANY (ARRAY['managed'::text,
  'dcr'::text])))
constraint applications applications_zone_id_fkey: FOREIGN KEY (zone_id) REFERENCES public.zones(id)
constraint applications applications_zone_id_id_unique: UNIQUE (zone_id, id)
constraint audit_chain_rehash audit_chain_rehash_id_check: CHECK ((id = 1))
constraint audit_chain_rehash audit_chain_rehash_pkey: PRIMARY KEY (id)
constraint audit_events audit_events_pkey: PRIMARY KEY (id, occurred_at)
constraint audit_export_watermark audit_export_watermark_pkey: PRIMARY KEY (name)
constraint audit_ingest_alerts audit_ingest_alerts_pkey: PRIMARY KEY (id)
constraint audit_retention audit_retention_pkey: PRIMARY KEY (singleton)
constraint audit_retention audit_retention_retention_days_check: CHECK ((retention_days >= 1))
constraint audit_retention audit_retention_singleton_check: CHECK (singleton)
constraint authority_records authority_records_parent_id_fkey: FOREIGN KEY (parent_id) REFERENCES public.authority_records(id)
constraint authority_records authority_records_pkey: PRIMARY KEY (id)
constraint authority_records authority_records_session_type_check: CHECK ((session_type = ANY (ARRAY['user'::text,
  'application'::text])))
constraint authority_records authority_records_status_check: CHECK ((status = ANY (ARRAY['active'::text, 'revoked'::text,
  'expired'::text])))
constraint authority_records authority_records_zone_id_fkey: FOREIGN KEY (zone_id) REFERENCES public.zones(id)
constraint authority_records authority_records_zone_id_id_unique: UNIQUE (zone_id, id)
constraint caracal_outbox caracal_outbox_pkey: PRIMARY KEY (id)
constraint caracal_outbox caracal_outbox_producer_check: CHECK ((producer = ANY (ARRAY['api'::text, 'coordinator'::text])))
constraint caracal_outbox caracal_outbox_producer_topic_dedupe_key_key: UNIQUE (producer, topic, dedupe_key)
constraint caracal_outbox caracal_outbox_status_check: CHECK ((status = ANY (ARRAY['pending'::text, 'published'::text,
  'dead'::text])))
constraint coordinator_idempotency_receipts coordinator_idempotency_expiry_check: CHECK ((expires_at > created_at))
constraint coordinator_idempotency_receipts coordinator_idempotency_key_digest_check: CHECK ((octet_length(key_digest) = 32))
constraint coordinator_idempotency_receipts coordinator_idempotency_operation_check: CHECK ((operation = ANY
  (ARRAY['session.start.v2'::text, 'delegation.create.v2'::text, 'invocation.create.v2'::text])))
constraint coordinator_idempotency_receipts coordinator_idempotency_receipts_pkey: PRIMARY KEY (id)
constraint coordinator_idempotency_receipts coordinator_idempotency_receipts_zone_id_fkey: FOREIGN KEY (zone_id) REFERENCES
  public.zones(id) ON DELETE CASCADE
constraint coordinator_idempotency_receipts coordinator_idempotency_request_digest_check: CHECK ((octet_length(request_digest) =
  32))
constraint coordinator_idempotency_receipts coordinator_idempotency_response_size_check: CHECK ((octet_length((response_json)::text)
  <= 65536))
constraint coordinator_idempotency_receipts coordinator_idempotency_response_status_check: CHECK (((response_status >= 200) AND
  (response_status <= 299)))
constraint coordinator_idempotency_receipts coordinator_idempotency_scope_unique: UNIQUE (operation, zone_id, scope_id, key_digest)
constraint delegated_grants delegated_grants_application_id_fkey: FOREIGN KEY (application_id) REFERENCES public.applications(id)
constraint delegated_grants delegated_grants_pkey: PRIMARY KEY (id)
constraint delegated_grants delegated_grants_resource_id_fkey: FOREIGN KEY (resource_id) REFERENCES public.resources(id)
constraint delegated_grants delegated_grants_status_check: CHECK ((status = ANY (ARRAY['active'::text, 'revoked'::text,
  'expired'::text])))
constraint delegated_grants delegated_grants_zone_application_fk: FOREIGN KEY (zone_id, application_id) REFERENCES
  public.applications(zone_id, id)
constraint delegated_grants delegated_grants_zone_id_fkey: FOREIGN KEY (zone_id) REFERENCES public.zones(id)
constraint delegated_grants delegated_grants_zone_resource_fk: FOREIGN KEY (zone_id, resource_id) REFERENCES
  public.resources(zone_id, id)
constraint delegation_edges delegation_edges_check: CHECK ((source_session_id <> target_session_id))
constraint delegation_edges delegation_edges_pkey: PRIMARY KEY (id)
constraint delegation_edges delegation_edges_resource_id_fkey: FOREIGN KEY (resource_id) REFERENCES public.resources(id)
constraint delegation_edges delegation_edges_revocation_fields_check: CHECK ((((status = 'revoked'::text) AND (revoked_at IS NOT
  NULL)) OR ((status = ANY (ARRAY['active'::text, 'expired'::text])) AND (revoked_at IS NULL))))
constraint delegation_edges delegation_edges_source_session_id_fkey: FOREIGN KEY (source_session_id) REFERENCES public.sessions(id)
  ON DELETE CASCADE
constraint delegation_edges delegation_edges_status_check: CHECK ((status = ANY (ARRAY['active'::text, 'revoked'::text,
  'expired'::text])))
constraint delegation_edges delegation_edges_target_session_id_fkey: FOREIGN KEY (target_session_id) REFERENCES public.sessions(id)
  ON DELETE CASCADE
constraint delegation_edges delegation_edges_zone_id_id_unique: UNIQUE (zone_id, id)
constraint delegation_edges delegation_edges_zone_issuer_application_fk: FOREIGN KEY (zone_id, issuer_application_id) REFERENCES
  public.applications(zone_id, id)
constraint delegation_edges delegation_edges_zone_parent_fk: FOREIGN KEY (zone_id, parent_edge_id) REFERENCES
  public.delegation_edges(zone_id, id) ON DELETE SET NULL (parent_edge_id)
constraint delegation_edges delegation_edges_zone_receiver_application_fk: FOREIGN KEY (zone_id, receiver_application_id) REFERENCES
  public.applications(zone_id, id)
constraint delegation_edges delegation_edges_zone_resource_fk: FOREIGN KEY (zone_id, resource_id) REFERENCES
  public.resources(zone_id, id)
constraint delegation_edges delegation_edges_zone_source_fk: FOREIGN KEY (zone_id, source_session_id) REFERENCES
  public.sessions(zone_id, id) ON DELETE CASCADE
constraint delegation_edges delegation_edges_zone_target_fk: FOREIGN KEY (zone_id, target_session_id) REFERENCES
  public.sessions(zone_id, id) ON DELETE CASCADE
constraint delegation_graph_epochs delegation_graph_epochs_pkey: PRIMARY KEY (zone_id)
constraint delegation_graph_epochs delegation_graph_epochs_zone_id_fkey: FOREIGN KEY (zone_id) REFERENCES public.zones(id) ON DELETE
  CASCADE
constraint event_outbox event_outbox_pkey: PRIMARY KEY (id)
constraint notification_deliveries notification_deliveries_pkey: PRIMARY KEY (id)
constraint notification_deliveries notification_deliveries_sink_event_uniq: UNIQUE (sink_id, event_id)
constraint notification_deliveries notification_deliveries_sink_id_fkey: FOREIGN KEY (sink_id) REFERENCES
  public.notification_sinks(id) ON DELETE CASCADE
constraint notification_sinks notification_sinks_event_types_check: CHECK ((cardinality(event_types) > 0))
constraint notification_sinks notification_sinks_pkey: PRIMARY KEY (id)
constraint notification_sinks notification_sinks_zone_id_fkey: FOREIGN KEY (zone_id) REFERENCES public.zones(id) ON DELETE CASCADE
constraint operator_ai_providers operator_ai_providers_context_window_check: CHECK ((context_window >= 0))
constraint operator_ai_providers operator_ai_providers_pkey: PRIMARY KEY (slug)
constraint operator_ai_providers operator_ai_providers_slug_check: CHECK ((slug ~ '^[a-z0-9_]{1,32}$'::text))
constraint operator_conversation_counters operator_conversation_counters_pkey: PRIMARY KEY (zone_id)
constraint operator_conversations operator_conversations_mode_check: CHECK ((mode = ANY (ARRAY['ask'::text, 'agent'::text])))
constraint operator_conversations operator_conversations_next_seq_check: CHECK ((next_seq >= 1))
constraint operator_conversations operator_conversations_pkey: PRIMARY KEY (id)
constraint operator_conversations operator_conversations_status_check: CHECK ((status = ANY (ARRAY['active'::text,
  'archived'::text])))
constraint operator_message_run_events operator_message_run_events_conversation_fkey: FOREIGN KEY (conversation_id) REFERENCES
  public.operator_conversations(id) ON DELETE CASCADE
constraint operator_message_run_events operator_message_run_events_event_seq_check: CHECK ((event_seq >= 1))
constraint operator_message_run_events operator_message_run_events_pkey: PRIMARY KEY (id)
constraint operator_message_run_events operator_message_run_events_run_fkey: FOREIGN KEY (run_id) REFERENCES
  public.operator_message_runs(id) ON DELETE CASCADE
constraint operator_message_run_events operator_message_run_events_run_seq_key: UNIQUE (run_id, event_seq)
constraint operator_message_run_events operator_message_run_events_state_check: CHECK ((state = ANY (ARRAY['queued'::text,
  'sending'::text, 'waiting_for_model'::text, 'reasoning'::text, 'waiting_for_tool'::text, 'waiting_for_user_approval'::text,
  'executing'::text, 'streaming'::text, 'completed'::text, 'cancelled'::text, 'failed'::text, 'timeout'::text])))
constraint operator_message_runs operator_message_runs_completion_check: CHECK (((state = ANY (ARRAY['completed'::text,
  'cancelled'::text, 'failed'::text, 'timeout'::text])) OR (completed_at IS NULL)))
constraint operator_message_runs operator_message_runs_conversation_fkey: FOREIGN KEY (conversation_id) REFERENCES
  public.operator_conversations(id) ON DELETE CASCADE
constraint operator_message_runs operator_message_runs_input_tokens_check: CHECK ((input_tokens >= 0)) NOT VALID
constraint operator_message_runs operator_message_runs_last_event_seq_check: CHECK ((last_event_seq >= 0))
constraint operator_message_runs operator_message_runs_message_turn_fkey: FOREIGN KEY (server_message_turn_id) REFERENCES
  public.operator_turns(id) ON DELETE SET NULL
constraint operator_message_runs operator_message_runs_output_tokens_check: CHECK ((output_tokens >= 0)) NOT VALID
constraint operator_message_runs operator_message_runs_pkey: PRIMARY KEY (id)
constraint operator_message_runs operator_message_runs_state_check: CHECK ((state = ANY (ARRAY['queued'::text, 'sending'::text,
  'waiting_for_model'::text, 'reasoning'::text, 'waiting_for_tool'::text, 'waiting_for_user_approval'::text, 'executing'::text,
  'streaming'::text, 'completed'::text, 'cancelled'::text, 'failed'::text, 'timeout'::text])))
constraint operator_message_runs operator_message_runs_usage_by_provider_model_check: CHECK ((jsonb_typeof(usage_by_provider_model)
  = 'array'::text)) NOT VALID
constraint operator_plan_secrets operator_plan_secrets_conversation_fkey: FOREIGN KEY (conversation_id) REFERENCES
  public.operator_conversations(id) ON DELETE CASCADE
constraint operator_plan_secrets operator_plan_secrets_pkey: PRIMARY KEY (conversation_id, plan_seq, step_id)
constraint operator_plan_secrets operator_plan_secrets_plan_seq_check: CHECK ((plan_seq >= 1))
constraint operator_turns operator_turns_conversation_fkey: FOREIGN KEY (conversation_id) REFERENCES
  public.operator_conversations(id) ON DELETE CASCADE
constraint operator_turns operator_turns_conversation_seq_key: UNIQUE (conversation_id, seq)
constraint operator_turns operator_turns_kind_check: CHECK ((kind = ANY (ARRAY['message'::text, 'plan'::text, 'approval'::text,
  'rejection'::text, 'execution'::text, 'error'::text, 'note'::text])))
constraint operator_turns operator_turns_pkey: PRIMARY KEY (id)
constraint operator_turns operator_turns_role_check: CHECK ((role = ANY (ARRAY['user'::text, 'operator'::text, 'system'::text])))
constraint operator_turns operator_turns_seq_check: CHECK ((seq >= 1))
constraint operator_zone_memory operator_zone_memory_pkey: PRIMARY KEY (id)
constraint operator_zone_memory operator_zone_memory_text_check: CHECK (((char_length(text) >= 1) AND (char_length(text) <= 2000)))
constraint policies policies_pkey: PRIMARY KEY (id)
constraint policies policies_zone_id_fkey: FOREIGN KEY (zone_id) REFERENCES public.zones(id)
constraint policy_set_bindings policy_set_bindings_active_version_id_fkey: FOREIGN KEY (active_version_id) REFERENCES
  public.policy_set_versions(id)
constraint policy_set_bindings policy_set_bindings_pkey: PRIMARY KEY (zone_id, policy_set_id)
constraint policy_set_bindings policy_set_bindings_policy_set_id_fkey: FOREIGN KEY (policy_set_id) REFERENCES public.policy_sets(id)
constraint policy_set_bindings policy_set_bindings_zone_id_fkey: FOREIGN KEY (zone_id) REFERENCES public.zones(id)
constraint policy_set_versions policy_set_versions_pkey: PRIMARY KEY (id)
constraint policy_set_versions policy_set_versions_policy_set_id_fkey: FOREIGN KEY (policy_set_id) REFERENCES public.policy_sets(id)
constraint policy_set_versions policy_set_versions_policy_set_id_version_key: UNIQUE (policy_set_id, version)
constraint policy_sets policy_sets_pkey: PRIMARY KEY (id)
constraint policy_sets policy_sets_zone_id_fkey: FOREIGN KEY (zone_id) REFERENCES public.zones(id)
constraint policy_versions policy_versions_pkey: PRIMARY KEY (id)
constraint policy_versions policy_versions_policy_id_fkey: FOREIGN KEY (policy_id) REFERENCES public.policies(id)
constraint policy_versions policy_versions_policy_id_version_key: UNIQUE (policy_id, version)
constraint provider_connections provider_connections_pkey: PRIMARY KEY (id)
constraint provider_connections provider_connections_status_check: CHECK ((status = ANY (ARRAY['active'::text, 'revoked'::text,
  'expired'::text])))
constraint provider_connections provider_connections_zone_provider_fk: FOREIGN KEY (zone_id, provider_id) REFERENCES
  public.providers(zone_id, id)
constraint providers providers_pkey: PRIMARY KEY (id)
constraint providers providers_provider_kind_check: CHECK ((provider_kind = ANY (ARRAY['none'::text, 'caracal_mandate'::text,
  'oauth2_authorization_code'::text, 'oauth2_client_credentials'::text, 'api_key'::text, 'bearer_token'::text,
  'http_basic'::text])))
constraint providers providers_zone_id_fkey: FOREIGN KEY (zone_id) REFERENCES public.zones(id)
constraint providers providers_zone_id_id_unique: UNIQUE (zone_id, id)
constraint resources resources_credential_provider_id_fkey: FOREIGN KEY (credential_provider_id) REFERENCES public.providers(id)
constraint resources resources_operation_enforcement_check: CHECK ((operation_enforcement = ANY (ARRAY['enforced'::text,
  'transport_uniform'::text])))
constraint resources resources_pkey: PRIMARY KEY (id)
constraint resources resources_zone_id_fkey: FOREIGN KEY (zone_id) REFERENCES public.zones(id)
constraint resources resources_zone_id_id_unique: UNIQUE (zone_id, id)
constraint resources resources_zone_provider_fk: FOREIGN KEY (zone_id, credential_provider_id) REFERENCES public.providers(zone_id,
  id)
constraint schema_migrations schema_migrations_pkey: PRIMARY KEY (version)
constraint secret_store secret_store_pkey: PRIMARY KEY (ref)
constraint secret_store secret_store_zone_id_fkey: FOREIGN KEY (zone_id) REFERENCES public.zones(id)
constraint secrets secrets_pkey: PRIMARY KEY (id)
constraint secrets secrets_type_check: CHECK ((type = ANY (ARRAY['token'::text, 'password'::text])))
constraint secrets secrets_zone_id_fkey: FOREIGN KEY (zone_id) REFERENCES public.zones(id)
constraint sessions sessions_lease_generation_check: CHECK ((lease_generation >= 0))
constraint sessions sessions_lifecycle_check: CHECK ((lifecycle = ANY (ARRAY['task'::text, 'service'::text])))
constraint sessions sessions_lifecycle_fields_check: CHECK ((((lifecycle = 'task'::text) AND (ttl_seconds IS NOT NULL) AND
  (ttl_seconds > 0) AND (last_heartbeat_at IS NULL) AND (heartbeat_deadline_at IS NULL)) OR ((lifecycle = 'service'::text) AND
  (ttl_seconds IS NULL) AND (last_heartbeat_at IS NOT NULL) AND (heartbeat_deadline_at IS NOT NULL))))
constraint sessions sessions_parent_id_fkey: FOREIGN KEY (parent_id) REFERENCES public.sessions(id)
constraint sessions sessions_pkey: PRIMARY KEY (id)
constraint sessions sessions_status_check: CHECK ((status = ANY (ARRAY['active'::text, 'suspended'::text, 'terminated'::text,
  'expired'::text])))
constraint sessions sessions_terminal_fields_check: CHECK ((((status = ANY (ARRAY['terminated'::text, 'expired'::text])) AND
  (terminated_at IS NOT NULL)) OR ((status = ANY (ARRAY['active'::text, 'suspended'::text])) AND (terminated_at IS NULL))))
constraint sessions sessions_zone_application_fk: FOREIGN KEY (zone_id, application_id) REFERENCES public.applications(zone_id, id)
constraint sessions sessions_zone_authority_record_fk: FOREIGN KEY (zone_id, subject_authority_record_id) REFERENCES
  public.authority_records(zone_id, id)
constraint sessions sessions_zone_id_id_unique: UNIQUE (zone_id, id)
constraint sessions sessions_zone_parent_fk: FOREIGN KEY (zone_id, parent_id) REFERENCES public.sessions(zone_id, id)
constraint step_up_challenges step_up_challenges_application_id_fkey: FOREIGN KEY (application_id) REFERENCES
  public.applications(id) ON DELETE CASCADE
constraint step_up_challenges step_up_challenges_approver_class_check: CHECK ((approver_class = ANY (ARRAY['operator'::text,
  'subject'::text, 'any'::text])))
constraint step_up_challenges step_up_challenges_challenge_type_check: CHECK ((challenge_type = 'human_approval'::text))
constraint step_up_challenges step_up_challenges_pkey: PRIMARY KEY (id)
constraint step_up_challenges step_up_challenges_privacy_mode_check: CHECK ((privacy_mode = ANY (ARRAY['identified'::text,
  'pseudonymous'::text, 'anonymous'::text])))
constraint step_up_challenges step_up_challenges_zone_id_fkey: FOREIGN KEY (zone_id) REFERENCES public.zones(id) ON DELETE CASCADE
constraint sts_rate_limit sts_rate_limit_limit_per_minute_check: CHECK ((limit_per_minute >= 1))
constraint sts_rate_limit sts_rate_limit_pkey: PRIMARY KEY (singleton)
constraint sts_rate_limit sts_rate_limit_singleton_check: CHECK (singleton)
constraint subject_issuers subject_issuers_pkey: PRIMARY KEY (id)
constraint subject_issuers subject_issuers_zone_id_fkey: FOREIGN KEY (zone_id) REFERENCES public.zones(id)
constraint workloads workloads_pkey: PRIMARY KEY (id)
constraint workloads workloads_zone_id_fkey: FOREIGN KEY (zone_id) REFERENCES public.zones(id) ON DELETE CASCADE
constraint zones zones_pkey: PRIMARY KEY (id)
constraint zones zones_slug_key: UNIQUE (slug)
execute audit_partition_drop(text) caracalaudit: yes
execute audit_partition_ensure(date) caracalaudit: yes
execute reject_policy_version_mutation() PUBLIC: yes
extension pgcrypto:
function audit_partition_drop(text): returns void security definer with search_path=public
function audit_partition_ensure(date): returns void security definer with search_path=public
function reject_policy_version_mutation(): returns trigger
grant admin_audit_events caracalapi: INSERT, SELECT
grant admin_audit_events caracalcoordinator: INSERT, SELECT
grant admin_tokens caracalapi: DELETE, INSERT, SELECT, UPDATE
grant agent_invocations caracalapi: SELECT
grant agent_invocations caracalcoordinator: INSERT, SELECT, UPDATE
grant agent_invocations caracalsts: SELECT
grant agent_services caracalapi: SELECT
grant agent_services caracalcoordinator: INSERT, SELECT, UPDATE
grant agent_services caracalsts: SELECT
grant agent_topology caracalcoordinator: INSERT, SELECT, UPDATE
grant applications caracalapi: DELETE, INSERT, SELECT, UPDATE
grant applications caracalcoordinator: SELECT
grant applications caracalgateway: SELECT
grant applications caracalsts: SELECT
grant audit_chain_rehash caracalaudit: DELETE, INSERT, SELECT, UPDATE
grant audit_events caracalapi: SELECT
grant audit_events caracalaudit: INSERT, SELECT
grant audit_export_watermark caracalaudit: INSERT, SELECT, UPDATE
grant audit_ingest_alerts caracalaudit: INSERT, SELECT
grant audit_ingest_alerts_id_seq caracalaudit: SELECT, USAGE
grant audit_retention caracalapi: DELETE, INSERT, SELECT, UPDATE
grant audit_retention caracalaudit: SELECT
grant authority_records caracalapi: SELECT, UPDATE
grant authority_records caracalcoordinator: SELECT
grant authority_records caracalgateway: SELECT
grant authority_records caracalsts: INSERT, SELECT, UPDATE
grant caracal_outbox caracalapi: INSERT, SELECT, UPDATE
grant caracal_outbox caracalcoordinator: INSERT, SELECT, UPDATE
grant coordinator_idempotency_receipts caracalcoordinator: DELETE, INSERT, SELECT
grant delegated_grants caracalapi: DELETE, INSERT, SELECT, UPDATE
grant delegated_grants caracalsts: INSERT, SELECT, UPDATE
grant delegation_edges caracalapi: SELECT, UPDATE
grant delegation_edges caracalcoordinator: INSERT, SELECT, UPDATE
grant delegation_edges caracalgateway: SELECT
grant delegation_edges caracalsts: SELECT
grant delegation_graph_epochs caracalapi: SELECT
grant delegation_graph_epochs caracalcoordinator: INSERT, SELECT, UPDATE
grant delegation_graph_epochs caracalsts: SELECT
grant event_outbox caracalapi: DELETE, INSERT, SELECT, UPDATE
grant event_outbox caracalsts: INSERT
grant notification_deliveries caracalapi: DELETE, INSERT, SELECT, UPDATE
grant notification_sinks caracalapi: DELETE, INSERT, SELECT, UPDATE
grant operator_ai_providers caracalapi: DELETE, INSERT, SELECT, UPDATE
grant operator_conversation_counters caracalapi: DELETE, INSERT, SELECT, UPDATE
grant operator_conversations caracalapi: INSERT, SELECT, UPDATE
grant operator_message_run_events caracalapi: INSERT, SELECT
grant operator_message_runs caracalapi: INSERT, SELECT, UPDATE
grant operator_plan_secrets caracalapi: DELETE, INSERT, SELECT, UPDATE
grant operator_turns caracalapi: INSERT, SELECT
grant operator_zone_memory caracalapi: INSERT, SELECT
grant policies caracalapi: DELETE, INSERT, SELECT, UPDATE
grant policies caracalsts: SELECT
grant policy_set_bindings caracalapi: DELETE, INSERT, SELECT, UPDATE
grant policy_set_bindings caracalsts: SELECT
grant policy_set_versions caracalapi: INSERT, SELECT
grant policy_set_versions caracalsts: SELECT
grant policy_sets caracalapi: DELETE, INSERT, SELECT, UPDATE
grant policy_sets caracalsts: SELECT
grant policy_versions caracalapi: INSERT, SELECT, UPDATE
grant policy_versions caracalsts: SELECT
grant provider_connections caracalapi: DELETE, INSERT, SELECT, UPDATE
grant provider_connections caracalsts: INSERT, SELECT, UPDATE
grant providers caracalapi: DELETE, INSERT, SELECT, UPDATE
grant providers caracalgateway: SELECT
grant providers caracalsts: SELECT
grant resources caracalapi: DELETE, INSERT, SELECT, UPDATE
grant resources caracalcoordinator: SELECT
grant resources caracalgateway: SELECT
grant resources caracalsts: SELECT
grant secret_store caracalapi: DELETE, INSERT, SELECT, UPDATE
grant secret_store caracalsts: SELECT
grant secrets caracalapi: DELETE, INSERT, SELECT, UPDATE
grant secrets caracalsts: INSERT, SELECT, UPDATE
grant sessions caracalapi: SELECT, UPDATE
grant sessions caracalcoordinator: DELETE, INSERT, SELECT, UPDATE
grant sessions caracalgateway: SELECT
grant sessions caracalsts: SELECT
grant step_up_challenges caracalapi: SELECT, UPDATE
grant step_up_challenges caracalsts: DELETE, INSERT, SELECT, UPDATE
grant sts_rate_limit caracalapi: DELETE, INSERT, SELECT, UPDATE
grant sts_rate_limit caracalsts: SELECT
grant subject_issuers caracalapi: DELETE, INSERT, SELECT, UPDATE
grant subject_issuers caracalsts: SELECT
grant workloads caracalapi: DELETE, INSERT, SELECT, UPDATE
grant workloads caracalsts: SELECT
grant zones caracalapi: DELETE, INSERT, SELECT, UPDATE
grant zones caracalcoordinator: SELECT
grant zones caracalgateway: SELECT
grant zones caracalsts: SELECT
index admin_audit_events admin_audit_events_actor_time: btree (actor_id, occurred_at DESC) WHERE (actor_id IS NOT NULL)
index admin_audit_events admin_audit_events_chain: btree (zone_id, chain_seq DESC)
index admin_audit_events admin_audit_events_request: btree (request_id)
index admin_audit_events admin_audit_events_zone_time: btree (zone_id, occurred_at DESC)
index admin_tokens admin_tokens_token_sha256_active: unique btree (token_sha256) WHERE (revoked_at IS NULL)
index admin_tokens admin_tokens_zone_active: btree (zone_id) WHERE ((revoked_at IS NULL) AND (scope = 'zone'::text))
index agent_invocations agent_invocations_deadline_at_idx: btree (deadline_at) WHERE (status = 'running'::text)
index agent_invocations agent_invocations_zone_id_service_id_status_created_at_idx: btree (zone_id, service_id, status, created_at
  DESC)
index agent_invocations agent_invocations_zone_id_source_session_id_status_idx: btree (zone_id, source_session_id, status) WHERE
  (source_session_id IS NOT NULL)
index agent_invocations agent_invocations_zone_id_target_session_id_status_idx: btree (zone_id, target_session_id, status) WHERE
  (target_session_id IS NOT NULL)
index agent_services agent_services_last_heartbeat_at_idx: btree (last_heartbeat_at) WHERE (health = ANY (ARRAY['healthy'::text,
  'degraded'::text]))
index agent_services agent_services_zone_id_application_id_idx: btree (zone_id, application_id)
index agent_services agent_services_zone_id_health_idx: btree (zone_id, health)
index agent_topology agent_topology_child_id_idx: btree (child_id)
index applications applications_zone_id_expires_at_idx: btree (zone_id, expires_at) WHERE (expires_at IS NOT NULL)
index applications applications_zone_id_idx: btree (zone_id)
index applications applications_zone_keyset_idx: btree (zone_id, created_at DESC, id DESC) WHERE (archived_at IS NULL)
index audit_events audit_events_agent_labels_idx: gin (((metadata_json -> 'agent_labels'::text)))
index audit_events audit_events_agent_session_idx: btree (((metadata_json ->> 'agent_session_id'::text))) WHERE (metadata_json ?
  'agent_session_id'::text)
index audit_events audit_events_request_id_idx: btree (request_id) WHERE (request_id IS NOT NULL)
index audit_events audit_events_session_idx: btree (((metadata_json ->> 'session_id'::text))) WHERE (metadata_json ?
  'session_id'::text)
index audit_events audit_events_zone_chain: btree (zone_id, chain_seq DESC)
index audit_events audit_events_zone_id_occurred_at_idx: btree (zone_id, occurred_at DESC)
index audit_ingest_alerts audit_ingest_alerts_zone_time: btree (zone_id, observed_at DESC)
index authority_records authority_records_expires_at_idx: btree (expires_at) WHERE (status = 'active'::text)
index authority_records authority_records_zone_active_idx: btree (zone_id, expires_at) WHERE (status = 'active'::text)
index authority_records authority_records_zone_created_idx: btree (zone_id, created_at DESC, id DESC)
index authority_records authority_records_zone_id_subject_id_status_idx: btree (zone_id, subject_id, status)
index authority_records authority_records_zone_subject_idx: btree (zone_id, subject_id)
index caracal_outbox caracal_outbox_status_available_at_idx: btree (status, available_at)
index caracal_outbox caracal_outbox_topic_status_idx: btree (topic, status)
index coordinator_idempotency_receipts coordinator_idempotency_expiry_idx: btree (expires_at, id)
index delegated_grants delegated_grants_zone_id_user_id_idx: btree (zone_id, user_id)
index delegated_grants delegated_grants_zone_id_user_id_resource_id_status_idx: btree (zone_id, user_id, resource_id, status)
index delegated_grants delegated_grants_zone_keyset_idx: btree (zone_id, created_at DESC, id DESC)
index delegation_edges delegation_edges_expires_at_idx: btree (expires_at) WHERE (status = 'active'::text)
index delegation_edges delegation_edges_zone_id_parent_edge_id_idx: btree (zone_id, parent_edge_id) WHERE (parent_edge_id IS NOT
  NULL)
index delegation_edges delegation_edges_zone_id_resource_id_status_idx: btree (zone_id, resource_id, status) WHERE (resource_id IS
  NOT NULL)
index delegation_edges delegation_edges_zone_id_source_session_id_status_idx: btree (zone_id, source_session_id, status)
index delegation_edges delegation_edges_zone_id_target_session_id_status_idx: btree (zone_id, target_session_id, status)
index event_outbox event_outbox_dispatch_ready: btree (available_at) WHERE (dispatched_at IS NULL)
index event_outbox event_outbox_undispatched_age: btree (created_at) WHERE (dispatched_at IS NULL)
index notification_deliveries notification_deliveries_due_idx: btree (available_at) WHERE ((delivered_at IS NULL) AND (abandoned_at
  IS NULL))
index notification_deliveries notification_deliveries_settled_idx: btree (created_at) WHERE ((delivered_at IS NOT NULL) OR
  (abandoned_at IS NOT NULL))
index notification_deliveries notification_deliveries_sink_keyset_idx: btree (sink_id, created_at DESC, id DESC)
index notification_sinks notification_sinks_zone_keyset_idx: btree (zone_id, created_at DESC, id DESC)
index operator_ai_providers operator_ai_providers_order_idx: btree (sort_order, slug)
index operator_conversations operator_conversations_zone_keyset_idx: btree (zone_id, created_at DESC, id DESC) WHERE (archived_at IS
  NULL)
index operator_conversations operator_conversations_zone_number_idx: unique btree (zone_id, number)
index operator_message_run_events operator_message_run_events_conversation_idx: btree (conversation_id, event_seq)
index operator_message_runs operator_message_runs_active_idx: btree (zone_id, conversation_id, updated_at DESC) WHERE (state <> ALL
  (ARRAY['completed'::text, 'cancelled'::text, 'failed'::text, 'timeout'::text]))
index operator_message_runs operator_message_runs_client_id_idx: unique btree (conversation_id, client_message_id)
index operator_message_runs operator_message_runs_conversation_state_idx: btree (conversation_id, state, started_at DESC)
index operator_message_runs operator_message_runs_correlation_idx: unique btree (correlation_id)
index operator_turns operator_turns_conversation_seq_idx: btree (conversation_id, seq)
index operator_turns operator_turns_idempotency_idx: unique btree (conversation_id, client_token) WHERE (client_token IS NOT NULL)
index operator_zone_memory operator_zone_memory_recall_idx: btree (zone_id, created_at DESC, id DESC)
index policies policies_zone_id_name_key: unique btree (zone_id, name) WHERE (archived_at IS NULL)
index policies policies_zone_keyset_idx: btree (zone_id, created_at DESC, id DESC) WHERE (archived_at IS NULL)
index policy_set_bindings policy_set_bindings_one_active_per_zone: unique btree (zone_id) WHERE (active_version_id IS NOT NULL)
index policy_sets policy_sets_zone_id_name_key: unique btree (zone_id, name) WHERE (archived_at IS NULL)
index policy_sets policy_sets_zone_keyset_idx: btree (zone_id, created_at DESC, id DESC) WHERE (archived_at IS NULL)
index policy_versions policy_versions_policy_id_created_at_idx: btree (policy_id, created_at DESC)
index provider_connections provider_connections_active_subject_provider_uidx: unique btree (zone_id, subject_id, provider_id) WHERE
  (status = 'active'::text)
index provider_connections provider_connections_zone_provider_status_idx: btree (zone_id, provider_id, status)
index provider_connections provider_connections_zone_subject_status_idx: btree (zone_id, subject_id, status)
index providers providers_active_idx: btree (id) WHERE (archived_at IS NULL)
index providers providers_zone_identifier_active_uidx: unique btree (zone_id, identifier) WHERE (archived_at IS NULL)
index providers providers_zone_keyset_idx: btree (zone_id, created_at DESC, id DESC) WHERE (archived_at IS NULL)
index resources resources_active_idx: btree (id) WHERE (archived_at IS NULL)
index resources resources_credential_provider_id_idx: btree (credential_provider_id)
index resources resources_zone_id_identifier_key: unique btree (zone_id, identifier) WHERE (archived_at IS NULL)
index resources resources_zone_keyset_idx: btree (zone_id, created_at DESC, id DESC) WHERE (archived_at IS NULL)
index secret_store secret_store_zone_id_idx: btree (zone_id)
index secrets secrets_zone_id_entity_id_idx: btree (zone_id, entity_id)
index sessions sessions_last_active_at_idx: btree (last_active_at) WHERE (status = 'active'::text)
index sessions sessions_service_heartbeat_deadline_idx: btree (heartbeat_deadline_at) WHERE ((status = 'active'::text) AND
  (lifecycle = 'service'::text))
index sessions sessions_subject_authority_record_id_idx: btree (subject_authority_record_id)
index sessions sessions_terminal_retention_idx: btree (terminated_at, id) WHERE (status = ANY (ARRAY['terminated'::text,
  'expired'::text]))
index sessions sessions_zone_id_parent_id_status_idx: btree (zone_id, parent_id, status)
index step_up_challenges step_up_challenges_application_idx: btree (application_id) WHERE (application_id IS NOT NULL)
index step_up_challenges step_up_challenges_approver: btree (approver_subject_id) WHERE (approver_subject_id IS NOT NULL)
index step_up_challenges step_up_challenges_consume_uniq: unique btree (id) WHERE (consumed_at IS NOT NULL)
index step_up_challenges step_up_challenges_expires_idx: btree (expires_at)
index step_up_challenges step_up_challenges_live_binding_uniq: unique btree (zone_id, principal_id, session_id, resource_set_hash)
  NULLS NOT DISTINCT WHERE (consumed_at IS NULL)
index step_up_challenges step_up_challenges_session_id_idx: btree (session_id)
index step_up_challenges step_up_challenges_sweep_idx: btree (GREATEST(COALESCE(consumed_at, '-infinity'::timestamp with time zone),
  COALESCE(rejected_at, '-infinity'::timestamp with time zone), expires_at))
index step_up_challenges step_up_challenges_zone_keyset_idx: btree (zone_id, created_at DESC, id DESC)
index step_up_challenges step_up_challenges_zone_principal: btree (zone_id, principal_id) WHERE (consumed_at IS NULL)
index subject_issuers subject_issuers_zone_issuer_active_uidx: unique btree (zone_id, issuer) WHERE (archived_at IS NULL)
index subject_issuers subject_issuers_zone_keyset_idx: btree (zone_id, created_at DESC, id DESC) WHERE (archived_at IS NULL)
index workloads workloads_zone_idx: btree (zone_id, created_at DESC, id DESC)
index zones zones_active_idx: btree (id) WHERE (archived_at IS NULL)
index zones zones_owner_account_id_idx: btree (owner_account_id) WHERE (owner_account_id IS NOT NULL)
owner database: none of the services
policy admin_audit_events zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) = '*'::text)
  OR (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy admin_tokens zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) = '*'::text) OR
  (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy agent_invocations zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) = '*'::text)
  OR (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy agent_services zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) = '*'::text) OR
  (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy applications zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) = '*'::text) OR
  (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy audit_events zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) = '*'::text) OR
  (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy authority_records zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) = '*'::text)
  OR (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy coordinator_idempotency_receipts zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true)
  = '*'::text) OR (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy delegated_grants zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) = '*'::text) OR
  (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy delegation_edges zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) = '*'::text) OR
  (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy delegation_graph_epochs zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) =
  '*'::text) OR (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy operator_conversations zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) =
  '*'::text) OR (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy operator_message_run_events zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) =
  '*'::text) OR (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy operator_message_runs zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) =
  '*'::text) OR (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy operator_plan_secrets zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) =
  '*'::text) OR (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy operator_turns zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) = '*'::text) OR
  (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy operator_zone_memory zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) =
  '*'::text) OR (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy policies zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) = '*'::text) OR
  (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy policy_set_bindings zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) = '*'::text)
  OR (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy policy_sets zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) = '*'::text) OR
  (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy provider_connections zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) =
  '*'::text) OR (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy providers zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) = '*'::text) OR
  (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy resources zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) = '*'::text) OR
  (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy secret_store zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) = '*'::text) OR
  (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy secrets zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) = '*'::text) OR (zone_id
  = current_setting('caracal.zone_id'::text, true))) check the same
policy sessions zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) = '*'::text) OR
  (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy step_up_challenges zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) = '*'::text)
  OR (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy subject_issuers zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) = '*'::text) OR
  (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
row_security admin_audit_events: on
row_security admin_tokens: on
row_security agent_invocations: on
row_security agent_services: on
row_security applications: on
row_security audit_events: on
row_security authority_records: on
row_security coordinator_idempotency_receipts: on
row_security delegated_grants: on
row_security delegation_edges: on
row_security delegation_graph_epochs: on
row_security operator_conversations: on
row_security operator_message_run_events: on
row_security operator_message_runs: on
row_security operator_plan_secrets: on
row_security operator_turns: on
row_security operator_zone_memory: on
row_security policies: on
row_security policy_set_bindings: on
row_security policy_sets: on
row_security provider_connections: on
row_security providers: on
row_security resources: on
row_security secret_store: on
row_security secrets: on
row_security sessions: on
row_security step_up_challenges: on
row_security subject_issuers: on
sequence audit_ingest_alerts_id_seq: bigint owned by audit_ingest_alerts.id
table admin_audit_events:
table admin_tokens:
table agent_invocations:
table agent_services:
table agent_topology:
table applications:
table audit_chain_rehash:
table audit_events: partitioned by RANGE (occurred_at)
table audit_export_watermark:
table audit_ingest_alerts:
table audit_retention:
table authority_records:
table caracal_outbox:
table coordinator_idempotency_receipts:
table delegated_grants:
table delegation_edges:
table delegation_graph_epochs:
table event_outbox:
table notification_deliveries:
table notification_sinks:
table operator_ai_providers:
table operator_conversation_counters:
table operator_conversations:
table operator_message_run_events:
table operator_message_runs:
table operator_plan_secrets:
table operator_turns:
table operator_zone_memory:
table policies:
table policy_set_bindings:
table policy_set_versions:
table policy_sets:
table policy_versions:
table provider_connections:
table providers:
table resources:
table schema_migrations:
table secret_store:
table secrets:
table sessions:
table step_up_challenges:
table sts_rate_limit:
table subject_issuers:
table workloads:
table zones:
trigger policy_set_versions policy_set_versions_immutable: BEFORE DELETE OR UPDATE ON public.policy_set_versions FOR EACH ROW
  EXECUTE FUNCTION public.reject_policy_version_mutation()
trigger policy_versions policy_versions_immutable: BEFORE DELETE OR UPDATE ON public.policy_versions FOR EACH ROW EXECUTE FUNCTION
  public.reject_policy_version_mutation()
"""
)

CARACAL_AUTH = text(
    """
column "rateLimit" "lastRequest": bigint not null
column "rateLimit" count: integer not null
column "rateLimit" id: text not null
column "rateLimit" key: text not null
column "user" "createdAt": timestamp with time zone not null default CURRENT_TIMESTAMP
column "user" "emailVerified": boolean not null
column "user" "updatedAt": timestamp with time zone not null default CURRENT_TIMESTAMP
column "user" email: text not null
column "user" guides: text
column "user" id: text not null
column "user" image: text
column "user" name: text not null
column account "accessToken": text
column account "accessTokenExpiresAt": timestamp with time zone
column account "accountId": text not null
column account "createdAt": timestamp with time zone not null default CURRENT_TIMESTAMP
column account "idToken": text
column account "providerId": text not null
column account "refreshToken": text
column account "refreshTokenExpiresAt": timestamp with time zone
column account "updatedAt": timestamp with time zone not null
column account "userId": text not null
column account id: text not null
column account password: text
column account scope: text
column session "createdAt": timestamp with time zone not null default CURRENT_TIMESTAMP
column session "expiresAt": timestamp with time zone not null
column session "ipAddress": text
column session "updatedAt": timestamp with time zone not null
column session "userAgent": text
column session "userId": text not null
column session id: text not null
column session token: text not null
column verification "createdAt": timestamp with time zone not null default CURRENT_TIMESTAMP
column verification "expiresAt": timestamp with time zone not null
column verification "updatedAt": timestamp with time zone not null default CURRENT_TIMESTAMP
column verification id: text not null
column verification identifier: text not null
column verification value: text not null
constraint "rateLimit" "rateLimit_key_key": UNIQUE (key)
constraint "rateLimit" "rateLimit_pkey": PRIMARY KEY (id)
constraint "user" user_email_key: UNIQUE (email)
constraint "user" user_pkey: PRIMARY KEY (id)
constraint account "account_userId_fkey": FOREIGN KEY ("userId") REFERENCES public."user"(id) ON DELETE CASCADE
constraint account account_pkey: PRIMARY KEY (id)
constraint session "session_userId_fkey": FOREIGN KEY ("userId") REFERENCES public."user"(id) ON DELETE CASCADE
constraint session session_pkey: PRIMARY KEY (id)
constraint session session_token_key: UNIQUE (token)
constraint verification verification_pkey: PRIMARY KEY (id)
index account "account_userId_idx": btree ("userId")
index session "session_userId_idx": btree ("userId")
index verification verification_identifier_idx: btree (identifier)
owner database: caracalauth
table "rateLimit":
table "user":
table account:
table session:
table verification:
"""
)
