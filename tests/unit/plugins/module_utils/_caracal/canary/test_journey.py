# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A protected request under both policies: the order of the requests, and the end of everything that was started."""

from __future__ import annotations

import typing as t
import urllib.parse

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.canary import journey
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.canary.asking import COORDINATOR, GATEWAY, STS
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.canary.dialect import Dialect
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.canary.exchange import Application
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.releases import SECRET_STORE, ZONE_KEK
from scenes.scripted_services import Line, Script, services

APPLICATION = Application("z-1", "a-1", "cs", "resource://canary", ("canary:read",), ("canary",), "/path")
NEW, MIDDLE, OLD = Dialect(SECRET_STORE, True), Dialect(ZONE_KEK, True), Dialect(ZONE_KEK, False)
EXCHANGE = Line(STS, "POST", "/oauth/2/token", 200, {"access_token": "bootstrap-token"})
DELEGATED = Line(STS, "POST", "/oauth/2/token", 200, {"access_token": "delegated-token"})
AGENTS = [Line(COORDINATOR, "POST", "/zones/z-1/agents", 201, {"agent_session_id": session}) for session in ("s-1", "s-2")]
DELEGATION = Line(COORDINATOR, "POST", "/zones/z-1/delegations", 201, {"delegation_edge_id": "e-1"})
THROUGH = Line(GATEWAY, "GET", "/path", 200, "hello", {"X-Caracal-Token-Expires-In": "900"})
AGAIN = Line(GATEWAY, "GET", "/path", 401, {"error": "invalid_token", "error_description": "token replay detected"})
ENDED = Line(COORDINATOR, "DELETE", "/zones/z-1/agents/s-.", 204)
WHOLE = [EXCHANGE, DELEGATED, *AGENTS, DELEGATION, THROUGH, AGAIN, ENDED]


def go(dialect: Dialect, *lines: Line) -> tuple[journey.Journey, Script]:
    with services(*lines) as (asked, script):
        return journey.go(asked, APPLICATION, dialect, None), script


def test_request_order_of_a_delegated_session() -> None:
    made, script = go(NEW, *WHOLE)
    assert script.steps() == [
        "sts POST /oauth/2/token",
        "coordinator POST /zones/z-1/agents",
        "coordinator POST /zones/z-1/agents",
        "coordinator POST /zones/z-1/delegations",
        "sts POST /oauth/2/token",
        "gateway GET /path",
        "gateway GET /path",
        "coordinator DELETE /zones/z-1/agents/s-2",
        "coordinator DELETE /zones/z-1/agents/s-1",
    ]
    first, agent, _second, edge, mint, gateway, *_rest = script.asked
    assert urllib.parse.parse_qs(first.body)["scope"] == ["agent:lifecycle"]
    assert agent.json == {"application_id": "a-1", "labels": ["canary"], "ttl_seconds": 600}
    assert edge.json["source_session_id"] == "s-1" and edge.json["target_session_id"] == "s-2"
    assert edge.json["resource_id"] == "resource://canary" and edge.json["scopes"] == ["canary:read"]
    form = urllib.parse.parse_qs(mint.body)
    assert (form["scope"], form["agent_session_id"], form["delegation_edge_id"]) == (["canary:read"], ["s-2"], ["e-1"])
    assert gateway.headers["authorization"] == "Bearer delegated-token"
    assert {one.headers["authorization"] for one in script.asked if one.service == COORDINATOR} == {"Bearer bootstrap-token"}
    assert made.gateway is not None and made.gateway.answer.status == 200 and not made.left and made.stopped is None
    assert made.again is not None and made.again.description == "token replay detected"


def test_reusable_token_is_used_once() -> None:
    made, script = go(MIDDLE, *WHOLE)
    assert len([one for one in script.asked if one.service == GATEWAY]) == 1 and made.again is None


def test_request_order_of_an_application() -> None:
    made, script = go(OLD, EXCHANGE, THROUGH)
    assert script.steps() == ["sts POST /oauth/2/token", "gateway GET /path"]
    assert urllib.parse.parse_qs(script.asked[0].body)["scope"] == ["canary:read"]
    assert script.asked[1].headers["authorization"] == "Bearer bootstrap-token"
    assert made.gateway is not None and made.gateway.answer.status == 200


@pytest.mark.mutation
def test_without_a_token_no_further_request_is_sent() -> None:
    made, script = go(NEW, Line(STS, "POST", "/oauth/2/token", 500, {"error": "internal_error"}), *AGENTS)
    assert len(script.asked) == 1 and made.gateway is None and made.exchange.token == ""


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("broken", "step", "ended"),
    [
        (AGENTS[0], "start of the delegating session", []),
        (AGENTS[1], "start of the session that acts", ["s-1"]),
        (DELEGATION, "delegation", ["s-2", "s-1"]),
        (DELEGATED, "exchange for the delegated token", ["s-2", "s-1"]),
    ],
)
def test_failed_step_is_named_and_sessions_are_ended(broken: Line, step: str, ended: list[str]) -> None:
    failing = Line(broken.service, broken.method, broken.path, 503, {"error": "broken"})
    made, script = go(NEW, *(failing if line is broken else line for line in WHOLE))
    assert made.stopped is not None and made.stopped.step == step and made.gateway is None
    assert made.stopped.answer.facts == {"service": broken.service, "status": 503, "error": "broken", "description": ""}
    assert [one.path.rpartition("/")[2] for one in script.asked if one.method == "DELETE"] == ended


@pytest.mark.mutation
@pytest.mark.parametrize(("status", "left"), [(204, []), (404, []), (500, ["s-2", "s-1"])])
def test_reports_sessions_that_cannot_be_ended(status: int, left: t.Sequence[str]) -> None:
    made, _script = go(NEW, *WHOLE[:-1], Line(COORDINATOR, "DELETE", ".*", status))
    assert made.left == left
