# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A second implementation of audit blocks, written only from the format's description: slow, simple, all in memory."""

from __future__ import annotations

import hashlib
import typing as t

CONTENT = (
    "id",
    "zone_id",
    "event_type",
    "request_id",
    "decision",
    "policy_set_id",
    "policy_set_version_id",
    "manifest_sha",
    "evaluation_status",
    "determining_policies_json",
    "diagnostics_json",
    "metadata_json",
    "occurred_at",
)
CHAIN = (
    "id",
    "chain_seq",
    "prev_content_sha256",
    "content_sha256",
    "chain_hmac",
    "ingested_at",
    "ingest_signature",
)
ADMIN_CONTENT = (
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
    "payload_json",
    "occurred_at",
)
ADMIN_CHAIN = (
    "id",
    "chain_seq",
    "prev_content_sha256",
    "content_sha256",
    "chain_hmac",
)

Row = t.Mapping[str, str]


def _digest(rows: t.Iterable[Row], columns: t.Sequence[str]) -> str:
    values = sorted(hashlib.sha256("\t".join(row[name] for name in columns).encode()).digest() for row in rows)
    return hashlib.sha256(b"".join(values)).hexdigest()


def lines(name: str, leaf: str, rows: t.Iterable[Row]) -> list[bytes]:
    """Return the lines of one partition's blocks, from rows of COPY text by column name."""
    content, chain = (CONTENT, CHAIN) if name == "audit" else (ADMIN_CONTENT, ADMIN_CHAIN)
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        sequence = row["chain_seq"]
        block = "-" if sequence == "\\N" else str((int(sequence) - 1) >> 16)
        groups.setdefault((row["zone_id"], block), []).append(row)
    found = []
    for (zone, block), members in groups.items():
        numbers = [int(row["chain_seq"]) for row in members] if block != "-" else []
        low, high = (str(min(numbers)), str(max(numbers))) if numbers else ("-", "-")
        fields = (name, zone, leaf, block, str(len(members)), low, high, _digest(members, content), _digest(members, chain))
        found.append("\t".join(fields).encode() + b"\n")
    return sorted(found)
