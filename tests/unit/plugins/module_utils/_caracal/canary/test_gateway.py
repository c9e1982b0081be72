# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""the meaning of the Gateway's answers, and the requests that it must refuse."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.canary import gateway
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.canary.asking import COORDINATOR, GATEWAY, Answer, Refused
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.canary.dialect import Dialect
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.canary.exchange import Application
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.canary.gateway import Asked, Upstream
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.releases import SECRET_STORE, ZONE_KEK
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, NOT_APPLICABLE, PASS, UNPROVEN, WARN, Check
from scenes.scripted_services import Line, ask, services

OPERATORS = Application("z-1", "a-1", "cs", "resource://canary")
UPSTREAM = Upstream(ask, "nonce-of-the-drill")
PASSED = {"X-Caracal-Token-Expires-In": "900"}
ONE_SHOT, REUSABLE = Dialect(SECRET_STORE, True), Dialect(ZONE_KEK, False)
GONE = Answer(GATEWAY, None, description="nobody")


def answer(status: int, body: t.Any = None, *, passed: bool = False, **error: t.Any) -> Line:
    return Line(GATEWAY, "GET", "/path", status, error or body, PASSED if passed else {})


def refused(status: int, description: str) -> Answer:
    return Answer(GATEWAY, status, "invalid_token", description)


def judge(line: Line, upstream: Upstream | None = None, left: t.Sequence[str] = ()) -> Check:
    with services(line) as (asked, script):
        made = gateway.ask(asked, "resource://canary", "/path", "the-token", upstream)
        assert script.asked[0].headers["x-caracal-resource"] == "resource://canary"
        assert script.asked[0].headers["x-request-id"] == made.request_id
        assert script.asked[0].headers["authorization"] == "Bearer the-token"
    found = gateway.judge(made, OPERATORS, upstream, left)
    assert "the-token" not in str(found)
    return found


@pytest.mark.no_false_alarm
def test_request_through_the_gateway_passes() -> None:
    assert judge(answer(200, "nonce-of-the-drill", passed=True), UPSTREAM).verdict == PASS
    assert judge(answer(204, passed=True)).verdict == PASS


def test_error_of_the_upstream_is_a_warning() -> None:
    found = judge(answer(500, passed=True))
    assert found.verdict == WARN and "upstream answered 500" in found.message
    assert judge(answer(200, passed=True), left=["s-1"]).verdict == WARN


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("status", "description", "words"),
    [
        (403, "resource not configured", "gateway_resource_bindings was not restored"),
        (401, "bearer signature invalid", "see canary.jwks"),
        (401, "invalid gateway exchange signature", "different values of GATEWAY_STS_HMAC_KEY"),
        (401, "session revoked", "counts as revoked"),
        (503, "revocation state unavailable", "no fresh snapshot"),
        (502, "upstream not addressable", "UPSTREAM_HOST_ALLOWLIST"),
        (502, "upstream unreachable", "the resource's upstream_url does not answer"),
        (503, "sts unavailable", "sts unavailable"),
    ],
)
def test_a_refused_request_is_a_fault(status: int, description: str, words: str) -> None:
    found = judge(answer(status, error="code", error_description=description))
    assert found.verdict == FAIL and words in found.message and found.details["description"] == description


@pytest.mark.mutation
def test_an_answer_that_did_not_come_from_our_upstream_is_a_fault() -> None:
    assert "another server answered" in judge(answer(200, "another page", passed=True), UPSTREAM).message
    assert judge(answer(200, "another page")).verdict == FAIL


@pytest.mark.parametrize(
    ("said", "yes"), [(refused(502, "upstream unreachable"), True), (refused(401, "session revoked"), False), (GONE, False)]
)
def test_which_requests_have_an_audit_event(said: Answer, yes: bool) -> None:
    assert gateway.audited(Asked("r", said)) is yes


def test_verdict_of_a_request_that_stopped_before_the_gateway() -> None:
    denied = Refused("exchange for the delegated token", Answer("sts", 403, "access_denied", "policy denied (role_scope_mismatch)"))
    assert gateway.stopped(denied, OPERATORS).verdict == UNPROVEN
    ours = Application("z-1", "a-1", "cs", "resource://canary", ours=True)
    assert gateway.stopped(denied, ours).verdict == FAIL
    broken = gateway.stopped(Refused("delegation", Answer(COORDINATOR, 401, "invalid_token")), OPERATORS)
    assert broken.verdict == FAIL and "delegation: coordinator answered 401 invalid_token" in broken.message


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("status", "description", "verdict"),
    [
        (401, "missing bearer token", PASS),
        (200, "", FAIL),
        (403, "resource not configured", FAIL),
        (503, "revocation state unavailable", UNPROVEN),
    ],
)
def test_request_without_a_token_must_be_refused(status: int, description: str, verdict: str) -> None:
    line = Line(GATEWAY, "GET", "/", status, {"error": "invalid_token", "error_description": description})
    with services(line) as (asked, script):
        assert gateway.without_token(asked).verdict == verdict
        assert "authorization" not in script.asked[0].headers


def test_refusal_is_unproven_if_the_gateway_does_not_answer() -> None:
    with services() as (asked, _script):
        gone = asked.asking(lambda *_asked: GONE_REPLY)
        assert gateway.without_token(gone).verdict == UNPROVEN
        assert gateway.revoked(gone, "resource://canary", "t", "session").verdict == UNPROVEN


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("status", "description", "verdict"),
    [
        (401, "session revoked", PASS),
        (401, "bearer signature invalid", UNPROVEN),
        (403, "resource not configured", UNPROVEN),
        (503, "revocation state unavailable", UNPROVEN),
        # The Gateway asked the STS, so it did not know of the revocation itself.
        (401, "invalid subject_token", FAIL),
        (200, "", FAIL),
        (502, "upstream unreachable", FAIL),
    ],
)
def test_token_of_a_revoked_session_must_be_refused(status: int, description: str, verdict: str) -> None:
    line = Line(GATEWAY, "GET", "/", status, {"error": "invalid_token", "error_description": description})
    with services(line) as (asked, _script):
        assert gateway.revoked(asked, "resource://canary", "signed-token", "session").verdict == verdict


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("second", "verdict"),
    [
        (refused(401, "token replay detected"), PASS),
        (Answer(GATEWAY, 200), FAIL),
        (refused(401, "invalid subject_token"), FAIL),
        (refused(503, "revocation state unavailable"), UNPROVEN),
        (GONE, UNPROVEN),
        (None, UNPROVEN),
    ],
)
def test_second_use_of_a_token_must_be_refused(second: Answer | None, verdict: str) -> None:
    first = Asked("r", Answer(GATEWAY, 200))
    assert gateway.replayed(first, second, ONE_SHOT).verdict == verdict
    found = gateway.replayed(first, second, REUSABLE)
    assert (found.verdict, found.required) == (NOT_APPLICABLE, False)


class _Gone:
    status = None
    headers: t.ClassVar[dict[str, str]] = {}
    body = b""
    error = "nobody answers"


GONE_REPLY = _Gone()
