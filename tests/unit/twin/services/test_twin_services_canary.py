# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A complete canary run in both families: keys, token, protected request, and its events on the audit chain."""

from __future__ import annotations

import typing as t

import pytest

from harness.waiting import eventually
from scenes.twin_canary import RESOURCE, SCOPE, Canary
from scenes.twin_services import AUDITOR, BEARER, Deployment, secret_store
from twin import chain
from twin.services.common import tokens


def keys_of(shared: Deployment, zone: str) -> list[dict[str, str]]:
    status, answer, headers = shared["sts"].call("GET", f"/.well-known/jwks.json?zone_id={zone}")
    assert (status, headers["cache-control"]) == (200, "public, max-age=300, must-revalidate")
    return list(answer["keys"])


def described(answer: t.Any) -> tuple[int, str, str]:
    status, body, _headers = answer
    return status, body["error"], body["error_description"]


def test_every_zone_publishes_its_keys(shared: Deployment) -> None:
    rows = shared.sql("SELECT zone_id, array_agg(id ORDER BY version DESC) FROM secrets WHERE name = 'zone_signing_key' GROUP BY 1")
    assert len(rows) >= 3
    for zone, kids in rows:
        # In the twin's time the second key of a zone is hours old. The key before it is published for one day only.
        assert [key["kid"] for key in keys_of(shared, zone)] == kids[:1]


def test_a_new_key_is_published_with_its_predecessor(shared: Deployment) -> None:
    zone = shared.sql("SELECT zone_id FROM secrets WHERE name = 'zone_signing_key' GROUP BY 1 HAVING count(*) = 2")[0][0]
    young = f"UPDATE secrets SET created_at = {{}} WHERE zone_id = '{zone}' AND version = 2"
    old = shared.sql(f"SELECT created_at FROM secrets WHERE zone_id = '{zone}' AND version = 2")[0][0]
    shared.sql(young.format("now()"))
    assert len(keys_of(shared, zone)) == 2
    shared.sql(young.format(f"'{old}'"))


def test_key_requests_without_a_known_zone_are_refused(shared: Deployment) -> None:
    assert described(shared["sts"].call("GET", "/.well-known/jwks.json")) == (400, "invalid_token", "zone_id required")
    none = described(shared["sts"].call("GET", "/.well-known/jwks.json?zone_id=nope"))
    assert none == (404, "resource_not_found", "zone signing key not found")


def test_a_token_verifies_with_the_published_key(shared: Deployment, canary: Canary) -> None:
    status, answer, headers = canary.exchange("canary-token")
    assert status == 200
    assert headers["x-request-id"] == "canary-token"
    assert (answer["token_type"], answer["expires_in"], answer["target_resources"]) == ("Bearer", 900, [RESOURCE])
    keys = {entry["kid"]: tokens.public_key(entry) for entry in keys_of(shared, canary.zone)}
    claims = tokens.verify(answer["access_token"], keys, "https://sts.twin.example", "https://sts.twin.example")
    assert (claims["use"], claims["client_id"], claims["zone_id"]) == ("session", canary.application, canary.zone)
    table = "authority_records" if secret_store(shared) else "sessions"
    assert shared.sql(f"SELECT status, session_type, subject_id FROM {table} WHERE id = '{claims['sid']}'") == [
        ("active", "application", canary.application)
    ]


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ({"client_secret": "cs_wrong"}, (401, "access_denied", "invalid client credentials")),
        ({"application_id": "nobody"}, (401, "access_denied", "invalid client credentials")),
        ({"resource": ""}, (400, "invalid_token", "at least one resource is required")),
        ({"resource": "resource://other"}, (403, "access_denied", "policy denied")),
        ({"scope": "canary:write"}, (403, "access_denied", "policy denied")),
        ({"grant_type": "password"}, (400, "invalid_token", "unsupported grant_type")),
        ({"ttl_seconds": "3601"}, (400, "invalid_token", "ttl_seconds exceeds token TTL cap")),
    ],
)
def test_exchange_refuses_invalid_requests(canary: Canary, change: dict[str, str], answer: tuple[int, str, str]) -> None:
    assert described(canary.exchange(**change)) == answer


@pytest.mark.mutation
def test_token_endpoint_refuses_malformed_forms(shared: Deployment) -> None:
    call = shared["sts"].call
    assert call("GET", "/oauth/2/token")[0] == 405
    assert call("POST", "/oauth/2/token?x=1", [("a", "b")])[0] == 400
    assert call("POST", "/oauth/2/token", {"a": "b"})[0] == 415
    assert described(call("POST", "/oauth/2/token", [("scope", "a"), ("scope", "b")]))[2] == "duplicate form field: scope"


def test_policy_denial_response_and_events_match_the_product(shared: Deployment, canary: Canary) -> None:
    if secret_store(shared):
        # A scope of the resource that a bootstrap token may not request.
        assert described(canary.exchange("canary-denied", scope=SCOPE)) == (403, "access_denied", "policy denied (no_rule_matched)")
    else:
        shared.sql(f"UPDATE resources SET scopes = '{{canary:read,canary:write}}' WHERE zone_id = '{canary.zone}'")
        assert described(canary.exchange("canary-denied", scope="canary:write")) == (403, "access_denied", "policy denied")
        shared.sql(f"UPDATE resources SET scopes = '{{canary:read}}' WHERE zone_id = '{canary.zone}'")
    events = eventually(lambda: len(found := canary.events("canary-denied")) == 2 and found)
    assert [event[:3] for event in events] == [
        ("token_exchange", "deny", "complete"),
        ("token_exchange", "deny", "exchange_denied"),
    ]


def test_protected_request_reaches_resource_and_audit_chain(shared: Deployment, canary: Canary) -> None:
    before = shared.sql(f"SELECT coalesce(max(chain_seq), 0) FROM audit_events WHERE zone_id = '{canary.zone}'")[0][0]
    token = canary.gateway_token()
    status, body, headers = canary.fetch(token, "canary-fetch", "/probe?x=1")
    assert status == 200
    assert body["path"] == "/base/probe?x=1"
    assert "authorization" not in body["headers"]
    assert headers["x-request-id"] == "canary-fetch"
    assert 0 < int(headers["x-caracal-token-expires-in"]) <= 900
    events = eventually(lambda: len(found := canary.events("canary-fetch")) == 2 and found)
    # Two services wrote these events, so either may be first.
    assert sorted(event[:3] for event in events) == [
        ("gateway_resource_request", "allow", "executed"),
        ("token_exchange", "allow", "complete"),
    ]
    assert events[0][3] > before
    assert events[1][3] == events[0][3] + 1
    assert [event[6]["upstream_status"] for event in events if event[0] == "gateway_resource_request"] == [200]


def test_canary_audit_chain_verifies(shared: Deployment, canary: Canary) -> None:
    canary.fetch(canary.gateway_token(), "canary-chain")
    eventually(lambda: len(canary.events("canary-chain")) == 2)
    texts = "id, zone_id, event_type, request_id, decision, policy_set_id, policy_set_version_id, manifest_sha, evaluation_status"
    rows = shared.sql(
        f"SELECT {texts}, determining_policies_json::text, diagnostics_json::text, metadata_json::text,"
        " (extract(epoch FROM occurred_at) * 1000000)::bigint, content_sha256, prev_content_sha256, chain_hmac, chain_seq"
        f" FROM audit_events WHERE zone_id = '{canary.zone}' ORDER BY chain_seq"
    )
    assert [row[16] for row in rows] == list(range(1, len(rows) + 1))
    previous = None
    for row in rows:
        assert chain.event_hash(row[:9], row[9:12], row[12] * 1000) == row[13]
        assert row[14] == previous
        assert chain.link(shared.keys.audit_hmac_key, row[13], previous) == row[15]
        previous = row[13]


@pytest.mark.mutation
def test_gateway_refuses_invalid_requests(shared: Deployment, canary: Canary) -> None:
    token = canary.gateway_token()
    fetch = shared["gateway"].call
    assert described(canary.fetch("")) == (401, "invalid_token", "missing bearer token")
    assert described(canary.fetch("abc")) == (401, "invalid_token", "malformed bearer token")
    head, payload, signature = token.split(".")
    assert described(canary.fetch(f"{head}.{payload}.{signature[::-1]}")) == (401, "invalid_token", "bearer signature invalid")
    bearer = {"Authorization": f"Bearer {token}"}
    assert described(fetch("GET", "/", **bearer)) == (400, "invalid_token", "missing routing headers")
    assert fetch("GET", "/", **bearer, X_Caracal_Resource=RESOURCE, X_Caracal_Client_ID="x")[0] == 400
    other = described(fetch("GET", "/", **bearer, X_Caracal_Resource="resource://other"))
    configured = (403, "access_denied", "policy denied") if secret_store(shared) else (403, "access_denied", "resource not configured")
    assert other == configured


def test_a_single_use_token_works_once(shared: Deployment, canary: Canary) -> None:
    token = canary.gateway_token()
    assert canary.fetch(token)[0] == 200
    second = canary.fetch(token, "canary-again")
    if secret_store(shared):
        assert described(second) == (401, "invalid_token", "token replay detected")
        events = eventually(lambda: canary.events("canary-again"))
        assert events[0][:3] == ("replay_detected", "deny", "anomaly")
    else:
        # In this family the client has a session token, which may be used again.
        assert second[0] == 200


def test_gateway_refuses_a_revoked_session(shared: Deployment, canary: Canary) -> None:
    token = canary.gateway_token()
    sid = tokens.peek(token)[1]["sid"]
    table, stamp = ("authority_records", ", revoked_at = now()") if secret_store(shared) else ("sessions", "")
    shared.sql(f"UPDATE {table} SET status = 'revoked'{stamp} WHERE id = '{sid}'")
    reload = shared["gateway"].call
    assert reload("POST", "/internal/revocations/reload", Authorization="Bearer wrong")[0] == 404
    status, answer, _headers = reload("POST", "/internal/revocations/reload", Authorization=f"Bearer {shared.keys.admin_token}")
    assert (status, answer["ok"]) == (200, True)
    assert answer["revocations"] >= 1
    assert described(canary.fetch(token)) == (401, "invalid_token", "session revoked")


def test_events_are_found_by_api_and_audit_service(shared: Deployment, canary: Canary) -> None:
    canary.exchange("canary-found")
    eventually(lambda: canary.events("canary-found"))
    status, rows, _headers = canary.api("GET", f"/zones/{canary.zone}/audit/by-request/canary-found")
    assert (status, [row["request_id"] for row in rows]) == (200, ["canary-found"])
    assert canary.api("GET", f"/zones/{canary.zone}/audit/by-request/nope")[:2] == (404, {"error": "request_not_found"})
    path = f"/api/audit/search?zone_id={canary.zone}&request_id=canary-found"
    status, answer, _headers = shared["audit"].call("GET", path, Authorization=f"Bearer {AUDITOR}")
    assert status == 200
    assert [event["Event"]["event_type"] for event in answer["events"]] == ["token_exchange"]
    assert answer["events"][0]["ChainSeq"] >= 1
    assert shared["audit"].call("GET", path)[0] == 401
    none = shared["audit"].call("GET", path.replace("canary-found", "nope"), Authorization=f"Bearer {AUDITOR}")
    assert none[1]["events"] is None


def test_metrics_need_the_bearer_and_show_a_clean_sweep(shared: Deployment) -> None:
    for name in ("sts", "gateway", "audit", "api"):
        assert shared[name].call("GET", "/metrics")[0] == 401
        assert shared[name].call("GET", "/metrics", Authorization=f"Bearer {BEARER}")[0] == 200
    audit = shared["audit"]
    eventually(lambda: audit.metric("caracal_audit_tamper_last_full_unix"))
    assert audit.metric("caracal_audit_tamper_checked_total") >= 300
    for name in ("tamper_mismatch_total", "tamper_chain_breaks_total", "tamper_hmac_failures_total", "dlq_size"):
        assert audit.metric(f"caracal_audit_{name}") == 0
    assert audit.metric("caracal_audit_is_retention_leader") == 1
    eventually(lambda: audit.metric("caracal_audit_consumer_lag") == 0)
    assert shared["gateway"].metric("caracal_gateway_revocation_snapshot_fresh") == 1
    assert shared["api"].metric("caracal_api_outbox_dead_total") == 0
