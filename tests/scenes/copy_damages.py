# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Possible losses and changes of a restore: rows, definitions, rights. SQL by name, for each family."""

from __future__ import annotations

FIRST_ZONE, LAST_ZONE = "(SELECT min(id) FROM zones)", "(SELECT max(id) FROM zones)"
NEWER = {
    "a migration is missing": "DELETE FROM schema_migrations WHERE version = '0003_operator_run_token_usage'",
    "a migration is unknown": "INSERT INTO schema_migrations (version) VALUES ('0099_of_tomorrow')",
    "a table is emptied": "DELETE FROM resources",
    "agents are gone": "DELETE FROM sessions",
    "delegations are gone": "DELETE FROM delegation_edges",
    "a revocation is undone": "UPDATE authority_records SET status = 'active', revoked_at = NULL WHERE status = 'revoked'",
    "an admin token is valid again": "UPDATE admin_tokens SET revoked_at = NULL",
    "row security is off": "ALTER TABLE secrets DISABLE ROW LEVEL SECURITY",
    "the row policy lets all through": "ALTER POLICY zone_isolation ON secrets USING (true) WITH CHECK (true)",
    "a trigger is off": "ALTER TABLE policy_versions DISABLE TRIGGER policy_versions_immutable",
    "an index is gone": "DROP INDEX zones_active_idx",
    "an index is unusable": "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'zones_active_idx'::regclass",
    "a column is gone": "ALTER TABLE zones DROP COLUMN archived_at CASCADE",
    "a grant is lost": "REVOKE SELECT ON zones FROM caracalsts",
    "every role may read": "GRANT SELECT ON secrets TO PUBLIC",
    "the audit role may delete": "GRANT DELETE ON audit_events TO caracalaudit",
    "a function of its owner is for all": "GRANT EXECUTE ON FUNCTION audit_partition_drop TO PUBLIC",
    "a sequence is behind": "ALTER SEQUENCE audit_ingest_alerts_id_seq RESTART WITH 1",
    "a service role is too strong": "ALTER ROLE caracalapi BYPASSRLS",
    "a signing key is gone": f"DELETE FROM secrets WHERE zone_id = {LAST_ZONE}",
    "one zone's signing key is another's":
        f"UPDATE secrets s SET envelope = o.envelope FROM secrets o WHERE s.zone_id = {FIRST_ZONE} AND o.zone_id = {LAST_ZONE}",
    "a sealed value is damaged": """
        UPDATE secret_store SET envelope = set_byte(envelope, length(envelope) - 1, get_byte(envelope, length(envelope) - 1) # 1)
         WHERE ref = (SELECT min(ref) FROM secret_store WHERE ref LIKE '%/providers/%')""",
    "the rehash marker is gone": "DELETE FROM audit_chain_rehash",
}  # fmt: skip
OLDER = {
    "a binding is gone": "DELETE FROM gateway_resource_bindings WHERE ctid = (SELECT min(ctid) FROM gateway_resource_bindings)",
    "the row with the revision is gone": "DELETE FROM gateway_binding_revision",
    "agents are gone": "DELETE FROM agent_sessions",
    "a signing key is gone": f"DELETE FROM secrets WHERE zone_id = {LAST_ZONE}",
}  # fmt: skip
