# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API in both families: its calls, its audit events, its lists, and the permissions of a token."""

from __future__ import annotations

import datetime as dt
import typing as t

import pytest

from harness.waiting import eventually
from scenes.twin_canary import DOCUMENT, REGO, RESOURCE, Canary
from scenes.twin_services import Deployment, secret_store
from twin import chain, envelopes
from twin.services.common import streams


def listed(answer: tuple[int, t.Any, dict[str, str]]) -> list[dict[str, t.Any]]:
    status, found, _headers = answer
    assert status == 200
    return list(found if isinstance(found, list) else found.get("items", found.get("rows")))


def test_lists_everything_that_was_created(shared: Deployment, canary: Canary) -> None:
    newer, base = secret_store(shared), f"/zones/{canary.zone}"
    assert canary.zone in [zone["id"] for zone in listed(canary.api("GET", "/zones"))]
    assert [one["id"] for one in listed(canary.api("GET", f"{base}/applications"))] == [canary.application]
    (resource,) = listed(canary.api("GET", f"{base}/resources"))
    assert resource["identifier"] == RESOURCE
    assert ("operation_enforcement" in resource, "gateway_application_id" in resource) == (newer, not newer)
    (policy_set,) = listed(canary.api("GET", f"{base}/policy-sets"))
    assert (policy_set["id"], policy_set["active_version_id"]) == (canary.policy_set, canary.version)
    assert len(listed(canary.api("GET", f"{base}/policies"))) == 1
    canary.token()
    records = listed(canary.api("GET", f"{base}/{'authority-records' if newer else 'sessions'}"))
    assert records[0]["subject_id"] == canary.application
    assert listed(canary.api("GET", f"{base}/{'sessions' if newer else 'agent-sessions'}")) is not None
    assert canary.api("GET", f"{base}/nothing")[0] == 404


def test_activation_status_is_loaded(canary: Canary) -> None:
    status, found, _headers = canary.api("GET", f"/zones/{canary.zone}/policy-sets/{canary.policy_set}/activation-status")
    assert status == 200
    assert (found["active"], found["active_version_id"], found["propagation_status"]) == (True, canary.version, "loaded")
    assert (found["outbox"]["state"], found["outbox"]["attempts"]) == ("dispatched", 1)
    assert (found["sts"]["state"], found["sts"]["policy_set_version_id"]) == ("loaded", canary.version)


def test_an_activation_is_published_as_a_signed_stream_entry(shared: Deployment, canary: Canary) -> None:
    entries = shared.redis.client.xrange(streams.POLICIES)
    mine = [fields for _id, fields in entries if fields[b"outbox_id"].decode() == canary.activated["outbox_id"]]
    fields = {name.decode(): value.decode() for name, value in mine[0].items()}
    assert streams.genuine(shared.keys.streams_hmac_key, streams.POLICIES, fields)
    assert fields[streams.SIGNATURE]
    # Null values are left out.
    assert "shadow_version_id" not in fields


def test_newer_family_allows_one_active_policy_set(shared: Deployment, canary: Canary) -> None:
    base = f"/zones/{canary.add('/zones', name='Two sets')['id']}"
    manifest = [{"policy_version_id": canary.add(f"{base}/policies", name="p", content=_content(shared))["version"]["id"]}]
    sets = []
    for name in ("one", "two"):
        policy_set = canary.add(f"{base}/policy-sets", name=name)["id"]
        version = canary.add(f"{base}/policy-sets/{policy_set}/versions", manifest=manifest)["id"]
        canary.add(f"{base}/policy-sets/{policy_set}/activate", version_id=version)
        sets.append(policy_set)
    active = [one["id"] for one in listed(canary.api("GET", f"{base}/policy-sets")) if one["active_version_id"]]
    assert sorted(active) == (sets[1:] if secret_store(shared) else sorted(sets))
    assert canary.api("DELETE", f"{base}/policy-sets/{sets[1]}")[0] == 204
    still = shared.sql(f"SELECT active_version_id IS NOT NULL FROM policy_set_bindings WHERE policy_set_id = '{sets[1]}'")
    assert still == [(not secret_store(shared),)]


def _content(shared: Deployment) -> str:
    return (DOCUMENT if secret_store(shared) else REGO) % "nobody"


@pytest.mark.mutation
def test_api_refuses_invalid_requests(shared: Deployment, canary: Canary) -> None:
    newer, base = secret_store(shared), f"/zones/{canary.zone}"
    assert canary.api("GET", "/zones/nope")[:2] == (404, {"error": "zone_not_found"})
    assert canary.api("POST", "/zones/nope/applications", {"name": "x", "registration_method": "managed"})[:2] == (
        404,
        {"error": "zone_not_found"},
    )
    slug = canary.add("/zones", name="Clash")["slug"]
    assert canary.api("POST", "/zones", {"name": "x", "slug": slug})[:2] == (409, {"error": "zone_slug_conflict"})
    assert canary.add("/zones", name="Clash")["slug"] == "clash-2"
    assert canary.api("POST", "/zones", {"name": "x", "unknown": 1})[0] == 400
    provider = listed(canary.api("GET", f"{base}/providers"))[0]["id"]
    about = {"name": "r", "identifier": RESOURCE, "scopes": ["a"], "upstream_url": "http://127.0.0.1/", "credential_provider_id": provider}
    own = {} if newer else {"gateway_application_id": canary.application}
    conflict = (409, {"error": "resource_identifier_conflict"})
    assert canary.api("POST", f"{base}/resources", {**about, **own})[:2] == conflict
    missing = {name: value for name, value in about.items() if name != "credential_provider_id"}
    assert canary.api("POST", f"{base}/resources", {**missing, **own})[:2] == (400, {"error": "credential_provider_required"})
    if not newer:
        assert canary.api("POST", f"{base}/resources", about)[:2] == (400, {"error": "gateway_application_required"})
    assert canary.api("POST", f"{base}/policies", {"name": "p", "content": "allow everything"})[:1] == (422,)
    fresh = canary.add(f"{base}/policy-sets", name="fresh")["id"]
    status = canary.api("GET", f"{base}/policy-sets/{fresh}/activation-status")
    assert status[:2] == (404, {"error": "active_policy_set_version_not_found"})
    assert canary.api("GET", f"{base}/policy-sets/nope/activation-status")[:2] == (404, {"error": "policy_set_binding_not_found"})
    assert canary.api("GET", "/zones?limit=501")[:2] == (400, {"error": "invalid_query"})
    assert canary.api("GET", "/zones?cursor=x")[:2] == (400, {"error": "invalid_cursor"})


def test_a_deleted_zone_is_hidden_but_archived(shared: Deployment, canary: Canary) -> None:
    zone = canary.add("/zones", name="Going")["id"]
    assert canary.api("DELETE", f"/zones/{zone}")[0] == 204
    assert canary.api("GET", f"/zones/{zone}")[0] == 404
    assert listed(canary.api("GET", f"/zones/{zone}/resources")) == []
    assert shared.sql(f"SELECT archived_at IS NOT NULL FROM zones WHERE id = '{zone}'") == [(True,)]


def test_pagination_returns_the_next_zone(shared: Deployment, canary: Canary) -> None:
    status, found, headers = canary.api("GET", "/zones?limit=1")
    assert status == 200
    assert len(listed((status, found, headers))) == 1
    if secret_store(shared):
        following = f"/zones?limit=1&cursor={found['next_cursor']}"
    else:
        assert headers["link"].endswith('; rel="next"')
        following = headers["link"].partition(">")[0].removeprefix("</v1")
    second = listed(canary.api("GET", following))
    assert len(second) == 1
    assert second[0]["id"] != listed((status, found, headers))[0]["id"]


def test_revealing_a_secret_writes_an_audit_event(shared: Deployment, canary: Canary) -> None:
    path = f"/zones/{canary.zone}/applications/{canary.application}/client-secret"
    status, found, _headers = canary.api("GET", path, request="canary-reveal")
    if not secret_store(shared):
        assert status == 404
        return
    assert (status, found) == (200, {"client_secret": canary.secret})
    events = eventually(lambda: canary.events("canary-reveal"))
    assert events[0][0] == "credential_revealed"


def test_a_provider_secret_is_sealed(shared: Deployment, canary: Canary) -> None:
    config = {"header_name": "X-Api-Key", "api_key": "sk-test-123"}
    made = canary.add(f"/zones/{canary.zone}/providers", name="Upstream key", kind="api_key", config_json=config)
    assert made["config_json"] == {"header_name": "X-Api-Key", "auth_location": "header"}
    assert made["secret_config_keys"] == ["api_key"]
    if secret_store(shared):
        ref = f"zones/{canary.zone}/providers/{made['id']}/secretConfig"
        sealed = bytes(shared.sql(f"SELECT envelope FROM secret_store WHERE ref = '{ref}'")[0][0])
        assert envelopes.unseal(shared.keys.secret_store_kek, ref, sealed) == b'{"api_key":"sk-test-123"}'
    else:
        row = shared.sql(f"SELECT secret_config_nonce || secret_config_ct FROM providers WHERE id = '{made['id']}'")[0]
        assert envelopes.unseal_bare(shared.keys.zone_kek, bytes(row[0])) == b'{"api_key":"sk-test-123"}'


def test_admin_audit_chain_records_changes_and_refusals(shared: Deployment, canary: Canary) -> None:
    canary.api("GET", f"/zones/{canary.zone}/audit/by-request/nope", request="noted-refusal")
    columns = [*chain.ADMIN_FIELDS, "payload_json", "occurred_at", "content_sha256", "prev_content_sha256", "chain_hmac"]
    rows = shared.sql(f"SELECT {', '.join(columns)} FROM admin_audit_events WHERE zone_id = '{canary.zone}' ORDER BY chain_seq")
    found = [dict(zip(columns, row, strict=True)) for row in rows]
    assert "noted-refusal" in {row["request_id"] for row in found}
    assert {201, 202, 404} <= {row["status_code"] for row in found}
    previous = None
    for row in found:
        at = row["occurred_at"].astimezone(dt.timezone.utc)
        assert chain.admin_hash(row, chain.written_payload(row["payload_json"]), at) == row["content_sha256"]
        assert row["prev_content_sha256"] == previous
        signed = chain.link(shared.keys.audit_hmac_key, row["content_sha256"], previous)
        assert row["chain_hmac"] == signed
        previous = row["content_sha256"]


def test_needs_a_token_and_a_read_token_cannot_write(shared: Deployment, canary: Canary) -> None:
    api = shared["api"]
    for bearer in ("", "Bearer wrong"):
        assert api.call("GET", "/v1/zones", Authorization=bearer)[:2] == (401, {"error": "invalid_admin_token"})
    if secret_store(shared):
        token = canary.add("/admin-tokens", name="reader", capability="read")["token"]
        bearer = f"Bearer {token}"
        assert api.call("GET", "/v1/zones", Authorization=bearer)[0] == 200
        refused = api.call("POST", "/v1/zones", {"name": "x"}, Authorization=bearer)
        assert refused[:2] == (403, {"error": "admin_token_read_only"})


def test_a_response_repeats_a_valid_request_id(canary: Canary) -> None:
    assert canary.api("GET", "/zones", request="own-id:1")[2]["x-request-id"] == "own-id:1"
    assert canary.api("GET", "/zones", request="no good id")[2]["x-request-id"] != "no good id"
