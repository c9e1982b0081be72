# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A protected request: the bearer's token is checked and exchanged, and the request is sent to the resource."""

from __future__ import annotations

import dataclasses
import hashlib
import http.client
import ipaddress
import socket
import time
import typing as t
import urllib.parse

import redis

from ..common import tokens
from ..common.evidence import Evidence, event
from ..common.http import Refusal, Request, Response
from ..common.journal import log
from ..common.sts_client import KeysError, StsClient
from .bindings import Bindings
from .revoked import Revoked

EXPIRY_WINDOW = 35
SEEN = "seen:jti:"
TIMEOUT = 30
HOP_BY_HOP = frozenset(
    ("connection", "keep-alive", "proxy-authenticate", "te", "trailer", "transfer-encoding", "upgrade", "content-length")
)
NOT_FORWARDED = HOP_BY_HOP | {"host", "authorization", "x-caracal-resource", "x-request-id"}
Json = dict[str, t.Any]


@dataclasses.dataclass
class Guard:
    """The upstreams that may be called. `private_open` permits private addresses."""

    hosts: frozenset[str]
    private_open: bool

    def check(self, url: str) -> urllib.parse.SplitResult | None:
        """Return the parts of the address, or None if it may not be called."""
        parts = urllib.parse.urlsplit(url)
        host = (parts.hostname or "").lower()
        if parts.scheme not in ("http", "https") or not host or parts.username or (self.hosts and host not in self.hosts):
            return None
        try:
            found = {ipaddress.ip_address(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
        except (OSError, ValueError):
            return None
        never = any(one.is_link_local or one.is_multicast or one.is_unspecified for one in found)
        return None if never or (not self.private_open and any(one.is_private for one in found)) else parts


@dataclasses.dataclass
class Proxy:
    """Handles requests for resources. `bindings` is None if the token itself names the application."""

    sts: StsClient
    revoked: Revoked
    bindings: Bindings | None
    guard: Guard
    evidence: Evidence
    redis: t.Any
    fail_open: bool = False
    counts: dict[str, int] = dataclasses.field(default_factory=dict)

    def handle(self, request: Request) -> Response:
        self._count("requests")
        try:
            return self._allowed(request)
        except Refusal:
            self._count("requests_denied")
            raise

    def _allowed(self, request: Request) -> Response:
        if self.bindings is None and not self.revoked.fresh:
            self._deny(request, 503, "sts_unavailable", "revocation state unavailable", "revocation_stale")
        claims = self._bearer(request)
        resource = (request.headers.get("X-Caracal-Resource") or "").strip()
        if request.headers.get("X-Caracal-Client-ID"):
            bound = (
                "client identity derives from the bearer token" if self.bindings is None else "client id is bound by gateway configuration"
            )
            self._deny(request, 400, "invalid_token", bound, "bad_routing")
        if not resource:
            self._deny(request, 400, "invalid_token", "missing routing headers", "bad_routing")
        zone = str(claims.get("zone_id") or "")
        if not zone:
            self._deny(request, 401, "invalid_token", "missing token zone", "bad_routing")
        application = self._application(request, claims, zone, resource)
        if ".." in urllib.parse.unquote(request.path).split("/"):
            self._deny(request, 400, "invalid_token", "path traversal not permitted", "path_traversal")
        self._verify(request, zone)
        if not self._first_use(request, claims, resource, application):
            self._deny(request, 401, "invalid_token", "token replay detected", "jti_replay")
        if self.revoked.covers(claims):
            self._deny(request, 401, "invalid_token", "session revoked", "revoked")
        return self._forward(request, claims, zone, resource, application)

    def _bearer(self, request: Request) -> tokens.Claims:
        """Return the claims of the bearer token, not verified yet."""
        if not request.bearer:
            self._deny(request, 401, "invalid_token", "missing bearer token", "missing_auth")
        try:
            _head, claims = tokens.peek(request.bearer)
            expires = float(claims["exp"])
        except (tokens.TokenError, KeyError, TypeError, ValueError):
            self._deny(request, 401, "invalid_token", "malformed bearer token", "bad_bearer")
        if expires - time.time() < EXPIRY_WINDOW:
            why = "credential expiring within pre-flight window"
            self._deny(request, 401, "credential_expired_not_renewable", why, "expiring")
        return claims

    def _application(self, request: Request, claims: tokens.Claims, zone: str, resource: str) -> str:
        if self.bindings is None:
            if not claims.get("client_id"):
                self._deny(request, 401, "invalid_token", "missing token client", "bad_routing")
            return str(claims["client_id"])
        application = self.bindings.application(zone, resource)
        if application is None:
            self._deny(request, 403, "access_denied", "resource not configured", "binding")
        return application

    def _verify(self, request: Request, zone: str) -> None:
        try:
            head, _claims = tokens.peek(request.bearer)
            tokens.verify(request.bearer, self.sts.keys(zone, str(head.get("kid"))))
        except (tokens.TokenError, KeysError) as error:
            log("info", "denied: bearer signature", request_id=request.id, err=str(error))
            self._deny(request, 401, "invalid_token", "bearer signature invalid", "signature")

    def _first_use(self, request: Request, claims: tokens.Claims, resource: str, application: str) -> bool:
        """Return whether the token may be used now. Session tokens may be used repeatedly, all others once."""
        jti = claims.get("jti")
        if not jti or claims.get("use") == "session":
            return True
        try:
            if self.redis.set(SEEN + jti, request.id, nx=True, ex=max(int(claims["exp"] - time.time()), 1)):
                return True
        except redis.exceptions.RedisError as error:
            log("warn", "jti tracker setnx failed", err=str(error))
            return self.fail_open
        metadata = {"jti": jti, "resource": resource, "client_id": application, "request_id": request.id}
        metadata["subject_fp"] = _fingerprint(request.bearer)
        zone = str(claims["zone_id"])
        self.evidence.emit(event(zone, "replay_detected", request.id, "deny", "anomaly", policies=[], diagnostics=[], metadata=metadata))
        return False

    def _forward(self, request: Request, claims: tokens.Claims, zone: str, resource: str, application: str) -> Response:
        answer = self.sts.exchange(request.bearer, zone, application, resource, (request.method, request.path), request.id)
        upstream = answer.get("upstreams", {}).get(resource) or {}
        about: Json = {
            "application_id": application,
            "resource": resource,
            "subject_fingerprint": _fingerprint(request.bearer),
            "method": request.method,
            "auth_mode": upstream.get("auth_mode", ""),
        }
        if not upstream.get("url"):
            self._deny(request, 403, "access_denied", "resource upstream not configured", "upstream")
        target = self.guard.check(upstream["url"])
        if target is None:
            self._emit(zone, request, "upstream_rejected", {**about, "gateway_status": 502, "error_kind": "upstream_not_addressable"})
            self._deny(request, 502, "internal_error", "upstream not addressable", "upstream")
        about["upstream_host"] = target.netloc
        started = time.monotonic()
        try:
            response = self._call(request, target, _credentials(upstream, answer))
        except (OSError, http.client.HTTPException) as error:
            log("error", "upstream request failed", request_id=request.id, err=str(error))
            self._emit(zone, request, "upstream_error", {**about, "gateway_status": 502, "error_kind": "transport_error"})
            self._deny(request, 502, "internal_error", "upstream unavailable", "upstream")
        latency = int((time.monotonic() - started) * 1000)
        response.headers["X-Caracal-Token-Expires-In"] = str(int(claims["exp"] - time.time()))
        self._count("requests_allowed")
        result = {2: "success", 3: "redirect", 4: "client_error", 5: "server_error"}.get(response.status // 100, "unknown")
        done = {"gateway_status": response.status, "upstream_status": response.status, "result_class": result, "latency_ms": latency}
        self._emit(zone, request, "executed", {**about, **done, "response_bytes": len(response.body or b"")})
        return response

    def _call(self, request: Request, target: urllib.parse.SplitResult, credentials: dict[str, str]) -> Response:
        secure = http.client.HTTPSConnection if target.scheme == "https" else http.client.HTTPConnection
        connection = secure(target.hostname or "", target.port, timeout=TIMEOUT)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in NOT_FORWARDED}
        path = target.path.rstrip("/") + request.path
        query = "&".join(part for part in (target.query, request.url.partition("?")[2]) if part)
        try:
            connection.request(
                request.method,
                f"{path}?{query}" if query else path,
                request.body or None,
                {**headers, **credentials, "X-Request-Id": request.id},
            )
            reply = connection.getresponse()
            kept = {
                name: value
                for name, value in reply.getheaders()
                if name.lower() not in HOP_BY_HOP | {"x-caracal-identity", "date", "server"}
            }
            return Response(reply.status, reply.read(), kept)
        finally:
            connection.close()

    def _emit(self, zone: str, request: Request, status: str, metadata: Json) -> None:
        kind = "gateway_resource_request"
        self.evidence.emit(event(zone, kind, request.id, "allow", status, policies=[], diagnostics=[], metadata=metadata))

    def _deny(self, request: Request, status: int, code: str, why: str, counter: str) -> t.NoReturn:
        self._count(f"denials_{counter}")
        raise Refusal(status, {"error": code, "error_description": why, "requestId": request.id})

    def _count(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1


def _credentials(upstream: Json, answer: Json) -> dict[str, str]:
    if upstream["auth_mode"] in ("none", "caracal_jwt"):
        return {"Authorization": f"Bearer {answer['access_token']}"} if upstream["auth_mode"] == "caracal_jwt" else {}
    scheme = f"{upstream['auth_scheme']} " if upstream.get("auth_scheme") else ""
    return {upstream.get("auth_header") or "Authorization": scheme + upstream["provider_token"]}


def _fingerprint(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()[:16]
