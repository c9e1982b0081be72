# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report about an answer: no secret, and one short line. Also answers that are refused."""

from __future__ import annotations

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.canary import asking
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.canary.asking import API, STS, Answer, Refused, Services
from scenes.scripted_services import ADMIN_TOKEN, Line, ask, services


def test_answer_is_reported_in_one_line() -> None:
    line = Line(API, "GET", "/v1/zones", 403, {"error": "access_denied", "error_description": "policy\ndenied\u202e", "requestId": "x"})
    with services(line) as (asked, script):
        answer = asked.api("GET", "/v1/zones")
    assert str(answer) == 'api answered 403 access_denied "policy denied\ufffd"'
    assert answer.facts == {"service": "api", "status": 403, "error": "access_denied", "description": "policy denied\ufffd"}
    assert script.asked[0].headers["authorization"] == f"Bearer {ADMIN_TOKEN}"


@pytest.mark.mutation
def test_secrets_in_an_answer_are_masked() -> None:
    words = f"token {ADMIN_TOKEN} and cs_0123 are wrong " + "x" * 1000
    with services(Line(STS, "GET", "/", 401, {"error": "cs_0123", "error_description": words})) as (asked, _script):
        asked.hide("cs_0123")
        answer = asked.asking(ask).call(STS, "GET", "/")
    text = f"{answer} {answer.facts} {answer!r}"
    assert ADMIN_TOKEN not in text and "cs_0123" not in text
    assert answer.description.startswith("token (secret) and (secret) are wrong") and len(answer.description) == asking.TEXT_LIMIT


@pytest.mark.parametrize("body", ["", "no json", "[1]", '"text"', "null", '{"error": {"code": 1}, "error_description": 5}', "\xff"])
def test_malformed_answer_is_reported_only_with_its_status(body: str) -> None:
    with services(Line(STS, "GET", "/", 500, body)) as (asked, _script):
        assert str(asked.call(STS, "GET", "/")) == "sts answered 500"


def test_reports_a_service_that_does_not_answer() -> None:
    gone = Services(ask, {STS: "http://127.0.0.1:9"}).call(STS, "GET", "/")
    assert gone.status is None and str(gone).startswith("sts did not answer (")
    assert str(Services(ask, {}).call(STS, "GET", "/")) == "sts did not answer (its URL is not configured)"


def test_a_step_must_have_its_status_and_its_fields() -> None:
    good = Answer(API, 201, content={"id": "a", "client_secret": "b"})
    assert asking.expect("zone", good, 201, "id", "client_secret") == ("a", "b")
    for wrong in (Answer(API, 200, content={"id": "a"}), Answer(API, 201, content={"id": 7}), Answer(API, 201), Answer(API, None)):
        with pytest.raises(Refused) as raised:
            asking.expect("zone", wrong, 201, "id")
        assert raised.value.step == "zone"


def test_each_request_has_a_unique_id() -> None:
    assert asking.request_id() != asking.request_id()
    assert asking.quoted("a/b?c") == "a%2Fb%3Fc"
