# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The schema that the migrations of v2026.06.21 create, as `migration_verify` describes it."""

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
column agent_invocations idempotency_key: text not null
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
column agent_sessions application_id: text not null
column agent_sessions child_count: integer not null default 0
column agent_sessions depth: integer not null default 0
column agent_sessions heartbeat_deadline_at: timestamp with time zone
column agent_sessions id: text not null
column agent_sessions idempotency_key: text
column agent_sessions labels: text[] not null default '{}'::text[]
column agent_sessions last_active_at: timestamp with time zone not null default now()
column agent_sessions last_heartbeat_at: timestamp with time zone
column agent_sessions lifecycle: text not null default 'task'::text
column agent_sessions max_children: integer not null default 10
column agent_sessions metadata_json: jsonb
column agent_sessions parent_id: text
column agent_sessions spawned_at: timestamp with time zone not null default now()
column agent_sessions status: text not null default 'active'::text
column agent_sessions subject_session_id: text not null
column agent_sessions terminated_at: timestamp with time zone
column agent_sessions ttl_seconds: integer default 3600
column agent_sessions updated_at: timestamp with time zone not null default now()
column agent_sessions zone_id: text not null
column agent_topology child_id: text not null
column agent_topology parent_id: text not null
column applications archived_at: timestamp with time zone
column applications client_secret_hash: text
column applications created_at: timestamp with time zone not null default now()
column applications credential_type: text not null default 'token'::text
column applications expires_at: timestamp with time zone
column applications id: text not null
column applications name: text not null
column applications registration_method: text not null
column applications traits: text[] not null default '{}'::text[]
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
column delegated_grants application_id: text
column delegated_grants created_at: timestamp with time zone not null default now()
column delegated_grants id: text not null
column delegated_grants resource_id: text not null
column delegated_grants scopes: text[] not null
column delegated_grants status: text not null default 'active'::text
column delegated_grants updated_at: timestamp with time zone not null default now()
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
column gateway_binding_revision id: boolean not null default true
column gateway_binding_revision updated_at: timestamp with time zone not null default now()
column gateway_binding_revision version: bigint not null default 0
column gateway_resource_bindings application_id: text not null
column gateway_resource_bindings created_at: timestamp with time zone not null default now()
column gateway_resource_bindings resource_identifier: text not null
column gateway_resource_bindings updated_at: timestamp with time zone not null default now()
column gateway_resource_bindings zone_id: text not null
column policies archived_at: timestamp with time zone
column policies created_at: timestamp with time zone not null default now()
column policies created_by: text not null
column policies description: text
column policies id: text not null
column policies name: text not null
column policies owner_type: text not null default 'customer'::text
column policies updated_at: timestamp with time zone not null default now()
column policies zone_id: text not null
column policy_set_bindings active_version_id: text
column policy_set_bindings policy_set_id: text not null
column policy_set_bindings shadow_version_id: text
column policy_set_bindings updated_at: timestamp with time zone not null default now()
column policy_set_bindings zone_id: text not null
column policy_set_versions archived_at: timestamp with time zone
column policy_set_versions created_at: timestamp with time zone not null default now()
column policy_set_versions created_by: text not null
column policy_set_versions id: text not null
column policy_set_versions manifest_json: jsonb not null
column policy_set_versions manifest_sha256: text not null
column policy_set_versions policy_set_id: text not null
column policy_set_versions schema_version: text not null
column policy_set_versions version: integer not null
column policy_sets archived_at: timestamp with time zone
column policy_sets created_at: timestamp with time zone not null default now()
column policy_sets created_by: text not null
column policy_sets description: text
column policy_sets id: text not null
column policy_sets name: text not null
column policy_sets owner_type: text not null default 'customer'::text
column policy_sets scope_type: text not null default 'zone'::text
column policy_sets updated_at: timestamp with time zone not null default now()
column policy_sets zone_id: text not null
column policy_versions archived_at: timestamp with time zone
column policy_versions content: text not null
column policy_versions content_sha256: text not null
column policy_versions created_at: timestamp with time zone not null default now()
column policy_versions created_by: text not null
column policy_versions id: text not null
column policy_versions policy_id: text not null
column policy_versions schema_version: text not null
column policy_versions version: integer not null
column provider_grants access_token_ct: bytea
column provider_grants created_at: timestamp with time zone not null default now()
column provider_grants expires_at: timestamp with time zone
column provider_grants id: text not null
column provider_grants provider_id: text not null
column provider_grants refresh_token_ct: bytea
column provider_grants refresh_token_version: integer not null default 0
column provider_grants refreshed_at: timestamp with time zone
column provider_grants resource_id: text not null
column provider_grants scopes: text[] not null default '{}'::text[]
column provider_grants status: text not null default 'active'::text
column provider_grants updated_at: timestamp with time zone not null default now()
column provider_grants user_id: text not null
column provider_grants zone_id: text not null
column providers archived_at: timestamp with time zone
column providers config_json: jsonb not null default '{}'::jsonb
column providers created_at: timestamp with time zone not null default now()
column providers id: text not null
column providers identifier: text not null
column providers name: text not null
column providers provider_kind: text not null
column providers secret_config_ct: bytea
column providers secret_config_keys: text[] not null default '{}'::text[]
column providers secret_config_nonce: bytea
column providers updated_at: timestamp with time zone not null default now()
column providers zone_id: text not null
column resources archived_at: timestamp with time zone
column resources created_at: timestamp with time zone not null default now()
column resources credential_provider_id: text not null
column resources id: text not null
column resources identifier: text not null
column resources name: text not null
column resources scopes: text[] not null default '{}'::text[]
column resources updated_at: timestamp with time zone not null default now()
column resources upstream_url: text
column resources zone_id: text not null
column schema_migrations applied_at: timestamp with time zone not null default now()
column schema_migrations version: text not null
column secrets ciphertext: bytea not null
column secrets created_at: timestamp with time zone not null default now()
column secrets dek_id: text not null
column secrets entity_id: text not null
column secrets id: text not null
column secrets name: text not null
column secrets nonce: bytea not null
column secrets type: text not null
column secrets updated_at: timestamp with time zone not null default now()
column secrets version: integer not null default 1
column secrets zone_id: text not null
column sessions authenticated_at: timestamp with time zone not null
column sessions claims_json: jsonb
column sessions created_at: timestamp with time zone not null default now()
column sessions expires_at: timestamp with time zone not null
column sessions id: text not null
column sessions parent_id: text
column sessions session_type: text not null
column sessions status: text not null default 'active'::text
column sessions subject_id: text
column sessions zone_id: text not null
column step_up_challenges approver_subject_id: text
column step_up_challenges challenge_secret_hash: bytea
column step_up_challenges challenge_type: text not null
column step_up_challenges consumed_at: timestamp with time zone
column step_up_challenges created_at: timestamp with time zone not null default now()
column step_up_challenges expires_at: timestamp with time zone not null
column step_up_challenges id: text not null
column step_up_challenges metadata_json: jsonb not null default '{}'::jsonb
column step_up_challenges principal_id: text
column step_up_challenges resource_set_hash: bytea
column step_up_challenges satisfied_at: timestamp with time zone
column step_up_challenges session_id: text
column step_up_challenges zone_id: text not null
column zones archived_at: timestamp with time zone
column zones created_at: timestamp with time zone not null default now()
column zones dcr_enabled: boolean not null default false
column zones dek_ciphertext: bytea not null
column zones id: text not null
column zones kek_arn: text
column zones name: text not null
column zones slug: text not null
column zones updated_at: timestamp with time zone not null default now()
constraint admin_audit_events admin_audit_events_pkey: PRIMARY KEY (id)
constraint admin_tokens admin_token_scope_zone_pair: CHECK ((((scope = 'global'::text) AND (zone_id IS NULL)) OR ((scope =
  'zone'::text) AND (zone_id IS NOT NULL))))
constraint admin_tokens admin_tokens_pkey: PRIMARY KEY (id)
constraint admin_tokens admin_tokens_scope_check: CHECK ((scope = ANY (ARRAY['global'::text, 'zone'::text])))
constraint admin_tokens admin_tokens_zone_id_fkey: FOREIGN KEY (zone_id) REFERENCES public.zones(id) ON DELETE CASCADE
constraint agent_invocations agent_invocations_max_attempts_check: CHECK ((max_attempts > 0))
constraint agent_invocations agent_invocations_pkey: PRIMARY KEY (id)
constraint agent_invocations agent_invocations_service_id_fkey: FOREIGN KEY (service_id) REFERENCES public.agent_services(id) ON
  DELETE CASCADE
constraint agent_invocations agent_invocations_source_session_id_fkey: FOREIGN KEY (source_session_id) REFERENCES
  public.agent_sessions(id) ON DELETE SET NULL
constraint agent_invocations agent_invocations_status_check: CHECK ((status = ANY (ARRAY['pending'::text, 'running'::text,
  'succeeded'::text, 'failed'::text, 'cancel_requested'::text, 'canceled'::text, 'timed_out'::text, 'dead'::text])))
constraint agent_invocations agent_invocations_target_session_id_fkey: FOREIGN KEY (target_session_id) REFERENCES
  public.agent_sessions(id) ON DELETE SET NULL
constraint agent_invocations agent_invocations_timeout_ms_check: CHECK ((timeout_ms > 0))
constraint agent_invocations agent_invocations_zone_id_fkey: FOREIGN KEY (zone_id) REFERENCES public.zones(id) ON DELETE CASCADE
constraint agent_invocations agent_invocations_zone_id_id_unique: UNIQUE (zone_id, id)
constraint agent_invocations agent_invocations_zone_id_service_id_idempotency_key_key: UNIQUE (zone_id, service_id, idempotency_key)
constraint agent_invocations agent_invocations_zone_service_fk: FOREIGN KEY (zone_id, service_id) REFERENCES
  public.agent_services(zone_id, id) ON DELETE CASCADE
constraint agent_invocations agent_invocations_zone_source_fk: FOREIGN KEY (zone_id, source_session_id) REFERENCES
  public.agent_sessions(zone_id, id)
constraint agent_invocations agent_invocations_zone_target_fk: FOREIGN KEY (zone_id, target_session_id) REFERENCES
  public.agent_sessions(zone_id, id)
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
constraint agent_sessions agent_sessions_lifecycle_check: CHECK ((lifecycle = ANY (ARRAY['task'::text, 'service'::text])))
constraint agent_sessions agent_sessions_parent_id_fkey: FOREIGN KEY (parent_id) REFERENCES public.agent_sessions(id)
constraint agent_sessions agent_sessions_pkey: PRIMARY KEY (id)
constraint agent_sessions agent_sessions_status_check: CHECK ((status = ANY (ARRAY['active'::text, 'suspended'::text,
  'terminated'::text, 'expired'::text])))
constraint agent_sessions agent_sessions_zone_application_fk: FOREIGN KEY (zone_id, application_id) REFERENCES
  public.applications(zone_id, id)
constraint agent_sessions agent_sessions_zone_id_id_unique: UNIQUE (zone_id, id)
constraint agent_sessions agent_sessions_zone_parent_fk: FOREIGN KEY (zone_id, parent_id) REFERENCES public.agent_sessions(zone_id,
  id)
constraint agent_sessions agent_sessions_zone_session_fk: FOREIGN KEY (zone_id, subject_session_id) REFERENCES
  public.sessions(zone_id, id)
constraint agent_topology agent_topology_child_id_fkey: FOREIGN KEY (child_id) REFERENCES public.agent_sessions(id) ON DELETE
  CASCADE
constraint agent_topology agent_topology_parent_id_fkey: FOREIGN KEY (parent_id) REFERENCES public.agent_sessions(id) ON DELETE
  CASCADE
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
constraint caracal_outbox caracal_outbox_pkey: PRIMARY KEY (id)
constraint caracal_outbox caracal_outbox_producer_check: CHECK ((producer = ANY (ARRAY['api'::text, 'coordinator'::text])))
constraint caracal_outbox caracal_outbox_producer_topic_dedupe_key_key: UNIQUE (producer, topic, dedupe_key)
constraint caracal_outbox caracal_outbox_status_check: CHECK ((status = ANY (ARRAY['pending'::text, 'published'::text,
  'dead'::text])))
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
constraint delegation_edges delegation_edges_parent_edge_id_fkey: FOREIGN KEY (parent_edge_id) REFERENCES
  public.delegation_edges(id) ON DELETE SET NULL
constraint delegation_edges delegation_edges_pkey: PRIMARY KEY (id)
constraint delegation_edges delegation_edges_resource_id_fkey: FOREIGN KEY (resource_id) REFERENCES public.resources(id)
constraint delegation_edges delegation_edges_source_session_id_fkey: FOREIGN KEY (source_session_id) REFERENCES
  public.agent_sessions(id) ON DELETE CASCADE
constraint delegation_edges delegation_edges_status_check: CHECK ((status = ANY (ARRAY['active'::text, 'revoked'::text,
  'expired'::text])))
constraint delegation_edges delegation_edges_target_session_id_fkey: FOREIGN KEY (target_session_id) REFERENCES
  public.agent_sessions(id) ON DELETE CASCADE
constraint delegation_edges delegation_edges_zone_issuer_application_fk: FOREIGN KEY (zone_id, issuer_application_id) REFERENCES
  public.applications(zone_id, id)
constraint delegation_edges delegation_edges_zone_receiver_application_fk: FOREIGN KEY (zone_id, receiver_application_id) REFERENCES
  public.applications(zone_id, id)
constraint delegation_edges delegation_edges_zone_resource_fk: FOREIGN KEY (zone_id, resource_id) REFERENCES
  public.resources(zone_id, id)
constraint delegation_edges delegation_edges_zone_source_fk: FOREIGN KEY (zone_id, source_session_id) REFERENCES
  public.agent_sessions(zone_id, id) ON DELETE CASCADE
constraint delegation_edges delegation_edges_zone_target_fk: FOREIGN KEY (zone_id, target_session_id) REFERENCES
  public.agent_sessions(zone_id, id) ON DELETE CASCADE
constraint delegation_graph_epochs delegation_graph_epochs_pkey: PRIMARY KEY (zone_id)
constraint delegation_graph_epochs delegation_graph_epochs_zone_id_fkey: FOREIGN KEY (zone_id) REFERENCES public.zones(id) ON DELETE
  CASCADE
constraint event_outbox event_outbox_pkey: PRIMARY KEY (id)
constraint gateway_binding_revision gateway_binding_revision_id_check: CHECK (id)
constraint gateway_binding_revision gateway_binding_revision_pkey: PRIMARY KEY (id)
constraint gateway_resource_bindings gateway_resource_bindings_pkey: PRIMARY KEY (zone_id, resource_identifier)
constraint policies policies_pkey: PRIMARY KEY (id)
constraint policies policies_zone_id_fkey: FOREIGN KEY (zone_id) REFERENCES public.zones(id)
constraint policies policies_zone_id_name_key: UNIQUE (zone_id, name)
constraint policy_set_bindings policy_set_bindings_active_version_id_fkey: FOREIGN KEY (active_version_id) REFERENCES
  public.policy_set_versions(id)
constraint policy_set_bindings policy_set_bindings_pkey: PRIMARY KEY (zone_id, policy_set_id)
constraint policy_set_bindings policy_set_bindings_policy_set_id_fkey: FOREIGN KEY (policy_set_id) REFERENCES public.policy_sets(id)
constraint policy_set_bindings policy_set_bindings_shadow_version_id_fkey: FOREIGN KEY (shadow_version_id) REFERENCES
  public.policy_set_versions(id)
constraint policy_set_bindings policy_set_bindings_zone_id_fkey: FOREIGN KEY (zone_id) REFERENCES public.zones(id)
constraint policy_set_versions policy_set_versions_pkey: PRIMARY KEY (id)
constraint policy_set_versions policy_set_versions_policy_set_id_fkey: FOREIGN KEY (policy_set_id) REFERENCES public.policy_sets(id)
constraint policy_set_versions policy_set_versions_policy_set_id_version_key: UNIQUE (policy_set_id, version)
constraint policy_sets policy_sets_pkey: PRIMARY KEY (id)
constraint policy_sets policy_sets_zone_id_fkey: FOREIGN KEY (zone_id) REFERENCES public.zones(id)
constraint policy_sets policy_sets_zone_id_name_key: UNIQUE (zone_id, name)
constraint policy_versions policy_versions_pkey: PRIMARY KEY (id)
constraint policy_versions policy_versions_policy_id_fkey: FOREIGN KEY (policy_id) REFERENCES public.policies(id)
constraint policy_versions policy_versions_policy_id_version_key: UNIQUE (policy_id, version)
constraint provider_grants provider_grants_pkey: PRIMARY KEY (id)
constraint provider_grants provider_grants_status_check: CHECK ((status = ANY (ARRAY['active'::text, 'revoked'::text,
  'expired'::text])))
constraint provider_grants provider_grants_zone_provider_fk: FOREIGN KEY (zone_id, provider_id) REFERENCES public.providers(zone_id,
  id)
constraint provider_grants provider_grants_zone_resource_fk: FOREIGN KEY (zone_id, resource_id) REFERENCES public.resources(zone_id,
  id)
constraint providers providers_pkey: PRIMARY KEY (id)
constraint providers providers_provider_kind_check: CHECK ((provider_kind = ANY (ARRAY['none'::text, 'caracal_mandate'::text,
  'oauth2_authorization_code'::text, 'oauth2_client_credentials'::text, 'api_key'::text, 'bearer_token'::text])))
constraint providers providers_zone_id_fkey: FOREIGN KEY (zone_id) REFERENCES public.zones(id)
constraint providers providers_zone_id_id_unique: UNIQUE (zone_id, id)
constraint resources resources_credential_provider_id_fkey: FOREIGN KEY (credential_provider_id) REFERENCES public.providers(id)
constraint resources resources_pkey: PRIMARY KEY (id)
constraint resources resources_zone_id_fkey: FOREIGN KEY (zone_id) REFERENCES public.zones(id)
constraint resources resources_zone_id_id_unique: UNIQUE (zone_id, id)
constraint resources resources_zone_id_identifier_key: UNIQUE (zone_id, identifier)
constraint resources resources_zone_provider_fk: FOREIGN KEY (zone_id, credential_provider_id) REFERENCES public.providers(zone_id,
  id)
constraint schema_migrations schema_migrations_pkey: PRIMARY KEY (version)
constraint secrets secrets_pkey: PRIMARY KEY (id)
constraint secrets secrets_type_check: CHECK ((type = ANY (ARRAY['token'::text, 'password'::text])))
constraint secrets secrets_zone_id_fkey: FOREIGN KEY (zone_id) REFERENCES public.zones(id)
constraint sessions sessions_parent_id_fkey: FOREIGN KEY (parent_id) REFERENCES public.sessions(id)
constraint sessions sessions_pkey: PRIMARY KEY (id)
constraint sessions sessions_session_type_check: CHECK ((session_type = ANY (ARRAY['user'::text, 'application'::text])))
constraint sessions sessions_status_check: CHECK ((status = ANY (ARRAY['active'::text, 'revoked'::text, 'expired'::text])))
constraint sessions sessions_zone_id_fkey: FOREIGN KEY (zone_id) REFERENCES public.zones(id)
constraint sessions sessions_zone_id_id_unique: UNIQUE (zone_id, id)
constraint step_up_challenges step_up_challenges_challenge_type_check: CHECK ((challenge_type = ANY (ARRAY['human_approval'::text,
  'mfa'::text, 'software_attestation'::text])))
constraint step_up_challenges step_up_challenges_pkey: PRIMARY KEY (id)
constraint step_up_challenges step_up_challenges_zone_id_fkey: FOREIGN KEY (zone_id) REFERENCES public.zones(id) ON DELETE CASCADE
constraint zones zones_pkey: PRIMARY KEY (id)
constraint zones zones_slug_key: UNIQUE (slug)
execute reject_policy_version_mutation() PUBLIC: yes
extension pgcrypto:
function reject_policy_version_mutation(): returns trigger
grant agent_invocations caracalapi: SELECT
grant agent_invocations caracalcoordinator: INSERT, SELECT, UPDATE
grant agent_invocations caracalsts: SELECT
grant agent_services caracalapi: SELECT
grant agent_services caracalcoordinator: INSERT, SELECT, UPDATE
grant agent_services caracalsts: SELECT
grant agent_sessions caracalapi: SELECT, UPDATE
grant agent_sessions caracalcoordinator: INSERT, SELECT, UPDATE
grant agent_topology caracalcoordinator: INSERT, SELECT, UPDATE
grant applications caracalapi: DELETE, INSERT, SELECT, UPDATE
grant applications caracalcoordinator: SELECT
grant applications caracalgateway: SELECT
grant applications caracalsts: SELECT
grant audit_events caracalaudit: INSERT, SELECT
grant audit_export_watermark caracalaudit: INSERT, SELECT, UPDATE
grant audit_ingest_alerts caracalaudit: INSERT, SELECT
grant audit_ingest_alerts_id_seq caracalaudit: SELECT, USAGE
grant caracal_outbox caracalapi: INSERT, SELECT, UPDATE
grant caracal_outbox caracalcoordinator: INSERT, SELECT, UPDATE
grant delegated_grants caracalapi: DELETE, INSERT, SELECT, UPDATE
grant delegated_grants caracalsts: INSERT, SELECT, UPDATE
grant delegation_edges caracalapi: SELECT, UPDATE
grant delegation_edges caracalcoordinator: INSERT, SELECT, UPDATE
grant delegation_edges caracalsts: SELECT
grant delegation_graph_epochs caracalapi: SELECT
grant delegation_graph_epochs caracalcoordinator: INSERT, SELECT, UPDATE
grant delegation_graph_epochs caracalsts: SELECT
grant gateway_binding_revision caracalapi: SELECT, UPDATE
grant gateway_binding_revision caracalgateway: SELECT
grant gateway_resource_bindings caracalapi: DELETE, INSERT, SELECT, UPDATE
grant gateway_resource_bindings caracalcoordinator: SELECT
grant gateway_resource_bindings caracalgateway: SELECT
grant policies caracalapi: DELETE, INSERT, SELECT, UPDATE
grant policies caracalsts: SELECT
grant policy_set_bindings caracalapi: DELETE, INSERT, SELECT, UPDATE
grant policy_set_bindings caracalsts: SELECT
grant policy_set_versions caracalapi: INSERT, SELECT
grant policy_set_versions caracalsts: SELECT
grant policy_sets caracalapi: DELETE, INSERT, SELECT, UPDATE
grant policy_sets caracalsts: SELECT
grant policy_versions caracalapi: INSERT, SELECT
grant policy_versions caracalsts: SELECT
grant provider_grants caracalapi: DELETE, INSERT, SELECT, UPDATE
grant provider_grants caracalsts: INSERT, SELECT, UPDATE
grant providers caracalapi: DELETE, INSERT, SELECT, UPDATE
grant providers caracalgateway: SELECT
grant providers caracalsts: SELECT
grant resources caracalapi: DELETE, INSERT, SELECT, UPDATE
grant resources caracalcoordinator: SELECT
grant resources caracalgateway: SELECT
grant resources caracalsts: SELECT
grant secrets caracalapi: DELETE, INSERT, SELECT, UPDATE
grant secrets caracalsts: INSERT, SELECT, UPDATE
grant sessions caracalapi: SELECT, UPDATE
grant sessions caracalcoordinator: SELECT
grant sessions caracalsts: INSERT, SELECT, UPDATE
grant step_up_challenges caracalsts: INSERT, SELECT, UPDATE
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
index agent_sessions agent_sessions_idempotency_key_idx: unique btree (zone_id, application_id, idempotency_key) WHERE
  ((idempotency_key IS NOT NULL) AND (status = ANY (ARRAY['active'::text, 'suspended'::text])))
index agent_sessions agent_sessions_last_active_at_idx: btree (last_active_at) WHERE (status = 'active'::text)
index agent_sessions agent_sessions_service_heartbeat_deadline_idx: btree (heartbeat_deadline_at) WHERE ((status = 'active'::text)
  AND (lifecycle = 'service'::text))
index agent_sessions agent_sessions_subject_session_id_idx: btree (subject_session_id)
index agent_sessions agent_sessions_zone_id_parent_id_status_idx: btree (zone_id, parent_id, status)
index applications applications_zone_id_expires_at_idx: btree (zone_id, expires_at) WHERE (expires_at IS NOT NULL)
index applications applications_zone_id_idx: btree (zone_id)
index audit_events audit_events_agent_labels_idx: gin (((metadata_json -> 'agent_labels'::text)))
index audit_events audit_events_agent_session_idx: btree (((metadata_json ->> 'agent_session_id'::text))) WHERE (metadata_json ?
  'agent_session_id'::text)
index audit_events audit_events_request_id_idx: btree (request_id) WHERE (request_id IS NOT NULL)
index audit_events audit_events_zone_chain: btree (zone_id, chain_seq DESC)
index audit_events audit_events_zone_id_occurred_at_idx: btree (zone_id, occurred_at DESC)
index audit_ingest_alerts audit_ingest_alerts_zone_time: btree (zone_id, observed_at DESC)
index caracal_outbox caracal_outbox_status_available_at_idx: btree (status, available_at)
index caracal_outbox caracal_outbox_topic_status_idx: btree (topic, status)
index delegated_grants delegated_grants_zone_id_user_id_idx: btree (zone_id, user_id)
index delegated_grants delegated_grants_zone_id_user_id_resource_id_status_idx: btree (zone_id, user_id, resource_id, status)
index delegation_edges delegation_edges_expires_at_idx: btree (expires_at) WHERE (status = 'active'::text)
index delegation_edges delegation_edges_zone_id_parent_edge_id_idx: btree (zone_id, parent_edge_id) WHERE (parent_edge_id IS NOT
  NULL)
index delegation_edges delegation_edges_zone_id_resource_id_status_idx: btree (zone_id, resource_id, status) WHERE (resource_id IS
  NOT NULL)
index delegation_edges delegation_edges_zone_id_source_session_id_status_idx: btree (zone_id, source_session_id, status)
index delegation_edges delegation_edges_zone_id_target_session_id_status_idx: btree (zone_id, target_session_id, status)
index event_outbox event_outbox_dispatch_ready: btree (available_at) WHERE (dispatched_at IS NULL)
index event_outbox event_outbox_undispatched_age: btree (created_at) WHERE (dispatched_at IS NULL)
index gateway_resource_bindings gateway_resource_bindings_zone_id_idx: btree (zone_id)
index policy_versions policy_versions_policy_id_created_at_idx: btree (policy_id, created_at DESC)
index provider_grants provider_grants_active_subject_provider_uidx: unique btree (zone_id, user_id, resource_id, provider_id) WHERE
  (status = 'active'::text)
index provider_grants provider_grants_zone_provider_status_idx: btree (zone_id, provider_id, status)
index provider_grants provider_grants_zone_user_resource_status_idx: btree (zone_id, user_id, resource_id, status)
index providers providers_active_idx: btree (id) WHERE (archived_at IS NULL)
index providers providers_zone_identifier_active_uidx: unique btree (zone_id, identifier) WHERE (archived_at IS NULL)
index resources resources_active_idx: btree (id) WHERE (archived_at IS NULL)
index resources resources_credential_provider_id_idx: btree (credential_provider_id)
index secrets secrets_zone_id_entity_id_idx: btree (zone_id, entity_id)
index sessions sessions_expires_at_idx: btree (expires_at) WHERE (status = 'active'::text)
index sessions sessions_zone_id_subject_id_status_idx: btree (zone_id, subject_id, status)
index step_up_challenges step_up_challenges_approver: btree (approver_subject_id) WHERE (approver_subject_id IS NOT NULL)
index step_up_challenges step_up_challenges_consume_uniq: unique btree (id) WHERE (consumed_at IS NOT NULL)
index step_up_challenges step_up_challenges_session_id_idx: btree (session_id)
index step_up_challenges step_up_challenges_zone_principal: btree (zone_id, principal_id) WHERE (consumed_at IS NULL)
index zones zones_active_idx: btree (id) WHERE (archived_at IS NULL)
owner database: none of the services
policy admin_audit_events zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) = '*'::text)
  OR (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy admin_tokens zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) = '*'::text) OR
  (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy agent_invocations zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) = '*'::text)
  OR (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy agent_services zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) = '*'::text) OR
  (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy agent_sessions zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) = '*'::text) OR
  (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy applications zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) = '*'::text) OR
  (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy audit_events zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) = '*'::text) OR
  (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy delegated_grants zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) = '*'::text) OR
  (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy delegation_edges zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) = '*'::text) OR
  (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy delegation_graph_epochs zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) =
  '*'::text) OR (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy gateway_resource_bindings zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) =
  '*'::text) OR (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy policies zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) = '*'::text) OR
  (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy policy_set_bindings zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) = '*'::text)
  OR (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy policy_sets zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) = '*'::text) OR
  (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy provider_grants zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) = '*'::text) OR
  (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy providers zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) = '*'::text) OR
  (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy resources zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) = '*'::text) OR
  (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy secrets zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) = '*'::text) OR (zone_id
  = current_setting('caracal.zone_id'::text, true))) check the same
policy sessions zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) = '*'::text) OR
  (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
policy step_up_challenges zone_isolation: all permissive to all using ((current_setting('caracal.zone_id'::text, true) = '*'::text)
  OR (zone_id = current_setting('caracal.zone_id'::text, true))) check the same
row_security admin_audit_events: on
row_security admin_tokens: on
row_security agent_invocations: on
row_security agent_services: on
row_security agent_sessions: on
row_security applications: on
row_security audit_events: on
row_security delegated_grants: on
row_security delegation_edges: on
row_security delegation_graph_epochs: on
row_security gateway_resource_bindings: on
row_security policies: on
row_security policy_set_bindings: on
row_security policy_sets: on
row_security provider_grants: on
row_security providers: on
row_security resources: on
row_security secrets: on
row_security sessions: on
row_security step_up_challenges: on
sequence audit_ingest_alerts_id_seq: bigint owned by audit_ingest_alerts.id
table admin_audit_events:
table admin_tokens:
table agent_invocations:
table agent_services:
table agent_sessions:
table agent_topology:
table applications:
table audit_chain_rehash:
table audit_events: partitioned by RANGE (occurred_at)
table audit_export_watermark:
table audit_ingest_alerts:
table caracal_outbox:
table delegated_grants:
table delegation_edges:
table delegation_graph_epochs:
table event_outbox:
table gateway_binding_revision:
table gateway_resource_bindings:
table policies:
table policy_set_bindings:
table policy_set_versions:
table policy_sets:
table policy_versions:
table provider_grants:
table providers:
table resources:
table schema_migrations:
table secrets:
table sessions:
table step_up_challenges:
table zones:
trigger policy_versions policy_versions_immutable: BEFORE DELETE OR UPDATE ON public.policy_versions FOR EACH ROW EXECUTE FUNCTION
  public.reject_policy_version_mutation()
"""
)
