# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Causes in keys: the KEK, the HMAC keys, tokens. More specific causes come first."""

from __future__ import annotations

from ... import _reasons as reasons
from ..._report.check import FAIL, UNPROVEN, WARN
from .symptoms import TAMPER, Above, Answered, Cause, Found, Logged, Together, Zero

BUNDLE = "restore the secrets bundle of the same set"
OTHER_KEK = r"different KEK|decrypt signing key|signing key decryption failed|message authentication failed"

_WRONG_KEK = Found("envelopes.kek", reasons.WRONG_KEK)
_WRONG_AUDIT_KEY = Found("*.hmac_key", reasons.WRONG_AUDIT_KEY)

CAUSES = (
    Cause(
        "secrets.missing",
        "a secret that the drill or a service needs was not restored",
        "find the secret's name in the check; restore the secrets bundle of the same set, or back the secret up if it was left out",
        (Found("drill.*", reasons.MISSING_SECRET),),
        ("canary.*",),
    ),
    Cause(
        "secrets.other",
        "the secrets belong to another set or deployment, so neither the KEK nor AUDIT_HMAC_KEY fits; {keks}",
        BUNDLE,
        (Together((_WRONG_KEK, _WRONG_AUDIT_KEY)),),
        ("kek.*", "keys.*", "audit_key.*", "streams_key.*", "canary.*", "settled.*", "chain.hmac"),
    ),
    Cause(
        "kek.mixed",
        "values are sealed under more than one KEK (unfinished rotation, or services ran with another KEK); {keks}",
        "provide the previous KEK too, finish the rotation, and re-enter the secrets that were written under the wrong KEK",
        (Found("envelopes.kek", reasons.MIXED_KEKS),),
        ("kek.*", "keys.token", "keys.signature", "canary.*"),
    ),
    Cause(
        "kek.wrong",
        "restored STS cannot decrypt keys: {keks}",
        f"{BUNDLE}, make sure that SECRET_STORE_KEK or ZONE_KEK in the environment does not override its file, and restart STS and API",
        (
            _WRONG_KEK,
            Answered("canary.*", OTHER_KEK),
            Answered("services.*", OTHER_KEK),
            Logged(r"jwks: skipped invalid signing key", ("sts",)),
            Logged(OTHER_KEK),
        ),
        ("kek.damaged", "kek.previous", "kek.provider", "keys.token", "keys.signature", "canary.*"),
    ),
    Cause(
        "kek.unusable",
        "{services} cannot start: the KEK is missing, is not 32 bytes of hex, or is a pattern instead of random bytes",
        f"{BUNDLE}; the KEK file must contain 64 hex digits with nothing before them",
        (
            Answered("services.*", r"(ZONE_KEK|SECRET_STORE_KEK|\bkek\b).*(required|invalid byte|must be 32 bytes|must not|pattern)"),
            Answered("services.*", r"secret file empty: (ZONE|SECRET_STORE)_KEK"),
            Logged(r"(ZONE_KEK|SECRET_STORE_KEK|\bkek:).*(is required|invalid byte|must be 32 bytes|must not|pattern)"),
            Logged(r"secret file empty: (ZONE|SECRET_STORE)_KEK"),
            Found("drill.*", reasons.UNUSABLE_KEK),
        ),
        ("services.*", "policy.activation", "canary.*", "settled.*"),
    ),
    Cause(
        "kek.previous",
        "a signing key is sealed under the KEK from before a rotation, which the STS does not have",
        "provide the previous KEK too (SECRET_STORE_KEK_PREVIOUS), and finish the rotation in production",
        (Found("canary.jwks", reasons.SIGNING_KEY_NOT_SERVED),),
        ("canary.*",),
    ),
    Cause(
        "kek.damaged",
        "some sealed values are damaged, although the KEK is correct",
        "restore these rows from an earlier set that decrypts, or create the secrets again; the sealed details list the rows",
        (Found("envelopes.*", reasons.DAMAGED_VALUES), Found("state.keys.sealed_form")),
        ("kek.provider",),
    ),
    Cause(
        "keys.signing_key_gone",
        "a zone's signing key is missing from the restored database, so the STS silently creates a new key and earlier tokens are refused",
        "restore the table secrets from the same set before the STS starts",
        (
            Found("canary.*", reasons.NEW_SIGNING_KEY),
            Answered("canary.*", "zone signing key not found"),
            Found("state.keys.zone_signing_key"),
            Found("state.keys.zone_signed"),
            Found("inventory.*.state", reasons.SIGNING_KEYS_DIFFER),
        ),
        ("keys.signature", "canary.*"),
    ),
    Cause(
        "keys.copied",
        "several rows contain the same signing key: one zone's key was copied over another's",
        "restore the table secrets from an earlier set, and find out who could write to that table",
        (Found("envelopes.signing_keys"),),
    ),
    Cause(
        "keys.custody",
        "secrets of providers or applications are not in the restored database: they are in an external secret backend, or lost",
        "restore that backend or connect to it, or enter the secrets again",
        (
            Found("envelopes.providers"),
            Answered("*", r"provider (api key|bearer token) missing|client_secret_not_stored"),
            Logged(r"provider (api key|bearer token) missing|client_secret_not_stored"),
        ),
        ("kek.provider",),
    ),
    Cause(
        "keys.backend_unreachable",
        "the external secret backend cannot be reached, which does not indicate a wrong KEK",
        "an isolated drill intentionally cannot reach it; drill with a copy of the backend, or waive the check with this reason",
        (Answered("*", "secret_backend_unavailable"), Logged("secret_backend_unavailable")),
        ("kek.provider",),
    ),
    Cause(
        "kek.provider",
        "the STS cannot read the secret of a provider",
        f"{BUNDLE}, then check that the database contains the provider's encrypted secret",
        (
            Answered(
                "*", r"upstream directive build failed|provider (secret fetch|connection decrypt) failed|provider_credential_unavailable"
            ),
        ),
        ("canary.exchange",),
    ),
    Cause(
        "keys.token",
        "the STS cannot sign a token: it cannot decrypt its signing key, or its Redis does not answer",
        f"check whether JWKS answers, {BUNDLE}, and check the STS's Redis",
        (Answered("canary.*", "token issuance failed"), Logged("token issuance failed", ("sts",))),
        ("canary.exchange",),
    ),
    Cause(
        "audit_key.differs",
        "producers and the audit service use different AUDIT_HMAC_KEYs, so events become dead letters",
        f"{BUNDLE} to all services, then send the dead letters again",
        (
            Answered("settled.dead_letters", "hmac_verify_failed"),
            Logged("hmac_verify_failed", ("audit",)),
        ),
        ("settled.*", "redis.group_behind", "canary.audit_row"),
    ),
    Cause(
        "audit_key.wrong",
        "chain failure because of the key: contents and links are intact, but AUDIT_HMAC_KEY is not the key that signed the restored rows",
        f"{BUNDLE}; after a rotation provide the earlier keys too. This does not indicate tampering",
        (
            _WRONG_AUDIT_KEY,
            Found("exports.hmac", reasons.WRONG_AUDIT_KEY),
            # No row matches. Contents of the oldest release never match, so they are not used here.
            Together((Above(f"{TAMPER}hmac_failures_total", f"{TAMPER}checked_total"), Zero(f"{TAMPER}chain_breaks_total"))),
            Logged(r'"checked":([1-9]\d*),"mismatches":\d+,"chain_breaks":0,"hmac_failures":\1\b', ("audit",)),
        ),
        # Events in flight are signed with the correct key, so they become dead letters.
        ("audit_key.differs", "chain.hmac", "settled.tamper", "settled.dead_letters"),
    ),
    Cause(
        "audit_key.missing",
        "no AUDIT_HMAC_KEY was given, so no chain HMAC was verified",
        "provide the key from the set's secrets, and after a rotation the earlier keys",
        (Found("*.hmac", reasons.MISSING_AUDIT_KEY, (UNPROVEN,)),),
    ),
    Cause(
        "redis.forged_frames",
        "entries of the restored streams are not signed with the restored key, although earlier entries are. An attacker without the key "
        "wrote or changed them, or the key was replaced after the secrets were read",
        "find the entries in the check, and find out who can write to Redis; services drop such entries or move them to the dead letters",
        (Found("redis.forged_frames"),),
        ("streams_key.wrong", "audit_key.differs", "settled.dead_letters"),
    ),
    Cause(
        "replay.events",
        "replay files contain events with impossible times or unknown zones. Replay files are not signed, so any process that can write "
        "to the volume can add events to the audit log",
        "find event, zone and file in the check, and find out who wrote the file before STS and Gateway send it",
        (Found("replay.events", verdicts=(WARN,)),),
    ),
    Cause(
        "streams_key.wrong",
        "messages in Redis are not signed with the services' STREAMS_HMAC_KEY, so services drop and acknowledge them, including "
        "revocations",
        f"{BUNDLE}, then reload the Gateway's revocations",
        (
            Found("secrets.streams_key"),
            Answered("*", "invalid origin signature"),
            Logged(r"invalid origin signature|dropping (revocation message|lifecycle event)"),
        ),
        ("revocation.incomplete",),
    ),
    Cause(
        "hmac_key.unusable",
        "{services} cannot start: an HMAC key is missing or is not at least 32 bytes of hex",
        f"{BUNDLE}; published modes need STREAMS_HMAC_KEY, AUDIT_HMAC_KEY and GATEWAY_STS_HMAC_KEY, and the Coordinator needs "
        "IDEMPOTENCY_HMAC_KEY",
        (
            Answered("services.*", r"HMAC_KEY (is required|must be hex)|secret file empty: \w+_HMAC_KEY"),
            Logged(r"HMAC_KEY (is required|must be hex)|secret file empty: \w+_HMAC_KEY"),
        ),
        ("services.*", "policy.activation", "canary.*", "settled.*"),
    ),
    Cause(
        "gateway_key.wrong",
        "Gateway cannot route: the STS refuses its signature. GATEWAY_STS_HMAC_KEY differs between the two, their clocks differ by more "
        "than 60 s, or Redis did not store the nonce",
        f"{BUNDLE} to Gateway, STS and API, then compare the clocks",
        (
            Answered("*", r"invalid gateway exchange signature|sts_simulation_failed:access_denied"),
            Found("canary.policy_active", reasons.OTHER_GATEWAY_KEY),
            Logged("invalid gateway exchange signature"),
        ),
        ("gateway.exchange", "policy.activation", "canary.*"),
    ),
    Cause(
        "gateway.exchange",
        "Gateway cannot route: exchanges with the STS fail",
        "find the STS's answer in its log; compare GATEWAY_STS_HMAC_KEY and the clocks, and check that the STS is ready",
        (Logged("sts exchange failed", ("gateway",)),),
        ("canary.gateway",),
    ),
    Cause(
        "keys.signature",
        "the Gateway cannot verify a token's signature: JWKS contains no key or a different key",
        "check what JWKS returns for the zone; restart the STS after every restore, because it caches keys for 15 minutes",
        (
            Answered("canary.*", "bearer signature invalid"),
            Logged("denied: bearer signature", ("gateway",)),
        ),
        ("canary.gateway",),
    ),
    Cause(
        "admin_token.refused",
        "the API refuses the admin token: the restored database contains another token, or its row is marked as revoked",
        f"{BUNDLE}; if the row is revoked, start the API once with a token that was never used",
        (Answered("*", "invalid_admin_token", (FAIL, UNPROVEN)), Logged("invalid_admin_token", ("api",))),
        ("policy.activation", "canary.*"),
    ),
)
