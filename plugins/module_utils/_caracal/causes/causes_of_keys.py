# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Causes that lie in keys: the KEK, the HMAC keys, tokens. First the more specific ones."""

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
        "see the check for its name; restore the secrets bundle of the same set, or back it up if it was left out",
        (Found("drill.*", reasons.MISSING_SECRET),),
        ("canary.*",),
    ),
    Cause(
        "secrets.other",
        "the secrets are not those of this database but of another set or deployment: neither KEK nor AUDIT_HMAC_KEY fits; {keks}",
        BUNDLE,
        (Together((_WRONG_KEK, _WRONG_AUDIT_KEY)),),
        ("kek.*", "keys.*", "audit_key.*", "streams_key.*", "canary.*", "settled.*", "chain.hmac"),
    ),
    Cause(
        "kek.mixed",
        "values are sealed under more than one KEK: a rotation was not finished, or services ran with another KEK and wrote; {keks}",
        "give the previous KEK too, finish the rotation, and enter the secrets again that were written under the wrong KEK",
        (Found("envelopes.kek", reasons.MIXED_KEKS),),
        ("kek.*", "keys.token", "keys.signature", "canary.*"),
    ),
    Cause(
        "kek.wrong",
        "restored STS cannot decrypt keys: {keks}",
        f"{BUNDLE}, see that no SECRET_STORE_KEK or ZONE_KEK in the environment overrides its file, and start STS and API again",
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
        "the KEK given to {services} cannot be used, so there is no start: it is missing, no hex of 32 bytes, or a pattern",
        f"{BUNDLE}; the file holds 64 hex digits and nothing before them",
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
        "a signing key is sealed under the KEK of before a rotation, and the STS does not hold that one",
        "give the previous KEK too (SECRET_STORE_KEK_PREVIOUS), and finish the rotation in production",
        (Found("canary.jwks", reasons.SIGNING_KEY_NOT_SERVED),),
        ("canary.*",),
    ),
    Cause(
        "kek.damaged",
        "single sealed values are damaged, though the KEK is right",
        "bring the rows back from an earlier set that opens, or make these secrets anew; the sealed details say which rows",
        (Found("envelopes.*", reasons.DAMAGED_VALUES), Found("state.keys.sealed_form")),
        ("kek.provider",),
    ),
    Cause(
        "keys.signing_key_gone",
        "a zone's signing key is not in the restored database, and the STS makes a new one in silence: tokens of before are refused, and "
        "everything looks well",
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
        "one signing key stands in several rows: one zone's key was copied over another's",
        "restore the table secrets from an earlier set, and find out who could write there",
        (Found("envelopes.signing_keys"),),
    ),
    Cause(
        "keys.custody",
        "secrets of providers or applications are not in the restored database: an external secret backend holds them, or they are lost",
        "restore or reach that backend, or enter the secrets again",
        (
            Found("envelopes.providers"),
            Answered("*", r"provider (api key|bearer token) missing|client_secret_not_stored"),
            Logged(r"provider (api key|bearer token) missing|client_secret_not_stored"),
        ),
        ("kek.provider",),
    ),
    Cause(
        "keys.backend_unreachable",
        "the external secret backend cannot be reached; that is no sign of a wrong KEK",
        "an isolated drill cannot reach it by intent; drill with a copy of the backend, or waive the check with this reason",
        (Answered("*", "secret_backend_unavailable"), Logged("secret_backend_unavailable")),
        ("kek.provider",),
    ),
    Cause(
        "kek.provider",
        "the STS cannot read the secret of a provider",
        f"{BUNDLE}, then see whether the provider has its sealed row",
        (
            Answered(
                "*", r"upstream directive build failed|provider (secret fetch|connection decrypt) failed|provider_credential_unavailable"
            ),
        ),
        ("canary.exchange",),
    ),
    Cause(
        "keys.token",
        "the STS cannot sign a token: its signing key does not open, or its Redis does not answer",
        f"see whether JWKS answers; {BUNDLE}, and look at the STS's Redis",
        (Answered("canary.*", "token issuance failed"), Logged("token issuance failed", ("sts",))),
        ("canary.exchange",),
    ),
    Cause(
        "audit_key.differs",
        "producers and the audit service hold different AUDIT_HMAC_KEYs: events are moved to the dead letters",
        f"{BUNDLE} to all services, then send the dead letters again",
        (
            Answered("settled.dead_letters", "hmac_verify_failed"),
            Logged("hmac_verify_failed", ("audit",)),
        ),
        ("settled.*", "redis.group_behind", "canary.audit_row"),
    ),
    Cause(
        "audit_key.wrong",
        "chain failure by the key: contents and links hold, and the AUDIT_HMAC_KEY is not the one that signed the restored rows",
        f"{BUNDLE}; after a rotation give the earlier keys too. It is no sign of tampering",
        (
            _WRONG_AUDIT_KEY,
            Found("exports.hmac", reasons.WRONG_AUDIT_KEY),
            # Not one row fits. Contents of the oldest release never do, so they tell nothing.
            Together((Above(f"{TAMPER}hmac_failures_total", f"{TAMPER}checked_total"), Zero(f"{TAMPER}chain_breaks_total"))),
            Logged(r'"checked":([1-9]\d*),"mismatches":\d+,"chain_breaks":0,"hmac_failures":\1\b', ("audit",)),
        ),
        # Events that were on their way are signed with the right key, and so become dead letters.
        ("audit_key.differs", "chain.hmac", "settled.tamper", "settled.dead_letters"),
    ),
    Cause(
        "audit_key.missing",
        "no AUDIT_HMAC_KEY was given, so no chain HMAC was verified",
        "give the key of the set's secrets, and after a rotation the earlier ones",
        (Found("*.hmac", reasons.MISSING_AUDIT_KEY, (UNPROVEN,)),),
    ),
    Cause(
        "redis.forged_frames",
        "entries of the restored streams are not signed with the restored key, although earlier ones are: an attacker without the key "
        "wrote or changed them, or the key was replaced after the secrets were read",
        "see the check for the entries, and find out who can write to Redis; services drop such entries or put them into the dead letters",
        (Found("redis.forged_frames"),),
        ("streams_key.wrong", "audit_key.differs", "settled.dead_letters"),
    ),
    Cause(
        "replay.events",
        "replay files contain events with impossible times or of unknown zones: nothing in a replay file is signed, so any process that "
        "can write to the volume can add events to the audit log",
        "see the check for event, zone and file, and find out who wrote the file before STS and Gateway send it",
        (Found("replay.events", verdicts=(WARN,)),),
    ),
    Cause(
        "streams_key.wrong",
        "messages in Redis are not signed with the STREAMS_HMAC_KEY that the services hold: they are dropped and acknowledged, "
        "revocations among them",
        f"{BUNDLE}, then let the Gateway load its revocations again",
        (
            Found("secrets.streams_key"),
            Answered("*", "invalid origin signature"),
            Logged(r"invalid origin signature|dropping (revocation message|lifecycle event)"),
        ),
        ("revocation.incomplete",),
    ),
    Cause(
        "hmac_key.unusable",
        "{services} cannot start for want of an HMAC key: it is missing, or no hex of at least 32 bytes",
        f"{BUNDLE}; published modes need STREAMS_HMAC_KEY, AUDIT_HMAC_KEY and GATEWAY_STS_HMAC_KEY, the Coordinator IDEMPOTENCY_HMAC_KEY",
        (
            Answered("services.*", r"HMAC_KEY (is required|must be hex)|secret file empty: \w+_HMAC_KEY"),
            Logged(r"HMAC_KEY (is required|must be hex)|secret file empty: \w+_HMAC_KEY"),
        ),
        ("services.*", "policy.activation", "canary.*", "settled.*"),
    ),
    Cause(
        "gateway_key.wrong",
        "Gateway cannot route: the STS refuses its signature. GATEWAY_STS_HMAC_KEY differs between the two, their clocks are more than "
        "60 s apart, or Redis did not take the nonce",
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
        "look at the STS's answer in its log; compare GATEWAY_STS_HMAC_KEY and the clocks, and see whether the STS is ready",
        (Logged("sts exchange failed", ("gateway",)),),
        ("canary.gateway",),
    ),
    Cause(
        "keys.signature",
        "the Gateway cannot verify a token's signature: JWKS gives no key, or another one",
        "see what JWKS answers for the zone; restart the STS after every restore, since it keeps keys for 15 minutes",
        (
            Answered("canary.*", "bearer signature invalid"),
            Logged("denied: bearer signature", ("gateway",)),
        ),
        ("canary.gateway",),
    ),
    Cause(
        "admin_token.refused",
        "the API refuses the admin token: the restored database has another one, or its row is marked as revoked",
        f"{BUNDLE}; if the row is revoked, start the API once with a token that was never used",
        (Answered("*", "invalid_admin_token", (FAIL, UNPROVEN)), Logged("invalid_admin_token", ("api",))),
        ("policy.activation", "canary.*"),
    ),
)
