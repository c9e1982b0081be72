# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API over restored data: zones, policies and audit events, in the list formats of every release."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.canary import api_checks
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.canary.asking import API
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.canary.facts import ActiveSet
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, PASS, UNPROVEN, Check
from scenes.scripted_services import Line, services

REFUSED = {"error": "invalid_admin_token"}


def zones(status: int, body: t.Any, known: t.Sequence[str]) -> Check:
    with services(Line(API, "GET", r"/v1/zones\?limit=500", status, body)) as (asked, _script):
        return api_checks.zones(asked, known)


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("body", [[{"id": "z-1"}], {"items": [{"id": "z-1"}], "next_cursor": None}])
def test_zones_are_listed(body: t.Any) -> None:
    # The product's own zone is not listed.
    assert zones(200, body, ["z-1", "caracal-sys-internal"]).verdict == PASS


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("status", "body", "known", "verdict", "words"),
    [
        (401, REFUSED, ["z-1"], FAIL, "invalid_admin_token"),
        (200, [], ["z-1"], FAIL, "none of the 1 zones"),
        (200, "no json", ["z-1"], FAIL, "none of the 1 zones"),
        (200, [{"id": "z-9"}], ["z-1"], FAIL, "another database"),
        (200, [], [], UNPROVEN, "no zone"),
    ],
)
def test_zones_missing_from_the_list_are_not_a_pass(status: int, body: t.Any, known: list[str], verdict: str, words: str) -> None:
    found = zones(status, body, known)
    assert found.verdict == verdict and words in found.message


ONE, TWO = ActiveSet("z-1", "s-1", "v-1"), ActiveSet("z-1", "s-2", "v-2")


def status(one: ActiveSet, state: str = "loaded", code: int = 200, sts: str = "loaded", **body: t.Any) -> Line:
    path = f"/v1/zones/{one.zone}/policy-sets/{one.policy_set}/activation-status"
    usual = {"active": True, "active_version_id": one.version, "propagation_status": state, "sts": {"state": sts}}
    return Line(API, "GET", path, code, {**usual, **body})


def policy(*lines: Line, sets: t.Sequence[ActiveSet] = (ONE,), seconds: float = 0.0) -> Check:
    with services(*lines) as (asked, _script):
        return api_checks.policy_active(asked, sets, seconds)


@pytest.mark.no_false_alarm
def test_policy_is_active_and_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_checks, "_EVERY", 0.0)
    assert policy(status(ONE)).verdict == PASS
    waiting = status(ONE, "waiting_for_sts", sts="not_loaded")
    assert policy(waiting, waiting, status(ONE), seconds=30).verdict == PASS
    # If a zone has several sets, the STS loads one.
    assert policy(status(ONE), status(TWO, "waiting_for_sts", sts="not_loaded"), sets=(ONE, TWO)).verdict == PASS


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("line", "words"),
    [
        (status(ONE, "waiting_for_sts", sts="not_loaded"), "the STS did not load it"),
        (status(ONE, active=False), "another active version"),
        (status(ONE, active_version_id="v-9"), "another active version"),
        (status(ONE, "failed", sts="failed"), "values of GATEWAY_STS_HMAC_KEY differ"),
        (status(ONE, "waiting_for_sts", sts="not_configured"), "it has no GATEWAY_STS_HMAC_KEY"),
        (status(ONE, "waiting_for_sts", sts="unreachable"), "the API cannot reach the STS"),
        (status(ONE, code=404, error="policy_set_binding_not_found"), "policy_set_binding_not_found"),
        (status(ONE, code=401, **REFUSED), "invalid_admin_token"),
    ],
)
def test_policy_that_is_not_in_force_fails(line: Line, words: str) -> None:
    found = policy(line)
    assert found.verdict == FAIL and words in found.message and "1 of 1" in found.message


def test_unproven_without_an_active_policy_set() -> None:
    assert policy(sets=()).verdict == UNPROVEN


def test_requests_stay_within_the_limit_of_the_api() -> None:
    sets = [ActiveSet(f"z-{number}", "s", "v") for number in range(300)]
    with services(Line(API, "GET", ".*", 200, {"active": True, "active_version_id": "v", "propagation_status": "loaded"})) as (
        asked,
        script,
    ):
        found = api_checks.policy_active(asked, sets, 0.0)
    assert len(script.asked) == 100 and found.verdict == PASS and found.message.startswith("100 of 300 ")


def audit(line: Line, newest: t.Mapping[str, str]) -> Check:
    with services(line) as (asked, script):
        found = api_checks.audit_query(asked, newest)
        assert all("since=2026-06-17T12%3A30%3A00.123Z" in one.path for one in script.asked)
    return found


NEWEST = {"z-1": "2026-06-17T12:30:00.123Z"}


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("body", [{"rows": [{"id": "e-1"}], "next_cursor": None}, {"items": [{"id": "e-1"}], "next_cursor": None}])
def test_audit_events_are_found(body: t.Any) -> None:
    assert audit(Line(API, "GET", "/v1/zones/z-1/audit.*", 200, body), NEWEST).verdict == PASS


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("status_code", "body", "newest", "verdict"),
    [(200, {"items": []}, NEWEST, FAIL), (500, {"error": "internal_error"}, NEWEST, FAIL), (200, {"items": []}, {}, UNPROVEN)],
)
def test_missing_audit_events_are_not_a_pass(status_code: int, body: t.Any, newest: dict[str, str], verdict: str) -> None:
    assert audit(Line(API, "GET", "/v1/zones/z-1/audit.*", status_code, body), newest).verdict == verdict
