# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The diagnosis from real checks of a real copy: none if the copy is whole, otherwise the cause of the damage."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible.boundary import Invocation, complete
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.causes import diagnosis
from ansible_collections.caracal_ops.backup.plugins.module_utils._checks import envelope_verify as envelope_case
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import Check
from ansible_collections.caracal_ops.backup.plugins.modules import envelope_verify
from scenes.fixtures import Committed, Copy
from twin import keys

FREELY = "SET session_replication_role = replica"
STATE, CHAIN, SCHEMA, ENVELOPES = "state_verify", "audit_chain_verify", "migration_verify", "envelope_verify"


def envelopes(copy: Copy, kek: str) -> list[dict[str, t.Any]]:
    usual = {"login_host": copy.info.socket_dir, "login_port": copy.info.port, "login_user": copy.info.superuser}
    checked = complete(envelope_verify.Options, {**usual, "kek": kek, "require_valid": False})
    found = envelope_case.run(Invocation(checked, False, lambda _text: None))
    return t.cast("list[dict[str, t.Any]]", found["checks"])


def look(committed: Committed, copy: Copy, *modules: str, kek: str | None = None, audit_key: str | None = None) -> list[Check]:
    """Run some modules on the copy and return their checks, as a drill does."""
    right, found = keys.for_seed(copy.spec.seed), []
    files = keys.files(committed.scene.root, audit_key or right.audit_hmac_key.hex())
    given: dict[str, dict[str, t.Any]] = {
        STATE: {"audit_rows": False},
        CHAIN: {"audit_hmac_key_files": files, "audit_retention_days": 36500},
        SCHEMA: {},
    }
    for module in modules:
        if module == ENVELOPES:
            found += envelopes(copy, kek or right.secret_store_kek.hex())
        else:
            called = committed.scene.call(module, sandbox=copy.info.directory, require_valid=False, **given[module])
            found += called["checks"]
    return [Check(**check) for check in found]


@pytest.mark.no_false_alarm
def test_a_whole_copy_has_no_cause(committed: Committed, restored: Copy) -> None:
    checks = look(committed, restored, STATE, CHAIN, SCHEMA, ENVELOPES)
    assert len(checks) > 80 and {check.verdict for check in checks} >= {"pass", "not_applicable"}
    assert diagnosis.diagnose(checks) == []


BROKEN = {
    "a migration": (["DELETE FROM schema_migrations WHERE version = (SELECT max(version) FROM schema_migrations)"], "schema.migrations"),
    "a trigger": (["ALTER TABLE policy_versions DISABLE TRIGGER policy_versions_immutable"], "schema.differs"),
    "row security": (["ALTER TABLE sessions DISABLE ROW LEVEL SECURITY"], "schema.differs"),
    "a grant": (["REVOKE SELECT ON zones FROM caracalsts"], "schema.differs"),
    "signing keys": ([FREELY, "DELETE FROM secrets"], "keys.signing_key_gone"),
    "agents": ([FREELY, "DELETE FROM sessions"], "inventory.emptied"),
    "a zone": ([FREELY, "UPDATE zones SET name = name || 'x'"], "inventory.differs"),
    "the policy that is active": (
        [FREELY, "UPDATE policy_set_bindings SET active_version_id = 'none' WHERE active_version_id IS NOT NULL"],
        "policy.activation",
    ),
}


@pytest.mark.mutation
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_copy_has_its_cause(name: str, committed: Committed, restored: Copy) -> None:
    statements, cause = BROKEN[name]
    try:
        restored.execute(*statements)
        found = diagnosis.diagnose(look(committed, restored, STATE, SCHEMA))
    finally:
        restored.reset("caracal")
    assert found[0].id == cause, [one.to_result() for one in found]


@pytest.mark.mutation
def test_distinguishes_wrong_keys_from_damage(committed: Committed, restored: Copy) -> None:
    given, other = "5a9f1c" * 10 + "77b1", "9c31d7" * 10 + "40ff"
    (kek,) = diagnosis.diagnose(look(committed, restored, ENVELOPES, kek=given))
    sealed = keys.for_seed(restored.spec.seed).kek_id.hex()
    assert kek.id == "kek.wrong" and kek.cause.endswith(f", but the rows are sealed under {sealed}")
    (audit,) = diagnosis.diagnose(look(committed, restored, CHAIN, audit_key=other))
    assert audit.id == "audit_key.wrong"
    (both,) = diagnosis.diagnose(look(committed, restored, CHAIN, ENVELOPES, kek=given, audit_key=other))
    assert both.id == "secrets.other" and sealed in both.cause
