# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One piece of damage for each rule of state_verify, by the rule's ID without `state.`, for each release.

As in a restore, triggers are off, so constraints do not prevent the damage.
"""

from __future__ import annotations

import dataclasses

from twin.facts import ZONE_KEK
from twin.releases.known import RELEASES
from unit.twin.damages import NO_CHECKS

FREELY = "SET LOCAL session_replication_role = replica"
KEYS = frozenset({"foreign_keys.caracal"})
ANNOUNCED = frozenset({"policy_activation.announced"})


@dataclasses.dataclass(frozen=True)
class Damage:
    """`also` are other rules that must report it too. `later` damage occurred after the backup, other damage before it."""

    sql: str
    also: frozenset[str] = frozenset()
    later: bool = False


def _one(table: str, where: str = "true", column: str = "id") -> str:
    return f"(SELECT min({column}) FROM {table} WHERE {where})"


def _manifest(text: str) -> str:
    """Change one manifest, with the matching digest; `text` is SQL."""
    return f"""UPDATE policy_set_versions v
                  SET manifest_json = m.text::jsonb, manifest_sha256 = encode(sha256(convert_to(m.text, 'UTF8')), 'hex')
                 FROM (SELECT {text} AS text) m WHERE v.id = {_one("policy_set_versions")}"""


FIRST_ZONE, LAST_ZONE = "(SELECT min(id) FROM zones)", "(SELECT max(id) FROM zones)"
NAMED = f"""(SELECT manifest_json -> 0 ->> 'policy_version_id' FROM policy_set_versions WHERE id = {_one("policy_set_versions")})"""
FOREIGN = f"""(SELECT min(p.id) FROM policy_versions p JOIN policies o ON o.id = p.policy_id WHERE o.zone_id <>
                 (SELECT s.zone_id FROM policy_sets s JOIN policy_set_versions v ON v.policy_set_id = s.id
                   WHERE v.id = {_one("policy_set_versions")}))"""
LONE_EDGE = _one(
    "delegation_edges e", "parent_edge_id IS NULL AND NOT EXISTS (SELECT FROM delegation_edges c WHERE c.parent_edge_id = e.id)"
)
ONE_BINDING = _one("gateway_resource_bindings", column="ctid")
ACTIVE_SET = """(SELECT min(s.id) FROM policy_sets s JOIN policy_set_bindings b ON b.policy_set_id = s.id
                 WHERE b.active_version_id IS NOT NULL AND s.archived_at IS NULL)"""

COMMON = {
    "audit_query.search": Damage(f"DELETE FROM audit_events WHERE zone_id = {FIRST_ZONE}", later=True),
    "audit_query.zones_known": Damage(f"UPDATE audit_events SET zone_id = 'nope' WHERE zone_id = {FIRST_ZONE}"),
    "audit_query.export_watermark": Damage(
        "UPDATE audit_export_watermark SET last_exported_hour = last_exported_hour + interval '7 minutes'"),
    "policy_activation.version_exists": Damage(
        f"UPDATE policy_set_bindings SET active_version_id = 'gone' WHERE policy_set_id = {ACTIVE_SET}", KEYS | ANNOUNCED),
    "policy_activation.version_of_set": Damage(f"""
        UPDATE policy_set_bindings b SET active_version_id = (
          SELECT min(v.id) FROM policy_set_versions v JOIN policy_sets s ON s.id = v.policy_set_id
           WHERE s.zone_id = b.zone_id AND s.id <> b.policy_set_id) WHERE policy_set_id = {ACTIVE_SET}""", ANNOUNCED),
    "policy_activation.announced": Damage(f"""
        UPDATE policy_set_bindings b SET active_version_id = (
          SELECT min(v.id) FROM policy_set_versions v WHERE v.policy_set_id = b.policy_set_id AND v.id <> b.active_version_id)
         WHERE policy_set_id = {ACTIVE_SET}"""),
    "policy_activation.some_active_set": Damage(
        "UPDATE policy_set_bindings SET active_version_id = NULL", ANNOUNCED | {"policy_activation.zone_has_active_set"}),
    "policy_activation.set_of_zone": Damage("""
        INSERT INTO policy_set_bindings (zone_id, policy_set_id)
        SELECT z.id, s.id FROM zones z JOIN policy_sets s ON s.zone_id <> z.id LIMIT 1"""),
    "policy_activation.active_set_live": Damage(f"UPDATE policy_sets SET archived_at = now() WHERE id = {ACTIVE_SET}"),
    "policy_activation.one_active_set": Damage(f"""
        DROP INDEX IF EXISTS policy_set_bindings_one_active_per_zone;
        UPDATE policy_set_bindings b
           SET active_version_id = (SELECT max(id) FROM policy_set_versions v WHERE v.policy_set_id = b.policy_set_id)
         WHERE zone_id = {LAST_ZONE} AND active_version_id IS NULL
           AND EXISTS (SELECT FROM policy_sets s WHERE s.id = b.policy_set_id AND s.archived_at IS NULL)"""),
    "policy_activation.set_has_binding": Damage("DELETE FROM policy_set_bindings WHERE active_version_id IS NULL"),
    "policy_activation.zone_has_active_set": Damage(
        f"UPDATE policy_set_bindings SET active_version_id = NULL WHERE zone_id = {LAST_ZONE}", ANNOUNCED),
    "policy_activation.manifest_known": Damage(_manifest("""'[{"policy_version_id":"gone"}]'""")),
    "policy_activation.manifest_zone": Damage(_manifest(f"""'[{{"policy_version_id":"' || {FOREIGN} || '"}}]'""")),
    "policy_activation.manifest_distinct": Damage(_manifest(
        f"""'[{{"policy_version_id":"' || {NAMED} || '"}},{{"policy_version_id":"' || {NAMED} || '"}}]'""")),
    "policy_activation.manifest_schema": Damage(
        f"UPDATE policy_set_versions SET schema_version = '2026-01-01' WHERE id = {_one('policy_set_versions')}"),
    "policy_activation.manifest_digest": Damage(
        f"UPDATE policy_set_versions SET manifest_sha256 = repeat('0', 64) WHERE id = {_one('policy_set_versions')}"),
    "policy_activation.content_digest": Damage(f"UPDATE policy_versions SET content = content || ' ' WHERE id = {_one('policy_versions')}"),
    "policy_activation.versions_whole": Damage(
        f"DELETE FROM policy_set_versions WHERE version = 1 AND policy_set_id = {_one('policy_set_versions', column='policy_set_id')}"),
    "gateway_bindings.provider_live": Damage(
        f"UPDATE providers SET archived_at = now() WHERE id = {_one('resources', 'archived_at IS NULL', 'credential_provider_id')}"),
    "gateway_bindings.some_upstream": Damage("UPDATE resources SET upstream_url = NULL"),
    "delegations.ends": Damage(f"UPDATE delegation_edges SET source_session_id = 'gone' WHERE id = {LONE_EDGE}", KEYS),
    "delegations.applications": Damage(f"""
        UPDATE delegation_edges e SET issuer_application_id = (SELECT min(id) FROM applications a
         WHERE a.zone_id = e.zone_id AND a.archived_at IS NOT NULL) WHERE id = {LONE_EDGE}"""),
    "delegations.parent": Damage(f"UPDATE delegation_edges SET parent_edge_id = id WHERE id = {LONE_EDGE}"),
    "delegations.revoked_time": Damage(f"""{NO_CHECKS.format("delegation_edges")};
        UPDATE delegation_edges SET revoked_at = NULL WHERE id = {_one("delegation_edges", "status = 'revoked'")}"""),
    "delegations.active_under_revoked": Damage(f"""
        UPDATE delegation_edges SET status = 'revoked', revoked_at = now()
         WHERE id = {_one("delegation_edges", "status = 'active'", "parent_edge_id")}"""),
    "delegations.epoch": Damage(f"DELETE FROM delegation_graph_epochs WHERE zone_id = {FIRST_ZONE}"),
    "delegations.within_parent": Damage(f"""
        UPDATE delegation_edges SET scopes = scopes || '{{canary:write}}'
         WHERE id = {_one("delegation_edges", "parent_edge_id IS NOT NULL")}"""),
    "revocations.delegations": Damage(f"""
        UPDATE delegation_edges SET status = 'active', revoked_at = NULL
         WHERE id = {_one("delegation_edges", "status = 'revoked' AND parent_edge_id IS NULL")}""",
        frozenset({"delegations.revoked_active"}), later=True),
    "delegations.revoked_active": Damage(f"""
        UPDATE delegation_edges SET status = 'active', revoked_at = NULL
         WHERE id = {_one("delegation_edges", "status = 'revoked' AND parent_edge_id IS NULL")}"""),
    "revocations.grants": Damage("UPDATE delegated_grants SET status = 'active' WHERE status = 'revoked'", later=True),
    "revocations.admin_tokens": Damage("UPDATE admin_tokens SET revoked_at = NULL", later=True),
    "outboxes.api_dead": Damage("UPDATE event_outbox SET available_at = 'infinity' WHERE dispatched_at IS NULL"),
    "outboxes.coordinator_dead": Damage("UPDATE caracal_outbox SET status = 'dead' WHERE status = 'pending'"),
    "keys.zone_signing_key": Damage(f"DELETE FROM secrets WHERE zone_id = {LAST_ZONE}", frozenset({"keys.zone_signed"})),
    "keys.zone_signed": Damage(f"DELETE FROM secrets WHERE zone_id = {FIRST_ZONE}", frozenset({"keys.zone_signing_key"})),
    "times.waiting": Damage("UPDATE event_outbox SET locked_until = 'infinity' WHERE dispatched_at IS NULL AND available_at <> 'infinity'"),
    "times.ended": Damage("UPDATE admin_tokens SET revoked_at = '1970-01-01' WHERE revoked_at IS NOT NULL"),
    "forms.hashes": Damage(f"UPDATE applications SET client_secret_hash = 'argon2id$x' WHERE id = {_one('applications')}"),
    "forms.upstreams": Damage(f"UPDATE resources SET upstream_url = 'file:///etc/passwd' WHERE id = {_one('resources')}"),
    "foreign_keys.caracal": Damage(f"UPDATE delegated_grants SET zone_id = 'gone' WHERE id = {_one('delegated_grants')}"),
}  # fmt: skip

HELD = "ref LIKE '%/providers/%'"
LOGGED = frozenset({"admin_log.revoked"})
SECRET_STORE = {
    "admin_log.created": Damage("""
        INSERT INTO admin_audit_events SELECT (jsonb_populate_record(e, '{"id": "odd", "chain_seq": 99999, "entity_id": "gone"}')).*
          FROM admin_audit_events e WHERE method = 'POST' AND entity_type = 'applications' ORDER BY id LIMIT 1"""),
    "admin_log.revoked": Damage("UPDATE delegated_grants SET status = 'active' WHERE status = 'revoked'"),
    "revocations.grants": Damage("UPDATE delegated_grants SET status = 'active' WHERE status = 'revoked'", LOGGED, later=True),
    "revocations.admin_tokens": Damage("UPDATE admin_tokens SET revoked_at = NULL", LOGGED, later=True),
    "delegations.epoch_edges": Damage(
        f"DELETE FROM delegation_edges WHERE zone_id = {FIRST_ZONE}", frozenset({"delegations.announced"})),
    "admin_log.tokens": Damage("UPDATE admin_tokens SET created_by = 'admin:stranger' WHERE created_by = 'env-derived-write'"),
    "forms.audit_retention": Damage(f"{NO_CHECKS.format('audit_retention')}; UPDATE audit_retention SET retention_days = 0"),
    "delegations.announced": Damage(f"DELETE FROM delegation_edges WHERE id = {LONE_EDGE}"),
    "gateway_bindings.provider_secret": Damage(
        f"DELETE FROM secret_store WHERE ref = {_one('secret_store', HELD, 'ref')}"),
    "sessions.revoked_time": Damage("UPDATE authority_records SET revoked_at = NULL WHERE status = 'revoked'"),
    "keys.sealed_form": Damage(
        f"UPDATE secret_store SET envelope = '\\x00'::bytea || envelope WHERE ref = {_one('secret_store', column='ref')}"),
}  # fmt: skip

BARE = {
    "gateway_bindings.provider_secret": Damage(f"""
        UPDATE providers SET secret_config_ct = NULL, secret_config_nonce = NULL
         WHERE id = {_one("providers", "secret_config_ct IS NOT NULL")}"""),
    "gateway_bindings.application": Damage(f"UPDATE gateway_resource_bindings SET application_id = 'gone' WHERE ctid = {ONE_BINDING}"),
    "gateway_bindings.resource": Damage(f"""
        INSERT INTO gateway_resource_bindings (zone_id, resource_identifier, application_id, created_at, updated_at)
        SELECT zone_id, resource_identifier || '/gone', application_id, created_at, updated_at FROM gateway_resource_bindings
         WHERE ctid = {ONE_BINDING}"""),
    "gateway_bindings.bound": Damage(f"DELETE FROM gateway_resource_bindings WHERE ctid = {ONE_BINDING}"),
    "gateway_bindings.some_bound": Damage("DELETE FROM gateway_resource_bindings", frozenset({"gateway_bindings.bound"})),
    "gateway_bindings.revision": Damage("DELETE FROM gateway_binding_revision"),
    "gateway_bindings.revision_current": Damage(f"""
        UPDATE gateway_resource_bindings SET updated_at = now() + interval '1 day' WHERE ctid = {ONE_BINDING}"""),
    "keys.sealed_form": Damage(f"UPDATE secrets SET nonce = nonce || '\\x00' WHERE id = {_one('secrets')}"),
}  # fmt: skip


def _agents(agents: str, subjects: str, subject: str) -> dict[str, Damage]:
    free = "NOT EXISTS (SELECT FROM delegation_edges e WHERE a.id IN (e.source_session_id, e.target_session_id))"
    lone, ended = _one(f"{agents} a", free), _one(f"{agents} a", f"{free} AND a.terminated_at IS NOT NULL")
    child, grandchild = _one(subjects, "parent_id IS NOT NULL"), _one(agents, "depth = 2 AND status = 'terminated'")
    revoked, unchecked = _one(subjects, "status = 'revoked'"), NO_CHECKS.format(agents)
    return {
        "sessions.zone": Damage(f"UPDATE {subjects} SET zone_id = 'gone' WHERE id = {child}", KEYS | {"sessions.parent_zone"}),
        "sessions.parent": Damage(f"UPDATE {subjects} SET parent_id = 'gone' WHERE id = {child}", KEYS),
        "sessions.parent_zone": Damage(f"""
            UPDATE {subjects} a SET parent_id = (SELECT min(id) FROM {subjects} o WHERE o.zone_id <> a.zone_id) WHERE id = {child}"""),
        "sessions.revoked_active": Damage(f"UPDATE {subjects} SET status = 'active' WHERE id = {revoked}"),
        "times.expiry": Damage(f"UPDATE {subjects} SET expires_at = 'infinity' WHERE id = {child}"),
        "agents.spawned": Damage(f"DELETE FROM caracal_outbox WHERE dedupe_key = 'spawn:' || {_one(agents, 'depth = 2')}"),
        "agents.application": Damage(f"UPDATE {agents} SET application_id = 'gone' WHERE id = {lone}", KEYS),
        "agents.subject": Damage(f"UPDATE {agents} SET {subject} = 'gone' WHERE id = {lone}", KEYS),
        "agents.parent": Damage(
            f"UPDATE {agents} SET parent_id = 'gone' WHERE id = {grandchild}",
            KEYS | {"agents.depth", "agents.topology", "agents.topology_true"}),
        "agents.ended_time": Damage(f"{unchecked}; UPDATE {agents} SET terminated_at = NULL WHERE id = {ended}"),
        "agents.depth": Damage(f"UPDATE {agents} SET depth = 7 WHERE id = {_one(agents, 'depth = 2')}"),
        "agents.child_count": Damage(f"UPDATE {agents} SET child_count = 9 WHERE id = {_one(agents, 'depth = 0 AND child_count > 0')}"),
        "agents.topology": Damage(f"DELETE FROM agent_topology WHERE child_id = {_one('agent_topology', column='child_id')}"),
        "agents.topology_true": Damage(f"INSERT INTO agent_topology SELECT min(id), max(id) FROM {agents} WHERE parent_id IS NULL"),
        "agents.live_under_ended": Damage(f"""{unchecked};
            UPDATE {agents} SET status = 'terminated', terminated_at = now() WHERE id = {_one(agents, 'depth = 0 AND child_count > 0')}"""),
        "revocations.subject_sessions": Damage(
            f"UPDATE {subjects} SET status = 'active' WHERE id = {revoked}", frozenset({"sessions.revoked_active"}), later=True),
        "revocations.agents": Damage(f"""{unchecked};
            UPDATE {agents} SET status = 'active', terminated_at = NULL WHERE id = {ended}""",
            frozenset({"agents.terminated_active"}), later=True),
        "agents.terminated_active": Damage(f"""{unchecked};
            UPDATE {agents} SET status = 'active', terminated_at = NULL WHERE id = {ended}"""),
    }  # fmt: skip


def of(release: str) -> dict[str, Damage]:
    """Return every piece of damage that is possible in the release."""
    if RELEASES[release].family == ZONE_KEK:
        found = {**COMMON, **BARE, **_agents("agent_sessions", "sessions", "subject_session_id")}
    else:
        found = {**COMMON, **SECRET_STORE, **_agents("sessions", "authority_records", "subject_authority_record_id")}
    if release != "2026-06-04":
        found["audit_query.rehash_marker"] = Damage("DELETE FROM audit_chain_rehash")
        found["admin_log.begins"] = Damage(f"DELETE FROM admin_audit_events WHERE chain_seq = 1 AND zone_id = {FIRST_ZONE}")
    if release == "v1.0.0":
        found["audit_query.webhook_cursor"] = Damage("UPDATE notification_sinks SET cursor_chain_seq = cursor_chain_seq + 1")
    return found
