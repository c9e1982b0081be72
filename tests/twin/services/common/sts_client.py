# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gateway's requests to the STS: keys, health, and the token for a resource."""

from __future__ import annotations

import http.client
import json
import threading
import time
import typing as t
import urllib.error
import urllib.parse
import urllib.request
import uuid

from cryptography.hazmat.primitives.asymmetric import ec

from . import gateway_signature, tokens
from .http import Refusal

KEYS_SECONDS = 300
TIMEOUT = 10
Json = dict[str, t.Any]
EXCHANGE = {
    "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
    "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
}


class KeysError(Exception):
    """The keys of a zone are unavailable."""


class StsClient:
    """A client of one STS. `field_bound` means that the request's ID is a field of the form, and the nonce is independent of it."""

    def __init__(self, url: str, key: bytes | None, field_bound: bool) -> None:
        self._url = url.rstrip("/")
        self._key = key
        self._field_bound = field_bound
        self._keys: dict[str, tuple[float, dict[str, ec.EllipticCurvePublicKey]]] = {}
        self._lock = threading.Lock()

    def healthy(self) -> bool:
        return self._call("GET", "/health")[0] == 200

    def keys(self, zone: str, kid: str) -> dict[str, ec.EllipticCurvePublicKey]:
        """Return the zone's keys. They are requested again after five minutes, or for an unknown key. Raises KeysError."""
        with self._lock:
            at, known = self._keys.get(zone, (0.0, {}))
            if kid in known and time.monotonic() - at < KEYS_SECONDS:
                return known
        status, body = self._call("GET", f"/.well-known/jwks.json?{urllib.parse.urlencode({'zone_id': zone})}")
        if status != 200:
            raise KeysError(f"jwks fetch status {status}")
        found = {entry["kid"]: tokens.public_key(entry) for entry in body["keys"]}
        with self._lock:
            self._keys[zone] = (time.monotonic(), found)
        return found

    def exchange(self, token: str, zone: str, application: str, resource: str, operation: tuple[str, str], request: str) -> Json:
        """Return the answer to the exchange. Raises Refusal in the words of the STS."""
        form = {**EXCHANGE, "zone_id": zone, "application_id": application, "subject_token": token, "resource": resource}
        if self._field_bound:
            form |= {"request_method": operation[0], "request_path": operation[1], "gateway_request_id": request}
        body = urllib.parse.urlencode(sorted(form.items())).encode()
        nonce = uuid.uuid4().hex if self._field_bound else request
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Request-Id": request,
            **gateway_signature.headers(self._key, nonce, "POST", "/oauth/2/token", body),
        }
        status, answer = self._call("POST", "/oauth/2/token", body, headers)
        if status == 0:
            raise Refusal(502, {"error": "sts_unavailable", "error_description": "sts unavailable", "requestId": request})
        if status != 200:
            raise Refusal(status, {**answer, "requestId": request})
        return answer

    def _call(self, method: str, path: str, body: bytes | None = None, headers: Json | None = None) -> tuple[int, Json]:
        """Return status and body. The status 0 means that there was no answer."""
        asked = urllib.request.Request(self._url + path, data=body, headers=headers or {}, method=method)
        try:
            with urllib.request.urlopen(asked, timeout=TIMEOUT) as reply:
                return reply.status, _object(reply.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _object(error.read())
        except (OSError, http.client.HTTPException):
            return 0, {}


def _object(text: bytes) -> Json:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
