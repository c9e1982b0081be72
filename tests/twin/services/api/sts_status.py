# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API's signed requests about policies to the STS."""

from __future__ import annotations

import http.client
import json
import typing as t
import urllib.error
import urllib.parse
import urllib.request

from ..common import gateway_signature
from ..common.http import Refusal
from ..common.identity import compact, new_id
from ..common.postgres import Row

TIMEOUT = 10
SHOWN = ("zone_id", "policy_set_version_id", "manifest_sha256", "loaded_at", "age_seconds")
Json = dict[str, t.Any]


class StsStatus:
    """A client of the STS. Without a key it sends nothing."""

    def __init__(self, url: str, key: bytes | None) -> None:
        self._url = url.rstrip("/")
        self._key = key

    def of(self, zone: str) -> Json:
        """Return what is loaded for the zone, in the words of the activation status."""
        if not self._key:
            return {"state": "not_configured", "detail": "GATEWAY_STS_HMAC_KEY is not configured"}
        status, answer = self._call("GET", f"/internal/policy/status/{urllib.parse.quote(zone, safe='')}", b"")
        if status == 0:
            return {"state": "unreachable", "detail": str(answer.get("detail"))}
        if status != 200:
            return {"state": "failed", "detail": str(answer.get("error", status))}
        loaded = answer.get("loaded") is True
        shown = {name: answer[name] for name in SHOWN if name in answer}
        return {"state": "loaded" if loaded else "not_loaded", "loaded": loaded, **shown}

    def verify(self, policy_set: str, rows: t.Sequence[Row]) -> None:
        """Raise Refusal unless the STS can read the policies together."""
        policies = [{"id": row["id"], "content": row["content"]} for row in rows]
        asked = {"policy_set_id": policy_set, "version_id": "bundle-verify", "manifest_sha256": "", "policies": policies, "input": {}}
        status, answer = self._call("POST", "/internal/policy/simulate", compact(asked).encode())
        if status == 422:
            raise Refusal(422, {"error": "invalid_policy_bundle", "error_description": answer.get("error_description", "")})
        if status != 200:
            raise Refusal(503, {"error": "policy_verification_unavailable"})

    def _call(self, method: str, path: str, body: bytes) -> tuple[int, Json]:
        """Return status and body. The status 0 means that there was no answer, with the reason as `detail`."""
        headers = {"Content-Type": "application/json", **gateway_signature.headers(self._key, new_id(), method, path, body)}
        request = urllib.request.Request(self._url + path, data=body or None, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as reply:
                return reply.status, json.loads(reply.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"{}")
        except (OSError, http.client.HTTPException, ValueError) as error:
            return 0, {"detail": str(error)}
