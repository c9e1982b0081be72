# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Causes in services, Redis and the environment of the drill. More specific causes come first."""

from __future__ import annotations

from ... import _reasons as reasons
from ..._report.check import FAIL, UNPROVEN, WARN
from .symptoms import Answered, Cause, Found, Logged

READY = "services.*.ready"
# A service that never listened does not prove anything about the set, but its log may name the cause.
BAD = (FAIL, UNPROVEN)

CAUSES = (
    Cause(
        "services.outbox_dead",
        "{services} cannot become ready because of dead rows in the backup's outbox; such rows are normal in a backup",
        "set API_READY_OUTBOX_DEAD_MAX to their number for the drill; in production requeue or delete them",
        (Answered(READY, r"outbox_dead(_messages)?\b", BAD),),
    ),
    Cause(
        "services.evidence_lost",
        "{services} dropped audit events: the buffer was full and the replay directory could not be written",
        "check that Redis answers and that the replay directory is writable, then restart the service",
        (Answered(READY, "audit_evidence_lost", BAD),),
    ),
    Cause(
        "services.replay_directory",
        "{services} cannot write to the replay directory",
        "make the service's user (65532) the owner of the directory, with mode 0700, on a volume with free space",
        (Answered(READY, "audit_replay_unavailable|replay store unavailable", BAD),),
    ),
    Cause(
        "services.grant",
        "the Coordinator does not start, because its role has no DELETE grant on sessions",
        "restore roles and grants before the databases",
        (Answered("services.*", "DELETE grant"), Logged("lacks the sessions DELETE grant", ("coordinator",))),
        ("services.*", "canary.*"),
    ),
    Cause(
        "services.audit_backlog",
        "the audit service exceeds one of its limits: dead letters, lag, or age of pending events",
        "wait until the backlog of the backup is processed; if it remains, check caracal.audit.events.dlq",
        (Answered(READY, r"audit_(dlq|lag|pel_oldest)_threshold", BAD),),
    ),
    Cause(
        "services.consumers",
        "{services} cannot read streams, because a consumer group is missing or Redis lost it",
        "create the groups at 0 (redis_stream_restore) before the services start",
        (Answered(READY, "stream_consumers_not_ready|consumer_unhealthy", BAD), Found("settled.consumer_lag", reasons.MISSING_GROUPS)),
        ("settled.*",),
    ),
    Cause(
        "services.password",
        "{services} cannot log in to PostgreSQL: the role's password differs from the secret, or the role does not exist",
        "after the restore, run the migration job again; it sets the passwords from the secrets",
        (
            Answered("services.*", "password authentication failed|role .* does not exist"),
            Logged(r"password authentication failed|role \S+ does not exist"),
        ),
        ("services.postgres", "services.*.ready"),
    ),
    Cause(
        "services.other_database",
        "services use another database than the copy, so their answers do not describe the restored data",
        "make sure that the addresses in their secrets point to the copy, and that no other server listens there",
        (Found("canary.zones", reasons.OTHER_DATABASE), Found("canary.jwks", reasons.OTHER_DATABASE)),
        ("keys.*", "canary.*"),
    ),
    Cause(
        "services.postgres",
        "{services} cannot reach PostgreSQL",
        "check that the copy runs, and that address and login in the service's secret belong to the copy. For a Gateway of release "
        "family zone_kek, this can also mean that gateway_binding_revision has no row",
        (Answered(READY, "postgres_unreachable|outbox_unreachable", BAD),),
    ),
    Cause(
        "services.redis",
        "{services} cannot reach Redis; an API or Coordinator without Redis answers 500",
        "check that Redis runs, and that address and password are the drill's own",
        (
            Answered(READY, r"redis_(unavailable|unreachable)\b", BAD),
            Answered("services.api.ready", r"\b500\b.*internal_error"),
            Answered("services.coordinator.ready", r"\b500\b.*internal_error"),
            Found("drill.*", reasons.REDIS_UNREACHABLE, BAD),
            Logged(r"(NOAUTH|WRONGPASS|ECONNREFUSED.*6379)"),
        ),
    ),
    Cause(
        "services.sts",
        "the Gateway cannot reach the STS",
        "start the STS before the Gateway, and check that STS_URL points to the drill's own STS",
        (Answered("services.gateway.ready", r"sts_(unavailable|unreachable)"),),
    ),
    Cause(
        "services.draining",
        "a shutdown was in progress during the drill: {services}",
        "find out what stopped and started the service during the drill",
        (Answered(READY, "draining", BAD),),
    ),
    Cause(
        "services.rate",
        "{services} answered 429 because of too many requests",
        "send requests less often, or raise READY_RATE_LIMIT_PER_MIN for the drill",
        (Answered("services.*", r"\b429\b|rate_limited"),),
    ),
    Cause(
        "redis.group_behind",
        "events of a stream are never delivered: the group was created at $ instead of 0, or the database is older than Redis",
        "restore the database and Redis from one set, or run XGROUP SETID <stream> <group> 0 while the entries exist",
        (Found("redis.groups"), Found("settled.stream_landed"), Found("settled.replay_drained", reasons.EVENTS_NOT_SENT)),
        ("settled.backlog", "canary.audit_row"),
    ),
    Cause(
        "redis.lost_unread",
        "events were trimmed from a stream before their service had read them; they were lost in the deployment, before the backup",
        "find out why the service stopped reading, and search replay directories and exports for these events",
        (Found("redis.lost_unread", verdicts=(WARN,)),),
    ),
    Cause(
        "redis.groups_missing",
        "a consumer group was missing in the deployment, so a service read nothing from its stream",
        "create the group at 0 in the deployment (redis_stream_restore with groups_only), and check that the service catches up",
        (Found("redis.groups_missing", verdicts=(WARN,)),),
    ),
    Cause(
        "redis.kind",
        "a key with the name of a stream has another type, so services can neither write to the stream nor read it",
        "find out what wrote the key, rename it (RENAME), and restart the services, which create the stream and its groups",
        (Found("redis.kind", verdicts=(WARN,)),),
    ),
    Cause(
        "settled.dead_letters",
        "messages became dead letters in the drill",
        "read the reason in the entries of the .dlq or .dead stream",
        (Found("settled.dead_letters"), Logged("event sent to DLQ", ("audit",))),
    ),
    Cause(
        "settled.backlog",
        "services did not process the restored backlog: a stream still has a lag, or replay files remain",
        "check whether the audit service is ready and which stream does not advance; STS and Gateway read replay files only when they "
        "start",
        (Found("settled.consumer_lag"), Found("settled.replay_drained")),
    ),
    Cause(
        "settled.tamper",
        "Caracal's own tamper sweep reported findings",
        "see the checks of the audit chains for the findings and their location",
        (Found("settled.tamper_sweep"),),
    ),
    Cause(
        "sandbox.not_isolated",
        "the sandbox is not isolated, or its isolation was not proven, so services in it could act on production",
        "install bubblewrap; if this host could not reach the tested addresses either, name an address that this host can reach",
        (Found("sandbox.isolated", verdicts=BAD), Found("drill.sandbox", reasons.NO_ISOLATION, (UNPROVEN,))),
        ("drill.*",),
    ),
    Cause(
        "canary.application",
        "the copy does not contain the canary application or its client secret",
        "configure an application that existed when the set was created, with its secret of that time, or let the drill create one",
        (Answered("canary.exchange", "invalid client credentials|zone_invalid"),),
        ("canary.*",),
    ),
    Cause(
        "sandbox.armed",
        "the copy could still reach external systems: notifications, deliveries or providers were not turned off",
        "do not start services on this copy; see the check, and drill again",
        (Found("sandbox.disarmed", verdicts=BAD),),
    ),
    Cause(
        "services.other_images",
        "the drill started different images from those that ran when the set was created, so the result does not apply to them",
        "remove the services from the settings to start the images of the set, or name these images",
        (Found("services.release", reasons.OTHER_IMAGE, (UNPROVEN,)),),
    ),
    Cause(
        "sandbox.room",
        "there is not enough disk space for a sandbox",
        "free disk space, or choose another directory",
        (
            Found("drill.*", reasons.NO_ROOM, BAD),
            Answered("drill.*", r"No space left\b", BAD),
        ),
        ("drill.*",),
    ),
    Cause(
        "sandbox.shared",
        "the sandbox is on production's file system and could fill it",
        "choose a directory on another file system",
        (Found("drill.sandbox", reasons.SHARED_FILE_SYSTEM, BAD),),
        ("drill.*",),
    ),
    Cause(
        "drill.budget",
        "the drill took longer than its budget allows, or the set or the newest checkpoint is older than its budget allows",
        "find the slowest step in the timeline; use more jobs, faster storage, or more frequent backups and checkpoints",
        (Found("drill.rto"), Found("drill.rpo"), Found("audit.tail")),
        ("drill.step",),
    ),
    Cause(
        "services.not_ready",
        "{services} did not become ready",
        "see the end of the service's log",
        (
            Found("services.*"),
            Found(READY, verdicts=(UNPROVEN,), other_than=(reasons.UNSAFE_TO_START,)),
            Found("canary.*", reasons.NO_ANSWER),
        ),
        ("settled.backlog",),
        general=True,
    ),
    Cause(
        "canary.failed",
        "a canary failed, and no more specific cause was found",
        "read the check's message, and search the service's log for the request ID",
        (Found("canary.*", other_than=(reasons.NO_ANSWER,)),),
        general=True,
    ),
    Cause(
        "drill.step",
        "a step of the drill failed",
        "see the check for the step and the reason",
        (Found("drill.*"),),
        general=True,
    ),
    Cause(
        "drill.host",
        "this drill host could not run a step, which is not a finding about the set",
        "see the check for the step and the required change, then drill again",
        (
            Found("drill.*", reasons.HOST_FAILED, (UNPROVEN,)),
            Found(READY, reasons.MISSING_FILE, (UNPROVEN,)),
        ),
        general=True,
    ),
)
