# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One piece of damage for each invariant of each release, by the invariant's name."""

from __future__ import annotations

from twin.facts import ZONE_KEK
from twin.releases.known import RELEASES

ANY_EVENT = "WHERE id = (SELECT id FROM audit_events WHERE chain_seq = 20 LIMIT 1)"
FOREIGN = "(id, zone_id, event_type, occurred_at, chain_seq) VALUES ('x', 'nope', 'x', {}, 1)"
NO_CHECKS = """
        DO $$ DECLARE name text; BEGIN
          FOR name IN SELECT conname FROM pg_constraint WHERE conrelid = '{0}'::regclass AND contype = 'c' LOOP
            EXECUTE format('ALTER TABLE {0} DROP CONSTRAINT %I', name);
          END LOOP;
        END $$"""

COMMON = {
    "trigger switched off": "ALTER TABLE policy_versions DISABLE TRIGGER policy_versions_immutable",
    "index unusable": "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'zones_active_idx'::regclass",
    "row security off": "ALTER TABLE secrets DISABLE ROW LEVEL SECURITY",
    "odd row policy": "ALTER POLICY zone_isolation ON secrets USING (true) WITH CHECK (true)",
    "service role missing": "ALTER ROLE caracalgateway RENAME TO gone",
    "not UTF-8": "UPDATE pg_database SET encoding = 0 WHERE datname = current_database()",
    "audit can be changed": "GRANT DELETE ON audit_events TO caracalaudit",
    "service role too strong": "ALTER ROLE caracalapi BYPASSRLS",
    "service role owns a table": "ALTER TABLE zones OWNER TO caracalapi",
    "leaf with rights": "GRANT SELECT ON audit_events_default TO caracalapi",
    "no pgcrypto": "DROP EXTENSION pgcrypto",
    "not UTC": "SET LOCAL TimeZone = 'Asia/Kolkata'",
    "sequence behind": "ALTER SEQUENCE audit_ingest_alerts_id_seq RESTART WITH 1",
    "active version of another set": """
        UPDATE policy_set_bindings b SET active_version_id = (
          SELECT v.id FROM policy_set_versions v JOIN policy_sets s ON s.id = policy_set_id
         WHERE s.zone_id = b.zone_id AND s.id <> b.policy_set_id LIMIT 1) WHERE active_version_id IS NOT NULL""",
    "active version gone": """
        UPDATE policy_set_bindings SET active_version_id = 'gone' WHERE active_version_id IS NOT NULL""",
    "month without a leaf": """
        DO $$ BEGIN EXECUTE to_char(now() + interval '2 months', '"DROP TABLE audit_events_y"YYYY"m"MM'); END $$""",
    "leaf with odd bounds": """
        CREATE TABLE audit_events_y2040m02 PARTITION OF audit_events FOR VALUES FROM ('2040-01-01') TO ('2040-02-01')""",
    "set without binding": "DELETE FROM policy_set_bindings WHERE active_version_id IS NULL",
    "content digest": "UPDATE policy_versions SET content = content || ' '",
    "manifest digest": "UPDATE policy_set_versions SET manifest_sha256 = repeat('0', 64)",
    "versions with a gap": "DELETE FROM policy_set_versions WHERE version = 1",
    "live resource, dead provider": "UPDATE providers SET archived_at = now()",
    "topology differs": "DELETE FROM agent_topology",
    "edge with another application": """
        UPDATE delegation_edges e SET issuer_application_id = (SELECT id FROM applications a
         WHERE a.zone_id = e.zone_id AND a.archived_at IS NOT NULL)""",
    "active edge under a revoked one": "UPDATE delegation_edges SET status = 'revoked', revoked_at = now() WHERE parent_edge_id IS NULL",
    "epoch too low": "UPDATE delegation_graph_epochs SET epoch = 1",
    "epoch missing": "DELETE FROM delegation_graph_epochs",
    "edge chain broken": "UPDATE delegation_edges SET parent_edge_id = id WHERE parent_edge_id IS NOT NULL",
    "audit chain": f"DELETE FROM audit_events {ANY_EVENT}",
    "watermark": "UPDATE audit_export_watermark SET last_exported_hour = last_exported_hour + interval '7 minutes'",
    "zone without a signing key": "DELETE FROM secrets",
    "rows in the default leaf": f"INSERT INTO audit_events_default {FOREIGN.format('to_timestamp(0)')}",
    "audit zone unknown": f"INSERT INTO audit_events {FOREIGN.format('now()')}",
    "binding across zones": """
        INSERT INTO policy_set_bindings (zone_id, policy_set_id) SELECT z.id, s.id FROM zones z JOIN policy_sets s ON s.zone_id <> z.id""",
    "manifest names an unknown policy": "DELETE FROM policy_versions WHERE version = 1",
    "audit order": f"UPDATE audit_events SET ingested_at = ingested_at - interval '1 day' {ANY_EVENT}",
}

STORED_HASHES = {
    "audit content": f"UPDATE audit_events SET decision = 'deny!' {ANY_EVENT}",
    "no re-hash marker": "DELETE FROM audit_chain_rehash",
}
ADMIN_CHAIN = {
    "admin chain": "UPDATE admin_audit_events SET prev_content_sha256 = 'x' WHERE chain_seq = 2",
}
SECRET_STORE = {
    "auth role missing": "ALTER ROLE caracalauth RENAME TO gone",
    "definer function missing": "ALTER FUNCTION audit_partition_ensure SECURITY INVOKER",
    "definer function for all": "GRANT EXECUTE ON FUNCTION audit_partition_drop TO PUBLIC",
    "archived set active": """
        UPDATE policy_sets SET archived_at = now() WHERE id = (SELECT policy_set_id FROM policy_set_bindings
         WHERE active_version_id IS NOT NULL LIMIT 1)""",
    "not exactly one active set": "UPDATE policy_set_bindings SET active_version_id = NULL",
    "provider without its secret": "DELETE FROM secret_store WHERE ref LIKE '%/providers/%'",
    # Like a dump whose constraints were not restored.
    "ended session without time": f"{NO_CHECKS.format('sessions')}; UPDATE sessions SET terminated_at = NULL",
    "revoked edge without time": f"{NO_CHECKS.format('delegation_edges')}; UPDATE delegation_edges SET revoked_at = NULL",
    "revoked authority without time": "UPDATE authority_records SET revoked_at = NULL",
    "sealed value malformed": "UPDATE secret_store SET envelope = '\\x00'::bytea || envelope",
    "sent frame not landed": """
        UPDATE event_outbox SET payload_json = payload_json || '{"data": "{}"}' WHERE stream_name = 'caracal.audit.events'""",
    "more than one KEK": "UPDATE secret_store SET envelope = overlay(envelope PLACING '\\xffff'::bytea FROM 5)",
}
BARE = {
    "zone without an active set": "UPDATE policy_set_bindings SET active_version_id = NULL",
    "provider without its secret": "UPDATE providers SET secret_config_ct = NULL, secret_config_nonce = NULL",
    "sealed value malformed": "UPDATE secrets SET nonce = nonce || '\\x00'",
    "zone DEK of another size": "UPDATE zones SET dek_ciphertext = '\\x00'",
    "no binding revision": "UPDATE gateway_binding_revision SET version = 0",
    "binding newer than the revision": "UPDATE gateway_resource_bindings SET updated_at = now() + interval '1 day'",
    "binding without its application": "UPDATE gateway_resource_bindings SET application_id = 'gone'",
    "binding without its resource": """
        INSERT INTO gateway_resource_bindings (zone_id, resource_identifier, application_id, created_at, updated_at)
        SELECT zone_id, resource_identifier || '/gone', application_id, created_at, updated_at FROM gateway_resource_bindings""",
    "resource without a binding": "DELETE FROM gateway_resource_bindings",
    "ended agent without time": "UPDATE agent_sessions SET terminated_at = NULL",
    "revoked edge without time": "UPDATE delegation_edges SET revoked_at = NULL",
}


def _agents(agents: str, authorities: str) -> dict[str, str]:
    return {
        "agent child count": f"UPDATE {agents} SET child_count = 9 WHERE depth = 0",
        "authority parent elsewhere": f"""
            UPDATE {authorities} a SET parent_id = (SELECT min(id) FROM {authorities} o WHERE o.zone_id <> a.zone_id)
             WHERE parent_id IS NOT NULL""",
        "agent depth": f"UPDATE {agents} SET depth = 7 WHERE depth = 2",
        "live agent under an ended one": f"UPDATE {agents} SET status = 'terminated', terminated_at = now() WHERE child_count > 0",
    }


# Other invariants that a piece of damage unavoidably breaks too.
ALSO = {
    "sealed value malformed": {"more than one KEK"},
    "not UTC": {"leaf with odd bounds"},
    "rows in the default leaf": {"audit zone unknown", "audit content"},
    "audit zone unknown": {"audit content"},
}


def of(release: str) -> dict[str, str]:
    """Return every piece of damage that applies to the release."""
    facts = RELEASES[release]
    bare = facts.family == ZONE_KEK
    found = {**COMMON, **(_agents("agent_sessions", "sessions") if bare else _agents("sessions", "authority_records"))}
    found.update(BARE if bare else SECRET_STORE)
    if not facts.hashes_wire:
        found.update(STORED_HASHES)
    if facts.has("admin_audit_events.chain_seq"):
        found.update(ADMIN_CHAIN)
    return found


def found_by(release: str, name: str) -> set[str]:
    """Return the names of the invariants that must report this damage."""
    return {name} | (ALSO.get(name, set()) & of(release).keys())
