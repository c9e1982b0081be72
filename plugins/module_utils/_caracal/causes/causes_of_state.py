# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Causes that lie in the set or in what it restored: chains, bindings, revocations, schema. First the more specific ones."""

from __future__ import annotations

from ... import _reasons as reasons
from ..._report.check import FAIL, UNPROVEN, WARN
from ..inventory import since_previous
from .symptoms import TAMPER, Above, Answered, Cause, Found, Logged

ANOTHER_COPY = "keep this one as evidence, and drill another copy or an earlier set"

CAUSES = (
    Cause(
        "set.altered",
        "the set is not what was signed: an object is missing or altered, or its signature is nobody's whom this host trusts",
        ANOTHER_COPY,
        (Found("set.objects"), Found("set.signature"), Found("drill.*", reasons.ALTERED_OBJECT)),
        ("drill.*",),
    ),
    Cause(
        "set.identity",
        "no identity of this host opens an object that the drill needs: it is sealed to others",
        "compare the recipients of the backup with the identities of this host, or drill a set that was made since this host is among them",
        (Found("drill.*", reasons.NO_IDENTITY, (FAIL, UNPROVEN)),),
        ("drill.*", "audit_key.missing"),
    ),
    Cause(
        "inventory.emptied",
        "a table is empty that has rows in the set: the restore ended early, or somebody emptied it",
        "restore again; if it stays, drill an earlier set. The sealed details name every table that differs",
        (Found("inventory.*.tables", reasons.EMPTIED_TABLE),),
        ("revocation.incomplete", "state.*", "inventory.*.state"),
    ),
    Cause(
        "chain.rehash",
        "audit_chain_rehash lost its row: the audit service would write every hash anew, and cover up whatever happened before",
        "restore that table's row before the audit service starts",
        (Found("audit.rehash_marker"), Found("state.audit_query.rehash_marker")),
    ),
    Cause(
        "chain.history",
        "chain failure in the source: audit rows were changed before this set was created, and the operator has not acknowledged it",
        "find out who could write to audit_events; then acknowledge the finding with journal_correct, as the message says",
        (Found("blocks.history"),),
    ),
    Cause(
        "source.broken",
        "the source of the set was broken already: rows do not satisfy its own constraints, or its collations have changed",
        "repair the source as the check says, and back up again; with accept_missing_constraints a restore goes on without them",
        (Found("source.foreign_keys"), Found("source.unique_indexes"), Found("source.collation")),
        ("state.constraint", "state.foreign_keys.*", "drill.restore", "drill.step"),
    ),
    Cause(
        "source.shrunk",
        "the source lost state since the set before: a table shrank by more than shrink_budget allows, revocations were undone, or admin "
        "tokens or versions of policies changed, which Caracal never does",
        "find out who changed the rows; restore them from the earlier set or revoke again, or acknowledge the finding, as the message says",
        (Found(since_previous.CHECK_ID),),
    ),
    Cause(
        "chain.altered",
        "chain failure: audit rows are not what they were when the set, or an entry of the journal, committed to them",
        f"{ANOTHER_COPY}; find out who could write to audit_events",
        (
            Found("audit.content"),
            Found("admin.content"),
            Found("blocks.journal"),
            Found("inventory.audit_blocks"),
            # Whoever made the check knows whether contents of this release can be compared at all; the metric alone does not.
            Found("settled.tamper_sweep", f"{TAMPER}mismatch_total"),
        ),
        ("chain.broken", "chain.hmac", "settled.tamper", "state.audit_query.*"),
    ),
    Cause(
        "chain.broken",
        "chain failure: audit rows are missing or do not follow each other: a partial restore, or rows were deleted",
        f"see whether every leaf of the set was restored; if so, {ANOTHER_COPY}",
        (
            Found("*.links"),
            Found("*.sequence"),
            Found("audit.partitions", reasons.DROPPED_PARTITION),
            Above(f"{TAMPER}chain_breaks_total"),
            Logged("tamper: chain (break|link)", ("audit",)),
        ),
        ("chain.hmac", "settled.tamper"),
    ),
    Cause(
        "chain.not_continued",
        "what services wrote into the copy does not continue the restored chain: the audit service holds another key, or began elsewhere",
        "restore the secrets bundle of the same set, and see that the audit service starts on the restored rows",
        (
            Found("settled.chain_continues"),
            Found("canary.audit_row", reasons.BROKEN_SEQUENCE),
            Found("canary.audit_row", reasons.BROKEN_LINK),
            Found("canary.audit_row", reasons.OTHER_AUDIT_KEY),
        ),
        ("settled.tamper",),
    ),
    Cause(
        "chain.hmac",
        "chain failure: some rows bear a chain HMAC that no given AUDIT_HMAC_KEY makes",
        "after a rotation give the earlier keys too; if there was none, these rows were written by somebody without the key",
        (
            Found("*.hmac"),
            Found("*.hmac_key"),
            # The service knows today's key alone, so its own words say nothing unless more rows failed than earlier keys have signed.
            Found("settled.tamper_sweep", f"{TAMPER}hmac_failures_total"),
        ),
        ("settled.tamper",),
    ),
    Cause(
        "gateway.revision_gone",
        "Gateway cannot route: the one row of gateway_binding_revision is missing, which the Gateway reports as postgres_unreachable",
        "restore the table gateway_binding_revision from the same set, then start the Gateway again",
        (Found("state.gateway_bindings.revision"),),
        ("services.postgres", "gateway.bindings", "services.gateway", "canary.gateway"),
    ),
    Cause(
        "gateway.bindings",
        "Gateway cannot route: bindings of resources are missing, stale, or name an application, resource or provider that is not there",
        "restore resources and providers from one set (and gateway_resource_bindings, if the release has it), then restart the Gateway",
        (
            Found("state.gateway_bindings.*"),
            Found("inventory.*.tables", reasons.BINDINGS_DIFFER),
            Answered("services.gateway.ready", "bindings_unavailable"),
            Answered("canary.*", "resource not configured"),
        ),
        ("canary.gateway", "services.gateway"),
    ),
    Cause(
        "revocation.stale",
        "revocation incomplete: the Gateway's view of revocations is too old, so it refuses requests",
        "see whether it reaches PostgreSQL and Redis, then POST /internal/revocations/reload at the Gateway",
        (Answered("*", "revocation_snapshot_stale|revocation state unavailable"),),
        ("services.gateway", "canary.gateway"),
    ),
    Cause(
        "revocation.incomplete",
        "revocation incomplete: what was revoked before the backup is valid again in the copy",
        "restore the revocation state of the same set, let the STS consume caracal.sessions.revoke, then reload the Gateway's revocations",
        (
            *(Found("canary.refused.revoked_session"), Found("state.revocations.*"), Found("state.sessions.revoked_active")),
            *(Found("state.delegations.revoked_active"), Found("state.agents.terminated_active"), Found("state.admin_log.revoked")),
        ),
        ("canary.*",),
    ),
    Cause(
        "revocation.one_shot",
        "a token for one use was accepted twice: the Gateway's marks in Redis do not hold",
        "look at the Gateway's Redis (noeviction, reachable); after a real restore wait out the longest token before it is exposed",
        (Found("canary.refused.replayed_token"),),
        ("canary.*",),
    ),
    Cause(
        "gateway.open",
        "the Gateway lets a request through without a token",
        "expose it to nobody; compare its version and configuration with production's",
        (Found("canary.refused.no_token"),),
        ("canary.*",),
    ),
    Cause(
        "policy.several_active",
        "a zone has more than one active policy set, or one that is archived: which one decides is a matter of luck",
        "activate the right one at the API, and archive the others",
        (Found("state.policy_activation.one_active_set"), Found("state.policy_activation.active_set_live")),
        ("policy.activation",),
    ),
    Cause(
        "policy.denied",
        "the policy denies the canary; zone, application, client secret and policy engine work, and the STS is not broken",
        "give the canary application a grant for this resource and scope, or name another",
        (Answered("canary.*", "policy denied", (FAIL, UNPROVEN, WARN)),),
        ("canary.exchange",),
    ),
    Cause(
        "policy.activation",
        "policy sets, versions or their activation do not fit together, or the STS does not load the active one",
        "restore the tables of policies from the same set; ask the activation status at the API for what the STS says",
        (
            Found("state.policy_activation.*"),
            Found("canary.policy_active", other_than=(reasons.NO_ANSWER,)),
            Answered("canary.*", "policy_eval_failed"),
        ),
        ("canary.exchange",),
    ),
    Cause(
        "schema.migrations",
        "the copy's migrations are not those of a release that is known",
        "run the migrations of the very release that made the set, and no other; give a table for a newer release",
        (
            Found("migrations.*"),
            Found("inventory.*.migrations"),
            Found("inventory.*.tables", reasons.MIGRATIONS_DIFFER),
            Found("migrations.release", verdicts=(UNPROVEN,)),
        ),
    ),
    Cause(
        "schema.differs",
        "the schema is not the release's: a table, column, trigger, policy, grant or role is missing or another one",
        "see the named check; roles come first in a restore, and pg_restore without --no-owner and --no-privileges keeps the rest",
        (
            Found("schema.*"),
            Found("inventory.*.schema"),
            Found("inventory.*.grants"),
            Found("inventory.*.owners"),
            Found("*.roles"),
            # What a step asked of a table or column that is not there.
            Found("drill.*", reasons.UNKNOWN_RELATION),
        ),
        ("inventory.*.schema_dump",),
    ),
    Cause(
        "partitions.month",
        "there is no audit partition for this month, as in every old set: new events would land in the default partition",
        "run audit_partition_ensure on the copy before a service starts",
        (
            Found("prepare.partitions", reasons.MISSING_PARTITION),
            Answered("*", "no partition of relation"),
            Logged("no partition of relation"),
        ),
    ),
    Cause(
        "outbox.lost",
        "signed audit frames were sent before the backup and their rows did not land",
        "let outbox_reopen send them again before the API starts",
        (Found("outbox.audit_frames_landed"),),
    ),
    Cause(
        "state.constraint",
        "rows contradict a constraint of their own schema, so that PostgreSQL refuses to make it on the copy: somebody wrote past it",
        "find these rows in production by the constraint that the check names, and repair them there; until then restore an earlier set",
        (Answered("drill.restore", r"violates foreign key constraint|could not create unique index|is violated by some row"),),
        ("drill.step",),
    ),
    Cause(
        "inventory.differs",
        "the copy is not what the set's signed inventory says: rows, definitions or numbers differ",
        "see the sealed details for what differs; restore again, and if it stays, drill an earlier set",
        (Found("inventory.*"), Found("restore.*")),
        general=True,
    ),
    Cause(
        "state.invariant",
        "rows of the copy contradict each other; the source had the same contradiction, or the restore lost something",
        "see the named check; compare with production before you repair the copy",
        (Found("state.*"),),
        general=True,
    ),
)
