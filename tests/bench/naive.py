# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The yardstick of `audit_chain_verify`: the obvious first solution, a loop over a server-side cursor in the chain's order."""

from __future__ import annotations

import hashlib
import hmac
import typing as t

import psycopg2

COLUMNS = (
    "id, zone_id, event_type, request_id, decision, policy_set_id, policy_set_version_id, manifest_sha, evaluation_status, "
    "determining_policies_json::text, diagnostics_json::text, metadata_json::text, occurred_at, ingested_at, content_sha256, "
    "prev_content_sha256, chain_hmac, chain_seq, ingest_signature, tableoid::regclass::text"
)
EPOCH = "1970-01-01 00:00:00+00"


def verify(socket: str, key: bytes) -> int:
    """Verify content, HMAC, link and sequence of every row, and compute the digests of its audit blocks; return the number of rows.

    Raises SystemExit for a fault.
    """
    connection = psycopg2.connect(host=socket, user="caracal", dbname="caracal")
    with connection, connection.cursor("naive") as cursor:
        cursor.itersize = 10_000
        cursor.execute(
            f"SELECT {COLUMNS}, (extract(epoch FROM occurred_at) * 1000000)::bigint FROM audit_events ORDER BY zone_id, chain_seq"
        )
        rows = _loop(cursor, key)
    connection.close()
    return rows


def _loop(cursor: t.Iterable[tuple[t.Any, ...]], key: bytes) -> int:
    zone, previous, expected, rows = None, None, 1, 0
    blocks: dict[tuple[t.Any, ...], list[tuple[bytes, bytes]]] = {}
    for row in cursor:
        rows += 1
        texts, documents = row[:9], row[9:12]
        content, before, mac, sequence = row[14:18]
        if row[1] != zone:
            zone, previous, expected = row[1], None, 1
        hashed = "".join((text or "") + "\x1f" for text in texts) + "".join((text or "null") + "\x1f" for text in documents)
        if hashlib.sha256(f"{hashed}{row[20] * 1000}".encode()).hexdigest() != content:
            raise SystemExit(f"content of {row[0]}")
        if hmac.new(key, f"{content}|{before or ''}".encode(), hashlib.sha256).hexdigest() != mac:
            raise SystemExit(f"HMAC of {row[0]}")
        if before != previous or sequence != expected:
            raise SystemExit(f"link of {row[0]}")
        previous, expected = content, sequence + 1
        own = "\t".join(_copy(value) for value in row[:13]), "\t".join(_copy(value) for value in (row[0], *row[13:19]))
        of_block = blocks.setdefault((zone, row[19], (sequence - 1) >> 16), [])
        of_block.append((hashlib.sha256(own[0].encode()).digest(), hashlib.sha256(own[1].encode()).digest()))
    for digests in blocks.values():
        for side in zip(*digests, strict=True):
            hashlib.sha256(b"".join(sorted(side))).hexdigest()
    return rows


def _copy(value: t.Any) -> str:
    """Return a value as COPY writes it."""
    if value is None:
        return "\\N"
    text = str(value)
    return text.replace("\\", "\\\\") if "\\" in text else text
