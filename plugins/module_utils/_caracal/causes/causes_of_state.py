# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Causes in the set or in the restored data: chains, bindings, revocations, schema. More specific causes come first."""

from __future__ import annotations

from ... import _reasons as reasons
from ..._report.check import FAIL, UNPROVEN, WARN
from ..inventory import since_previous
from .symptoms import TAMPER, Above, Answered, Cause, Found, Logged

ANOTHER_COPY = "keep this copy as evidence, and drill another copy or an earlier set"

CAUSES = (
    Cause(
        "set.altered",
        "the set does not match its signature: an object is missing or altered, or it is not signed by a key that this host trusts",
        ANOTHER_COPY,
        (Found("set.objects"), Found("set.signature"), Found("drill.*", reasons.ALTERED_OBJECT)),
        ("drill.*",),
    ),
    Cause(
        "set.identity",
        "no identity of this host decrypts an object that the drill needs: it is encrypted for other recipients",
        "compare the backup's recipients with this host's identities, or drill a set that was created after this host became a recipient",
        (Found("drill.*", reasons.NO_IDENTITY, (FAIL, UNPROVEN)),),
        ("drill.*", "audit_key.missing"),
    ),
    Cause(
        "inventory.emptied",
        "a table that has rows in the set is empty: the restore ended early, or another client emptied the table",
        "restore again; if the table is still empty, drill an earlier set. The sealed details list every table that differs",
        (Found("inventory.*.tables", reasons.EMPTIED_TABLE),),
        ("revocation.incomplete", "state.*", "inventory.*.state"),
    ),
    Cause(
        "chain.rehash",
        "audit_chain_rehash has lost its row, so the audit service would recompute every hash and hide earlier changes",
        "restore that row before the audit service starts",
        (Found("audit.rehash_marker"), Found("state.audit_query.rehash_marker")),
    ),
    Cause(
        "chain.history",
        "chain failure in the source: audit rows were changed before this set was created, and the operator has not acknowledged it",
        "find out who could write to audit_events, then acknowledge the finding with journal_correct, as the message shows",
        (Found("blocks.history"),),
    ),
    Cause(
        "source.broken",
        "the source of the set was already broken: rows violate its own constraints, or its collations have changed",
        "repair the source as the check describes, and back up again; a restore with accept_missing_constraints omits these constraints",
        (Found("source.foreign_keys"), Found("source.unique_indexes"), Found("source.collation")),
        ("state.constraint", "state.foreign_keys.*", "drill.restore", "drill.step"),
    ),
    Cause(
        "source.shrunk",
        "the source lost state since the previous set. A table shrank by more than shrink_budget allows, revocations were undone, or "
        "admin tokens or policy versions changed, which Caracal never does",
        "find out who changed the rows; restore them from the earlier set or revoke again, or acknowledge the finding as the message shows",
        (Found(since_previous.CHECK_ID),),
    ),
    Cause(
        "chain.altered",
        "chain failure: audit rows differ from the rows that the set or a journal entry records",
        f"{ANOTHER_COPY}; find out who could write to audit_events",
        (
            Found("audit.content"),
            Found("admin.content"),
            Found("blocks.journal"),
            Found("inventory.audit_blocks"),
            # The check knows whether contents of this release can be compared at all. The metric alone does not show
            # it.
            Found("settled.tamper_sweep", f"{TAMPER}mismatch_total"),
        ),
        ("chain.broken", "chain.hmac", "settled.tamper", "state.audit_query.*"),
    ),
    Cause(
        "chain.broken",
        "chain failure: audit rows are missing or do not follow each other, because of a partial restore or deleted rows",
        f"check whether every partition of the set was restored; if so, {ANOTHER_COPY}",
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
        "new audit rows in the copy do not continue the restored chain: the audit service uses another key or started from another row",
        "restore the secrets bundle of the same set, and make sure that the audit service starts on the restored rows",
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
        "chain failure: some rows have a chain HMAC that matches no given AUDIT_HMAC_KEY",
        "after a rotation provide the earlier keys too; without a rotation, these rows were written without the key",
        (
            Found("*.hmac"),
            Found("*.hmac_key"),
            # The service knows only the current key. Its finding counts only if more rows failed than earlier keys have
            # signed.
            Found("settled.tamper_sweep", f"{TAMPER}hmac_failures_total"),
        ),
        ("settled.tamper",),
    ),
    Cause(
        "gateway.revision_gone",
        "Gateway cannot route: the only row of gateway_binding_revision is missing, which the Gateway reports as postgres_unreachable",
        "restore the table gateway_binding_revision from the same set, then restart the Gateway",
        (Found("state.gateway_bindings.revision"),),
        ("services.postgres", "gateway.bindings", "services.gateway", "canary.gateway"),
    ),
    Cause(
        "gateway.bindings",
        "Gateway cannot route: resource bindings are missing or stale, or name an application, resource or provider that does not exist",
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
        "revocation incomplete: the Gateway's revocation data is too old, so it refuses requests",
        "check whether the Gateway reaches PostgreSQL and Redis, then POST /internal/revocations/reload at the Gateway",
        (Answered("*", "revocation_snapshot_stale|revocation state unavailable"),),
        ("services.gateway", "canary.gateway"),
    ),
    Cause(
        "revocation.incomplete",
        "revocation incomplete: items that were revoked before the backup are valid again in the copy",
        "restore the revocation state of the same set, let the STS consume caracal.sessions.revoke, then reload the Gateway's revocations",
        (
            *(Found("canary.refused.revoked_session"), Found("state.revocations.*"), Found("state.sessions.revoked_active")),
            *(Found("state.delegations.revoked_active"), Found("state.agents.terminated_active"), Found("state.admin_log.revoked")),
        ),
        ("canary.*",),
    ),
    Cause(
        "revocation.one_shot",
        "a one-time token was accepted twice: the Gateway's replay markers in Redis do not work",
        "check the Gateway's Redis (noeviction, reachable); after a real restore, wait for the longest token lifetime before you expose "
        "the Gateway",
        (Found("canary.refused.replayed_token"),),
        ("canary.*",),
    ),
    Cause(
        "gateway.open",
        "the Gateway accepts a request without a token",
        "do not expose the Gateway; compare its version and configuration with production",
        (Found("canary.refused.no_token"),),
        ("canary.*",),
    ),
    Cause(
        "policy.several_active",
        "a zone has more than one active policy set, or an active policy set that is archived, so it is not defined which one decides",
        "activate the correct policy set through the API, and archive the others",
        (Found("state.policy_activation.one_active_set"), Found("state.policy_activation.active_set_live")),
        ("policy.activation",),
    ),
    Cause(
        "policy.denied",
        "the policy denies the canary; zone, application, client secret and policy engine work, and the STS is not broken",
        "grant the canary application this resource and scope, or configure another application",
        (Answered("canary.*", "policy denied", (FAIL, UNPROVEN, WARN)),),
        ("canary.exchange",),
    ),
    Cause(
        "policy.activation",
        "policy sets, versions and their activation do not match, or the STS does not load the active version",
        "restore the policy tables from the same set; read the STS's status in the API's activation status",
        (
            Found("state.policy_activation.*"),
            Found("canary.policy_active", other_than=(reasons.NO_ANSWER,)),
            Answered("canary.*", "policy_eval_failed"),
        ),
        ("canary.exchange",),
    ),
    Cause(
        "schema.migrations",
        "the copy's migrations do not match any known release",
        "run the migrations of exactly the release of the set; for a newer release, provide a table of its migrations",
        (
            Found("migrations.*"),
            Found("inventory.*.migrations"),
            Found("inventory.*.tables", reasons.MIGRATIONS_DIFFER),
            Found("migrations.release", verdicts=(UNPROVEN,)),
        ),
    ),
    Cause(
        "schema.differs",
        "the schema differs from its release: a table, column, trigger, policy, grant or role is missing or different",
        "see the named check; restore roles first, and run pg_restore without --no-owner and --no-privileges",
        (
            Found("schema.*"),
            Found("inventory.*.schema"),
            Found("inventory.*.grants"),
            Found("inventory.*.owners"),
            Found("*.roles"),
            # A step used a table or column that does not exist.
            Found("drill.*", reasons.UNKNOWN_RELATION),
        ),
        ("inventory.*.schema_dump",),
    ),
    Cause(
        "partitions.month",
        "there is no audit partition for this month, as in every old set, so new events would go to the default partition",
        "run audit_partition_ensure on the copy before a service starts",
        (
            Found("prepare.partitions", reasons.MISSING_PARTITION),
            Answered("*", "no partition of relation"),
            Logged("no partition of relation"),
        ),
    ),
    Cause(
        "outbox.lost",
        "signed audit events in the outbox were sent before the backup, but have no rows in the audit log",
        "run outbox_reopen to send them again before the API starts",
        (Found("outbox.audit_frames_landed"),),
    ),
    Cause(
        "state.constraint",
        "rows violate a constraint of their own schema, so PostgreSQL cannot create it on the copy: a write in the source bypassed it",
        "find these rows in production by the constraint that the check names, and repair them there; until then restore an earlier set",
        (Answered("drill.restore", r"violates foreign key constraint|could not create unique index|is violated by some row"),),
        ("drill.step",),
    ),
    Cause(
        "inventory.differs",
        "the copy differs from the set's signed inventory in rows, definitions, sequences, counters or settings",
        "see the sealed details for the differences and restore again; if they remain, drill an earlier set",
        (Found("inventory.*"), Found("restore.*")),
        general=True,
    ),
    Cause(
        "state.invariant",
        "rows of the copy contradict each other; the source had the same contradiction, or the restore lost data",
        "see the named check; compare with production before you repair the copy",
        (Found("state.*"),),
        general=True,
    ),
)
