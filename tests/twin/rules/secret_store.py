# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Further invariants of every healthy database of the family `secret_store`."""

from __future__ import annotations

from .common import ADMIN_CHAIN, AUDIT, POLICIES, STORED_HASHES, SYSTEM, agent_rules

ENVELOPES = """
  SELECT envelope AS e FROM secrets UNION ALL SELECT envelope FROM secret_store UNION ALL SELECT envelope FROM operator_plan_secrets
  UNION ALL SELECT access_token_ct FROM provider_connections UNION ALL SELECT refresh_token_ct FROM provider_connections
  UNION ALL SELECT secret_ct FROM notification_sinks
"""

OWN = {
    "auth role missing": "SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'caracalauth')",
    "definer function missing": """
        SELECT f FROM unnest('{audit_partition_drop(text),audit_partition_ensure(date)}'::text[]) f
         WHERE NOT EXISTS (SELECT FROM pg_proc WHERE oid = to_regprocedure('public.' || f) AND prosecdef)""",
    "definer function for all": """
        SELECT p.proname FROM pg_proc p WHERE p.prosecdef AND p.pronamespace = 'public'::regnamespace
           AND has_function_privilege('caracalsts', p.oid, 'EXECUTE')""",
    "archived set active": """
        SELECT 1 FROM policy_set_bindings JOIN policy_sets s ON s.id = policy_set_id
         WHERE active_version_id IS NOT NULL AND archived_at IS NOT NULL""",
    "not exactly one active set": """
        SELECT z.id FROM zones z LEFT JOIN policy_set_bindings b ON b.zone_id = z.id
         GROUP BY 1 HAVING count(active_version_id) <> 1""",
    "provider without its secret": """
        SELECT id FROM providers p WHERE secret_config_keys <> '{}' AND NOT EXISTS
          (SELECT FROM secret_store WHERE ref = 'zones/' || p.zone_id || '/providers/' || p.id || '/secretConfig')""",
    "ended session without time": "SELECT id FROM sessions WHERE (status IN ('terminated', 'expired')) <> (terminated_at IS NOT NULL)",
    "revoked edge without time": "SELECT id FROM delegation_edges WHERE (status = 'revoked') <> (revoked_at IS NOT NULL)",
    "revoked authority without time": "SELECT id FROM authority_records WHERE (status = 'revoked') <> (revoked_at IS NOT NULL)",
    "sealed value malformed": f"SELECT 1 FROM ({ENVELOPES}) s WHERE NOT starts_with(encode(e, 'hex'), '43535331') OR length(e) < 100",
    "more than one KEK": f"SELECT 1 WHERE (SELECT count(DISTINCT substring(e FROM 5 FOR 8)) FROM ({ENVELOPES}) s) > 1",
    "sent frame not landed": """
        SELECT o.id FROM event_outbox o WHERE stream_name = 'caracal.audit.events' AND dispatched_at IS NOT NULL
           AND NOT EXISTS (SELECT FROM audit_events a WHERE a.id = (payload_json ->> 'data')::jsonb ->> 'id')""",
}

RULES: dict[str, str] = {
    **SYSTEM,
    **POLICIES,
    **agent_rules("sessions", "authority_records"),
    **AUDIT,
    **STORED_HASHES,
    **ADMIN_CHAIN,
    **OWN,
}
