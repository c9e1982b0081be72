# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import required
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, NOT_APPLICABLE, PASS, UNPROVEN, Check, overall

DATABASES = ("caracal", "caracal_auth")


def made(*left_out: str) -> list[Check]:
    return [Check(one, PASS, "well") for one in sorted(required.required(DATABASES)) if one not in left_out]


@pytest.mark.no_false_alarm
def test_drill_that_ran_every_check_is_complete() -> None:
    found = required.complete(made(), DATABASES)
    assert (found[-1].id, found[-1].verdict) == ("drill.complete", PASS)
    assert overall(found) == PASS


@pytest.mark.mutation
@pytest.mark.parametrize("left_out", sorted(required.required(DATABASES)))
def test_missing_check_is_named_and_makes_a_drill_unproven(left_out: str) -> None:
    found = required.complete(made(left_out), DATABASES)
    assert found[-1].message.endswith(f"first: {left_out}")
    assert overall(found) == UNPROVEN


@pytest.mark.mutation
@pytest.mark.parametrize("verdict", [FAIL, UNPROVEN])
def test_required_check_cannot_be_made_optional(verdict: str) -> None:
    checks = [*made("journal.chain"), Check("journal.chain", verdict, "bad", required=False)]
    assert overall(checks) == PASS
    assert overall(required.complete(checks, DATABASES)) == verdict


def test_probe_without_a_target_must_still_run() -> None:
    checks = [Check(one, PASS, "well") for one in sorted(required.required(DATABASES, "secret_store") - required.JUDGES_ITSELF)]
    nothing = [Check(one, UNPROVEN, "nothing was revoked", required=False) for one in required.JUDGES_ITSELF]
    assert overall(required.complete([*checks, *nothing], DATABASES, "secret_store")) == PASS
    assert overall(required.complete(checks, DATABASES, "secret_store")) == UNPROVEN


def test_required_checks_depend_on_the_contents_of_the_set() -> None:
    assert required.required([]) == set(required.VERIFY)
    assert required.by_step(DATABASES, images=True)["verify"] - required.by_step(DATABASES)["verify"] == {"images.kept"}
    assert overall(required.complete(made(), DATABASES, images=True)) == UNPROVEN
    assert not {"inventory.caracal_auth.state", "audit.links"} & required.required(["caracal_auth"])
    assert {"inventory.caracal.state", "audit.links"} <= required.required(["caracal"])
    other = Check("inventory.caracal_auth.state", NOT_APPLICABLE, "nothing", required=False)
    assert required.complete([*made(), other], DATABASES)[-2] == other


def test_required_rules_depend_on_family_and_release() -> None:
    def state(*given: str | None) -> set[str]:
        return {one for one in required.required(DATABASES, *given) if one.startswith("state.")}

    assert not state() and not required.required(["caracal_auth"], "secret_store", "v1.0.0") & state("secret_store", "v1.0.0")
    newer, older, oldest = state("secret_store", "v1.0.0"), state("zone_kek", "v2026.06.21"), state("zone_kek", "2026-06-04")
    assert {"state.foreign_keys.zone_owners", "state.foreign_keys.caracal_auth", "state.policy_activation.one_active_set"} <= newer
    assert {"state.gateway_bindings.revision", "state.audit_query.rehash_marker"} <= older and newer - older and older - newer
    # The first and third are warnings there, or the release does not have the feature.
    assert not {"state.policy_activation.one_active_set", "state.foreign_keys.zone_owners", "state.outboxes.api_dead"} & older
    assert older - oldest == {"state.audit_query.rehash_marker", "state.admin_log.begins"}
    assert state("zone_kek", None) == older


def test_drill_of_caracal_requires_services_and_canaries() -> None:
    newer, older = (required.by_step(DATABASES, family) for family in ("secret_store", "zone_kek"))
    assert {"sandbox.isolated", "services.sts.ready", "services.gateway.ready"} <= newer["services"] and newer["services"] == older[
        "services"
    ]
    assert newer["canary"] - older["canary"] == {"canary.refused.replayed_token"}
    assert "services.web.ready" not in newer["services"]
    assert not required.by_step(DATABASES).keys() & {"services", "canary", "keys"}


@pytest.mark.mutation
@pytest.mark.parametrize("step", sorted(required.by_step(DATABASES, "secret_store", "v1.0.0")))
def test_skipped_step_makes_the_drill_unproven(step: str) -> None:
    steps = required.by_step(DATABASES, "secret_store", "v1.0.0")
    done = [Check(one, PASS, "well") for name, ids in steps.items() if name != step for one in sorted(ids)]
    skipped = Check(f"drill.{step}", UNPROVEN, "not run: the step was skipped", required=False)
    found = required.complete([*done, skipped], DATABASES, "secret_store", "v1.0.0")
    assert found[-1].verdict == PASS and overall(found) == UNPROVEN
    claimed = dataclasses.replace(skipped, verdict=PASS)
    assert required.complete([*done, claimed], DATABASES, "secret_store", "v1.0.0")[-1].verdict == UNPROVEN


@pytest.mark.mutation
def test_missing_rule_makes_the_drill_unproven() -> None:
    family, release = "secret_store", "v1.0.0"
    checks = [Check(one, PASS, "well") for one in sorted(required.required(DATABASES, family, release))]
    assert overall(required.complete(checks, DATABASES, family, release)) == PASS
    left = [check for check in checks if check.id != "state.agents.depth"]
    found = required.complete(left, DATABASES, family, release)
    assert found[-1].message.endswith("first: state.agents.depth") and overall(found) == UNPROVEN
