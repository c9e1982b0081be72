# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The coordinator: agents and delegations, and its sweepers."""

from __future__ import annotations

import time
import typing as t

import psycopg2

from ..common import streams
from ..common.admin_audit import AdminAudit
from ..common.background import Loop
from ..common.environment import Environment, StartError
from ..common.http import App, Handler, Request, Response
from ..common.journal import log
from ..common.postgres import Database, release_of
from ..common.sts_client import StsClient
from .access import Access
from .agents import Agents
from .delegations import Delegations
from .endings import Endings
from .outbox import Publisher
from .relay import Relay
from .sweepers import Sweepers

PUBLIC = ("/health", "/ready")
OPERATOR_ONLY = ("/stats", "/metrics")
MAY_DELETE = "SELECT has_table_privilege('public.sessions', 'DELETE') AS may"


class Coordinator:
    """The service. Raises StartError for an invalid environment or database role."""

    def __init__(self, environment: Environment) -> None:
        self.database = Database(environment.text("DATABASE_URL"))
        self.redis = streams.connect(environment.text("REDIS_URL"))
        streams_key = environment.hmac_key("STREAMS_HMAC_KEY")
        self.release = release_of(self.database)
        if self.release.secret_store:
            environment.hmac_key("IDEMPOTENCY_HMAC_KEY")
            if not (self.database.row(MAY_DELETE) or {}).get("may"):
                raise StartError("coordinator role lacks the sessions DELETE grant")
        scope = environment.optional("AGENT_COORDINATOR_SCOPE", "agent:lifecycle")
        sts = StsClient(environment.text("STS_URL"), None, field_bound=False)
        token = environment.optional("CARACAL_COORDINATOR_TOKEN")
        self.access = Access(self.database, self.release, sts, environment.text("ISSUER_URL"), scope, token)
        self.audit = AdminAudit(self.database, self.release, environment.hmac_key("AUDIT_HMAC_KEY", required=False))
        endings = Endings(self.release)
        self.sweepers = Sweepers(self.database, self.release, endings)
        attempts, length = environment.number("OUTBOX_MAX_ATTEMPTS", 10), environment.number("STREAMS_MAXLEN", 100_000)
        self.outbox = Publisher(self.database, self.redis, streams_key, attempts, length)
        self.ready_limit = environment.number("READY_RATE_LIMIT_PER_MIN", 120)
        lease = environment.number("SERVICE_AGENT_LEASE_SECONDS", 120)
        self.agents = Agents(self.database, self.release, endings, lease)
        self.delegations = Delegations(self.database, self.release, endings)

        def every(name: str, variable: str, default_ms: int, work: t.Callable[[], None]) -> Loop:
            return Loop(name, work, environment.number(variable, default_ms) / 1000, at_once=False)

        self.relay = Relay(self.redis, streams_key)
        self.publisher = every("outbox publisher", "OUTBOX_INTERVAL_MS", 1000, self.outbox.step)
        self.ttl = every("ttl sweep", "TTL_SWEEP_INTERVAL_MS", 60_000, self.sweepers.end_overdue)
        self.lease = every("service lease sweep", "SERVICE_LEASE_SWEEP_INTERVAL_MS", 30_000, self.sweepers.suspend_silent)
        self.app = self._app()

    def start(self) -> None:
        self.relay.start()
        for loop in (self.publisher, self.ttl, self.lease):
            loop.start()

    def closers(self) -> list[t.Callable[[], None]]:
        return [self.relay.loop.stop, self.publisher.stop, self.ttl.stop, self.lease.stop]

    def _app(self) -> App:
        app = App()
        app.around = self._around
        app.route("GET", "/health", lambda request: Response(200, {"ok": True}))
        app.route("GET", "/ready", self.ready)
        app.route("GET", "/stats", self.stats)
        self.agents.add_routes(app)
        self.delegations.add_routes(app)
        return app

    def _around(self, request: Request, handler: Handler) -> Response:
        if request.path in OPERATOR_ONLY:
            self.access.operator(request)
        elif request.path not in PUBLIC:
            request.actor = self.access.caller(request)
        response = handler(request)
        if request.method != "GET" and response.status < 400:
            self._record(request, response)
        return response

    def _record(self, request: Request, response: Response) -> None:
        """Write a row without a payload, as this service does."""
        application = request.actor.application
        row = {
            "request_id": request.id,
            "actor_id": application or "caracal-operator",
            "actor_name": application or "caracal-operator",
            "actor_scope": None,
            "action": f"{request.method} {request.path}",
            "method": request.method,
            "path": request.path,
            "zone_id": request.params.get("zone"),
            "entity_type": None,
            "entity_id": None,
            "status_code": response.status,
        }
        try:
            self.audit.write(row, None)
        except psycopg2.Error as error:
            log("warn", "failed to record admin audit event", err=" ".join(str(error).split()))

    def ready(self, request: Request) -> Response:
        if self.ready_limit > 0:
            key = f"coordinator:ready_rl:127.0.0.1:{int(time.time() // 60)}"
            count = self.redis.incr(key)
            self.redis.expire(key, 90)
            if count > self.ready_limit:
                return Response(429, {"error": "rate_limited"})
        if not self.database.ping():
            return Response(503, {"ok": False, "error": "postgres_unreachable", "dependency": "postgres"})
        if self.release.secret_store and self.outbox.counts().get("dead"):
            return Response(503, {"ok": False, "error": "outbox_dead", "dependency": "outbox"})
        if not streams.reachable(self.redis):
            return Response(503, {"ok": False, "error": "redis_unreachable", "dependency": "redis"})
        return Response(200, {"ok": True})

    def stats(self, request: Request) -> Response:
        invocations = self.database.rows("SELECT status, count(*) AS n FROM agent_invocations GROUP BY 1 ORDER BY 1")
        ttl, lease = self.ttl, self.lease
        return Response(
            200,
            {
                "invocations": {row["status"]: row["n"] for row in invocations},
                "outbox": self.outbox.counts(),
                "ttl_sweeper": {"runs": ttl.runs, "failures": ttl.failures, "terminated": self.sweepers.terminated},
                "service_lease_sweeper": {"runs": lease.runs, "failures": lease.failures, "suspended": self.sweepers.suspended},
                # The cleanup after ninety days has nothing to do in a drill.
                "retention_cleaner": {"runs": 0, "failures": 0, "expired_edges": 0, "deleted_edges": 0, "deleted_sessions": 0},
                "log": {"emitted": 0, "dropped": 0, "sampled": 0},
            },
        )
