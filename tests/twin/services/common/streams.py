# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Redis streams: their names, their signers, and their consumer groups."""

from __future__ import annotations

import hmac
import typing as t

import redis

AUDIT = "caracal.audit.events"
DEAD_AUDIT = "caracal.audit.events.dlq"
POLICIES = "caracal.policy.invalidate"
REVOCATIONS = "caracal.sessions.revoke"
KEYS = "caracal.keys.invalidate"
LIFECYCLE = "caracal.agents.lifecycle"
DELEGATIONS = "caracal.delegations.invalidate"
SIGNATURE = "_sig"

Fields = dict[str, str]


def connect(url: str) -> t.Any:
    """Return a client that keeps text unchanged even if it is not UTF-8."""
    return redis.Redis.from_url(
        url, decode_responses=True, encoding_errors="surrogateescape", socket_timeout=10, socket_connect_timeout=2, protocol=2
    )


def reachable(client: t.Any) -> bool:
    try:
        return bool(client.ping())
    except redis.exceptions.RedisError:
        return False


def signature(key: bytes, stream: str, fields: t.Mapping[str, str]) -> str:
    """Return the HMAC over the stream's name and its fields, sorted by name."""
    lines = [f"{name}={value}\n" for name, value in sorted(fields.items()) if name != SIGNATURE]
    return hmac.digest(key, "".join([f"{stream}\n", *lines]).encode("utf-8", "surrogateescape"), "sha256").hex()


def signed(key: bytes | None, stream: str, fields: Fields) -> Fields:
    return {**fields, SIGNATURE: signature(key, stream, fields)} if key else fields


def genuine(key: bytes | None, stream: str, fields: Fields) -> bool:
    return not key or hmac.compare_digest(signature(key, stream, fields), fields.get(SIGNATURE, ""))


def audit_signature(key: bytes, data: str) -> str:
    """Return the signature that a producer sends with an audit event."""
    return hmac.digest(key, data.encode("utf-8", "surrogateescape"), "sha256").hex()


def ensure_group(client: t.Any, stream: str, group: str) -> None:
    """Create the group at the end of the stream, and the stream, unless the group exists."""
    try:
        client.xgroup_create(stream, group, id="$", mkstream=True)
    except redis.exceptions.ResponseError as error:
        if "BUSYGROUP" not in str(error):
            raise


Entry = tuple[str, Fields]


def read_group(client: t.Any, stream: str, group: str, consumer: str, start: str = ">", block_ms: int = 200) -> list[Entry]:
    """Return up to a hundred entries for this consumer: new ones, or its pending ones after `start`."""
    reply = client.xreadgroup(group, consumer, {stream: start}, count=100, block=block_ms)
    return [(identifier, fields or {}) for _stream, entries in reply or [] for identifier, fields in entries]
