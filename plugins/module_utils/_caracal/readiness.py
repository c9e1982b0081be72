# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Explain the answer of a service's `/ready`.

`/ready` returns 200 even with a wrong KEK or an empty database. It only proves that a service runs and reaches its
servers.
"""

from __future__ import annotations

import json
import typing as t

# Keyed by the reason or error in the body of an answer with a status other than 200.
REASONS = {
    "postgres_unreachable": "its database does not answer; for a Gateway also: gateway_binding_revision has no row",
    "redis_unavailable": "it has no connection to Redis",
    "redis_unreachable": "Redis does not answer",
    "audit_evidence_lost": "it has dropped audit events",
    "audit_replay_unavailable": "it cannot write its replay directory",
    "stream_consumers_not_ready": "its readers of the Redis streams have not started",
    "bindings_unavailable": "it could not load the resource bindings",
    "revocation_snapshot_stale": "its list of revocations is too old",
    "sts_unavailable": "no STS is configured",
    "sts_unreachable": "the STS does not answer",
    "consumer_unhealthy": "its reader of caracal.audit.events has stopped",
    "audit_dlq_threshold": "more dead letters than its limit",
    "audit_lag_threshold": "more unread audit events than its limit",
    "audit_pel_oldest_threshold": "an audit event waits longer than its limit to be acknowledged",
    "outbox_unreachable": "it cannot read its outbox",
    "outbox_dead_messages": "more dead rows in event_outbox than its limit",
    "outbox_dead": "a dead row in caracal_outbox",
    "unavailable": "it lost the connection to its database or its services",
    "draining": "it is shutting down",
    "rate_limited": "more requests than it allows in a minute",
    "internal_error": "an internal error, for example because Redis is down",
    "control disabled": "the control gate is closed, which is normal",
}


def reason(body: bytes) -> str:
    """Return the reason or error in the body of an answer, at most 80 characters, or an empty string if the body has none."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(found, dict):
        return ""
    named: t.Any = next((found[key] for key in ("reason", "error", "status") if isinstance(found.get(key), str) and found[key]), "")
    return str(named)[:80] if named else ("draining" if found.get("draining") else "")


def explain(named: str) -> str:
    return f"{named} ({REASONS[named]})" if named in REASONS else named or "no reason given"
