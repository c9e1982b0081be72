# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Invariants of every healthy database of every release, as queries that list the violating rows."""

from __future__ import annotations

LIVE = "('active', 'suspended')"
NEIGHBOURS = "lag(content_sha256) OVER w AS before, lag(chain_seq) OVER w AS seq_before"

SYSTEM = {
    "trigger switched off": "SELECT tgname FROM pg_trigger WHERE tgenabled IN ('D', 'R')",
    "index unusable": "SELECT indexrelid FROM pg_index WHERE NOT indisvalid OR NOT indisready",
    "row security off": "SELECT c.relname FROM pg_class c JOIN pg_policy p ON p.polrelid = c.oid WHERE NOT c.relrowsecurity",
    "odd row policy": """
        SELECT tablename FROM pg_policies WHERE (policyname, permissive, cmd) <> ('zone_isolation', 'PERMISSIVE', 'ALL')
            OR with_check IS DISTINCT FROM qual OR qual !~ 'caracal.zone_id.*''[*]''.*caracal.zone_id'""",
    "audit can be changed": """
        SELECT r FROM unnest('{UPDATE,DELETE,TRUNCATE}'::text[]) r
         WHERE has_table_privilege('caracalaudit', 'audit_events', r)""",
    "service role too strong": """
        SELECT rolname FROM pg_roles WHERE rolname ~ '^caracal.' AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolreplication)""",
    "service role missing": """
        SELECT r FROM unnest('{caracalapi,caracalaudit,caracalcoordinator,caracalgateway,caracalsts}'::text[]) r
         WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r)""",
    "service role owns a table": "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relowner::regrole::text ~ '^caracal.'",
    "leaf with rights": "SELECT c.relname FROM pg_class c, aclexplode(c.relacl) a WHERE c.relispartition AND a.grantee <> c.relowner",
    "no pgcrypto": "SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'pgcrypto')",
    "not UTC": "SELECT 1 WHERE current_setting('TimeZone') NOT IN ('UTC', 'Etc/UTC', 'GMT')",
    "not UTF-8": "SELECT 1 FROM pg_database WHERE datname = current_database() AND pg_encoding_to_char(encoding) <> 'UTF8'",
    "sequence behind": "SELECT 1 FROM audit_ingest_alerts_id_seq s WHERE s.last_value < (SELECT max(id) FROM audit_ingest_alerts)",
    "rows in the default leaf": "SELECT id FROM audit_events_default",
    "month without a leaf": """
        SELECT m FROM generate_series(0, 3) m WHERE to_regclass('public.audit_events_y'
          || to_char(now() AT TIME ZONE 'UTC' + make_interval(months => m), 'YYYY"m"MM')) IS NULL""",
    "leaf with odd bounds": """
        SELECT c.relname FROM pg_class c, to_timestamp(right(c.relname, 7), 'YYYY"m"MM') low
         WHERE c.relname ~ '^audit_events_y....m..$' AND c.relkind = 'r' AND pg_get_expr(c.relpartbound, c.oid)
            <> 'FOR VALUES FROM (''' || low || ''') TO (''' || (low + interval '1 month') || ''')'""",
}

POLICIES = {
    "active version of another set": """
        SELECT 1 FROM policy_set_bindings b JOIN policy_set_versions v ON v.id = active_version_id
         WHERE v.policy_set_id <> b.policy_set_id""",
    "active version gone": """
        SELECT 1 FROM policy_set_bindings WHERE active_version_id NOT IN (SELECT id FROM policy_set_versions)""",
    "binding across zones": "SELECT 1 FROM policy_set_bindings b JOIN policy_sets s ON s.id = policy_set_id WHERE s.zone_id <> b.zone_id",
    "set without binding": """
        SELECT id FROM policy_sets s
         WHERE NOT EXISTS (SELECT FROM policy_set_bindings b WHERE (b.zone_id, policy_set_id) = (s.zone_id, s.id))""",
    "manifest names an unknown policy": """
        SELECT v.id FROM policy_set_versions v JOIN policy_sets s ON s.id = v.policy_set_id CROSS JOIN jsonb_array_elements(manifest_json) m
          LEFT JOIN policy_versions p ON p.id = m ->> 'policy_version_id' LEFT JOIN policies o ON o.id = p.policy_id
         WHERE o.zone_id IS DISTINCT FROM s.zone_id""",
    # The manifests have no blanks within values, so removing all blanks gives the compact form.
    "manifest digest": """
        SELECT id FROM policy_set_versions
         WHERE encode(sha256(replace(manifest_json::text, ' ', '')::bytea), 'hex') <> manifest_sha256""",
    "content digest": "SELECT id FROM policy_versions WHERE encode(sha256(convert_to(content, 'UTF8')), 'hex') <> content_sha256",
    "versions with a gap": "SELECT policy_set_id FROM policy_set_versions GROUP BY 1 HAVING (min(version), max(version)) <> (1, count(*))",
    "live resource, dead provider": """
        SELECT r.id FROM resources r LEFT JOIN providers p ON (p.zone_id, p.id) = (r.zone_id, credential_provider_id)
         WHERE r.archived_at IS NULL AND (p.id IS NULL OR p.archived_at IS NOT NULL)""",
}


def agent_rules(agents: str, authorities: str) -> dict[str, str]:
    """Return the rules for agents, their subjects and delegations, with the release's names of the two tables."""
    return {
        "authority parent elsewhere": f"""
            SELECT a.id FROM {authorities} a JOIN {authorities} p ON p.id = a.parent_id
             WHERE p.zone_id <> a.zone_id""",
        "agent depth": f"SELECT c.id FROM {agents} c LEFT JOIN {agents} p ON p.id = c.parent_id WHERE c.depth <> coalesce(p.depth + 1, 0)",
        "agent child count": f"""
            SELECT p.id FROM {agents} p LEFT JOIN {agents} c ON c.parent_id = p.id AND c.status IN {LIVE}
             WHERE p.status IN {LIVE} GROUP BY p.id HAVING p.child_count <> count(c.id)""",
        "topology differs": f"""
            (SELECT parent_id, id FROM {agents} WHERE parent_id IS NOT NULL EXCEPT SELECT parent_id, child_id FROM agent_topology)
            UNION ALL (SELECT parent_id, child_id FROM agent_topology EXCEPT SELECT parent_id, id FROM {agents})""",
        "live agent under an ended one": f"""
            SELECT c.id FROM {agents} c JOIN {agents} p ON p.id = c.parent_id
             WHERE c.status IN {LIVE} AND p.status NOT IN {LIVE}""",
        "edge with another application": f"""
            SELECT e.id FROM delegation_edges e JOIN {agents} s ON s.id = source_session_id JOIN {agents} d ON d.id = target_session_id
             WHERE (s.application_id, d.application_id) <> (issuer_application_id, receiver_application_id)""",
        "edge chain broken": """
            SELECT e.id FROM delegation_edges e JOIN delegation_edges p ON p.id = e.parent_edge_id
             WHERE (p.zone_id, p.target_session_id) <> (e.zone_id, e.source_session_id)""",
        "active edge under a revoked one": """
            SELECT e.id FROM delegation_edges e JOIN delegation_edges p ON p.id = e.parent_edge_id
             WHERE e.status = 'active' AND p.status = 'revoked'""",
        "epoch too low": """
            SELECT zone_id FROM delegation_graph_epochs g
             WHERE epoch < (SELECT count(*) FROM delegation_edges e WHERE e.zone_id = g.zone_id)""",
        "epoch missing": """
            SELECT id FROM delegation_edges e
             WHERE NOT EXISTS (SELECT FROM delegation_graph_epochs g WHERE g.zone_id = e.zone_id)""",
    }


AUDIT = {
    "audit chain": f"""
        SELECT id FROM (SELECT *, {NEIGHBOURS} FROM audit_events WINDOW w AS (PARTITION BY zone_id ORDER BY chain_seq)) x
         WHERE chain_seq <> coalesce(seq_before, 0) + 1 OR prev_content_sha256 IS DISTINCT FROM before""",
    "audit order": """
        SELECT id FROM (SELECT *, lag(occurred_at) OVER w AS earlier FROM audit_events
                        WINDOW w AS (PARTITION BY zone_id ORDER BY chain_seq)) x
         WHERE occurred_at < earlier OR ingested_at < occurred_at""",
    "audit zone unknown": "SELECT DISTINCT zone_id FROM audit_events WHERE zone_id NOT IN (SELECT id FROM zones)",
    "watermark": """
        SELECT name FROM audit_export_watermark WHERE last_exported_hour <> date_trunc('hour', last_exported_hour, 'UTC')
            OR last_exported_hour > now() OR last_exported_hour > (SELECT max(ingested_at) FROM audit_events)""",
    "zone without a signing key": "SELECT id FROM zones WHERE id NOT IN (SELECT zone_id FROM secrets WHERE name = 'zone_signing_key')",
}

# For the releases that hash the stored row, and have a marker that all rows are hashed in this way.
STORED_HASHES = {
    "audit content": r"""
        SELECT id FROM audit_events WHERE content_sha256 IS DISTINCT FROM encode(sha256(convert_to(array_to_string(ARRAY[
          id, zone_id, event_type, request_id, decision, policy_set_id, policy_set_version_id, manifest_sha, evaluation_status],
          E'\x1f', '') || E'\x1f'
          || array_to_string(ARRAY[determining_policies_json, diagnostics_json, metadata_json]::text[], E'\x1f', 'null') || E'\x1f'
         || round(extract(epoch FROM occurred_at) * 1000000) || '000', 'UTF8')), 'hex')""",
    "no re-hash marker": "SELECT 1 WHERE (SELECT count(*) FROM audit_chain_rehash) <> 1",
}

ADMIN_CHAIN = {
    "admin chain": f"""
        SELECT id FROM (SELECT *, {NEIGHBOURS} FROM admin_audit_events WINDOW w AS (PARTITION BY zone_id ORDER BY chain_seq)) x
         WHERE chain_seq <> coalesce(seq_before, 0) + 1 OR prev_content_sha256 IS DISTINCT FROM before""",
}
