# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import required
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, NOT_APPLICABLE, PASS, UNPROVEN, Check, overall

DATABASES = ("caracal", "caracal_auth")


def made(*left_out: str) -> list[Check]:
    return [Check(one, PASS, "well") for one in sorted(required.required(DATABASES)) if one not in left_out]


@pytest.mark.no_false_alarm
def test_a_drill_that_made_every_check_is_complete() -> None:
    found = required.complete(made(), DATABASES)
    assert (found[-1].id, found[-1].verdict) == ("drill.complete", PASS)
    assert overall(found) == PASS


@pytest.mark.mutation
@pytest.mark.parametrize("left_out", sorted(required.required(DATABASES)))
def test_a_check_that_was_left_out_is_named_and_proves_nothing(left_out: str) -> None:
    found = required.complete(made(left_out), DATABASES)
    assert found[-1].message.endswith(f"first: {left_out}")
    assert overall(found) == UNPROVEN


@pytest.mark.mutation
@pytest.mark.parametrize("verdict", [FAIL, UNPROVEN])
def test_nobody_can_declare_a_required_check_unimportant(verdict: str) -> None:
    checks = [*made("journal.chain"), Check("journal.chain", verdict, "bad", required=False)]
    assert overall(checks) == PASS
    assert overall(required.complete(checks, DATABASES)) == verdict


def test_what_is_asked_depends_on_what_the_set_holds() -> None:
    assert required.required([]) == set(required.SET)
    assert not {"inventory.caracal_auth.state", "audit.links"} & required.required(["caracal_auth"])
    assert {"inventory.caracal.state", "audit.links"} <= required.required(["caracal"])
    other = Check("inventory.caracal_auth.state", NOT_APPLICABLE, "nothing", required=False)
    assert required.complete([*made(), other], DATABASES)[-2] == other


def test_what_holds_in_every_healthy_caracal_is_asked_by_family_and_release() -> None:
    def state(*given: str | None) -> set[str]:
        return {one for one in required.required(DATABASES, *given) if one.startswith("state.")}

    assert not state() and not required.required(["caracal_auth"], "secret_store", "v1.0.0") & state("secret_store", "v1.0.0")
    newer, older, oldest = state("secret_store", "v1.0.0"), state("zone_kek", "v2026.06.21"), state("zone_kek", "2026-06-04")
    assert {"state.foreign_keys.zone_owners", "state.foreign_keys.caracal_auth", "state.policy_activation.one_active_set"} <= newer
    assert {"state.gateway_bindings.revision", "state.audit_query.rehash_marker"} <= older and newer - older and older - newer
    # A warning there, or nothing that the release has.
    assert not {"state.policy_activation.one_active_set", "state.foreign_keys.zone_owners", "state.outboxes.api_dead"} & older
    assert older - oldest == {"state.audit_query.rehash_marker"}
    assert state("zone_kek", None) == older


@pytest.mark.mutation
def test_a_rule_that_was_not_looked_up_proves_nothing() -> None:
    family, release = "secret_store", "v1.0.0"
    checks = [Check(one, PASS, "well") for one in sorted(required.required(DATABASES, family, release))]
    assert overall(required.complete(checks, DATABASES, family, release)) == PASS
    left = [check for check in checks if check.id != "state.agents.depth"]
    found = required.complete(left, DATABASES, family, release)
    assert found[-1].message.endswith("first: state.agents.depth") and overall(found) == UNPROVEN
