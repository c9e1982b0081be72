# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`content_sha256`: rebuild the bytes that the product hashes from a row's COPY text.

Audit events: twelve texts, each followed by 0x1F (NULL is empty, NULL JSON is `null`), then Unix nanoseconds. Since
v2026.06.20-rc.1 the stored form is hashed. Earlier releases hashed the bytes that they received, which are not stored.

Admin events: fourteen texts, each followed by 0x1F. The payload is compact JSON with its keys in the order of its
writer.
"""

from __future__ import annotations

import datetime as dt
import json
import typing as t

from .audit_chains import ADMIN, AUDIT
from .copy_text import NULL, plain

SEPARATOR = b"\x1f"

# From a row's columns, as COPY text in the order of the chain's content columns, to the hashed bytes. None if they
# cannot be rebuilt.
Hashed = t.Callable[[t.Sequence[bytes]], "bytes | None"]

_DOCUMENTS = AUDIT.content.index("determining_policies_json")
_OCCURRED = AUDIT.content.index("occurred_at")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
_HOURS_KEPT = 1 << 16


def event() -> Hashed:
    """Return the function for audit events. Hot."""
    microseconds = clock()
    join = SEPARATOR.join

    def hashed(fields: t.Sequence[bytes]) -> bytes | None:
        texts, documents = plain(join(fields[:_DOCUMENTS])), plain(join(fields[_DOCUMENTS:_OCCURRED]), b"null")
        try:
            return b"%b\x1f%b\x1f%d" % (texts, documents, 1000 * microseconds(fields[_OCCURRED]))
        except ValueError:
            return None

    return hashed


def clock() -> t.Callable[[bytes], int]:
    """Return a function that converts `2026-06-17 12:30:00.25+00` to Unix microseconds without floats.

    The function raises ValueError for a time that Python does not support.
    """
    hours: dict[bytes, int] = {}

    def microseconds(text: bytes) -> int:
        hour = hours.get(text[:13])
        if hour is None:
            if len(hours) >= _HOURS_KEPT:
                hours.clear()
            start = dt.datetime.strptime(text[:13].decode(), "%Y-%m-%d %H").replace(tzinfo=dt.timezone.utc)
            hour = hours[text[:13]] = (start - _EPOCH) // dt.timedelta(microseconds=1)
        return hour + int(text[14:16]) * 60_000_000 + int(text[17:19] + text[20:-3].ljust(6, b"0"))

    return microseconds


# Keys of payload_json in the order of each writer: the API's own rows, a revoked subject, and the shutdown of dynamic
# registration in each family.
PAYLOADS = (
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
_PAYLOAD = ADMIN.content.index("payload_json")
_WHEN = ADMIN.content.index("occurred_at")


def admin() -> Hashed:
    """Return the function for admin events."""

    def hashed(fields: t.Sequence[bytes]) -> bytes | None:
        values = [plain(one) for one in fields]
        if fields[_PAYLOAD] != NULL:
            payload = _written(json.loads(values[_PAYLOAD]))
            if payload is None:
                return None
            values[_PAYLOAD] = payload
        try:
            when = dt.datetime.strptime(values[_WHEN][:19].decode() + "+0000", "%Y-%m-%d %H:%M:%S%z")
        except ValueError:
            return None
        milliseconds = values[_WHEN][20:-3].ljust(3, b"0")[:3]
        values[_WHEN] = b"%bT%b.%bZ" % (when.date().isoformat().encode(), when.time().isoformat().encode(), milliseconds)
        return b"".join(value + SEPARATOR for value in values)

    return hashed


def _written(payload: t.Any) -> bytes | None:
    """Return the payload as its writer serialized it, or None if jsonb does not preserve enough to rebuild it."""
    if not isinstance(payload, dict):
        return None
    for order in PAYLOADS:
        if payload.keys() <= set(order):
            if any(isinstance(value, dict) and len(value) > 1 for value in payload.values()):
                return None
            ordered = {key: payload[key] for key in order if key in payload}
            return json.dumps(ordered, ensure_ascii=False, separators=(",", ":")).encode()
    return None
