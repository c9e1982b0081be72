# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gateway's target for a granted request, and the credential for it."""

from __future__ import annotations

import json
import typing as t

from ..common.journal import log
from ..common.keyring import Keyring, SealError
from ..common.postgres import Row
from .asked import Asked, Refused
from .records import Records

MODES = {"none": "none", "caracal_mandate": "caracal_jwt", "api_key": "provider_apikey", "bearer_token": "provider_oauth"}


class Upstreams:
    """Directives for resources. Providers that need a user's consent or another server are not implemented."""

    def __init__(self, records: Records, keyring: Keyring) -> None:
        self._records = records
        self._keyring = keyring

    def operation_fault(self, resource: Row, asked: Asked) -> str:
        """Return why an operation is not permitted, or an empty string. Only checked if the resource declares its operations."""
        if resource.get("operation_enforcement", "transport_uniform") != "enforced":
            return ""
        held = str((asked.claims or {}).get("scope") or "").split()
        for operation in resource["operations"] or []:
            if (operation["method"].upper(), operation["path"]) == (asked.method, asked.path):
                need = f"requires scope {operation['scope']}, which the presented mandate does not carry"
                fault = f"operation {asked.method} {asked.path} on resource {resource['identifier']} {need}"
                return "" if operation["scope"] in held else fault
        remedy = "declare it on the resource or set operation_enforcement to transport_uniform"
        return f"operation {asked.method} {asked.path} is not declared on resource {resource['identifier']}; {remedy}"

    def directive(self, resource: Row, asked: Asked) -> dict[str, t.Any]:
        """Return address and credential. Raises Refused if the credential is unavailable."""
        provider = self._records.provider(resource["credential_provider_id"])
        kind = provider["provider_kind"] if provider else "none"
        found: dict[str, t.Any] = {"url": resource["upstream_url"] or "", "auth_mode": MODES.get(kind, "")}
        if provider is None or kind in ("none", "caracal_mandate"):
            return found
        try:
            if kind not in MODES:
                raise SealError(f"a provider of kind {kind} is not played by this stand-in")
            secret = self._secret(provider)
            token = secret.get("api_key") or secret.get("bearer_token")
            if not token:
                raise SealError(f"provider {kind.replace('_', ' ')} missing")
        except SealError as error:
            raise self._unavailable(resource, asked, str(error)) from None
        header = (provider["config_json"] or {}).get("header_name") if kind == "api_key" else "Authorization"
        scheme = {} if kind == "api_key" else {"auth_scheme": "Bearer"}
        return {**found, "auth_header": header, **scheme, "provider_token": token, "provider_id": provider["id"]}

    def _secret(self, provider: Row) -> dict[str, str]:
        if not self._records.release.secret_store:
            if provider["secret_config_ct"] is None:
                return {}
            return self._opened("", bytes(provider["secret_config_nonce"]) + bytes(provider["secret_config_ct"]))
        ref = f"zones/{provider['zone_id']}/providers/{provider['id']}/secretConfig"
        sealed = self._records.custody(ref)
        return self._opened(ref, sealed) if sealed else {}

    def _opened(self, ref: str, sealed: bytes) -> dict[str, str]:
        try:
            found: dict[str, str] = json.loads(self._keyring.open(ref, sealed))
            return found
        except SealError as error:
            log("error", "provider secret fetch failed", err=str(error))
            raise SealError("provider secret fetch failed") from None

    def _unavailable(self, resource: Row, asked: Asked, why: str) -> Refused:
        if not self._records.release.secret_store:
            return Refused(500, "internal_error", "upstream directive build failed", asked.request)
        text = f"upstream credential for resource {resource['identifier']} is unavailable: {why}"
        return Refused(502, "http_request_failed", text, asked.request)
