# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The schema of 2026-06-04: the schema of v2026.06.21 without its changes."""

from __future__ import annotations

from ..schema_facts import changed
from . import v2026_06_21 as later

CARACAL = changed(
    later.CARACAL,
    drop="""
column admin_audit_events chain_hmac
column admin_audit_events chain_seq
column admin_audit_events content_sha256
column admin_audit_events prev_content_sha256
column agent_sessions idempotency_key
column agent_sessions labels
column agent_sessions lifecycle
column agent_sessions ttl_seconds
column audit_chain_rehash completed_at
column audit_chain_rehash id
constraint agent_sessions agent_sessions_lifecycle_check
constraint audit_chain_rehash audit_chain_rehash_id_check
constraint audit_chain_rehash audit_chain_rehash_pkey
index admin_audit_events admin_audit_events_chain
index agent_sessions agent_sessions_idempotency_key_idx
index agent_sessions agent_sessions_service_heartbeat_deadline_idx
index audit_events audit_events_agent_labels_idx
index audit_events audit_events_agent_session_idx
table audit_chain_rehash
""",
    add="""
column agent_sessions agent_kind: text not null default 'ephemeral'::text
column agent_sessions capabilities: text[] not null default '{}'::text[]
column agent_sessions ttl_seconds: integer not null default 3600
constraint agent_sessions agent_sessions_agent_kind_check: CHECK ((agent_kind = ANY (ARRAY['service'::text, 'instance'::text,
  'ephemeral'::text])))
index agent_sessions agent_sessions_service_heartbeat_deadline_idx: btree (heartbeat_deadline_at) WHERE ((status = 'active'::text)
  AND (agent_kind = 'service'::text))
""",
)
