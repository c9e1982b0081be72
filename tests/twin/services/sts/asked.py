# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A client's request to the token endpoint, and its refusal."""

from __future__ import annotations

import dataclasses
import typing as t
import urllib.parse

from ..common.http import Refusal, Request

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:token-exchange"
TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token"


class Refused(Refusal):
    """An answer in the words of the Go services."""

    def __init__(self, status: int, code: str, description: str, request: str = "") -> None:
        body = {"error": code, "error_description": description}
        super().__init__(status, {**body, "requestId": request} if request else body)


@dataclasses.dataclass
class Asked:
    """One exchange. `by_gateway` is true if the gateway signed it; `claims` are set once the subject token is verified."""

    request: str
    zone: str
    application: str
    client_secret: str
    resources: list[str]
    scope: str
    subject_token: str
    authority: str
    agent: str
    edge: str
    method: str
    path: str
    ttl_seconds: int
    by_gateway: bool
    claims: dict[str, t.Any] | None = None

    @property
    def scopes(self) -> list[str]:
        return self.scope.split()


def form_of(request: Request) -> dict[str, list[str]]:
    """Return the fields of the body. Raises Refused if it is not the form of an exchange."""
    if request.method != "POST":
        raise Refused(405, "invalid_token", "POST is required", request.id)
    if "?" in request.url:
        raise Refused(400, "invalid_token", "query parameters are not allowed", request.id)
    if (request.headers.get("Content-Type") or "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise Refused(415, "invalid_token", "application/x-www-form-urlencoded content type is required", request.id)
    form = urllib.parse.parse_qs(request.body.decode("utf-8", "replace"), keep_blank_values=True)
    if repeated := next((name for name, values in form.items() if len(values) > 1 and name != "resource"), None):
        raise Refused(400, "invalid_token", f"duplicate form field: {repeated}", request.id)
    return form


def read(request: Request, form: dict[str, list[str]], by_gateway: bool) -> Asked:
    """Return the exchange that the form describes. Raises Refused."""

    def field(name: str) -> str:
        return form.get(name, [""])[0].strip()

    ttl = field("ttl_seconds") or "0"
    if not ttl.lstrip("-").isdigit():
        raise Refused(400, "invalid_token", "invalid ttl_seconds", request.id)
    if field("grant_type") != GRANT_TYPE:
        raise Refused(400, "invalid_token", "unsupported grant_type", request.id)
    resources = sorted({resource.strip() for resource in form.get("resource", [])})
    if "" in resources:
        raise Refused(400, "invalid_token", "resource must not be empty", request.id)
    return Asked(
        request=request.id,
        zone=field("zone_id"),
        application=field("application_id"),
        client_secret=field("client_secret"),
        resources=resources,
        scope=field("scope"),
        subject_token=field("subject_token"),
        authority=field("session_id"),
        agent=field("agent_session_id"),
        edge=field("delegation_edge_id"),
        method=field("request_method").upper(),
        path=field("request_path"),
        ttl_seconds=int(ttl),
        by_gateway=by_gateway,
    )
