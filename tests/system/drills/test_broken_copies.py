# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copies that are not what the set holds: a restore that lost something, or somebody who changed it. The drill says which, and why."""

from __future__ import annotations

import dataclasses

import pytest

from scenes.drilling import Drill

FIRST_ZONE, LAST_ZONE = "(SELECT min(id) FROM zones)", "(SELECT max(id) FROM zones)"


@dataclasses.dataclass(frozen=True)
class Case:
    """Done to the copy after the restore; the required checks that must fail, and all causes that must be named."""

    sql: str
    failed: set[str]
    causes: tuple[str, ...]


def case(sql: str, failed: str, *causes: str) -> Case:
    """`failed` has the names of checks with blanks between them; `i.` and `s.` are short for those of the database.

    What changes a definition changes the text of `pg_dump` too, which is compared besides.
    """
    short = {"i": "inventory.caracal", "s": "schema.caracal"}
    parts = [one.partition(".") for one in failed.split()]
    names = {f"{short.get(head, head)}.{rest}" for head, _dot, rest in parts}
    if names & {"inventory.caracal.schema", "inventory.caracal.grants"}:
        names.add("inventory.caracal.schema_dump")
    return Case(sql, names, causes)


AGENTS = "i.tables i.state state.agents.topology_true state.delegations.ends state.foreign_keys.caracal state.revocations.agents"
NEWER = {
    "a migration is missing": case(
        "DELETE FROM schema_migrations WHERE version = '0003_operator_run_token_usage'",
        "i.tables i.migrations migrations.versions", "schema.migrations"),
    "a migration is unknown": case(
        "INSERT INTO schema_migrations (version) VALUES ('0099_of_tomorrow')",
        "i.tables i.migrations migrations.versions", "schema.migrations"),
    "a table is emptied": case("DELETE FROM resources", "i.tables state.foreign_keys.caracal", "inventory.emptied"),
    "agents are gone": case("DELETE FROM sessions", AGENTS, "inventory.emptied"),
    "delegations are gone": case(
        "DELETE FROM delegation_edges", "i.tables i.state state.revocations.delegations", "inventory.emptied"),
    "a revocation is undone": case(
        "UPDATE authority_records SET status = 'active', revoked_at = NULL WHERE status = 'revoked'",
        "i.tables i.state state.revocations.subject_sessions state.sessions.revoked_active", "revocation.incomplete", "inventory.differs"),
    "an admin token is no longer revoked": case(
        "UPDATE admin_tokens SET revoked_at = NULL",
        "i.tables i.state state.revocations.admin_tokens", "revocation.incomplete", "inventory.differs"),
    "row security is off": case("ALTER TABLE secrets DISABLE ROW LEVEL SECURITY", "i.schema s.row_security", "schema.differs"),
    "the row policy lets all through": case(
        "ALTER POLICY zone_isolation ON secrets USING (true) WITH CHECK (true)", "i.schema s.row_security", "schema.differs"),
    "a trigger is off": case(
        "ALTER TABLE policy_versions DISABLE TRIGGER policy_versions_immutable", "i.schema s.triggers", "schema.differs"),
    "an index is gone": case("DROP INDEX zones_active_idx", "i.schema s.indexes", "schema.differs"),
    "an index is unusable": case(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'zones_active_idx'::regclass",
        "i.schema s.indexes", "schema.differs"),
    "a column is gone": case(
        "ALTER TABLE zones DROP COLUMN archived_at CASCADE",
        "i.tables i.schema s.columns s.indexes drill.keys", "schema.differs", "inventory.differs"),
    "a grant is lost": case("REVOKE SELECT ON zones FROM caracalsts", "i.grants s.grants", "schema.differs"),
    "everybody may read": case("GRANT SELECT ON secrets TO PUBLIC", "i.grants s.grants", "schema.differs"),
    "the audit role may delete": case(
        "GRANT DELETE ON audit_events TO caracalaudit", "i.grants s.grants s.audit_rights", "schema.differs"),
    "a function of its owner is for all": case(
        "GRANT EXECUTE ON FUNCTION audit_partition_drop TO PUBLIC", "i.grants s.functions", "schema.differs"),
    "a sequence is behind": case(
        "ALTER SEQUENCE audit_ingest_alerts_id_seq RESTART WITH 1",
        "i.sequences s.sequence_values", "schema.differs", "inventory.differs"),
    "a service role is too strong": case(
        "ALTER ROLE caracalapi BYPASSRLS", "inventory.roles schema.roles", "schema.differs"),
    "a signing key is gone": case(
        f"DELETE FROM secrets WHERE zone_id = {LAST_ZONE}", "i.tables i.state state.keys.zone_signed",
        "keys.signing_key_gone", "inventory.differs"),
    "one zone's signing key is another's": case(
        f"UPDATE secrets s SET envelope = o.envelope FROM secrets o WHERE s.zone_id = {FIRST_ZONE} AND o.zone_id = {LAST_ZONE}",
        "i.tables envelopes.signing_keys", "keys.copied", "inventory.differs"),
    "a sealed value is damaged": case(
        """UPDATE secret_store SET envelope = set_byte(envelope, length(envelope) - 1, get_byte(envelope, length(envelope) - 1) # 1)
            WHERE ref = (SELECT min(ref) FROM secret_store WHERE ref LIKE '%/providers/%')""",
        "i.tables envelopes.secret_store.envelope", "kek.damaged", "inventory.differs"),
    "the rehash marker is gone": case(
        "DELETE FROM audit_chain_rehash",
        "i.tables state.audit_query.rehash_marker audit.rehash_marker", "inventory.emptied", "chain.rehash"),
}  # fmt: skip
OLDER = {
    "a binding is gone": case(
        "DELETE FROM gateway_resource_bindings WHERE ctid = (SELECT min(ctid) FROM gateway_resource_bindings)",
        "i.tables", "gateway.bindings"),
    "the row with the revision is gone": case(
        "DELETE FROM gateway_binding_revision",
        "i.tables i.state state.gateway_bindings.revision", "inventory.emptied", "gateway.revision_gone"),
    "agents are gone": case("DELETE FROM agent_sessions", AGENTS, "inventory.emptied"),
    "a signing key is gone": case(
        f"DELETE FROM secrets WHERE zone_id = {LAST_ZONE}", "i.tables i.state state.keys.zone_signed",
        "keys.signing_key_gone", "inventory.differs"),
}  # fmt: skip


def check(made: Drill, wanted: Case) -> None:
    made.after["restore"] = lambda: made.damage(wanted.sql)
    outcome = made.run(until="keys")
    assert (outcome.verdict, outcome.failed) == ("fail", wanted.failed), outcome.told()
    assert tuple(outcome.causes) == wanted.causes, outcome.told()


@pytest.mark.mutation
@pytest.mark.parametrize("name", NEWER)
def test_a_copy_of_the_newer_family(store_drill: Drill, name: str) -> None:
    check(store_drill, NEWER[name])


@pytest.mark.mutation
@pytest.mark.parametrize("name", OLDER)
def test_a_copy_of_the_older_family(bare_drill: Drill, name: str) -> None:
    check(bare_drill, OLDER[name])
