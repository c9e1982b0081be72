# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gateway: protected requests, readiness, metrics, and the reload of revocations."""

from __future__ import annotations

import hmac
import typing as t

import psycopg2

from ..common import metrics, streams
from ..common.background import Loop
from ..common.environment import Environment, StartError
from ..common.evidence import Evidence
from ..common.http import App, Refusal, Request, Response
from ..common.journal import log
from ..common.postgres import Database, release_of
from ..common.sts_client import StsClient
from .bindings import Bindings, BindingsError
from .proxy import Guard, Proxy
from .revoked import Revoked

POLL_SECONDS = 30
DENIALS = (
    "missing_auth",
    "bad_bearer",
    "expiring",
    "bad_routing",
    "binding",
    "path_traversal",
    "signature",
    "jti_replay",
    "revoked",
    "revocation_stale",
)


class Gateway:
    """The service. Raises StartError for an invalid environment."""

    def __init__(self, environment: Environment) -> None:
        sts_url = environment.text("STS_URL")
        self.database = Database(environment.text("DATABASE_URL"))
        self.redis = streams.connect(environment.text("REDIS_URL"))
        streams_key = environment.hmac_key("STREAMS_HMAC_KEY")
        sts_key = environment.hmac_key("GATEWAY_STS_HMAC_KEY")
        release = release_of(self.database)
        hosts = environment.names("UPSTREAM_HOST_ALLOWLIST")
        private = environment.flag("ALLOW_PRIVATE_UPSTREAMS")
        if private and environment.published and not hosts:
            raise StartError(
                "UPSTREAM_HOST_ALLOWLIST is required when ALLOW_PRIVATE_UPSTREAMS=true under CARACAL_MODE=rc or CARACAL_MODE=stable"
            )
        self.admin_token = environment.optional("CARACAL_ADMIN_TOKEN")
        self.evidence = Evidence(environment, self.redis)
        self.sts = StsClient(sts_url, sts_key, release.contract)
        self.revoked = Revoked(self.database, release, self.redis, streams_key)
        self.bindings = None if release.secret_store else Bindings(self.database)
        guard = Guard(hosts, private or release.secret_store)
        self.proxy = Proxy(self.sts, self.revoked, self.bindings, guard, self.evidence, self.redis, environment.flag("JTI_FAIL_OPEN"))
        self.loops = [
            Loop("revocation snapshot", self.revoked.reload, POLL_SECONDS, at_once=False),
            Loop("revocation consumer", self.revoked.read, 0),
            Loop("bindings", self._refresh, POLL_SECONDS, at_once=False),
        ]
        self.app = App()
        self.app.route("GET", "/health", lambda request: Response(200))
        self.app.route("GET", "/ready", self.ready)
        self.app.route("GET", "/metrics", metrics.handler(environment, self.samples))
        self.app.route("POST", "/internal/revocations/reload", self.reload)
        self.app.fallback(self.proxy.handle)

    def start(self) -> None:
        self.evidence.start()
        if self.bindings is not None:
            try:
                self.bindings.refresh()
            except BindingsError as error:
                raise StartError(f"gateway bindings: {error}") from None
        self.revoked.reload()
        self.revoked.ensure_group()
        for loop in self.loops:
            loop.start()

    def closers(self) -> list[t.Callable[[], None]]:
        return [self.evidence.close, *(loop.stop for loop in self.loops)]

    def _refresh(self) -> None:
        if self.bindings is not None:
            try:
                self.bindings.refresh()
            except BindingsError as error:
                log("error", "gateway bindings refresh failed", err=str(error))

    def ready(self, request: Request) -> Response:
        checks = (
            ("postgres_unreachable", self._revision_readable),
            ("redis_unreachable", lambda: streams.reachable(self.redis)),
            ("revocation_snapshot_stale", lambda: self.revoked.fresh),
            ("audit_evidence_lost", lambda: not self.evidence.dropped),
            ("audit_replay_unavailable", self.evidence.ready),
            ("sts_unreachable", self.sts.healthy),
        )
        for reason, good in checks:
            if not good():
                return Response(503, {"ok": False, "ready": False, "reason": reason})
        return Response(200, {"ok": True, "ready": True})

    def _revision_readable(self) -> bool:
        """Return whether the revision row is readable. The older family checks PostgreSQL with it, so a missing row
        counts as a missing server.
        """
        if self.bindings is None:
            return True
        try:
            self.bindings.refresh()
        except (BindingsError, psycopg2.Error):
            return False
        return True

    def reload(self, request: Request) -> Response:
        if not self.admin_token or not hmac.compare_digest(request.bearer, self.admin_token):
            raise Refusal(404, b"not found\n")
        try:
            self.revoked.reload()
        except psycopg2.Error as error:
            self.revoked.reload_errors += 1
            log("error", "forced revocation snapshot reload failed", err=" ".join(str(error).split()))
            return Response(503, {"ok": False, "ready": False, "reason": "revocation_reload_failed"})
        return Response(200, {"ok": True, "revocations": len(self.revoked)})

    def samples(self) -> dict[str, float]:
        counts, revoked = self.proxy.counts, self.revoked
        values: dict[str, float] = {
            "requests_total": counts.get("requests", 0),
            "requests_allowed_total": counts.get("requests_allowed", 0),
            "requests_denied_total": counts.get("requests_denied", 0),
            **{f"denials_{name}_total": counts.get(f"denials_{name}", 0) for name in DENIALS},
            "revocations_active": len(revoked),
            "revocation_snapshot_age_seconds": revoked.age_seconds,
            "revocation_snapshot_fresh": revoked.fresh,
            "revocation_messages_total": revoked.messages,
            "revocation_invalid_signatures_total": revoked.invalid_signatures,
            "revocation_reloads_total": revoked.reloads,
            "revocation_reload_errors_total": revoked.reload_errors,
            **({"bindings_loaded": len(self.bindings)} if self.bindings is not None else {}),
        }
        return {**{f"caracal_gateway_{name}": value for name, value in values.items()}, **self.evidence.metrics("gateway")}
