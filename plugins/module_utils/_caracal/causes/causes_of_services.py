# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Causes that lie in services, Redis and the drill's own surroundings. First the more specific ones."""

from __future__ import annotations

from ... import _reasons as reasons
from ..._report.check import FAIL, UNPROVEN, WARN
from .symptoms import Answered, Cause, Found, Logged

READY = "services.*.ready"
# A service that never listened proves nothing about the set, and its log may still name the cause.
BAD = (FAIL, UNPROVEN)

CAUSES = (
    Cause(
        "services.outbox_dead",
        "dead rows in the outbox of the backup keep {services} from being ready; backups with such rows are normal",
        "set API_READY_OUTBOX_DEAD_MAX to their number for the drill; in production requeue or delete them",
        (Answered(READY, r"outbox_dead(_messages)?\b", BAD),),
    ),
    Cause(
        "services.evidence_lost",
        "audit events were dropped by {services}: the buffer was full and the replay directory took none",
        "see that Redis answers and that the replay directory can be written, then start it again",
        (Answered(READY, "audit_evidence_lost", BAD),),
    ),
    Cause(
        "services.replay_directory",
        "the replay directory cannot be written by {services}",
        "give the directory to the service's user (65532) with mode 0700, on a volume with room",
        (Answered(READY, "audit_replay_unavailable|replay store unavailable", BAD),),
    ),
    Cause(
        "services.grant",
        "the Coordinator's role may not delete sessions, so the Coordinator does not start",
        "restore roles and grants before the databases",
        (Answered("services.*", "DELETE grant"), Logged("lacks the sessions DELETE grant", ("coordinator",))),
        ("services.*", "canary.*"),
    ),
    Cause(
        "services.audit_backlog",
        "the audit service is over one of its limits: dead letters, lag, or age of what is pending",
        "wait for the backlog of the backup; if it stays, look at caracal.audit.events.dlq",
        (Answered(READY, r"audit_(dlq|lag|pel_oldest)_threshold", BAD),),
    ),
    Cause(
        "services.consumers",
        "streams are not read by {services}: a consumer group is missing, or Redis lost it",
        "make the groups at 0 (redis_stream_restore) before services start",
        (Answered(READY, "stream_consumers_not_ready|consumer_unhealthy", BAD), Found("settled.consumer_lag", reasons.MISSING_GROUPS)),
        ("settled.*",),
    ),
    Cause(
        "services.password",
        "{services} cannot log in at PostgreSQL: the password of the role is not that of the secret, or there is no such role",
        "run the migration job once more after the restore: it sets the passwords from the secrets",
        (
            Answered("services.*", "password authentication failed|role .* does not exist"),
            Logged(r"password authentication failed|role \S+ does not exist"),
        ),
        ("services.postgres", "services.*.ready"),
    ),
    Cause(
        "services.other_database",
        "services run on another database than the copy: what they show is not what was restored",
        "see that the addresses in their secrets are the copy's, and that nothing else listens there",
        (Found("canary.zones", reasons.OTHER_DATABASE), Found("canary.jwks", reasons.OTHER_DATABASE)),
        ("keys.*", "canary.*"),
    ),
    Cause(
        "services.postgres",
        "PostgreSQL is not reached by {services}",
        "see whether the copy runs and the address and login in its secret are the copy's. For the Gateway of family zone_kek this also "
        "means that gateway_binding_revision has no row",
        (Answered(READY, "postgres_unreachable|outbox_unreachable", BAD),),
    ),
    Cause(
        "services.redis",
        "Redis is not reached by {services}; an API or Coordinator without Redis answers 500",
        "see whether Redis runs, and that address and password are the drill's own",
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
        "the Gateway does not reach the STS",
        "start the STS before the Gateway, and see that STS_URL is the drill's own",
        (Answered("services.gateway.ready", r"sts_(unavailable|unreachable)"),),
    ),
    Cause(
        "services.draining",
        "shutting down while the drill asks: {services}",
        "something stops it while the drill asks; look at what started and stopped it",
        (Answered(READY, "draining", BAD),),
    ),
    Cause(
        "services.rate",
        "asked too often, so that the answer is 429: {services}",
        "ask less often, or raise READY_RATE_LIMIT_PER_MIN for the drill",
        (Answered("services.*", r"\b429\b|rate_limited"),),
    ),
    Cause(
        "redis.group_behind",
        "events of a stream are never delivered: the group was created at $ and not at 0, or the database is older than Redis",
        "restore the database and Redis from one set; or XGROUP SETID <stream> <group> 0 while the entries are there",
        (Found("redis.groups"), Found("settled.stream_landed"), Found("settled.replay_drained", reasons.EVENTS_NOT_SENT)),
        ("settled.backlog", "canary.audit_row"),
    ),
    Cause(
        "redis.lost_unread",
        "events were trimmed from a stream before their service had read them: they were lost in the deployment, before the backup",
        "find out why the service stood still, and look for these events in replay directories and exports",
        (Found("redis.lost_unread", verdicts=(WARN,)),),
    ),
    Cause(
        "redis.groups_missing",
        "the deployment lacked a consumer group, so that a service read nothing of its stream",
        "make the group at 0 in the deployment (redis_stream_restore with groups_only), and see whether the service catches up",
        (Found("redis.groups_missing", verdicts=(WARN,)),),
    ),
    Cause(
        "redis.kind",
        "a key with the name of a stream has another type, so that services can neither write to the stream nor read it",
        "find out what wrote the key, rename it (RENAME), and restart the services, which make the stream and its groups",
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
        "services do not work off what the backup left them: a stream's lag or replay files stay",
        "see whether the audit service is ready and which stream stands still; replay files are only read when STS and Gateway start",
        (Found("settled.consumer_lag"), Found("settled.replay_drained")),
    ),
    Cause(
        "settled.tamper",
        "the product's own tamper sweep did not end at zero",
        "see the checks of the audit chains, which say what it found and where",
        (Found("settled.tamper_sweep"),),
    ),
    Cause(
        "sandbox.not_isolated",
        "the sandbox is not isolated, or it was not shown that it is: services in it could act on production",
        "install bubblewrap; where the probe could reach nothing from outside either, name something it must reach there",
        (Found("sandbox.isolated", verdicts=BAD), Found("drill.sandbox", reasons.NO_ISOLATION, (UNPROVEN,))),
        ("drill.*",),
    ),
    Cause(
        "canary.application",
        "the canary application or its client secret is not one of the copy's",
        "name an application that was there when the set was made, with its secret of that time, or let the drill make its own",
        (Answered("canary.exchange", "invalid client credentials|zone_invalid"),),
        ("canary.*",),
    ),
    Cause(
        "sandbox.armed",
        "the copy could still reach out: notifications, deliveries or providers were not turned off",
        "start no service on it; see the check, and drill again",
        (Found("sandbox.disarmed", verdicts=BAD),),
    ),
    Cause(
        "services.other_images",
        "the drill started other images than ran when the set was made, which proves nothing of those",
        "leave the services out of the settings, and the drill starts those of the set; or name these",
        (Found("services.release", reasons.OTHER_IMAGE, (UNPROVEN,)),),
    ),
    Cause(
        "sandbox.room",
        "there is no room for a sandbox",
        "make room, or choose another directory",
        (
            Found("drill.*", reasons.NO_ROOM, BAD),
            Answered("drill.*", r"No space left\b", BAD),
        ),
        ("drill.*",),
    ),
    Cause(
        "sandbox.shared",
        "the sandbox lies on production's file system and could fill it",
        "choose a directory on another file system",
        (Found("drill.sandbox", reasons.SHARED_FILE_SYSTEM, BAD),),
        ("drill.*",),
    ),
    Cause(
        "drill.budget",
        "the drill took longer, or the set or the newest checkpoint is older, than its budget allows",
        "see the timeline for the step that takes the time; more jobs, faster storage, or more frequent backups and checkpoints",
        (Found("drill.rto"), Found("drill.rpo"), Found("audit.tail")),
        ("drill.step",),
    ),
    Cause(
        "services.not_ready",
        "not ready: {services}",
        "look at the end of its log",
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
        "a canary failed, and nothing else says why",
        "see its words; ask the service's log for the request id",
        (Found("canary.*", other_than=(reasons.NO_ANSWER,)),),
        general=True,
    ),
    Cause(
        "drill.step",
        "a step of the drill could not be done",
        "the check names it and says why",
        (Found("drill.*"),),
        general=True,
    ),
    Cause(
        "drill.host",
        "this drill host could not take a step, which says nothing about the set",
        "the check names it and says what to change; then drill again",
        (
            Found("drill.*", reasons.HOST_FAILED, (UNPROVEN,)),
            Found(READY, reasons.MISSING_FILE, (UNPROVEN,)),
        ),
        general=True,
    ),
)
