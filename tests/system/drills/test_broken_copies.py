# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copies that differ from the set, after an incomplete restore or a change. The drill reports the difference and its cause."""

from __future__ import annotations

import dataclasses

import pytest

from scenes import copy_damages
from scenes.drilling import Drill


@dataclasses.dataclass(frozen=True)
class Case:
    """The expected results of damage to a copy (`copy_damages`): the required checks that fail, and all reported causes."""

    failed: set[str]
    causes: tuple[str, ...]


def case(failed: str, *causes: str) -> Case:
    """Return a case. `failed` has the names of checks with blanks between them; `i.` and `s.` are short for the database's prefixes.

    A changed definition also changes the text of `pg_dump`, which is compared too.
    """
    short = {"i": "inventory.caracal", "s": "schema.caracal"}
    parts = [one.partition(".") for one in failed.split()]
    names = {f"{short.get(head, head)}.{rest}" for head, _dot, rest in parts}
    if names & {"inventory.caracal.schema", "inventory.caracal.grants"}:
        names.add("inventory.caracal.schema_dump")
    return Case(names, causes)


AGENTS = "i.tables i.state state.agents.topology_true state.delegations.ends state.foreign_keys.caracal state.revocations.agents"
NEWER = {
    "a migration is missing": case("i.tables i.migrations migrations.versions", "schema.migrations"),
    "a migration is unknown": case("i.tables i.migrations migrations.versions", "schema.migrations"),
    "a table is emptied": case("i.tables state.foreign_keys.caracal", "inventory.emptied"),
    "agents are gone": case(AGENTS, "inventory.emptied"),
    "delegations are gone": case("i.tables i.state state.revocations.delegations", "inventory.emptied"),
    "a revocation is undone": case(
        "i.tables i.state state.revocations.subject_sessions state.sessions.revoked_active", "revocation.incomplete", "inventory.differs"),
    "an admin token is valid again": case(
        "i.tables i.state state.revocations.admin_tokens state.admin_log.revoked", "revocation.incomplete", "inventory.differs"),
    "row security is off": case("i.schema s.row_security", "schema.differs"),
    "the row policy lets all through": case("i.schema s.row_security", "schema.differs"),
    "a trigger is off": case("i.schema s.triggers s.function_effects", "schema.differs"),
    "an index is gone": case("i.schema s.indexes", "schema.differs"),
    "an index is unusable": case("i.schema s.indexes", "schema.differs"),
    "a column is gone": case("i.tables i.schema s.columns s.indexes drill.keys", "schema.differs", "inventory.differs"),
    "a grant is lost": case("i.grants s.grants", "schema.differs"),
    "every role may read": case("i.grants s.grants", "schema.differs"),
    "the audit role may delete": case("i.grants s.grants s.audit_rights", "schema.differs"),
    "a function of its owner is for all": case("i.grants s.functions", "schema.differs"),
    "a sequence is behind": case("i.sequences s.sequence_values", "schema.differs", "inventory.differs"),
    "a service role is too strong": case("inventory.roles schema.roles", "schema.differs"),
    "a signing key is gone": case("i.tables i.state state.keys.zone_signed", "keys.signing_key_gone", "inventory.differs"),
    "one zone's signing key is another's": case("i.tables envelopes.signing_keys", "keys.copied", "inventory.differs"),
    "a sealed value is damaged": case("i.tables envelopes.secret_store.envelope", "kek.damaged", "inventory.differs"),
    "the rehash marker is gone": case(
        "i.tables state.audit_query.rehash_marker audit.rehash_marker", "inventory.emptied", "chain.rehash"),
}  # fmt: skip
OLDER = {
    "a binding is gone": case("i.tables", "gateway.bindings"),
    "the row with the revision is gone": case(
        "i.tables i.state state.gateway_bindings.revision", "inventory.emptied", "gateway.revision_gone"),
    "agents are gone": case(AGENTS, "inventory.emptied"),
    "a signing key is gone": case("i.tables i.state state.keys.zone_signed", "keys.signing_key_gone", "inventory.differs"),
}  # fmt: skip


def check(made: Drill, sql: str, wanted: Case) -> None:
    made.after["restore"] = lambda: made.damage(sql)
    outcome = made.run(until="keys")
    assert (outcome.verdict, outcome.failed) == ("fail", wanted.failed), outcome.summary()
    assert tuple(outcome.causes) == wanted.causes, outcome.summary()


@pytest.mark.mutation
@pytest.mark.parametrize("name", NEWER)
def test_drill_reports_damage_to_a_copy_of_the_newer_family(store_drill: Drill, name: str) -> None:
    check(store_drill, copy_damages.NEWER[name], NEWER[name])


@pytest.mark.mutation
@pytest.mark.parametrize("name", OLDER)
def test_drill_reports_damage_to_a_copy_of_the_older_family(bare_drill: Drill, name: str) -> None:
    check(bare_drill, copy_damages.OLDER[name], OLDER[name])
