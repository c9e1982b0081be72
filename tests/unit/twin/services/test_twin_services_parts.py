# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parts that need no server: signatures and keys compared with the product's output, policies, tokens, the environment."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from scenes import redis_server, twin_canary
from twin import envelopes, passwords
from twin.services.common import documents, gateway_signature, streams, tokens
from twin.services.common.documents import PolicyError
from twin.services.common.environment import Environment, StartError
from twin.services.common.identity import nanoseconds_text
from twin.services.sts.decisions import Question, by_contract, by_rego

# Keys of the product run that wrote these entries. They are used for nothing else.
STREAMS_KEY = bytes.fromhex("3a125201a377166cc26e580915664a8294fe5deb3f0e6a05ff42128d4881f95d")
AUDIT_KEY = bytes.fromhex("621692b8c9836830ce1ae0467c7b39121cd8fcb29ae3c2c59073dc98e9e3c0d1")
GATEWAY_KEY = bytes.fromhex("5143dc102d88155880c049fc06b63bf5721e013bf178c65894d1d65af5dfd071")
ENTRIES = [json.loads(line) for line in redis_server.ENTRIES.read_text(encoding="utf-8").splitlines()]
SEALED = json.loads((Path(redis_server.__file__).parents[1] / "data" / "sealed_values.json").read_text(encoding="utf-8"))["values"]
APPLICATION = "0197-app"
GRANTS = 'grants := {"resource://canary": {"application": "canary", "roles": {"canary": ["canary:read"]}}}'


def test_every_entry_of_the_product_verifies() -> None:
    signed = [one for one in ENTRIES if streams.SIGNATURE in one["fields"]]
    assert len(signed) >= 5
    assert all(streams.genuine(STREAMS_KEY, one["stream"], one["fields"]) for one in signed)


@pytest.mark.mutation
@pytest.mark.parametrize("change", [{"zone_id": "other"}, {"added": "x"}])
def test_a_changed_entry_does_not_verify(change: dict[str, str]) -> None:
    entry = next(one for one in ENTRIES if one["stream"] == streams.REVOCATIONS)
    assert not streams.genuine(STREAMS_KEY, entry["stream"], {**entry["fields"], **change})
    assert not streams.genuine(STREAMS_KEY, streams.POLICIES, entry["fields"])
    assert not streams.genuine(AUDIT_KEY, entry["stream"], entry["fields"])


def test_audit_frames_of_the_product_verify() -> None:
    frames = [one["fields"] for one in ENTRIES if one["stream"] == streams.AUDIT]
    assert frames
    assert all(streams.audit_signature(AUDIT_KEY, frame["data"]) == frame["sig"] for frame in frames)


def test_signature_of_an_sts_request_matches_the_product() -> None:
    path = "/internal/policy/status/01a20ffc-99e9-7299-a437-35b67124acb1"
    made = gateway_signature.signature(GATEWAY_KEY, "1795564542", "01a20ffc-9b8e-74a7-9c5d-111156c16bf6", "GET", path, b"")
    assert made == "c4287c0126111ea52a2e937df0a895102d78aa020197ddad5960bea9260c0ea6"


@pytest.mark.parametrize("value", [one for one in SEALED if "x" in one], ids=lambda one: one["name"])
def test_public_key_of_a_sealed_key_matches_the_product(value: dict[str, str]) -> None:
    kek, sealed = bytes.fromhex(value["kek"]), bytes.fromhex(value["nonce"] + value["value"])
    newer = sealed.startswith(envelopes.MAGIC)
    pem = envelopes.unseal(kek, envelopes.SIGNING_KEY, sealed) if newer else envelopes.unseal_bare(kek, sealed)
    key = serialization.load_pem_private_key(pem, password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    entry = tokens.jwk(key.public_key(), "kid")
    assert (entry["x"], entry["y"]) == (value["x"], value["y"])
    assert list(entry) == ["kty", "crv", "use", "kid", "alg", "x", "y"]


def test_a_client_secret_matches_the_hash_that_the_product_made() -> None:
    stored = "argon2id$yyxD3zk9JE8+lmUJInFEZg$MAaQ/ZNycfMu8LxyLCZHaJ16ck6cgEGcavRA7M5SQeE"
    assert passwords.matches("cs_y_sVSOlmtTbC4PFrKnrMxEuftEChIIKbXsrkC_V6T-c", stored)
    assert not passwords.matches("cs_other", stored)
    assert not passwords.matches("", stored)
    assert not passwords.matches("cs_y", None)


@pytest.mark.parametrize("prefix", [passwords.CLIENT, passwords.TOKEN])
def test_a_generated_hash_matches_only_its_secret(prefix: str) -> None:
    stored = passwords.hashed("good", prefix)
    assert passwords.matches("good", stored)
    assert not passwords.matches("bad", stored)


def test_a_token_verifies_only_for_its_key_time_and_audience() -> None:
    key, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    claims = {"iss": "us", "aud": ["us"], "exp": int(time.time()) + 60, "name": "Zoë"}
    token = tokens.issue(claims, key, "k1")
    assert tokens.verify(token, {"k1": key.public_key()}, "us", "us") == claims
    for keys, issuer, audience in (
        ({"k1": other.public_key()}, "us", "us"),
        ({"k2": key.public_key()}, "us", "us"),
        ({"k1": key.public_key()}, "them", "us"),
        ({"k1": key.public_key()}, "us", "them"),
    ):
        with pytest.raises(tokens.TokenError):
            tokens.verify(token, keys, issuer, audience)
    with pytest.raises(tokens.TokenError, match="expired"):
        tokens.verify(tokens.issue({"exp": time.time() - 100}, key, "k1"), {"k1": key.public_key()})
    with pytest.raises(tokens.TokenError, match="malformed"):
        tokens.peek("not.a-token")


def question(**given: object) -> Question:
    usual = {"application": APPLICATION, "resource": "resource://canary", "scopes": ["agent:lifecycle"], "labels": [], "agent": ""}
    return Question(**{**usual, "edge_scopes": None, "claims": None, **given})  # type: ignore[arg-type]


MINT = {"scopes": ["canary:read"], "labels": ["canary"], "agent": "a", "edge_scopes": ["canary:read"]}
USE = {"scopes": [], "labels": ["canary"], "agent": "a", "edge_scopes": ["canary:read"]}
MANDATE = {"delegation_edge_id": "e", "scope": "canary:read", "target": ["resource://canary"]}


@pytest.mark.parametrize(
    ("given", "policy", "reason"),
    [
        ({}, "caracal-bootstrap", ""),
        ({"application": "other"}, None, "no_rule_matched"),
        ({"scopes": ["canary:read"]}, None, "no_rule_matched"),
        ({"scopes": ["agent:lifecycle", "canary:read"]}, None, "no_rule_matched"),
        (MINT, "caracal-canary-mint", ""),
        ({**MINT, "labels": ["other"]}, None, "role_scope_mismatch"),
        ({**MINT, "edge_scopes": []}, None, "delegation_scope_exceeded"),
        ({**MINT, "resource": "resource://other"}, None, "resource_not_granted"),
        ({**USE, "claims": MANDATE}, "caracal-canary-use", ""),
        ({**USE, "claims": {**MANDATE, "target": []}}, None, "mandate_target_mismatch"),
        ({**USE, "claims": {**MANDATE, "scope": "canary:write"}}, None, "role_scope_mismatch"),
        ({**USE, "application": "other", "claims": MANDATE}, None, "resource_not_granted"),
    ],
)
def test_decisions_from_data_documents(given: dict[str, object], policy: str | None, reason: str) -> None:
    decision = by_contract([twin_canary.DOCUMENT % APPLICATION], question(**given))
    assert (decision.allowed, decision.reason) == (policy is not None, reason)
    assert decision.policies == ([{"policy": policy}] if policy else [])


def test_restrictions_and_confinement_narrow_access() -> None:
    document = twin_canary.DOCUMENT % APPLICATION
    assert by_contract([document + 'restrict := ["frozen"]\n'], question()).reason == "restriction_active"
    confined = document + 'confinement := [{"label_prefix": "can", "scopes": []}]\n'
    assert by_contract([confined], question(**MINT)).reason == "confinement_violation"
    assert by_contract([confined.replace('"can"', '"x"')], question(**MINT)).allowed


@pytest.mark.parametrize(
    ("documents_given", "why"),
    [
        (["package caracal.authz\nresult := {}\n"], "unsupported data rule"),
        (["package other\n"], "no package"),
        (["package caracal.authz\napp_ids := {x | x := 1}\n"], "not given as JSON"),
        (["package caracal.authz\napp_ids := {}\n", 'package caracal.authz\napp_ids := {"a": "b"}\n'], "multiple outputs"),
        (['package caracal.authz\nrisk := [{"scope": "a", "tier": "b"}]\n'], "approvals"),
    ],
)
def test_refuses_an_unsupported_data_document(documents_given: list[str], why: str) -> None:
    with pytest.raises(PolicyError, match=why):
        by_contract(documents_given, question())


def test_comments_and_strings_in_a_document_are_distinguished() -> None:
    text = '# caracal:data-document\npackage caracal.authz\n# "x\n\tgrants := {"resource://#1": {}} # end\r\n# v1'
    assert documents.document(text) == {"grants": {"resource://#1": {}}}


def test_evaluates_the_known_rego_policy() -> None:
    policy = [twin_canary.REGO % APPLICATION]
    assert by_rego(policy, question(scopes=["canary:read"])).policies == [{"policy": "canary"}]
    assert by_rego(policy, question(scopes=[])).allowed
    for given in ({"scopes": ["canary:write"]}, {"scopes": [], "application": "other"}, {"scopes": [], "resource": "resource://other"}):
        assert not by_rego(policy, question(**given)).allowed
    # A policy without a matching rule denies without a reason.
    undefined = by_rego([twin_canary.DOCUMENT % APPLICATION], question())
    assert (undefined.allowed, undefined.reason) == (False, "")


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("==", "!="),
        ("every scope", "some scope"),
        ('"deny"', '"allow"'),
        ("} if {", "} if {\n  not false"),
        ("scope ==", "startswith(scope,"),
    ],
)
def test_refuses_unknown_rego(old: str, new: str) -> None:
    changed = (twin_canary.REGO % APPLICATION).replace(old, new, 1)
    assert changed != twin_canary.REGO % APPLICATION
    with pytest.raises(PolicyError):
        by_rego([changed], question(scopes=[]))


def test_a_variable_overrides_its_file_and_file_text_is_stripped(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from file \n")
    variables = {"TOKEN_FILE": str(tmp_path / "token")}
    assert Environment(variables).text("TOKEN") == "from file"
    assert Environment({**variables, "TOKEN": "direct"}).text("TOKEN") == "direct"


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("", "ZONE_KEK is required"),
        ("zz" * 32, "invalid byte"),
        ("ab" * 31, "must be 32 bytes, got 31"),
        ("00" * 32, "all zeros"),
        ("ab" * 32, "repeat the same byte"),
        (bytes(range(7, 39)).hex(), "sequential"),
        (bytes(range(39, 7, -1)).hex(), "sequential"),
        ("ab12" * 16, "repeating byte pattern"),
    ],
)
def test_refuses_an_invalid_kek(key: str, why: str) -> None:
    with pytest.raises(StartError, match=why):
        Environment({"ZONE_KEK": key}).kek("ZONE_KEK")


@pytest.mark.mutation
def test_keys_that_are_missing_or_short_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(StartError, match="secret file empty: A_KEY_FILE="):
        Environment({"A_KEY_FILE": str(tmp_path / "empty")}).hmac_key("A_KEY")
    with pytest.raises(StartError, match="read secret file B_KEY_FILE="):
        Environment({"B_KEY_FILE": str(tmp_path / "none")}).hmac_key("B_KEY")
    with pytest.raises(StartError, match="at least 32 bytes"):
        Environment({"A_KEY": "ab"}).hmac_key("A_KEY")
    with pytest.raises(StartError, match="required when CARACAL_MODE"):
        Environment({}).hmac_key("A_KEY")
    assert Environment({"CARACAL_MODE": "dev"}).hmac_key("A_KEY") is None


def test_times_are_written_without_trailing_zeros() -> None:
    assert nanoseconds_text(1_795_564_544_197_000_000) == "2026-11-24T23:55:44.197Z"
    assert nanoseconds_text(1_795_564_544_000_000_000) == "2026-11-24T23:55:44Z"
