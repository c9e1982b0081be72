# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When and why a service is not ready, and its behaviour while a store is unavailable."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import typing as t
import uuid

import pytest

from harness.waiting import PATIENCE, eventually
from scenes import redis_server
from scenes.twin_canary import RESOURCE, Canary, made
from scenes.twin_services import Deployment, secret_store
from scenes.twin_services import deployment as deploy
from twin.services.common import streams
from twin.services.common.environment import Environment
from twin.services.common.evidence import Evidence, event


@contextlib.contextmanager
def database_away(deployed: Deployment) -> t.Iterator[None]:
    """Make this database unavailable, as if PostgreSQL were down."""
    switch = f"ALTER DATABASE {deployed.database} ALLOW_CONNECTIONS {{}}"
    kill = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{deployed.database}'"
    deployed.cluster.execute(switch.format("false"), kill, database="postgres")
    yield
    deployed.cluster.execute(switch.format("true"), database="postgres")


def redis_away(deployed: Deployment) -> None:
    """Stop Redis permanently."""
    deployed.redis.process.kill()
    deployed.redis.process.wait()


def ready(deployed: Deployment, name: str) -> tuple[int, t.Any]:
    return deployed[name].call("GET", "/ready")[:2]


@pytest.mark.no_false_alarm
def test_ready_and_health_responses_match_the_product(shared: Deployment) -> None:
    assert ready(shared, "sts") == ready(shared, "gateway") == (200, {"ok": True, "ready": True})
    assert ready(shared, "audit") == (200, {"ready": True})
    assert ready(shared, "api") == ready(shared, "coordinator") == (200, {"ok": True})
    for name in ("sts", "gateway", "audit"):
        assert shared[name].call("GET", "/health")[:2] == (200, "")
    for name in ("api", "coordinator"):
        assert shared[name].call("GET", "/health")[:2] == (200, {"ok": True})


@pytest.mark.mutation
def test_readiness_without_postgres(deployed: Deployment) -> None:
    deployed.start()
    with database_away(deployed):
        reason = {"ok": False, "ready": False, "reason": "postgres_unreachable"}
        assert ready(deployed, "sts") == ready(deployed, "audit") == (503, reason)
        down = {"ok": False, "error": "postgres_unreachable", "dependency": "postgres"}
        assert ready(deployed, "api") == ready(deployed, "coordinator") == (503, down)
        assert deployed["api"].call("GET", "/health")[0] == 200
        # The newer gateway uses PostgreSQL only for revocations.
        assert ready(deployed, "gateway") == ((200, {"ok": True, "ready": True}) if secret_store(deployed) else (503, reason))
        token = f"Bearer {deployed.keys.admin_token}"
        assert deployed["gateway"].call("POST", "/internal/revocations/reload", Authorization=token)[0] == 503
    for service in deployed.services.values():
        deployed.wait_ready(service)


@pytest.mark.mutation
def test_readiness_and_tokens_without_redis(deployed: Deployment, target: str) -> None:
    deployed.start()
    canary = made(deployed, target)
    token = canary.gateway_token()
    redis_away(deployed)
    reason = {"ok": False, "ready": False, "reason": "redis_unreachable"}
    assert ready(deployed, "sts") == ready(deployed, "gateway") == (503, reason)
    down = {"ok": False, "error": "redis_unreachable", "dependency": "redis"}
    assert ready(deployed, "api") == ready(deployed, "coordinator") == (503, down)
    stalled = (503, {"ok": False, "ready": False, "reason": "consumer_unhealthy"})
    eventually(lambda: ready(deployed, "audit") == stalled)
    assert deployed["audit"].call("GET", "/health")[0] == 503
    # Without Redis there is no new token, no request with a single-use token, and no exchange by the gateway.
    assert canary.exchange()[0] == 500
    refused = canary.fetch(token)
    assert refused[0] == 401
    assert refused[1]["error_description"] == ("token replay detected" if secret_store(deployed) else "invalid gateway exchange signature")


@pytest.mark.mutation
def test_the_rate_limit_of_readiness_needs_redis(deployed: Deployment) -> None:
    deployed.start("sts")
    deployed.start("api", READY_RATE_LIMIT_PER_MIN="3")
    answers = [ready(deployed, "api") for _turn in range(4)]
    assert (429, {"error": "rate_limited"}) in answers
    redis_away(deployed)
    status, body = ready(deployed, "api")
    assert (status, body["error"]) == (500, "internal_error")


@pytest.mark.mutation
def test_dead_outbox_rows_block_readiness(deployed: Deployment) -> None:
    deployed.sql(
        "UPDATE event_outbox SET dispatched_at = NULL, available_at = 'infinity' WHERE id = (SELECT min(id) FROM event_outbox)",
        "UPDATE caracal_outbox SET status = 'dead', published_at = NULL WHERE id = (SELECT min(id) FROM caracal_outbox)",
    )
    deployed.start("sts")
    deployed.start("api", "coordinator", wait=False, API_READY_OUTBOX_DEAD_MAX="0")
    for name in ("api", "coordinator"):
        eventually(functools.partial(_answers, deployed, name))
    dead = {"ok": False, "error": "outbox_dead_messages", "deadCount": 1, "limit": 0}
    assert ready(deployed, "api") == (503, dead)
    own = (503, {"ok": False, "error": "outbox_dead", "dependency": "outbox"})
    assert ready(deployed, "coordinator") == (own if secret_store(deployed) else (200, {"ok": True}))
    deployed.stop("api")
    deployed.start("api", API_READY_OUTBOX_DEAD_MAX="1")
    assert ready(deployed, "api") == (200, {"ok": True})


def _answers(deployed: Deployment, name: str) -> bool:
    with contextlib.suppress(OSError):
        return deployed[name].call("GET", "/health")[0] == 200
    return False


@pytest.mark.mutation
def test_gateway_fails_without_a_binding_or_its_revision(deployed: Deployment, target: str) -> None:
    deployed.start()
    canary = made(deployed, target)
    if secret_store(deployed):
        deployed.sql(f"UPDATE resources SET upstream_url = NULL WHERE zone_id = '{canary.zone}'")
        status, body, _headers = canary.fetch(canary_token(canary))
        assert (status, body["error"]) == (403, "access_denied")
        return
    deployed.sql(f"DELETE FROM gateway_resource_bindings WHERE zone_id = '{canary.zone}'")
    # The revision did not change, so the gateway still has the binding.
    assert ready(deployed, "gateway")[0] == 200
    assert canary.fetch(canary.token())[0] == 200
    deployed.sql("UPDATE gateway_binding_revision SET version = version + 1")
    assert ready(deployed, "gateway")[0] == 200
    refused = canary.fetch(canary.token())
    assert (refused[0], refused[1]["error_description"]) == (403, "resource not configured")
    deployed.sql("DELETE FROM gateway_binding_revision")
    assert ready(deployed, "gateway") == (503, {"ok": False, "ready": False, "reason": "postgres_unreachable"})
    deployed.stop("gateway")
    deployed.start("gateway", wait=False)
    assert deployed["gateway"].process.wait(timeout=PATIENCE) == 1
    assert "gateway binding revision row missing" in deployed["gateway"].log


def canary_token(canary: Canary) -> str:
    """Return a token for the gateway that was issued before its resource lost its address."""
    zone = canary.zone
    address = canary.deployed.sql(f"UPDATE resources SET upstream_url = 'http://127.0.0.1:9/' WHERE zone_id = '{zone}' RETURNING id")
    assert address
    token = canary.gateway_token()
    canary.deployed.sql(f"UPDATE resources SET upstream_url = NULL WHERE zone_id = '{zone}'")
    return token


@pytest.mark.mutation
def test_a_gateway_without_an_sts_is_not_ready(deployed: Deployment) -> None:
    deployed.start("sts", "gateway")
    deployed.stop("sts")
    assert ready(deployed, "gateway") == (503, {"ok": False, "ready": False, "reason": "sts_unreachable"})


@pytest.mark.mutation
def test_gateway_returns_502_for_a_forbidden_or_dead_upstream(deployed: Deployment) -> None:
    deployed.start()
    canary = made(deployed, "http://127.0.0.1:9/")
    refused = canary.fetch(canary.gateway_token(), "no-upstream")
    assert refused[0] == 502
    eventually(lambda: {one[2] for one in canary.events("no-upstream")} == {"complete", "upstream_error"})
    deployed.stop("gateway")
    deployed.start("gateway", UPSTREAM_HOST_ALLOWLIST="upstream.example")
    refused = canary.fetch(canary.gateway_token(), "not-allowed")
    assert (refused[0], refused[1]["error_description"]) == (502, "upstream not addressable")
    eventually(lambda: {one[2] for one in canary.events("not-allowed")} == {"complete", "upstream_rejected"})
    assert RESOURCE in json.dumps([one[6] for one in canary.events("not-allowed")])


def test_unsent_events_are_stored_and_sent_at_the_next_start(deployed: Deployment, target: str, redis: t.Any) -> None:
    deployed.start()
    canary = made(deployed, target)
    folder = deployed.replay("sts")
    deployed.stop("sts")
    # A Redis that runs at the start and has ended when the event is to be sent.
    with redis_server.start() as lost:
        deployed.start("sts", REDIS_URL=f"unix://{lost.socket}")
        lost.process.kill()
        lost.process.wait()
        assert canary.exchange("kept")[0] == 500
        (path,) = eventually(lambda: list(folder.glob("pending-*.ndjson")))
        deployed.stop("sts")
    assert oct(path.stat().st_mode & 0o777) == "0o600"
    kept = [json.loads(line) for line in path.read_text().splitlines()]
    assert [one["request_id"] for one in kept] == ["kept"]
    assert not canary.events("kept")
    with open(path, "a", encoding="utf-8") as file:
        file.write('{"id": "half a li')
    deployed.start("sts")
    eventually(lambda: canary.events("kept"))
    assert not list(folder.glob("*.ndjson"))
    assert "skipped malformed line" in deployed["sts"].log
    assert deployed["sts"].metric("caracal_sts_audit_replay_replayed_total") == 1


def test_duplicates_are_ingested_once_and_changed_ones_alert(deployed: Deployment) -> None:
    deployed.start("audit")
    zone = deployed.sql("SELECT min(id) FROM zones")[0][0]
    one = event(zone, "token_exchange", "twice", "allow", "complete", policies=[], diagnostics=[], metadata={"b": 1, "a": 2})
    key = deployed.keys.audit_hmac_key

    def send(found: dict[str, t.Any]) -> None:
        data = json.dumps(found)
        deployed.redis.client.xadd(streams.AUDIT, {"id": found["id"], "data": data, "sig": streams.audit_signature(key, data)})

    send(one)
    send(one)
    send({**one, "decision": "deny"})
    eventually(lambda: deployed["audit"].metric("caracal_audit_tamper_replay_total") == 1)
    assert deployed.sql("SELECT decision FROM audit_events WHERE request_id = 'twice'") == [("allow",)]
    assert deployed.sql(f"SELECT kind FROM audit_ingest_alerts WHERE event_id = '{one['id']}'") == [("content_mismatch_on_replay",)]
    dead = [fields[b"reason"] for _id, fields in deployed.redis.client.xrange(streams.DEAD_AUDIT)]
    assert dead == [b"tamper_on_replay"]


@pytest.mark.mutation
def test_events_before_the_consumer_group_are_never_ingested(deployed: Deployment) -> None:
    zone = deployed.sql("SELECT min(id) FROM zones")[0][0]
    key = deployed.keys.audit_hmac_key

    def send(request: str) -> None:
        data = json.dumps(event(zone, "token_exchange", request, "allow", "complete"))
        deployed.redis.client.xadd(streams.AUDIT, {"id": request, "data": data, "sig": streams.audit_signature(key, data)})

    send("early")
    deployed.start("audit")
    send("late")
    count = "SELECT count(*) FROM audit_events WHERE request_id = '{}'"
    eventually(lambda: deployed.sql(count.format("late")) == [(1,)])
    assert deployed.sql(count.format("early")) == [(0,)]


def test_events_pending_at_shutdown_go_to_a_replay_file(deployed: Deployment, redis: t.Any) -> None:
    environment = Environment({"AUDIT_HMAC_KEY": deployed.keys.audit_hmac_key.hex(), "AUDIT_REPLAY_DIR": str(deployed.replay("own"))})
    evidence = Evidence(environment, redis.client)
    evidence.emit(event("z", "token_exchange", "last", "allow", "complete"))
    evidence.close()
    (path,) = deployed.replay("own").iterdir()
    assert path.name.startswith(f"pending-{os.getpid()}-")
    assert json.loads(path.read_text())["request_id"] == "last"
    assert redis.client.xlen(streams.AUDIT) == 0


def test_stopped_services_exit_cleanly(deployed: Deployment) -> None:
    deployed.start()
    services = dict(deployed.services)
    deployed.stop()
    assert [service.process.returncode for service in services.values()] == [0] * 5
    assert all("stopped" in service.log for service in services.values())
    assert not list(deployed.replay("sts").glob("*.ndjson"))


def test_two_deployments_have_separate_ports_and_directories(deployed: Deployment, redis: t.Any, tmp_path: t.Any) -> None:
    """The helper gives each deployment its own ports and directories."""
    with deploy(deployed.cluster, redis, tmp_path / uuid.uuid4().hex, deployed.database) as other:
        assert {other.url(name) for name in ("sts", "api")}.isdisjoint({deployed.url(name) for name in ("sts", "api")})
        assert other.secrets != deployed.secrets
