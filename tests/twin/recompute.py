# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verifications that need the keys or more than SQL: every hash and HMAC of both chains, every encrypted value, every signed frame."""

from __future__ import annotations

import hmac
import typing as t

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization

from . import audit, chain, envelopes
from .facts import ZONE_KEK, Release
from .keys import Keys
from .releases.known import RELEASES
from .spec import Spec

EVENTS = f"""
SELECT {", ".join(audit.COLUMNS[:9])}, {", ".join(f"{name}::text" for name in audit.COLUMNS[9:12])},
       (extract(epoch FROM occurred_at) * 1000000)::bigint, content_sha256, prev_content_sha256, chain_hmac
  FROM audit_events ORDER BY zone_id, chain_seq
"""
ADMIN = f"""
SELECT {", ".join(chain.ADMIN_FIELDS)}, payload_json, occurred_at, content_sha256, prev_content_sha256, chain_hmac FROM admin_audit_events
"""
SEALED = f"""
SELECT '{envelopes.SIGNING_KEY}', envelope FROM secrets
UNION ALL SELECT ref, envelope FROM secret_store
UNION ALL SELECT '{envelopes.ACCESS_TOKEN}', access_token_ct FROM provider_connections WHERE access_token_ct IS NOT NULL
UNION ALL SELECT '{envelopes.REFRESH_TOKEN}', refresh_token_ct FROM provider_connections WHERE refresh_token_ct IS NOT NULL
UNION ALL SELECT '{envelopes.SINK_SECRET}', secret_ct FROM notification_sinks
UNION ALL SELECT '{envelopes.PLAN_SECRETS}', envelope FROM operator_plan_secrets
"""
BARE = f"""
SELECT '{envelopes.SIGNING_KEY}', nonce || ciphertext FROM secrets
UNION ALL SELECT id, secret_config_nonce || secret_config_ct FROM providers WHERE secret_config_keys <> '{{}}'
UNION ALL SELECT '{envelopes.ACCESS_TOKEN}', access_token_ct FROM provider_grants WHERE access_token_ct IS NOT NULL
UNION ALL SELECT '{envelopes.REFRESH_TOKEN}', refresh_token_ct FROM provider_grants WHERE refresh_token_ct IS NOT NULL
"""
FRAMES = "SELECT payload_json ->> 'id', payload_json ->> 'data', payload_json ->> 'sig' FROM event_outbox WHERE payload_json ? 'sig'"


Check = t.Callable[[Keys, tuple[t.Any, ...]], str]


def faults(connection: t.Any, keys: Keys, release: str = Spec.release) -> tuple[int, list[str]]:
    """Return the number of recomputed values, and one line for each difference."""
    found: list[str] = []
    count = 0
    for query, check in _checks(RELEASES[release]):
        with connection.cursor() as cursor:
            cursor.execute(query)
            for row in cursor:
                count += 1
                if fault := check(keys, row):
                    found.append(fault)
    return count, found


def _checks(release: Release) -> t.Iterator[tuple[str, Check]]:
    yield EVENTS, _link if release.hashes_wire else _event
    if release.has("admin_audit_events.chain_seq"):
        yield ADMIN, _admin
    if release.family == ZONE_KEK:
        yield BARE, _bare
    else:
        yield SEALED, _sealed
        yield FRAMES, _frame


def _event(keys: Keys, row: tuple[t.Any, ...]) -> str:
    return _link(keys, row) if content_agrees(row) else f"event {row[0]}: content"


def content_agrees(row: tuple[t.Any, ...]) -> bool:
    """Return whether a row of EVENTS matches its content hash."""
    return chain.event_hash(row[:9], row[9:12], row[12] * 1000) == row[13]


def _link(keys: Keys, row: tuple[t.Any, ...]) -> str:
    content, previous, seal = row[13:]
    return "" if chain.link(keys.audit_hmac_key, content, previous) == seal else f"event {row[0]}: hmac"


def _admin(keys: Keys, row: tuple[t.Any, ...]) -> str:
    fields = dict(zip(chain.ADMIN_FIELDS, row, strict=False))
    payload, occurred_at, content, previous, seal = row[len(chain.ADMIN_FIELDS) :]
    if chain.admin_hash(fields, chain.written_payload(payload), occurred_at) != content:
        return f"admin event {row[0]}: content"
    # Some writers have no key. Their rows are unsigned, which is not a fault.
    return "" if seal in (None, chain.link(keys.audit_hmac_key, content, previous)) else f"admin event {row[0]}: hmac"


def _sealed(keys: Keys, row: tuple[t.Any, ...]) -> str:
    location, envelope = row
    return _opened(location, lambda: envelopes.unseal(keys.secret_store_kek, location, bytes(envelope)))


def _bare(keys: Keys, row: tuple[t.Any, ...]) -> str:
    location, packed = row
    return _opened(location, lambda: envelopes.unseal_bare(keys.zone_kek, bytes(packed)))


def _opened(location: str, unseal: t.Callable[[], bytes]) -> str:
    try:
        plaintext = unseal()
    except (ValueError, InvalidTag) as error:
        return f"envelope {location}: {str(error) or 'damaged'}"
    if location == envelopes.SIGNING_KEY:
        serialization.load_pem_private_key(plaintext, password=None)
    return "" if plaintext else f"envelope {location}: empty"


def _frame(keys: Keys, row: tuple[t.Any, ...]) -> str:
    name, data, signature = row
    return "" if hmac.digest(keys.audit_hmac_key, data.encode(), "sha256").hex() == signature else f"frame {name}: signature"
