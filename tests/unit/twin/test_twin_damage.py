# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each invariant is found broken when it is: one piece of damage, one name, nothing else."""

from __future__ import annotations

import re
import typing as t

import pytest

from twin import invariants, keys, recompute
from twin.spec import Spec

ANY_EVENT = "WHERE id = (SELECT id FROM audit_events WHERE chain_seq = 20 LIMIT 1)"
STRANGER = "(id, zone_id, event_type, occurred_at, chain_seq) VALUES ('x', 'nope', 'x', {}, 1)"

DAMAGE = {
    "trigger switched off": "ALTER TABLE policy_versions DISABLE TRIGGER policy_versions_immutable",
    "index unusable": "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'zones_active_idx'::regclass",
    "row security off": "ALTER TABLE secrets DISABLE ROW LEVEL SECURITY",
    "audit can be changed": "GRANT DELETE ON audit_events TO caracalaudit",
    "service role too strong": "ALTER ROLE caracalapi BYPASSRLS",
    "service role owns a table": "ALTER TABLE zones OWNER TO caracalapi",
    "leaf with rights": "GRANT SELECT ON audit_events_default TO caracalapi",
    "definer function for all": "GRANT EXECUTE ON FUNCTION audit_partition_drop TO PUBLIC",
    "no pgcrypto": "DROP EXTENSION pgcrypto",
    "not UTC": "SET LOCAL TimeZone = 'Asia/Kolkata'",
    "sequence behind": "ALTER SEQUENCE audit_ingest_alerts_id_seq RESTART WITH 1",
    "month without a leaf": "SELECT audit_partition_drop(to_char(now() + interval '2 months', '\"audit_events_y\"YYYY\"m\"MM'))",
    "active version of another set": """
        UPDATE policy_set_bindings b SET active_version_id = (
          SELECT v.id FROM policy_set_versions v JOIN policy_sets s ON s.id = policy_set_id
         WHERE s.zone_id = b.zone_id AND s.id <> b.policy_set_id LIMIT 1) WHERE active_version_id IS NOT NULL""",
    "archived set active": """
        UPDATE policy_sets SET archived_at = now() WHERE id = (SELECT policy_set_id FROM policy_set_bindings
         WHERE active_version_id IS NOT NULL LIMIT 1)""",
    "not exactly one active set": "UPDATE policy_set_bindings SET active_version_id = NULL",
    "set without binding": "DELETE FROM policy_set_bindings WHERE active_version_id IS NULL",
    "content digest": "UPDATE policy_versions SET content = content || ' '",
    "manifest digest": "UPDATE policy_set_versions SET manifest_sha256 = repeat('0', 64)",
    "versions with a gap": "DELETE FROM policy_set_versions WHERE version = 1",
    "live resource, dead provider": "UPDATE providers SET archived_at = now()",
    "provider without its secret": "DELETE FROM secret_store WHERE ref LIKE '%/providers/%'",
    "revoked authority without time": "UPDATE authority_records SET revoked_at = NULL",
    "agent child count": "UPDATE sessions SET child_count = 9 WHERE depth = 0",
    "topology differs": "DELETE FROM agent_topology",
    "edge with another application": """
        UPDATE delegation_edges e SET issuer_application_id = (SELECT id FROM applications a
         WHERE a.zone_id = e.zone_id AND a.archived_at IS NOT NULL)""",
    "active edge under a revoked one": "UPDATE delegation_edges SET status = 'revoked', revoked_at = now() WHERE parent_edge_id IS NULL",
    "epoch too low": "UPDATE delegation_graph_epochs SET epoch = 1",
    "epoch missing": "DELETE FROM delegation_graph_epochs",
    "audit chain": f"DELETE FROM audit_events {ANY_EVENT}",
    "audit content": f"UPDATE audit_events SET decision = 'deny!' {ANY_EVENT}",
    "no re-hash marker": "DELETE FROM audit_chain_rehash",
    "admin chain": "UPDATE admin_audit_events SET prev_content_sha256 = 'x' WHERE chain_seq = 2",
    "watermark": "UPDATE audit_export_watermark SET last_exported_hour = last_exported_hour + interval '7 minutes'",
    "zone without a signing key": "DELETE FROM secrets",
    "sealed value malformed": "UPDATE secret_store SET envelope = '\\x00'::bytea || envelope",
    "rows in the default leaf": f"INSERT INTO audit_events_default {STRANGER.format('to_timestamp(0)')}",
    "audit zone unknown": f"INSERT INTO audit_events {STRANGER.format('now()')}",
    "leaf with odd bounds": """
        SELECT audit_partition_ensure('2040-01-01'); ALTER TABLE audit_events_y2040m01 RENAME TO audit_events_y2040m02""",
    "binding across zones": """
        INSERT INTO policy_set_bindings (zone_id, policy_set_id) SELECT z.id, s.id FROM zones z JOIN policy_sets s ON s.zone_id <> z.id""",
    "manifest names a stranger": "DELETE FROM policy_versions WHERE version = 1",
    "authority parent elsewhere": """
        UPDATE authority_records a SET parent_id = (SELECT min(id) FROM authority_records o WHERE o.zone_id <> a.zone_id)
         WHERE parent_id IS NOT NULL""",
    "agent depth": "UPDATE sessions SET depth = 7 WHERE depth = 2",
    "live agent under an ended one": "UPDATE sessions SET status = 'terminated', terminated_at = now() WHERE child_count > 0",
    "edge chain broken": "UPDATE delegation_edges SET parent_edge_id = id WHERE parent_edge_id IS NOT NULL",
    "audit order": f"UPDATE audit_events SET ingested_at = ingested_at - interval '1 day' {ANY_EVENT}",
    "sent frame not landed": """
        UPDATE event_outbox SET payload_json = payload_json || '{"data": "{}"}' WHERE stream_name = 'caracal.audit.events'""",
    "more than one KEK": "UPDATE secret_store SET envelope = overlay(envelope PLACING '\\xffff'::bytea FROM 5)",
}
# What one piece of damage cannot help breaking as well.
ALSO = {
    "sealed value malformed": {"more than one KEK"},
    "not UTC": {"leaf with odd bounds"},
    "rows in the default leaf": {"audit zone unknown", "audit content"},
    "audit zone unknown": {"audit content"},
}


def test_every_invariant_has_its_damage() -> None:
    assert set(DAMAGE) == set(invariants.INVARIANTS)


@pytest.mark.mutation
@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_found_by_its_name(database: t.Any, name: str) -> None:
    with database.cursor() as cursor:
        # As whoever restores with the triggers off: constraints do not protect.
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(DAMAGE[name])
    assert set(invariants.violations(database)) == {name} | ALSO.get(name, set())


@pytest.mark.mutation
def test_a_row_without_its_parent_is_found(database: t.Any) -> None:
    with database.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("DELETE FROM notification_sinks")
    assert set(invariants.orphans(database)) == {"notification_deliveries_sink_id_fkey"}


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (f"UPDATE audit_events SET metadata_json = '{{}}' {ANY_EVENT}", "event .*: content"),
        (f"UPDATE audit_events SET chain_hmac = repeat('0', 64) {ANY_EVENT}", "event .*: hmac"),
        ("UPDATE admin_audit_events SET actor_name = 'x' WHERE zone_id = 'nope' AND chain_seq = 1", "admin event .*: content"),
        ("UPDATE admin_audit_events SET chain_hmac = 'x' WHERE zone_id = 'nope' AND chain_seq = 1", "admin event .*: hmac"),
        (
            "UPDATE secrets SET envelope = set_byte(envelope, 90, 1 + get_byte(envelope, 90) % 255) WHERE version = 2",
            "envelope .*: damaged",
        ),
        (
            "UPDATE secrets SET envelope = set_byte(envelope, 5, 1 + get_byte(envelope, 5) % 255) WHERE version = 2",
            "envelope .*: sealed under another KEK",
        ),
        (
            'UPDATE event_outbox SET payload_json = payload_json || \'{"data": "{}"}\' WHERE id = '
            "(SELECT min(id) FROM event_outbox WHERE payload_json ? 'sig')",
            "frame .*: signature",
        ),
    ],
)
def test_damage_that_needs_the_keys_is_found(database: t.Any, spec: Spec, damage: str, fault: str) -> None:
    with database.cursor() as cursor:
        cursor.execute(damage)
        assert cursor.rowcount == 1
    _, faults = recompute.faults(database, keys.for_seed(spec.seed))
    (line,) = faults
    assert re.fullmatch(fault, line)
