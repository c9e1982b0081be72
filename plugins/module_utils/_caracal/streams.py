# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Caracal's streams: their readers, and the effects of losing them."""

from __future__ import annotations

import dataclasses

PATTERN = "caracal.*"
# The group of the audit service, which writes the events into the database.
AUDIT_GROUP = "audit-ingestor"
DEAD = (".dead", ".dlq")
# Fields of the entry with which provisioning creates the stream of rate limits. That stream has no group.
SEED = (b"init", b"1")


@dataclasses.dataclass(frozen=True)
class KnownStream:
    """A stream. `groups` are the groups that provisioning creates, and `consumed` those that a service of Caracal reads."""

    name: str
    groups: tuple[str, ...]
    consumed: tuple[str, ...] = ()


STREAMS = (
    KnownStream("caracal.agents.lifecycle", ("coordinator-relay",), ("coordinator-relay",)),
    KnownStream("caracal.audit.events", (AUDIT_GROUP, "siem-export"), (AUDIT_GROUP,)),
    KnownStream("caracal.audit.events.dlq", ("audit-dlq-observer",)),
    KnownStream("caracal.delegations.invalidate", ("delegations-observer",)),
    KnownStream("caracal.invocations.lifecycle", ("invocations-observer",)),
    KnownStream("caracal.keys.invalidate", ("sts-keys",)),
    KnownStream("caracal.policy.invalidate", ("opa-engine",), ("opa-engine",)),
    KnownStream("caracal.sessions.revoke", ("sts-revocation",), ("sts-revocation",)),
)

# An entry that the STS cannot apply stays pending until the STS starts again. The API writes such entries for subjects.
RETRIED_LATER = ("sts-revocation",)
# The service that reads a group. Each service creates its groups and their streams only when it starts. So a deployment
# whose services ran once has all of them, even if no event was ever written.
READERS = {"coordinator-relay": "coordinator", AUDIT_GROUP: "audit", "opa-engine": "sts", "sts-revocation": "sts"}
# Each replica of the Gateway creates its own group when it starts.
GATEWAY_GROUP = "gateway-revocation"

RATE_LIMITS = "caracal.providers.ratelimit"
# Keys that must be streams if they exist.
NAMES = (*(known.name for known in STREAMS), *(f"{known.name}.dead" for known in STREAMS), RATE_LIMITS)

WITHOUT_REDIS = (
    "One-time tokens that were already used can be used again until they expire: 15 minutes for resources, 60 for sessions. "
    "Expose the gateway after that, or rotate the zones' signing keys.",
    "Unread audit events and dead letters are lost.",
    "Invalidations and revocations in flight are lost; the services read the state from PostgreSQL when they start.",
    "Rate limits start at zero, and users must restart provider logins that were in progress.",
    "Resource servers that store revocations in this Redis have lost them; send the events of the outbox again.",
)


def is_dead_letters(stream: str) -> bool:
    return stream.endswith(DEAD)


def is_consumed(stream: str, group: str) -> bool:
    """Return whether a service of Caracal reads the group, so that its lag is meaningful."""
    if group.split(":")[0] == GATEWAY_GROUP:
        return True
    return any(group in known.consumed for known in STREAMS if known.name == stream)
