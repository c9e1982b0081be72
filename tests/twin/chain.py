# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The two hash chains: the hashed content, and the link of a row to the row before it."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import typing as t

ADMIN_FIELDS = (
    "id",
    "request_id",
    "actor_id",
    "actor_name",
    "actor_scope",
    "action",
    "method",
    "path",
    "zone_id",
    "entity_type",
    "entity_id",
    "status_code",
)
# jsonb does not keep the order of keys in which a payload was written, so the orders of the writers are recorded here.
PAYLOAD_ORDERS = (
    ("rls_mode", "rls_zone_guc", "operator", "change_kind", "changed_fields", "secret_rotated"),
    ("subject_id", "reason", "revoked_authority_records", "terminated_sessions", "revoked_delegations", "revoked_connections"),
    (
        "dcr_registration_disabled",
        "dcr_shutdown_mode",
        "live_dcr_applications",
        "revoked_applications",
        "revoked_authority_records",
        "terminated_sessions",
        "revoked_delegations",
    ),
    (
        "dcr_registration_disabled",
        "dcr_shutdown_mode",
        "live_dcr_applications",
        "revoked_applications",
        "revoked_sessions",
        "terminated_agents",
        "revoked_delegations",
    ),
)


def event_hash(fields: t.Iterable[str | None], documents: t.Iterable[str | None], occurred_ns: int) -> str:
    """Return the content hash of an audit event: nine text columns, three JSON texts, Unix nanoseconds."""
    texts = [field or "" for field in fields] + [document or "null" for document in documents]
    return hashlib.sha256(("\x1f".join(texts) + f"\x1f{occurred_ns}").encode()).hexdigest()


def link(key: bytes, content: str, previous: str | None) -> str:
    """Return the chain HMAC of a row."""
    return hmac.digest(key, f"{content}|{previous or ''}".encode(), "sha256").hex()


def admin_hash(row: t.Mapping[str, t.Any], payload: str, occurred_at: dt.datetime) -> str:
    """Return the content hash of an admin audit row: fourteen strings, each followed by 0x1f."""
    texts = ["" if row[name] is None else str(row[name]) for name in ADMIN_FIELDS]
    stamp = occurred_at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{occurred_at.microsecond // 1000:03d}Z"
    return hashlib.sha256("".join(text + "\x1f" for text in [*texts, payload, stamp]).encode()).hexdigest()


def written_payload(payload: t.Mapping[str, t.Any] | None) -> str:
    """Return the payload as its writer serialized it, from the object that jsonb returns. Raises ValueError for unknown keys."""
    if payload is None:
        return ""
    for order in PAYLOAD_ORDERS:
        if set(payload) <= set(order):
            ordered = {key: payload[key] for key in order if key in payload}
            return json.dumps(ordered, ensure_ascii=False, separators=(",", ":"))
    raise ValueError(f"no writer has the keys {sorted(payload)}")
