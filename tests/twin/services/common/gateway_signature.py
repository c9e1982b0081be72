# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Signatures of the requests that the gateway and the API send to the STS."""

from __future__ import annotations

import hashlib
import hmac
import time
import typing as t

TIMESTAMP = "X-Caracal-Gateway-Timestamp"
REQUEST = "X-Caracal-Gateway-Request"
SIGNATURE = "X-Caracal-Gateway-Signature"
SKEW_SECONDS = 60
NONCE = "caracal:sts:gw-nonce:"


def signature(key: bytes, timestamp: str, nonce: str, method: str, path: str, body: bytes) -> str:
    text = "\n".join((timestamp, nonce, method, path, hashlib.sha256(body).hexdigest()))
    return hmac.digest(key, text.encode(), "sha256").hex()


def headers(key: bytes | None, nonce: str, method: str, path: str, body: bytes) -> dict[str, str]:
    """Return the three headers of a request at the current time, or none without a key."""
    if not key:
        return {}
    timestamp = str(int(time.time()))
    return {TIMESTAMP: timestamp, REQUEST: nonce, SIGNATURE: signature(key, timestamp, nonce, method, path, body)}


def present(given: t.Mapping[str, str]) -> bool:
    return any(given.get(name) for name in (TIMESTAMP, REQUEST, SIGNATURE))


def genuine(key: bytes | None, given: t.Mapping[str, str], method: str, path: str, body: bytes) -> bool:
    """Return whether the headers sign this request, and the signature is not too old."""
    timestamp, nonce = given.get(TIMESTAMP) or "", given.get(REQUEST) or ""
    if not key or not nonce or not timestamp.isdigit() or abs(time.time() - int(timestamp)) > SKEW_SECONDS:
        return False
    return hmac.compare_digest(signature(key, timestamp, nonce, method, path, body), given.get(SIGNATURE) or "")
