# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The audit service: ingests events, maintains the partitions, sweeps for tampering, answers searches."""

from __future__ import annotations

import functools
import typing as t

import psycopg2
import redis

from ..common import metrics, streams
from ..common.background import Loop
from ..common.environment import Environment
from ..common.http import App, Request, Response
from ..common.journal import log
from ..common.postgres import Database, release_of
from . import search
from .ingest import Ingest
from .ledger import Ledger
from .retention import Retention
from .sweep import Sweep

SWEEP_SECONDS = 3600
RETENTION_SECONDS = 6 * 3600


class Audit:
    """The service. Raises StartError for an invalid environment."""

    def __init__(self, environment: Environment) -> None:
        self.database = Database(environment.text("DATABASE_URL"))
        self.redis = streams.connect(environment.text("REDIS_URL"))
        key = environment.hmac_key("AUDIT_HMAC_KEY")
        release = release_of(self.database)
        days = environment.number("AUDIT_RETENTION_DAYS", 365)
        self.ledger = Ledger(self.database, release, key)
        self.ingest = Ingest(self.redis, self.ledger, key)
        self.sweep = Sweep(self.database, key, days, environment.number("AUDIT_TAMPER_ROLLING_HOURS", 4))
        self.retention = Retention(self.database, release, days)
        self.limits = {
            reason: environment.number(name, 0)
            for reason, name in (
                ("audit_dlq_threshold", "AUDIT_READY_DLQ_MAX"),
                ("audit_lag_threshold", "AUDIT_READY_LAG_MAX"),
                ("audit_pel_oldest_threshold", "AUDIT_READY_PEL_OLDEST_SECS_MAX"),
            )
        }
        idle = environment.number("AUDIT_CLAIM_IDLE_SECS", 30)
        self.loops = [
            Loop("retention", self.retention.tick, RETENTION_SECONDS),
            Loop("ingest", self.ingest.step, 0),
            Loop("reaper", functools.partial(self.ingest.reap, idle), idle, at_once=False),
            Loop("tamper sweep", self.sweep.run, SWEEP_SECONDS),
        ]
        self.app = App()
        self.app.route("GET", "/health", self.health)
        self.app.route("GET", "/ready", self.ready)
        self.app.route("GET", "/metrics", metrics.handler(environment, self.samples))
        self.app.route("GET", "/api/audit/search", search.handler(environment, self.database))

    def start(self) -> None:
        try:
            if count := self.ledger.rehash():
                log("info", "audit chain rehash complete", events=count)
        except psycopg2.Error as error:
            # The service's own role may not change events. The product continues in this case.
            log("error", "audit chain rehash failed", err=" ".join(str(error).split()))
        for loop in self.loops:
            loop.start()

    def closers(self) -> list[t.Callable[[], None]]:
        return [loop.stop for loop in self.loops]

    def health(self, request: Request) -> Response:
        return Response(200) if self.ingest.healthy else _unready("consumer_unhealthy")

    def ready(self, request: Request) -> Response:
        if not self.ingest.healthy:
            return _unready("consumer_unhealthy")
        if not self.database.ping():
            return _unready("postgres_unreachable")
        if not streams.reachable(self.redis):
            return _unready("redis_unreachable")
        (dead, _age), (lag, oldest) = self.ingest.dead_letters(), self.ingest.lag()
        for reason, value in zip(self.limits, (dead, lag, oldest), strict=True):
            if 0 < self.limits[reason] < value:
                return _unready(reason)
        return Response(200, {"ready": True})

    def samples(self) -> dict[str, float]:
        sweep, ingest = self.sweep, self.ingest
        values: dict[str, float] = {
            "inserts_total": self.ledger.inserts,
            "parse_errors_total": ingest.parse_errors,
            "retries_total": ingest.retries,
            "hmac_failures_total": ingest.hmac_failures,
            "tamper_replay_total": ingest.altered,
            "tamper_checked_total": sweep.checked,
            "tamper_mismatch_total": sweep.mismatches,
            "tamper_chain_breaks_total": sweep.breaks,
            "tamper_hmac_failures_total": sweep.hmac_failures,
            "tamper_last_sweep_unix": sweep.last_sweep,
            "tamper_last_full_unix": sweep.last_full,
            "dlq_total": ingest.dead,
            **self._gauges(),
            "retention_created_total": self.retention.created,
            "retention_dropped_total": self.retention.dropped,
            "is_export_leader": 0,
            "is_retention_leader": 1,
        }
        return {f"caracal_audit_{name}": value for name, value in values.items()}

    def _gauges(self) -> dict[str, float]:
        """Return the values from Redis; an empty dict while it is unavailable."""
        try:
            (dead, dead_age), (lag, oldest) = self.ingest.dead_letters(), self.ingest.lag()
        except redis.exceptions.RedisError:
            return {}
        return {"dlq_size": dead, "dlq_oldest_age_seconds": dead_age, "consumer_lag": lag, "consumer_pel_oldest_seconds": oldest}


def _unready(reason: str) -> Response:
    return Response(503, {"ok": False, "ready": False, "reason": reason})
