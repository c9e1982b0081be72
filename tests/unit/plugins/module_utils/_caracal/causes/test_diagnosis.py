# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import string
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils import _reasons as reasons
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.causes import diagnosis, symptoms
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains import settling
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, NOT_APPLICABLE, PASS, UNPROVEN, WARN, Check
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.diagnosis import Diagnosis

TAMPER = "caracal_audit_tamper_"
GIVEN, SEALED = "1f3a5c7e9b2d4f60", "9e107d9d372bb682"


def failed(check_id: str, message: str = "not so", verdict: str = FAIL, **details: t.Any) -> Check:
    return Check(check_id, verdict, message, details=details)


def swept(verdict: str = FAIL, **counted: float | None) -> Check:
    """Return the check of the audit service's sweep. Its reason names rows without a valid HMAC, if there are any."""
    metrics = {f"{TAMPER}{name}_total": value for name, value in counted.items()}
    reason = f"{TAMPER}hmac_failures_total" if counted.get("hmac_failures") else ""
    return failed("settled.tamper_sweep", "found rows", verdict, metrics=metrics, reason=reason)


def ready(service: str, status: int, **facts: str) -> Check:
    return failed(f"services.{service}.ready", f"{service} is not ready", service=service, status=status, **facts)


def kek(reason: str, **foreign: int) -> Check:
    return failed("envelopes.kek", reason=reason, given=[GIVEN], foreign=foreign)


DECRYPT = {"service": "sts", "status": 500, "error": "internal_error", "description": "signing key decryption failed"}
SIGNATURE = "invalid gateway exchange signature"

# The findings of a drill for each problem → the causes that it must name, in this order.
SEEN: dict[str, tuple[list[Check], dict[str, t.Any], list[str]]] = {
    "wrong KEK by the rows": ([kek(reasons.WRONG_KEK)], {}, ["kek.wrong"]),
    "wrong KEK by JWKS": ([failed("canary.jwks", **DECRYPT)], {}, ["kek.wrong"]),
    "wrong KEK and all that follows": (
        [
            kek(reasons.WRONG_KEK, **{SEALED: 9}),
            failed("envelopes.secrets.envelope", reason=reasons.DAMAGED_VALUES),
            failed("canary.jwks", **DECRYPT),
            failed("canary.exchange", status=500, error="internal_error", description="token issuance failed"),
            failed("canary.gateway", status=401, error="invalid_token", description="bearer signature invalid"),
            failed("canary.audit_row", "no row came"),
        ],
        {},
        ["kek.wrong"],
    ),
    "wrong KEK by the log of the STS": (
        [],
        {"logs": {"sts": ['{"msg":"jwks: skipped invalid signing key","reason":"decrypt"}']}},
        ["kek.wrong"],
    ),
    "wrong KEK by the log of the API": ([], {"logs": {"api": ["secret envelope was sealed under a different KEK"]}}, ["kek.wrong"]),
    "secrets of another set": (
        [
            kek(reasons.WRONG_KEK, **{SEALED: 9}),
            failed("audit.hmac_key", reason=reasons.WRONG_AUDIT_KEY),
            failed("audit.hmac", "the chain HMACs cannot be verified with the wrong key", UNPROVEN),
            failed("canary.jwks", **DECRYPT),
        ],
        {},
        ["secrets.other"],
    ),
    "two KEKs": (
        [kek(reasons.MIXED_KEKS, **{SEALED: 2}), failed("canary.jwks", **DECRYPT)],
        {},
        ["kek.mixed"],
    ),
    "no KEK at start": ([ready("sts", 0, error="init failed: kek: ZONE_KEK is required")], {}, ["kek.unusable"]),
    "a KEK of 16 bytes": (
        [ready("sts", 0)],
        {"logs": {"sts": ["init failed err=SECRET_STORE_KEK must be 32 bytes, got 16"]}},
        ["kek.unusable"],
    ),
    "an empty KEK file": ([ready("sts", 0, error="secret file empty: ZONE_KEK_FILE=/x")], {}, ["kek.unusable"]),
    "damaged rows": ([failed("envelopes.secrets.envelope", reason=reasons.DAMAGED_VALUES)], {}, ["kek.damaged"]),
    "a new signing key": (
        [failed("canary.jwks", reason=reasons.NEW_SIGNING_KEY)],
        {},
        ["keys.signing_key_gone"],
    ),
    "no signing key row": (
        [failed("canary.jwks", status=404, error="resource_not_found", description="zone signing key not found")],
        {},
        ["keys.signing_key_gone"],
    ),
    "no signing key row by the inventory": (
        [failed("inventory.caracal.state", reason=reasons.SIGNING_KEYS_DIFFER)],
        {},
        ["keys.signing_key_gone"],
    ),
    "one key twice": (
        [failed("envelopes.signing_keys")],
        {},
        ["keys.copied"],
    ),
    "lost provider secrets": (
        [failed("envelopes.providers")],
        {},
        ["keys.custody"],
    ),
    "a client secret that is not stored": ([failed("canary.exchange", status=404, error="client_secret_not_stored")], {}, ["keys.custody"]),
    "an external backend": ([failed("canary.exchange", status=502, error="secret_backend_unavailable")], {}, ["keys.backend_unreachable"]),
    "a provider's secret": ([failed("canary.exchange", status=500, description="upstream directive build failed")], {}, ["kek.provider"]),
    "no token": ([failed("canary.exchange", status=500, description="token issuance failed")], {}, ["keys.token"]),
    "another AUDIT_HMAC_KEY than the rows'": (
        [
            failed("audit.hmac_key", reason=reasons.WRONG_AUDIT_KEY),
            failed("audit.hmac", "the chain HMACs cannot be verified with the wrong key", UNPROVEN),
            swept(hmac_failures=9, checked=9, chain_breaks=0),
        ],
        {},
        ["audit_key.wrong"],
    ),
    "another AUDIT_HMAC_KEY by the sweep alone": (
        [swept(hmac_failures=9, checked=9, chain_breaks=0)],
        {},
        ["audit_key.wrong"],
    ),
    "two AUDIT_HMAC_KEYs": (
        [failed("settled.dead_letters", "1 more than at the backup, reason hmac_verify_failed"), failed("canary.audit_row", "no row came")],
        {},
        ["audit_key.differs"],
    ),
    "no AUDIT_HMAC_KEY": (
        [failed("audit.hmac", verdict=UNPROVEN, reason=reasons.MISSING_AUDIT_KEY)],
        {},
        ["audit_key.missing"],
    ),
    "rows missing": ([failed("audit.links"), failed("audit.sequence")], {}, ["chain.broken"]),
    "rows missing by the sweep": ([swept(chain_breaks=1)], {}, ["chain.broken"]),
    "rows altered": (
        [failed("audit.content"), failed("inventory.audit_blocks"), swept(mismatch=1, hmac_failures=1, checked=9)],
        {},
        ["chain.altered"],
    ),
    "a source that broke its constraints": (
        [failed("source.foreign_keys"), failed("drill.restore", 'violates foreign key constraint "a_b_fkey"')],
        {},
        ["source.broken"],
    ),
    "rows altered in the source": ([failed("blocks.history")], {}, ["chain.history"]),
    "rows deleted in the source": ([failed("inventory.since_previous")], {}, ["source.shrunk"]),
    "rows altered by the sweep alone": (
        [failed("settled.tamper_sweep", reason=f"{TAMPER}mismatch_total")],
        {},
        ["chain.altered"],
    ),
    "another AUDIT_HMAC_KEY by what the check of the sweep carries": (
        [
            failed(
                "settled.tamper_sweep",
                reason=f"{TAMPER}hmac_failures_total",
                metrics={
                    f"{TAMPER}chain_breaks_total": 0.0,
                    f"{TAMPER}hmac_failures_total": 37.0,
                    f"{TAMPER}checked_total": 37.0,
                    f"{TAMPER}x": None,
                },
            )
        ],
        {},
        ["audit_key.wrong"],
    ),
    "another AUDIT_HMAC_KEY by the log": (
        [],
        {
            "logs": {
                "audit": [
                    '{"level":"error","msg":"tamper: chain HMAC mismatch"}',
                    '{"full":true,"checked":37,"mismatches":37,"chain_breaks":0,"hmac_failures":37,"msg":"tamper sweep complete"}',
                ]
            }
        },
        ["audit_key.wrong"],
    ),
    "rows of another hand": ([failed("audit.hmac", "zone z, sequence 4: no key")], {}, ["chain.hmac"]),
    "no rehash marker": ([failed("audit.rehash_marker")], {}, ["chain.rehash"]),
    "another STREAMS_HMAC_KEY": (
        [failed("canary.refused.revoked_session")],
        {"logs": {"gateway": ["dropping lifecycle event"]}},
        ["streams_key.wrong"],
    ),
    "a dropped message": ([], {"logs": {"sts": ["dropping stream message with invalid origin signature"]}}, ["streams_key.wrong"]),
    "no STREAMS_HMAC_KEY": (
        [ready("api", 0, error="STREAMS_HMAC_KEY is required when CARACAL_MODE=rc or CARACAL_MODE=stable")],
        {},
        ["hmac_key.unusable"],
    ),
    "a short HMAC key": (
        [ready("coordinator", 0, error="IDEMPOTENCY_HMAC_KEY must be hex-encoded with at least 32 bytes")],
        {},
        ["hmac_key.unusable"],
    ),
    "another GATEWAY_STS_HMAC_KEY": (
        [failed("canary.gateway", service="gateway", status=401, error="access_denied", description=SIGNATURE)],
        {"logs": {"gateway": ["sts exchange failed"]}},
        ["gateway_key.wrong"],
    ),
    "exchanges that fail": ([failed("canary.gateway", status=502)], {"logs": {"gateway": ["sts exchange failed"]}}, ["gateway.exchange"]),
    "an unverified token": (
        [failed("canary.gateway", status=401, description="bearer signature invalid")],
        {},
        ["keys.signature"],
    ),
    "a refused admin token": ([failed("canary.self_made", status=401, error="invalid_admin_token")], {}, ["admin_token.refused"]),
    "no revision row": (
        [
            failed("state.gateway_bindings.revision"),
            ready("gateway", 503, answer="postgres_unreachable"),
        ],
        {},
        ["gateway.revision_gone"],
    ),
    "a missing binding": (
        [
            failed("state.gateway_bindings.bound", "1 resource has no binding"),
            failed("canary.gateway", status=403, description="resource not configured"),
        ],
        {},
        ["gateway.bindings"],
    ),
    "no bindings": ([ready("gateway", 503, answer="bindings_unavailable")], {}, ["gateway.bindings"]),
    "old revocations": ([ready("gateway", 503, answer="revocation_snapshot_stale")], {}, ["revocation.stale"]),
    "a revoked session that works": ([failed("canary.refused.revoked_session", status=200)], {}, ["revocation.incomplete"]),
    "lost revocations": ([failed("state.revocations.sessions")], {}, ["revocation.incomplete"]),
    "a token that works twice": ([failed("canary.refused.replayed_token", status=200)], {}, ["revocation.one_shot"]),
    "an open gateway": ([failed("canary.refused.no_token", status=200)], {}, ["gateway.open"]),
    "two active sets": (
        [failed("state.policy_activation.one_active_set", "1 zone has more than one active policy set")],
        {},
        ["policy.several_active"],
    ),
    "a policy that denies": (
        [failed("canary.exchange", status=403, error="access_denied", description="policy denied (no_rule_matched)")],
        {},
        ["policy.denied"],
    ),
    "a policy that denies, as a warning": ([failed("canary.exchange", "policy denied", WARN)], {}, ["policy.denied"]),
    "a STS that refuses the API": (
        [failed("canary.policy_active", status=200, reason=reasons.OTHER_GATEWAY_KEY)],
        {},
        ["gateway_key.wrong"],
    ),
    "a key of before a rotation": (
        [failed("canary.jwks", reason=reasons.SIGNING_KEY_NOT_SERVED)],
        {},
        ["kek.previous"],
    ),
    "new rows that do not follow": ([failed("settled.chain_continues")], {}, ["chain.not_continued"]),
    "another database": (
        [failed("canary.zones", reason=reasons.OTHER_DATABASE)],
        {},
        ["services.other_database"],
    ),
    "missing groups": ([failed("settled.consumer_lag", reason=reasons.MISSING_GROUPS)], {}, ["services.consumers"]),
    "an application of another time": (
        [failed("canary.exchange", status=401, description="invalid client credentials")],
        {},
        ["canary.application"],
    ),
    "a copy that reaches out": ([failed("sandbox.disarmed", verdict=UNPROVEN)], {}, ["sandbox.armed"]),
    "other images than ran": (
        [failed("services.release", verdict=UNPROVEN, reason=reasons.OTHER_IMAGE)],
        {},
        ["services.other_images"],
    ),
    "programs by path": ([failed("services.release", "api: programs by path", UNPROVEN)], {}, []),
    "an unknown release": ([failed("migrations.release", "unknown release", UNPROVEN)], {}, ["schema.migrations"]),
    "a log in a check": (
        [failed("services.api.ready", log=["starting", "startup failed: SECRET_STORE_KEK is required"])],
        {},
        ["kek.unusable"],
    ),
    "a policy that is not loaded": ([failed("canary.policy_active", "waiting_for_sts")], {}, ["policy.activation"]),
    "a missing migration": ([failed("migrations.applied"), failed("inventory.caracal.migrations")], {}, ["schema.migrations"]),
    "row security off": ([failed("schema.policies"), failed("inventory.caracal.schema")], {}, ["schema.differs"]),
    "a missing role": ([failed("restore.roles")], {}, ["schema.differs"]),
    "an altered table": ([failed("inventory.caracal.tables", "public.zones: the content of rows differs")], {}, ["inventory.differs"]),
    "an emptied table": (
        [
            failed("inventory.caracal.tables", reason=reasons.EMPTIED_TABLE),
            failed("state.revocations.agents"),
            failed("state.foreign_keys.caracal"),
        ],
        {},
        ["inventory.emptied"],
    ),
    "agents without parents": ([failed("state.agents.depth")], {}, ["state.invariant"]),
    "an emptied table and a missing migration": (
        [failed("inventory.caracal.tables"), failed("migrations.applied")],
        {},
        ["schema.migrations", "inventory.differs"],
    ),
    "no partition for this month": (
        [failed("canary.audit_row", "no partition of relation audit_events found for row")],
        {},
        ["partitions.month"],
    ),
    "frames that did not land": ([failed("outbox.audit_frames_landed")], {}, ["outbox.lost"]),
    "a dead row of the API": ([ready("api", 503, error="outbox_dead_messages")], {}, ["services.outbox_dead"]),
    "a dead row of the Coordinator": ([ready("coordinator", 503, error="outbox_dead")], {}, ["services.outbox_dead"]),
    "lost evidence": ([ready("sts", 503, answer="audit_evidence_lost")], {}, ["services.evidence_lost"]),
    "a replay directory": ([ready("sts", 503, answer="audit_replay_unavailable")], {}, ["services.replay_directory"]),
    "a lost grant": ([ready("coordinator", 0, error="coordinator role lacks the sessions DELETE grant")], {}, ["services.grant"]),
    "too many dead letters": ([ready("audit", 503, answer="audit_dlq_threshold")], {}, ["services.audit_backlog"]),
    "no consumer": ([ready("sts", 503, answer="stream_consumers_not_ready")], {}, ["services.consumers"]),
    "a password": ([ready("api", 503)], {"logs": {"api": ["password authentication failed for user caracal"]}}, ["services.password"]),
    "no PostgreSQL": ([ready("sts", 503, answer="postgres_unreachable")], {}, ["services.postgres"]),
    "no Redis": ([ready("sts", 503, answer="redis_unavailable")], {}, ["services.redis"]),
    "an API without Redis": ([ready("api", 500, error="internal_error")], {}, ["services.redis"]),
    "no STS": ([ready("gateway", 503, answer="sts_unreachable")], {}, ["services.sts"]),
    "an ending service": ([ready("api", 503, answer="draining")], {}, ["services.draining"]),
    "too many questions": ([ready("api", 429, error="rate_limited")], {}, ["services.rate"]),
    "a silent service": ([ready("web", 0)], {}, ["services.not_ready"]),
    "a group at $": (
        [failed("settled.replay_drained", reason=reasons.EVENTS_NOT_SENT)],
        {},
        ["redis.group_behind"],
    ),
    "unread entries that were trimmed": ([Check("redis.lost_unread", WARN, "", required=False)], {}, ["redis.lost_unread"]),
    "a group that the deployment lacked": ([Check("redis.groups_missing", WARN, "", required=False)], {}, ["redis.groups_missing"]),
    "forged entries": ([Check("redis.forged_frames", FAIL, "")], {}, ["redis.forged_frames"]),
    "impossible replay events": ([Check("replay.events", WARN, "", required=False)], {}, ["replay.events"]),
    "a key in the place of a stream": ([Check("redis.kind", WARN, "", required=False)], {}, ["redis.kind"]),
    "dead letters": ([failed("settled.dead_letters")], {}, ["settled.dead_letters"]),
    "a lag that stays": ([failed("settled.consumer_lag"), failed("settled.replay_drained")], {}, ["settled.backlog"]),
    "a sweep that is not at zero": ([failed("settled.tamper_sweep")], {}, ["settled.tamper"]),
    "a way out of the sandbox": ([failed("sandbox.isolated")], {}, ["sandbox.not_isolated"]),
    "a sandbox without proof": (
        [failed("sandbox.isolated", "nothing answers outside either", UNPROVEN)],
        {},
        ["sandbox.not_isolated"],
    ),
    "no room": ([failed("drill.sandbox", reason=reasons.NO_ROOM)], {}, ["sandbox.room"]),
    "production's file system": (
        [failed("drill.sandbox", reason=reasons.SHARED_FILE_SYSTEM)],
        {},
        ["sandbox.shared"],
    ),
    "an altered object": ([failed("set.objects", "x was altered")], {}, ["set.altered"]),
    "an identity of another recipient": (
        [failed("drill.restore", reason=reasons.NO_IDENTITY)],
        {},
        ["set.identity"],
    ),
    "rows that a constraint forbids": (
        [failed("drill.restore", 'pg_restore: error: ERROR:  insert or update on table "a" violates foreign key constraint "a_b_fkey"')],
        {},
        ["state.constraint"],
    ),
    "a slow drill": ([failed("drill.rto")], {}, ["drill.budget"]),
    "a secret that was left out": (
        [failed("drill.keys", reason=reasons.MISSING_SECRET)],
        {},
        ["secrets.missing"],
    ),
    "a service that was not started": (
        [failed("canary.policy_active", reason=reasons.NO_ANSWER)],
        {},
        ["services.not_ready"],
    ),
    "a column that a step misses": ([failed("drill.keys", reason=reasons.UNKNOWN_RELATION)], {}, ["schema.differs"]),
    "a step that this host could not take": (
        [
            failed("drill.sandbox", verdict=UNPROVEN, reason=reasons.HOST_FAILED),
            failed("drill.restore", verdict=UNPROVEN),
        ],
        {},
        ["drill.host"],
    ),
    "a step that could not be done": ([failed("drill.state", "the server went away")], {}, ["drill.step"]),
    "a canary with an unknown answer": ([failed("canary.gateway", status=418)], {}, ["canary.failed"]),
    "two troubles": (
        [failed("canary.jwks", **DECRYPT), ready("api", 503, error="outbox_dead_messages")],
        {},
        ["kek.wrong", "services.outbox_dead"],
    ),
}


@pytest.mark.mutation
@pytest.mark.parametrize("name", SEEN)
def test_each_symptom_has_its_cause(name: str) -> None:
    checks, other, causes = SEEN[name]
    found = diagnosis.diagnose(checks, **other)
    assert [one.id for one in found] == causes
    for one in found:
        assert one.because and "{" not in one.cause + one.remedy and not one.remedy.endswith(".")


def test_every_cause_is_tested() -> None:
    assert {cause.id for cause in diagnosis.CAUSES} == {name for _checks, _other, causes in SEEN.values() for name in causes}


def test_cause_table_is_consistent() -> None:
    ids = [cause.id for cause in diagnosis.CAUSES]
    assert len(ids) == len(set(ids))
    fields = {
        field for cause in diagnosis.CAUSES for text in (cause.cause, cause.remedy) for _a, field, _b, _c in string.Formatter().parse(text)
    }
    assert fields - {None} == {"keks", "services"}
    first_general = min(index for index, cause in enumerate(diagnosis.CAUSES) if cause.general)
    assert first_general > ids.index("kek.wrong")


def only(*checks: Check, **other: t.Any) -> Diagnosis:
    (found,) = diagnosis.diagnose(checks, **other)
    return found


@pytest.mark.mutation
def test_a_wrong_kek_names_both_keys() -> None:
    found = only(kek(reasons.WRONG_KEK, **{SEALED: 9}), failed("canary.jwks", **DECRYPT))
    assert found.cause == f"restored STS cannot decrypt keys: the given KEK is {GIVEN}, but the rows are sealed under {SEALED}"
    assert found.remedy.startswith("restore the secrets bundle of the same set") and found.because == ("envelopes.kek", "canary.jwks")
    assert f"are sealed under {SEALED}" in only(kek(reasons.WRONG_KEK, unknown=9), key_ids={"kek": SEALED}).cause, "rows without a key id"
    assert "sealed under another KEK" in only(kek(reasons.WRONG_KEK, unknown=9), key_ids={"kek": GIVEN}).cause
    by_jwks = failed("canary.jwks", **DECRYPT)
    assert only(by_jwks).cause.endswith("the given KEK is not the KEK under which the rows are sealed")
    assert only(by_jwks, key_ids={"kek": SEALED}).cause.endswith(f"the given KEK is not {SEALED} under which the rows are sealed")


@pytest.mark.mutation
def test_cause_lists_all_checks_that_follow_from_it() -> None:
    checks, _other, _causes = SEEN["wrong KEK and all that follows"]
    assert set(only(*checks).because) == {check.id for check in checks} - {"canary.audit_row"}
    found = only(failed("canary.jwks", **DECRYPT), logs={"sts": ["jwks: skipped invalid signing key"] * 3})
    assert found.because == ("canary.jwks", "log of sts")


@pytest.mark.mutation
def test_the_services_are_named() -> None:
    found = only(ready("sts", 503, answer="redis_unreachable"), ready("api", 500, error="internal_error"))
    assert found.cause.startswith("sts and api cannot reach Redis")


@pytest.mark.no_false_alarm
def test_a_clean_drill_has_no_cause() -> None:
    """This holds for any words in its messages, and with everything that a clean drill leaves unproven."""
    ids = [check.id for checks, _other, _causes in SEEN.values() for check in checks]
    words = "no AUDIT_HMAC_KEY problem, signing key decryption failed never, wrong KEK not seen, 500, outbox_dead_messages: 0"
    clean = [Check(name, verdict, words) for name in ids for verdict in (PASS, NOT_APPLICABLE)]
    clean += [
        Check("journal.freshness", UNPROVEN, "this host has no high-water mark yet", required=False),
        Check("envelopes.operator_plan_secrets", UNPROVEN, "this column contains no sealed value", required=False),
        Check("set.drilled", UNPROVEN, "no drill has passed with this set yet", required=False),
        Check("blocks.journal", UNPROVEN, "no earlier set or checkpoint has audit blocks", required=False),
        Check("envelopes.kek", WARN, "a KEK rotation is not finished: 4 values under a, 2 under the previous KEK"),
        Check("audit.partitions", WARN, "leaf x: the partition is missing, although older and newer ones exist"),
        Check("schema.partition_window", WARN, "there is no partition for the present month"),
    ]
    zero = dict.fromkeys((f"{TAMPER}{name}_total" for name in ("hmac_failures", "chain_breaks")), 0.0)
    zero[f"{TAMPER}mismatch_total"] = 21.0  # as the oldest release counts every row
    clean.append(Check("settled.tamper_sweep", PASS, words, details={"metrics": {**zero, f"{TAMPER}checked_total": 4711.0}}))
    logs = {"sts": ["listening", "jwks served"], "audit": ['{"checked":37,"mismatches":37,"chain_breaks":0,"hmac_failures":0}']}
    assert diagnosis.diagnose(clean, key_ids={"kek": GIVEN}, logs=logs) == []
    assert diagnosis.diagnose([]) == []


@pytest.mark.mutation
def test_hmac_failures_with_broken_links_are_not_a_wrong_key() -> None:
    """A wrong key is reported only if no row matches it. A missing metric does not count as zero."""
    few = {"hmac_failures": 9, "checked": 10, "chain_breaks": 0}
    assert causes_of(swept(**few)) == ["chain.hmac"]
    assert causes_of(swept(PASS, **few)) == [], "rows of an earlier key"
    assert causes_of(swept(hmac_failures=9, checked=9, chain_breaks=1)) == ["chain.broken"]
    assert causes_of(swept(hmac_failures=9, checked=9)) == causes_of(swept(hmac_failures=9, checked=9, chain_breaks=None)) == ["chain.hmac"]


def causes_of(*checks: Check) -> list[str]:
    return [one.id for one in diagnosis.diagnose(checks)]


METRICS = {*settling.FINDINGS, settling.SWEEP_MISMATCH, settling.CHECKED}


def named(sign: object) -> set[str]:
    """Return the metrics that a sign checks."""
    if isinstance(sign, symptoms.Together):
        return {name for one in sign.signs for name in named(one)}
    return {name for name in (getattr(sign, "metric", ""), getattr(sign, "of", "")) if name}


def test_each_metric_of_a_cause_is_set_by_a_check() -> None:
    found = {name for cause in diagnosis.CAUSES for sign in cause.signs for name in named(sign)}
    assert found and found <= METRICS
