# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Caracal of 2026-06-04 (commit 46a980b6c), family `zone_kek`: v2026.06.21 with the later changes reverted.

Its admin audit has no chain, and agents have capabilities and a kind. The audit service hashes the received text, not the stored text.
"""

from __future__ import annotations

import dataclasses

from ..facts import Names, Release, changed, without
from . import v2026_06_21 as later

TABLES = {
    **without(later.CARACAL_TABLES, "audit_chain_rehash"),
    "admin_audit_events": changed(
        later.CARACAL_TABLES["admin_audit_events"],
        drop=("content_sha256", "prev_content_sha256", "chain_hmac", "chain_seq", "admin_audit_events_chain"),
    ),
    "agent_sessions": changed(
        later.CARACAL_TABLES["agent_sessions"],
        drop=("idempotency_key", "agent_sessions_lifecycle_check", "agent_sessions_idempotency_key_idx"),
        columns={
            "labels": "capabilities text[] not null default '{}'::text[]",
            "ttl_seconds": "ttl_seconds integer not null default 3600",
            "lifecycle": "agent_kind text not null default 'ephemeral'::text",
        },
        constraints={
            "agent_sessions_agent_kind_check": ("CHECK ((agent_kind = ANY (ARRAY['service'::text, 'instance'::text, 'ephemeral'::text])))"),
        },
        indexes={
            "agent_sessions_service_heartbeat_deadline_idx": (
                "btree (heartbeat_deadline_at) WHERE ((status = 'active'::text) AND (agent_kind = 'service'::text))"
            ),
        },
    ),
    "audit_events": changed(later.CARACAL_TABLES["audit_events"], drop=("audit_events_agent_labels_idx", "audit_events_agent_session_idx")),
}

CARACAL = dataclasses.replace(later.CARACAL, tables=TABLES)

NAMES = Names(
    tables=later.NAMES.tables,
    columns={
        **later.NAMES.columns,
        "sessions": {**later.NAMES.columns["sessions"], "labels": "capabilities", "lifecycle": "agent_kind"},
    },
    # Services have a time to live too, but it has no effect.
    values={"sessions": {"lifecycle": {"task": "ephemeral"}, "ttl_seconds": {None: 3600}}},
)

RELEASE = Release(
    name="2026-06-04",
    family="zone_kek",
    databases=(CARACAL,),
    roles=later.ROLES,
    migrations=later.MIGRATIONS[:41],
    names=NAMES,
    hashes_wire=True,
)
