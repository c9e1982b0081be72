# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""a token, a refusal by policy, and every kind of wrong answer."""

from __future__ import annotations

import base64
import json
import typing as t
import urllib.parse

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.canary import exchange
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.canary.asking import STS
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.canary.exchange import Application
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, PASS, UNPROVEN, WARN, Check
from scenes.scripted_services import Line, services

SECRET = "cs_of_the_canary"
OPERATORS = Application("z-1", "a-1", SECRET, "resource://canary", ("canary:read",), ("canary",))
OURS = Application("z-1", "a-1", SECRET, "resource://canary", ours=True)


def token(kid: str = "kid-1") -> str:
    head = base64.urlsafe_b64encode(json.dumps({"alg": "ES256", "kid": kid}).encode()).decode().rstrip("=")
    return f"{head}.e30.signature"


def answer(status: int, **body: t.Any) -> Line:
    return Line(STS, "POST", "/oauth/2/token", status, body)


ISSUED = answer(200, access_token=token(), token_type="Bearer", expires_in=900)
DENIED = answer(403, error="access_denied", error_description="policy denied (no_rule_matched)")


def judge(
    line: Line, application: Application = OPERATORS, reasons: t.Sequence[str] = (), kids: t.Collection[str] = frozenset({"kid-1"})
) -> Check:
    with services(line) as (asked, _script):
        made = exchange.ask(asked, application, "canary:read")
        found = exchange.judge(made, application, kids, reasons)
    text = f"{found} {made!r} {application!r}"
    assert SECRET not in text and "signature" not in text.replace("token issuance", "")
    return found


@pytest.mark.no_false_alarm
def test_token_signed_with_a_key_of_the_backup_passes() -> None:
    assert judge(ISSUED).verdict == PASS
    # A zone that we created has a key that is not in any backup.
    assert judge(answer(200, access_token=token("kid-9")), OURS).verdict == PASS


def test_first_token_of_a_zone_is_unproven() -> None:
    found = judge(ISSUED, kids=())
    assert found.verdict == UNPROVEN and found.details["reason"] == "first_key"
    assert judge(ISSUED, OURS, kids=()).verdict == PASS


def test_sends_a_token_exchange_request() -> None:
    with services(ISSUED) as (asked, script):
        made = exchange.ask(asked, OPERATORS, "canary:read", agent_session_id="s-2")
    (question,) = script.asked
    assert urllib.parse.parse_qs(question.body) == {
        "grant_type": ["urn:ietf:params:oauth:grant-type:token-exchange"],
        "zone_id": ["z-1"],
        "application_id": ["a-1"],
        "client_secret": [SECRET],
        "resource": ["resource://canary"],
        "scope": ["canary:read"],
        "agent_session_id": ["s-2"],
    }
    assert question.headers["x-request-id"] == made.request_id and "authorization" not in question.headers


def test_refusal_by_policy_is_a_warning() -> None:
    found = judge(DENIED, reasons=["complete"])
    assert found.verdict == WARN and found.details["reason"] == "denied"
    assert "policy refuses this application (complete)" in found.message and "the STS is not broken" in found.message
    held = judge(answer(401, error="interaction_required", error_description="approval required"))
    assert held.verdict == WARN and "approval" in held.message


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("line", "words"),
    [
        (answer(401, error="access_denied", error_description="invalid client credentials"), "its client secret is wrong"),
        (answer(403, error="zone_invalid", error_description="application is registered in zone z-2"), "correct application.zone"),
        (answer(403, error="policy_eval_failed", error_description="policy evaluation incomplete"), "did not complete its decision"),
        (answer(503, error="policy_eval_failed", error_description="policy evaluation unavailable"), "does not work"),
        (answer(500, error="internal_error", error_description="token issuance failed"), "cannot sign"),
        (answer(500, error="internal_error", error_description="authority record creation failed"), "authority record creation failed"),
        (answer(429, error="provider_rate_limited"), "limits the rate of requests"),
        (answer(200, token_type="Bearer"), "no token: sts answered 200"),
        (answer(200, access_token=token("kid-9")), "signed with a key that is not in the backup"),
        (answer(200, access_token="no.jwt"), "signed with a key that is not in the backup"),
    ],
)
def test_missing_or_wrong_token_fails(line: Line, words: str) -> None:
    found = judge(line)
    assert found.verdict == FAIL and words in found.message


@pytest.mark.mutation
def test_policy_that_refuses_our_own_application_is_a_fault() -> None:
    found = judge(DENIED, OURS)
    assert found.verdict == FAIL and "another policy is in force" in found.message
