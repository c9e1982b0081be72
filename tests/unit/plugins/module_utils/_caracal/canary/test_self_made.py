# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A canary that we create: every API step in both families, and the name of a failed step."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.canary import self_made
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.canary.asking import API, STS, Answer, Refused
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.canary.dialect import Dialect
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.releases import SECRET_STORE, ZONE_KEK
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, PASS
from scenes.scripted_services import ADMIN_TOKEN, Line, Script, services

NEW, MIDDLE, OLD = Dialect(SECRET_STORE, True), Dialect(ZONE_KEK, True), Dialect(ZONE_KEK, False)
Z = "/v1/zones/z-1"
STATUS_URL = f"{Z}/policy-sets/s-1/activation-status?version_id=v-1&outbox_id=o-1"
# The bodies have the fields of the product's answers that are read.
STEPS = {
    "zone": Line(API, "POST", "/v1/zones", 201, {"id": "z-1", "name": "canary", "slug": "canary"}),
    "application": Line(API, "POST", f"{Z}/applications", 201, {"id": "a-1", "zone_id": "z-1", "client_secret": "cs_made"}),
    "provider": Line(API, "POST", f"{Z}/providers", 201, {"id": "p-1", "identifier": "provider://canary", "kind": "none"}),
    "resource": Line(API, "POST", f"{Z}/resources", 201, {"id": "r-1", "identifier": self_made.RESOURCE}),
    # The first releases have no `version_id`.
    "policy": Line(API, "POST", f"{Z}/policies", 201, {"id": "y-1", "version": {"id": "yv-1", "version": 1}}),
    "policy set": Line(API, "POST", f"{Z}/policy-sets", 201, {"id": "s-1"}),
    "policy set version": Line(API, "POST", f"{Z}/policy-sets/s-1/versions", 201, {"id": "v-1", "version": 1}),
    "activation": Line(
        API, "POST", f"{Z}/policy-sets/s-1/activate", 202, {"activated": True, "version_id": "v-1", "status_url": STATUS_URL}
    ),
    "propagation": Line(API, "GET", STATUS_URL.replace("?", r"\?"), 200, {"active": True, "propagation_status": "loaded"}),
}
WAITING = Line(API, "GET", STATUS_URL.replace("?", r"\?"), 200, {"active": True, "propagation_status": "waiting_for_sts"})


def make(dialect: Dialect, *lines: Line) -> tuple[t.Any, list[str], Script]:
    zone: list[str] = []
    with services(*lines) as (asked, script):
        try:
            return self_made.make(asked, dialect, "http://127.0.0.1:1234/", zone), zone, script
        except Refused as exc:
            return exc, zone, script


def body(script: Script, path: str) -> t.Any:
    return next(one.json for one in script.asked if one.path == path)


@pytest.mark.parametrize("dialect", [NEW, MIDDLE, OLD])
def test_creates_a_canary_in_each_dialect(dialect: Dialect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_made, "_EVERY", 0.0)
    made, zone, script = make(dialect, *list(STEPS.values())[:-1], WAITING, WAITING, STEPS["propagation"])
    assert (made.zone, made.id, made.secret, made.resource, made.ours) == ("z-1", "a-1", "cs_made", self_made.RESOURCE, True)
    assert zone == ["z-1"] and list(STEPS) == list(self_made.STEPS)
    assert {one.headers["authorization"] for one in script.asked} == {f"Bearer {ADMIN_TOKEN}"}
    resource = body(script, f"{Z}/resources")
    assert resource["upstream_url"] == "http://127.0.0.1:1234/" and resource["credential_provider_id"] == "p-1"
    assert ("gateway_application_id" in resource) is (dialect is not NEW)
    assert ("operation_enforcement" in resource) is (dialect is not OLD)
    assert body(script, f"{Z}/policies")["content"] == self_made.policy(dialect, "a-1")
    assert body(script, f"{Z}/policy-sets/s-1/versions") == {"manifest": [{"policy_version_id": "yv-1"}]}
    assert [one.path for one in script.asked][-3:] == [STATUS_URL] * 3


@pytest.mark.mutation
@pytest.mark.parametrize("step", list(STEPS))
def test_a_step_that_fails_is_named(step: str) -> None:
    line = STEPS[step]
    broken = Line(line.service, line.method, line.path, 422, {"error": "invalid_thing", "error_description": "why"})
    refused, zone, script = make(NEW, *(broken if name == step else one for name, one in STEPS.items()))
    assert isinstance(refused, Refused) and refused.step == step
    assert zone == ([] if step == "zone" else ["z-1"]) and len(script.asked) == list(STEPS).index(step) + 1
    found = self_made.judge(refused, None)
    assert found.verdict == FAIL and f'{step}: api answered 422 invalid_thing "why"' in found.message
    assert found.details == {"service": "api", "status": 422, "error": "invalid_thing", "description": "why", "step": step}


@pytest.mark.mutation
def test_a_policy_without_a_version_is_a_failed_step() -> None:
    odd = Line(API, "POST", f"{Z}/policies", 201, {"id": "y-1"})
    refused, *_rest = make(NEW, *(odd if name == "policy" else one for name, one in STEPS.items()))
    assert refused.step == "policy"


@pytest.mark.mutation
def test_policy_that_is_never_loaded_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = Line(API, "GET", STATUS_URL.replace("?", r"\?"), 200, {"propagation_status": "failed"})
    refused, *_rest = make(NEW, *list(STEPS.values())[:-1], failed)
    assert refused.step == "propagation (failed)"
    monkeypatch.setattr(self_made, "LOADING_SECONDS", -1.0)
    refused, *_rest = make(NEW, *list(STEPS.values())[:-1], WAITING)
    assert refused.step == "propagation (waiting_for_sts)"


def test_policy_in_the_language_of_the_release() -> None:
    rego, data = self_made.policy(OLD, 'a"1'), self_made.policy(NEW, "a-1")
    assert rego.startswith("package caracal.authz\n") and 'input.principal.id == "a\\"1"' in rego
    assert 'default result := {"decision": "deny"' in rego and 'result := {"decision": "allow"' in rego
    assert data.startswith("# caracal:data-document\npackage caracal.authz\n") and 'app_ids := {"canary": "a-1"}' in data
    assert 'grants := {"resource://caracal-ops-canary": {"application": "canary", "roles": {"canary": ["canary:read"]}}}' in data
    assert self_made.policy(MIDDLE, "a-1") == data


@pytest.mark.mutation
@pytest.mark.parametrize(("status", "verdict"), [(204, PASS), (500, FAIL)])
def test_the_zone_is_removed(status: int, verdict: str) -> None:
    with services(Line(API, "DELETE", Z, status)) as (asked, _script):
        assert self_made.judge(None, self_made.remove(asked, "z-1")).verdict == verdict


APPLICATION = STEPS["application"]
DENIED = Line(STS, "POST", "/oauth/2/token", 403, {"error": "access_denied", "error_description": "policy denied"})


def test_restored_zone_denies_an_unknown_resource() -> None:
    with services(APPLICATION, DENIED) as (asked, script):
        made = self_made.probe(asked, "z-1")
    assert made.outcome == "denied" and "resource%3A%2F%2Fcaracal-ops-canary-nowhere" in script.asked[1].body


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("lines", "step"),
    [
        ([], "application in a restored zone"),
        ([APPLICATION, Line(STS, "POST", "/oauth/2/token", 500, {"error": "internal_error"})], "refusal by a restored zone"),
        ([APPLICATION, Line(STS, "POST", "/oauth/2/token", 200, {"access_token": "t"})], "refusal by a restored zone"),
    ],
)
def test_restored_zone_that_does_not_deny_fails(lines: list[Line], step: str) -> None:
    with services(*lines) as (asked, _script), pytest.raises(Refused) as raised:
        self_made.probe(asked, "z-1")
    assert raised.value.step == step and isinstance(raised.value.answer, Answer)
