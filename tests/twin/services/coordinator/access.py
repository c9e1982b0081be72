# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Authorization for the coordinator: an operator with the token, or an application with a session token of its zone."""

from __future__ import annotations

import dataclasses
import hmac
import re

from ..common import tokens
from ..common.http import Refusal, Request
from ..common.postgres import Database, Release
from ..common.sts_client import KeysError, StsClient

# Actions of an operator: view, suspend, end, revoke, queue again; never start anything.
OPERATOR = re.compile(
    r"GET /zones/[^/]+/(agents(/[^/]+(/children|/effective-authority)?)?|agent-services|invocations)"
    r"|GET /zones/[^/]+/delegations/(active|(inbound|outbound)/[^/]+|[^/]+/(traverse|impact))"
    r"|PATCH /zones/[^/]+/(agents/[^/]+/(suspend|resume)|delegations/[^/]+/revoke)"
    r"|DELETE /zones/[^/]+/agents/[^/]+"
    r"|POST /zones/[^/]+/outbox/[^/]+/requeue"
)
OLDER_NOT = re.compile(r"/zones/[^/]+/(agent-services|invocations)")
IDENTITY = """
SELECT EXISTS (SELECT 1 FROM {authority} a WHERE a.id = %s AND a.zone_id = %s AND a.status = 'active' AND a.expires_at > now())
  AND EXISTS (SELECT 1 FROM applications p WHERE p.id = %s AND p.zone_id = %s AND p.archived_at IS NULL
    AND (p.expires_at IS NULL OR p.expires_at > now())) AS live
"""


@dataclasses.dataclass(frozen=True)
class Caller:
    """An operator (no application), or an application with the authority record under which it acts."""

    application: str | None
    authority: str | None

    def owns(self, application: str) -> bool:
        return self.application is None or self.application == application


class Access:
    """Raises Refusal for callers without permission."""

    def __init__(self, database: Database, release: Release, sts: StsClient, issuer: str, scope: str, token: str) -> None:
        self._database = database
        self._release = release
        self._sts = sts
        self._issuer = issuer
        self._scope = scope
        self._token = token

    def operator(self, request: Request) -> None:
        if not self._bears_token(request):
            raise Refusal(401, {"error": "invalid_token"})

    def caller(self, request: Request) -> Caller:
        if self._bears_token(request):
            hidden = not self._release.secret_store and OLDER_NOT.fullmatch(request.path)
            if OPERATOR.fullmatch(f"{request.method} {request.path}") and not hidden:
                return Caller(None, None)
            raise Refusal(401, {"error": "invalid_token"})
        claims = self._claims(request)
        if self._scope not in str(claims.get("scope") or "").split():
            raise Refusal(403, {"error": "missing_scope"})
        zone, application = str(claims["zone_id"]), str(claims.get("client_id") or "")
        if request.params.get("zone", zone) != zone:
            raise Refusal(403, {"error": "zone_mismatch"})
        authority = str(claims.get("sid") or "")
        row = self._database.row(IDENTITY.format(authority=self._release.authority), authority, zone, application, zone)
        if not row or not row["live"]:
            raise Refusal(401, {"error": "identity_revoked"})
        return Caller(application, authority)

    def _claims(self, request: Request) -> tokens.Claims:
        try:
            head, claims = tokens.peek(request.bearer)
            keys = self._sts.keys(str(claims.get("zone_id")), str(head.get("kid")))
            found = tokens.verify(request.bearer, keys, self._issuer, self._issuer)
        except (tokens.TokenError, KeysError):
            raise Refusal(401, {"error": "invalid_token"}) from None
        if found.get("use") != "session" or not found.get("sub"):
            raise Refusal(401, {"error": "invalid_token"})
        return found

    def _bears_token(self, request: Request) -> bool:
        return bool(self._token) and hmac.compare_digest(request.bearer, self._token)
