# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The STS: keys, tokens, the state of policies, readiness and metrics."""

from __future__ import annotations

import json
import time
import typing as t
import urllib.parse

import redis

from ..common import documents, gateway_signature, metrics, streams
from ..common.background import Loop
from ..common.environment import Environment
from ..common.evidence import Evidence
from ..common.http import App, Request, Response
from ..common.identity import nanoseconds_text
from ..common.keyring import Keyring
from ..common.postgres import Database, release_of
from . import asked
from .asked import Refused
from .bundles import Bundles
from .consumers import Consumers
from .exchange import Exchange
from .mint import Mint
from .records import Records
from .signing_keys import SigningKeys
from .upstreams import Upstreams


class Sts:
    """The service. Raises StartError for an invalid environment."""

    def __init__(self, environment: Environment) -> None:
        self.database = Database(environment.text("DATABASE_URL"))
        self.redis = streams.connect(environment.text("REDIS_URL"))
        self.gateway_key = environment.hmac_key("GATEWAY_STS_HMAC_KEY")
        issuer = environment.text("ISSUER_URL")
        self.release = release_of(self.database)
        keyring = Keyring(environment, self.release)
        self.evidence = Evidence(environment, self.redis)
        records = Records(self.database, self.release)
        self.keys = SigningKeys(self.database, keyring)
        self.bundles = Bundles(self.database, self.release)
        upstreams = Upstreams(records, keyring)
        mint = Mint(records, self.keys, upstreams, self.redis, issuer)
        self.exchange = Exchange(records, self.keys, self.bundles, self.evidence, upstreams, mint, issuer)
        self.consumers = Consumers(self.redis, environment.hmac_key("STREAMS_HMAC_KEY"), records, self.bundles, self.keys)
        poll = environment.number("OPA_POLL_SECONDS", 60)
        self.poll = Loop("policy poll", self.bundles.load_all, poll)
        self.app = self._app(environment)

    def start(self) -> None:
        self.evidence.start()
        self.poll.start()
        self.consumers.start()

    def closers(self) -> list[t.Callable[[], None]]:
        return [self.evidence.close, self.consumers.stop, self.poll.stop]

    def _app(self, environment: Environment) -> App:
        app = App()
        app.route("GET", "/health", lambda request: Response(200))
        app.route("GET", "/ready", self.ready)
        app.route("GET", "/metrics", metrics.handler(environment, self.samples))
        app.route("GET", "/.well-known/jwks.json", self.jwks)
        app.route("*", "/oauth/2/token", self.token)
        app.route("GET", "/internal/policy/status/{zone}", self.policy_status)
        app.route("POST", "/internal/policy/simulate", self.simulate)
        return app

    def ready(self, request: Request) -> Response:
        checks = (
            ("postgres_unreachable", self.database.ping),
            ("redis_unreachable", lambda: streams.reachable(self.redis)),
            ("audit_evidence_lost", lambda: not self.evidence.dropped),
            ("audit_replay_unavailable", self.evidence.ready),
            ("stream_consumers_not_ready", lambda: self.consumers.ready),
        )
        for reason, good in checks:
            if not good():
                return Response(503, {"ok": False, "ready": False, "reason": reason})
        return Response(200, {"ok": True, "ready": True})

    def samples(self) -> dict[str, float]:
        return {
            **self.evidence.metrics("sts"),
            "caracal_sts_jwks_invalid_keys_total": self.keys.invalid,
            "caracal_sts_opa_eval_total": self.bundles.evaluations,
            "caracal_sts_opa_eval_errors_total": self.bundles.evaluation_errors,
            "caracal_sts_opa_compile_errors_total": self.bundles.load_errors,
            "caracal_sts_opa_max_policy_age_seconds": self.bundles.oldest_seconds(),
        }

    def jwks(self, request: Request) -> Response:
        zone = request.query.get("zone_id")
        if not zone:
            raise Refused(400, "invalid_token", "zone_id required", request.id)
        found = self.keys.published(zone)
        if found is None:
            raise Refused(404, "resource_not_found", "zone signing key not found", request.id)
        if not found:
            raise Refused(500, "internal_error", "signing key decryption failed", request.id)
        return Response(200, {"keys": found}, {"Cache-Control": "public, max-age=300, must-revalidate"})

    def token(self, request: Request) -> Response:
        form = asked.form_of(request)
        by_gateway = gateway_signature.present(request.headers)
        if by_gateway:
            # The newer releases bind the request's ID as a field, the older ones use it as the nonce.
            bound = form.get("gateway_request_id", [""])[0] if self.release.contract else request.headers.get(gateway_signature.REQUEST)
            if bound != request.id or not self._signed(request, self._signed_body(request, form)):
                raise Refused(401, "access_denied", "invalid gateway exchange signature", request.id)
        return Response(200, self.exchange.run(asked.read(request, form, by_gateway)))

    def policy_status(self, request: Request) -> Response:
        if not self._signed(request, b""):
            raise Refused(401, "access_denied", "invalid policy status request signature", request.id)
        zone = request.params["zone"]
        bundle = self.bundles.info(zone)
        if bundle is None:
            return Response(200, {"zone_id": zone, "loaded": False})
        version = {"policy_set_version_id": bundle.version} if bundle.version else {}
        age = int(time.time() - bundle.loaded_at)
        about = {"manifest_sha256": bundle.manifest_sha256, "loaded_at": nanoseconds_text(int(bundle.loaded_at) * 1_000_000_000)}
        return Response(200, {"zone_id": zone, "loaded": True, **version, **about, **({"age_seconds": age} if age else {})})

    def simulate(self, request: Request) -> Response:
        """Check only whether the policies can be read. A new version of a set is tested with this."""
        if not self._signed(request, request.body):
            raise Refused(401, "access_denied", "invalid simulation request signature", request.id)
        given = json.loads(request.body)
        if not given.get("policies"):
            raise Refused(400, "invalid_token", "policy bundle is empty", request.id)
        try:
            documents.merged(policy["content"] for policy in given["policies"])
        except documents.PolicyError as error:
            raise Refused(422, "policy_eval_failed", str(error), request.id) from None
        about = {name: given.get(name) for name in ("policy_set_id", "version_id", "manifest_sha256")}
        result = {"decision": "deny", "determining_policies": [], "evaluation_status": "complete", "diagnostics": []}
        return Response(200, {**about, "result": result})

    def _signed_body(self, request: Request, form: dict[str, list[str]]) -> bytes:
        if self.release.contract:
            return request.body
        return urllib.parse.urlencode(sorted(form.items()), doseq=True).encode()

    def _signed(self, request: Request, body: bytes) -> bool:
        """Return whether the request is signed with the key and is not a replay. Without Redis, no request is accepted."""
        if not gateway_signature.genuine(self.gateway_key, request.headers, request.method, request.path, body):
            return False
        nonce = request.headers.get(gateway_signature.REQUEST) or ""
        try:
            return bool(self.redis.set(gateway_signature.NONCE + nonce, "1", nx=True, ex=2 * gateway_signature.SKEW_SECONDS))
        except redis.exceptions.RedisError:
            return False
