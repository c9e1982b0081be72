# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""With wrong keys or missing rows every service is ready and then fails in the same way as the product."""

from __future__ import annotations

import hashlib
import os

import pytest

from harness.waiting import PATIENCE, eventually
from scenes.twin_canary import Canary, made
from scenes.twin_services import BEARER, Deployment, secret_store
from twin import passwords
from twin.services.common import streams

WRONG = "e8992fb5630bbeecb2ac2adc90ea156669f7e3eedeb9632968f4dc0ab70fb5a6"


def existing(deployed: Deployment, number: int = 0) -> Canary:
    """Return a canary that uses an application of the twin, in a zone that already has a key."""
    zone, application = deployed.sql(
        f"SELECT zone_id, id FROM applications WHERE name LIKE 'app 0%' ORDER BY zone_id OFFSET {number} LIMIT 1"
    )[0]
    return Canary(deployed, zone=zone, application=application)


def described(answer: tuple[int, object, dict[str, str]]) -> tuple[int, object, object]:
    status, body, _headers = answer
    assert isinstance(body, dict)
    return status, body.get("error"), body.get("error_description")


@pytest.mark.mutation
def test_sts_with_a_wrong_kek_is_ready_but_issues_no_token(deployed: Deployment, target: str) -> None:
    deployed.start("audit", "sts", "api", "coordinator", "gateway")
    canary = made(deployed, target)
    token = canary.gateway_token()
    deployed.stop("sts")
    deployed.write_secret("secretStoreKek" if secret_store(deployed) else "zoneKek", WRONG)
    deployed.start("sts")
    sts = deployed["sts"]
    assert sts.call("GET", "/health")[0] == 200
    keys = described(sts.call("GET", f"/.well-known/jwks.json?zone_id={canary.zone}"))
    assert keys == (500, "internal_error", "signing key decryption failed")
    assert sts.metric("caracal_sts_jwks_invalid_keys_total") == 1
    table = "authority_records" if secret_store(deployed) else "sessions"
    before = deployed.sql(f"SELECT count(*) FROM {table}")[0][0]
    assert described(canary.exchange("wrong-kek")) == (500, "internal_error", "token issuance failed")
    # Policy was evaluated and the record was written before the key was needed.
    assert deployed.sql(f"SELECT count(*) FROM {table}")[0][0] == before + 1
    eventually(lambda: canary.events("wrong-kek")[:1] and canary.events("wrong-kek")[0][:3] == ("token_exchange", "allow", "complete"))
    text = "sealed under a different KEK" if secret_store(deployed) else "message authentication failed"
    assert f"decrypt signing key: {'secret envelope was ' if secret_store(deployed) else 'chacha20poly1305: '}{text}" in sts.log
    # The gateway still has the keys that it fetched, so only the exchange fails.
    assert described(canary.fetch(token))[:2] == (401, "invalid_token")


@pytest.mark.mutation
def test_gateway_gets_no_keys_from_an_sts_with_a_wrong_kek(deployed: Deployment, target: str) -> None:
    deployed.start()
    canary = made(deployed, target)
    token = canary.gateway_token()
    deployed.stop("gateway", "sts")
    deployed.write_secret("secretStoreKek" if secret_store(deployed) else "zoneKek", WRONG)
    deployed.start("sts", "gateway")
    assert described(canary.fetch(token)) == (401, "invalid_token", "bearer signature invalid")
    assert "jwks fetch status 500" in deployed["gateway"].log


@pytest.mark.mutation
def test_sts_does_not_start_with_a_missing_or_malformed_kek(deployed: Deployment) -> None:
    name = "secretStoreKek" if secret_store(deployed) else "zoneKek"
    variable = "SECRET_STORE_KEK" if secret_store(deployed) else "ZONE_KEK"
    for text, why in (("00" * 32, "must not be all zeros"), ("abc", "invalid byte"), ("ab" * 16, "must be 32 bytes, got 16")):
        deployed.write_secret(name, text)
        deployed.start("sts", wait=False)
        assert deployed["sts"].process.wait(timeout=PATIENCE) == 1
        assert "init failed" in deployed["sts"].log
        assert why in deployed["sts"].log
    (deployed.secrets / name).unlink()
    deployed.start("sts", wait=False)
    assert deployed["sts"].process.wait(timeout=PATIENCE) == 1
    assert f"kek: {variable} is required" in deployed["sts"].log


@pytest.mark.mutation
def test_api_without_a_kek_still_replaces_the_admin_token(deployed: Deployment) -> None:
    (deployed.secrets / ("secretStoreKek" if secret_store(deployed) else "zoneKek")).unlink()
    deployed.write_secret("caracalAdminToken", "another-token")
    deployed.start("api", wait=not secret_store(deployed))
    if secret_store(deployed):
        assert deployed["api"].process.wait(timeout=PATIENCE) == 1
        assert "SECRET_STORE_KEK is required" in deployed["api"].log
    # The tokens were changed anyway.
    digest = hashlib.sha256(b"another-token").hexdigest()
    live = "SELECT encode(token_sha256, 'hex') FROM admin_tokens WHERE created_by = 'env-bootstrap' AND revoked_at IS NULL"
    assert deployed.sql(live) == [(digest,)]


@pytest.mark.mutation
def test_a_lost_signing_key_is_silently_replaced(deployed: Deployment, target: str) -> None:
    deployed.start("audit", "sts", "api", "coordinator", "gateway")
    canary = made(deployed, target)
    canary.token()
    lost = deployed.sql(f"DELETE FROM secrets WHERE zone_id = '{canary.zone}' RETURNING id")[0][0]
    deployed.stop("sts")
    deployed.start("sts")
    gone = described(deployed["sts"].call("GET", f"/.well-known/jwks.json?zone_id={canary.zone}"))
    assert gone == (404, "resource_not_found", "zone signing key not found")
    assert canary.exchange()[0] == 200
    keys = deployed["sts"].call("GET", f"/.well-known/jwks.json?zone_id={canary.zone}")[1]["keys"]
    assert len(keys) == 1
    assert keys[0]["kid"] != lost


@pytest.mark.mutation
def test_events_with_a_wrong_audit_key_go_to_the_dead_letters(deployed: Deployment) -> None:
    deployed.start("audit")
    deployed.start("sts", AUDIT_HMAC_KEY=WRONG)
    canary = existing(deployed)
    secret = {"client_secret": _secret(deployed, canary)}
    assert canary.exchange("wrong-audit", **secret, resource="resource://r0", scope="")[0] in (403, 503)
    audit = deployed["audit"]
    eventually(lambda: audit.metric("caracal_audit_hmac_failures_total") >= 1)
    dead = deployed.redis.client.xrange(streams.DEAD_AUDIT)
    assert {fields[b"reason"] for _id, fields in dead} == {b"hmac_verify_failed"}
    assert audit.metric("caracal_audit_dlq_size") == len(dead)
    assert audit.call("GET", "/ready")[0] == 200
    assert not canary.events("wrong-audit")


def _secret(deployed: Deployment, canary: Canary) -> str:
    """Set the secret of the twin's application, in custody or as a hash depending on the family, and return it."""
    secret = "cs_of-the-test"
    deployed.sql(
        f"UPDATE applications SET client_secret_hash = '{passwords.hashed(secret, passwords.CLIENT)}' WHERE id = '{canary.application}'"
    )
    return secret


@pytest.mark.mutation
def test_sweep_reveals_an_audit_key_that_does_not_fit_the_rows(deployed: Deployment) -> None:
    deployed.start("audit", AUDIT_HMAC_KEY=WRONG)
    audit = deployed["audit"]
    eventually(lambda: audit.metric("caracal_audit_tamper_last_full_unix"))
    checked = audit.metric("caracal_audit_tamper_checked_total")
    assert checked > 0
    assert audit.metric("caracal_audit_tamper_hmac_failures_total") == checked
    assert audit.metric("caracal_audit_tamper_mismatch_total") == audit.metric("caracal_audit_tamper_chain_breaks_total") == 0


@pytest.mark.mutation
def test_sweep_reveals_a_changed_and_a_missing_event(deployed: Deployment) -> None:
    zone = deployed.sql("SELECT zone_id FROM audit_events GROUP BY 1 ORDER BY count(*) DESC LIMIT 1")[0][0]
    late = f"SELECT max(chain_seq) FROM audit_events WHERE zone_id = '{zone}'"
    deployed.sql(
        f"UPDATE audit_events SET decision = 'forged' WHERE zone_id = '{zone}' AND chain_seq = ({late}) - 1",
        f"DELETE FROM audit_events WHERE zone_id = '{zone}' AND chain_seq = ({late}) - 5",
    )
    deployed.start("audit")
    audit = deployed["audit"]
    eventually(lambda: audit.metric("caracal_audit_tamper_last_full_unix"))
    assert audit.metric("caracal_audit_tamper_mismatch_total") == 1
    assert audit.metric("caracal_audit_tamper_chain_breaks_total") == 1
    assert "tamper: content hash mismatch" in audit.log


@pytest.mark.mutation
def test_sts_refuses_requests_signed_with_a_wrong_gateway_key(deployed: Deployment, target: str) -> None:
    deployed.start()
    canary = made(deployed, target)
    deployed.stop("gateway", "api")
    deployed.start("gateway", "api", GATEWAY_STS_HMAC_KEY=WRONG)
    refused = described(canary.fetch(canary.gateway_token()))
    assert refused == (401, "access_denied", "invalid gateway exchange signature")
    status = canary.api("GET", f"/zones/{canary.zone}/policy-sets/{canary.policy_set}/activation-status")[1]
    assert (status["sts"]["state"], status["propagation_status"]) == ("failed", "failed")
    if secret_store(deployed):
        manifest = {"manifest": [{"policy_version_id": _policy(deployed, canary)}]}
        assert canary.api("POST", f"/zones/{canary.zone}/policy-sets/{canary.policy_set}/versions", manifest)[0] == 503


def _policy(deployed: Deployment, canary: Canary) -> str:
    return str(
        deployed.sql(f"SELECT v.id FROM policy_versions v JOIN policies p ON p.id = policy_id WHERE zone_id = '{canary.zone}'")[0][0]
    )


@pytest.mark.mutation
def test_drops_stream_entries_with_an_invalid_signature(deployed: Deployment) -> None:
    deployed.start("sts")
    table = "authority_records" if secret_store(deployed) else "sessions"
    zone, first, second = deployed.sql(
        f"SELECT zone_id, min(id), max(id) FROM {table} WHERE status = 'active' GROUP BY 1 HAVING count(*) > 1 ORDER BY 1 LIMIT 1"
    )[0]
    fields = {"zone_id": zone, "session_id": first, "reason": "test"}
    key = deployed.keys.streams_hmac_key
    deployed.redis.client.xadd(streams.REVOCATIONS, {**fields, streams.SIGNATURE: "00" * 32})
    deployed.redis.client.xadd(streams.REVOCATIONS, streams.signed(key, streams.REVOCATIONS, {**fields, "session_id": second}))
    state = f"SELECT status FROM {table} WHERE id = '{{}}'"
    eventually(lambda: deployed.sql(state.format(second)) == [("revoked",)])
    assert deployed.sql(state.format(first)) == [("active",)]
    assert "dropping stream message with invalid origin signature" in deployed["sts"].log
    pending = deployed.redis.client.xpending(streams.REVOCATIONS, "sts-revocation")["pending"]
    assert pending == 0


@pytest.mark.mutation
def test_reuse_of_a_rotated_admin_token_revokes_the_current_one(deployed: Deployment) -> None:
    first = deployed.keys.admin_token

    def restarted(token: str) -> int:
        deployed.stop("api")
        deployed.write_secret("caracalAdminToken", token)
        deployed.start("sts", "api") if "sts" not in deployed.services else deployed.start("api")
        return deployed["api"].call("GET", "/v1/zones", Authorization=f"Bearer {token}")[0]

    assert restarted(first) == 200
    assert restarted("second") == 200
    # The first token is still marked as revoked, and its reuse revokes the second token.
    assert restarted(first) == 401
    assert deployed["api"].call("GET", "/v1/zones", Authorization="Bearer second")[0] == 401
    assert restarted("third") == 200


@pytest.mark.mutation
def test_older_family_rehashes_the_chain_without_its_marker(deployed: Deployment) -> None:
    zone = deployed.sql("SELECT zone_id FROM audit_events GROUP BY 1 ORDER BY count(*) DESC LIMIT 1")[0][0]
    deployed.sql(
        "DELETE FROM audit_chain_rehash",
        f"UPDATE audit_events SET decision = 'forged' WHERE zone_id = '{zone}' AND chain_seq = 2",
    )
    if secret_store(deployed):
        # The role may not change events, so the service logs an error and continues.
        password = deployed.keys.role_passwords["caracalaudit"]
        url = deployed.variables("audit")["DATABASE_URL"].replace("://caracal@", f"://caracalaudit:{password}@")
        deployed.start("audit", DATABASE_URL=url)
        assert "audit chain rehash failed" in deployed["audit"].log
        assert deployed.sql("SELECT count(*) FROM audit_chain_rehash") == [(0,)]
    else:
        deployed.start("audit")
        assert "audit chain rehash complete" in deployed["audit"].log
        assert deployed.sql("SELECT count(*) FROM audit_chain_rehash") == [(1,)]
    eventually(lambda: deployed["audit"].metric("caracal_audit_tamper_last_full_unix"))
    found = deployed["audit"].metric("caracal_audit_tamper_mismatch_total")
    assert found == (1 if secret_store(deployed) else 0)


@pytest.mark.no_false_alarm
def test_newer_family_works_with_its_own_database_roles(deployed: Deployment, target: str) -> None:
    if not secret_store(deployed):
        # In this family every service is the superuser, as in all other tests.
        assert deployed.variables("api")["DATABASE_URL"].startswith("postgresql://caracal@")
        return
    for name in ("audit", "sts", "api", "coordinator", "gateway"):
        role = f"caracal{name}"
        password = deployed.keys.role_passwords[role]
        url = deployed.variables(name)["DATABASE_URL"].replace("://caracal@", f"://{role}:{password}@")
        deployed.start(name, DATABASE_URL=url)
    canary = made(deployed, target)
    assert canary.fetch(canary.gateway_token(), "own-roles")[0] == 200
    eventually(lambda: len(canary.events("own-roles")) == 2)
    for name in deployed.services:
        assert "permission denied" not in deployed[name].log
    assert deployed["audit"].call("GET", "/metrics", Authorization=f"Bearer {BEARER}")[0] == 200
    assert os.path.isdir(deployed.replay("sts"))
