# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API: administration of zones, lists of objects, and readiness with its outbox."""

from __future__ import annotations

import functools
import time
import typing as t

import psycopg2

from ..common import metrics, streams
from ..common.admin_audit import AdminAudit
from ..common.background import Loop
from ..common.environment import Environment
from ..common.http import App, Handler, Refusal, Request, Response
from ..common.journal import log
from ..common.keyring import Keyring
from ..common.postgres import Database, release_of
from . import record
from .catalog import Catalog, fields
from .lists import Lists
from .outbox import Dispatcher
from .policies import Policies
from .sts_status import StsStatus
from .tokens import AdminTokens

POLL_SECONDS = 0.25
REAP_SECONDS = 300
EXPIRED = "UPDATE {table} SET status = 'expired' WHERE status = 'active' AND expires_at <= now()"


class Api:
    """The service. Raises StartError for an invalid environment; in the newer family only after it has changed the tokens."""

    def __init__(self, environment: Environment) -> None:
        self.database = Database(environment.text("DATABASE_URL"))
        self.redis = streams.connect(environment.text("REDIS_URL"))
        streams_key = environment.hmac_key("STREAMS_HMAC_KEY")
        audit_key = environment.hmac_key("AUDIT_HMAC_KEY", required=False)
        self.release = release_of(self.database)
        for name in ("STS_URL", "CARACAL_GATEWAY_URL", "CARACAL_COORDINATOR_URL") if self.release.secret_store else ():
            environment.text(name)
        self.tokens = AdminTokens(self.database, self.release)
        if token := environment.optional("CARACAL_ADMIN_TOKEN"):
            self.tokens.seed(token)
        keyring = functools.partial(Keyring, environment, self.release)
        if self.release.secret_store:
            keyring()
            self.redis.ping()
        self.audit = AdminAudit(self.database, self.release, None if self.release.wire_hash else audit_key)
        attempts, length = environment.number("OUTBOX_MAX_ATTEMPTS", 100), environment.number("OUTBOX_STREAM_MAXLEN", 100_000)
        self.outbox = Dispatcher(self.database, self.redis, streams_key, attempts, length)
        self.dead_limit = environment.number("API_READY_OUTBOX_DEAD_MAX", 0)
        self.ready_limit = environment.number("READY_RATE_LIMIT_PER_MIN", 120)
        self.max_days = environment.number("AUDIT_RETENTION_DAYS", 365)
        self.lists = Lists(self.database, self.release)
        self.catalog = Catalog(self.database, self.release, self.lists, keyring, audit_key)
        sts = StsStatus(environment.optional("STS_URL"), environment.hmac_key("GATEWAY_STS_HMAC_KEY", required=False))
        self.policies = Policies(self.database, self.release, self.lists, sts)
        expired = EXPIRED.format(table=self.release.authority)
        self.loops = [
            Loop("outbox dispatcher", self.outbox.step, environment.number("OUTBOX_POLL_MS", int(POLL_SECONDS * 1000)) / 1000),
            Loop("session reaper", lambda: self.database.execute(expired), REAP_SECONDS, at_once=False),
        ]
        self.app = self._app(environment)

    def start(self) -> None:
        for loop in self.loops:
            loop.start()

    def closers(self) -> list[t.Callable[[], None]]:
        return [loop.stop for loop in self.loops]

    def _app(self, environment: Environment) -> App:
        app = App()
        app.around = self._around
        app.route("GET", "/health", lambda request: Response(200, {"ok": True}))
        app.route("GET", "/ready", self.ready)
        app.route("GET", "/metrics", metrics.handler(environment, self.samples))
        self.catalog.add_routes(app)
        self.policies.add_routes(app)
        self.lists.add_routes(app)
        if self.release.admin_chain:
            app.route("GET", "/v1/admin-tokens", self.admin_tokens)
            app.route("POST", "/v1/admin-tokens", self.add_admin_token)
        if self.release.secret_store:
            app.route("GET", "/v1/audit-retention", self.audit_retention)
        return app

    def _around(self, request: Request, handler: Handler) -> Response:
        """Authenticate the caller, answer, and record both. A change that cannot be recorded does not succeed."""
        try:
            if request.path.startswith("/v1/"):
                request.actor = self.tokens.actor(request)
            response = handler(request)
        except Refusal as refusal:
            response = refusal.response
        if record.worth_it(request, response):
            body = request.json() if request.method in ("POST", "PUT", "PATCH") and response.status < 400 else None
            try:
                record.write(self.audit, self.release, request, response, body)
            except psycopg2.Error as error:
                log("error", "admin audit record could not be persisted", err=" ".join(str(error).split()))
                if response.status < 400:
                    text = "operation applied but its audit record could not be persisted"
                    return Response(500, {"error": "audit_unavailable", "error_description": text})
        return response

    def ready(self, request: Request) -> Response:
        if self.ready_limit > 0:
            key = f"api:ready_rl:127.0.0.1:{int(time.time() // 60)}"
            count = self.redis.incr(key)
            self.redis.expire(key, 90)
            if count > self.ready_limit:
                raise Refusal(429, {"error": "rate_limited"})
        for name, good in (("postgres", self.database.ping), ("redis", lambda: streams.reachable(self.redis))):
            if not good():
                return Response(503, {"ok": False, "error": f"{name}_unreachable", "dependency": name})
        try:
            dead = self.outbox.health()["dead"]
        except psycopg2.Error:
            return Response(503, {"ok": False, "error": "outbox_unreachable", "dependency": "postgres"})
        if dead > self.dead_limit:
            return Response(503, {"ok": False, "error": "outbox_dead_messages", "deadCount": dead, "limit": self.dead_limit})
        return Response(200, {"ok": True})

    def samples(self) -> dict[str, float]:
        health = self.outbox.health()
        return {
            "caracal_api_outbox_pending_total": health["pending"],
            "caracal_api_outbox_dead_total": health["dead"],
            "caracal_api_outbox_oldest_pending_age_seconds": health["oldest_pending"],
            "caracal_api_outbox_oldest_dead_age_seconds": health["oldest_dead"],
        }

    def admin_tokens(self, request: Request) -> Response:
        newer = self.release.secret_store
        capability = ", capability" if newer else ""
        columns = f"id, name, scope{capability}, zone_id, created_by, created_at, last_used_at, revoked_at"
        rows = self.database.rows(f"SELECT {columns} FROM admin_tokens ORDER BY created_at DESC")
        return Response(200, {"items": rows, "next_cursor": None} if newer else rows)

    def add_admin_token(self, request: Request) -> Response:
        body = fields(request, ("name",), ("scope", "capability"))
        made = self.tokens.mint(body["name"], body.get("capability", "write"), request.actor)
        shown = ("id", "name", "scope", *(("capability",) if self.release.secret_store else ()), "created_by", "token")
        return Response(201, {**{name: made[name] for name in shown}, "zone_id": None})

    def audit_retention(self, request: Request) -> Response:
        row = self.database.row("SELECT retention_days, updated_by, updated_at FROM audit_retention")
        found = row or {"retention_days": self.max_days, "updated_by": None, "updated_at": None}
        return Response(200, {**found, "max_days": self.max_days})
