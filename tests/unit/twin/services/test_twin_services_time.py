# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Changes that the services make by themselves: agents end, partitions are created and dropped, outboxes are emptied."""

from __future__ import annotations

import pytest

from harness.waiting import eventually
from scenes.twin_canary import made
from scenes.twin_services import Deployment, secret_store
from twin.services.common import streams


def agents(deployed: Deployment) -> str:
    return "sessions" if secret_store(deployed) else "agent_sessions"


def test_expired_agents_end_together_with_their_children(deployed: Deployment) -> None:
    table = agents(deployed)
    started = "started_at" if secret_store(deployed) else "spawned_at"
    root = deployed.sql(
        f"SELECT id FROM {table} WHERE status = 'active' AND parent_id IS NULL AND child_count > 0 AND ttl_seconds IS NOT NULL LIMIT 1"
    )[0][0]
    deployed.sql(
        f"UPDATE {table} SET {started} = now(), heartbeat_deadline_at = heartbeat_deadline_at + interval '1 year'",
        f"UPDATE {table} SET ttl_seconds = 1 WHERE id = '{root}'",
    )
    live = f"SELECT count(*) FROM {table} WHERE parent_id = '{root}' AND status IN ('active', 'suspended')"
    assert deployed.sql(live)[0][0] > 0
    deployed.start("sts")
    deployed.start("coordinator", TTL_SWEEP_INTERVAL_MS="200", OUTBOX_INTERVAL_MS="200")
    ended = "expired" if secret_store(deployed) else "terminated"
    eventually(lambda: deployed.sql(f"SELECT status FROM {table} WHERE id = '{root}'") == [(ended,)])
    assert deployed.sql(live) == [(0,)]
    # The root has no parent. Null is a text here, unlike in the API's entries.
    entry = eventually(lambda: next((f for _id, f in deployed.redis.client.xrange(streams.LIFECYCLE) if _of_root(f, root)), None))
    fields = {name.decode(): value.decode() for name, value in entry.items()}
    assert (fields["reason"], fields["parent_id"]) == ("ttl", "null")
    assert streams.genuine(deployed.keys.streams_hmac_key, streams.LIFECYCLE, fields)


def _of_root(fields: dict[bytes, bytes], root: str) -> bool:
    return fields.get(b"event") == b"terminate" and fields.get(b"agent_session_id") == root.encode()


def test_services_without_a_heartbeat_are_suspended(deployed: Deployment) -> None:
    table = agents(deployed)
    silent = f"SELECT count(*) FROM {table} WHERE status = 'active' AND heartbeat_deadline_at < now()"
    assert deployed.sql(silent)[0][0] > 0
    deployed.start("sts")
    deployed.start("coordinator", SERVICE_LEASE_SWEEP_INTERVAL_MS="200")
    eventually(lambda: deployed.sql(silent) == [(0,)])
    stats = _stats(deployed)
    assert stats["service_lease_sweeper"]["suspended"] > 0
    assert stats["ttl_sweeper"]["runs"] == 0


def _stats(deployed: Deployment) -> dict[str, dict[str, int]]:
    bearer = f"Bearer {deployed.keys.coordinator_token}"
    status, found, _headers = deployed["coordinator"].call("GET", "/stats", Authorization=bearer)
    assert status == 200
    return dict(found)


def test_outboxes_empty_into_the_streams(deployed: Deployment) -> None:
    waiting = "SELECT count(*) FROM event_outbox WHERE dispatched_at IS NULL"
    queued = "SELECT count(*) FROM caracal_outbox WHERE status = 'pending'"
    assert deployed.sql(waiting)[0][0] > 0
    assert deployed.sql(queued)[0][0] > 0
    deployed.start("audit", "sts", "api", "coordinator")
    eventually(lambda: deployed.sql(waiting) == [(0,)] and deployed.sql(queued) == [(0,)])
    for stream in (streams.POLICIES, streams.KEYS, streams.LIFECYCLE):
        entries = deployed.redis.client.xrange(stream)
        assert entries
        for _id, fields in entries:
            text = {name.decode(): value.decode() for name, value in fields.items()}
            assert streams.genuine(deployed.keys.streams_hmac_key, stream, text)


def test_creates_and_drops_partitions_at_startup(deployed: Deployment) -> None:
    leaves = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit_events'::regclass"
    coming = "SELECT to_regclass('audit_events_y' || to_char(now() + interval '3 months', 'YYYY\"m\"MM')) IS NOT NULL"
    before = deployed.sql(leaves)[0][0]
    assert deployed.sql(coming) == [(False,)]
    if secret_store(deployed):
        # The row has priority over the environment if its value is lower.
        deployed.sql("UPDATE audit_retention SET retention_days = 1000")
    deployed.start("audit", AUDIT_RETENTION_DAYS="3650")
    eventually(lambda: deployed["audit"].metric("caracal_audit_retention_created_total") == 4)
    assert deployed.sql(coming) == [(True,)]
    assert deployed["audit"].metric("caracal_audit_retention_dropped_total") == 0
    assert deployed.sql(leaves)[0][0] > before
    deployed.stop("audit")
    deployed.start("audit", AUDIT_RETENTION_DAYS="200")
    eventually(lambda: deployed["audit"].metric("caracal_audit_retention_dropped_total") > 0)
    # The remaining rows begin in the middle of a chain, which does not count as a break.
    eventually(lambda: deployed["audit"].metric("caracal_audit_tamper_last_full_unix"))
    assert deployed["audit"].metric("caracal_audit_tamper_chain_breaks_total") == 0


@pytest.mark.mutation
def test_a_failed_partition_creation_drops_no_partition(deployed: Deployment) -> None:
    zone = deployed.sql("SELECT min(id) FROM zones")[0][0]
    deployed.sql(
        "INSERT INTO audit_events (id, zone_id, event_type, occurred_at) VALUES"
        f" ('stray', '{zone}', 'token_exchange', date_trunc('month', now()) + interval '1 hour')"
    )
    deployed.start("audit", AUDIT_RETENTION_DAYS="10")
    eventually(lambda: "retention: ensure partition" in deployed["audit"].log)
    assert deployed["audit"].metric("caracal_audit_retention_dropped_total") == 0


def test_agents_and_delegations_of_the_newer_family(deployed: Deployment, target: str) -> None:
    deployed.start()
    canary = made(deployed, target)
    operator = deployed.keys.coordinator_token
    if not secret_store(deployed):
        zone = deployed.sql("SELECT zone_id FROM agent_sessions GROUP BY 1 ORDER BY 1 LIMIT 1")[0][0]
        status, found, _headers = deployed["coordinator"].call("GET", f"/zones/{zone}/agents", Authorization=f"Bearer {operator}")
        assert status == 200
        assert len(found["items"]) > 3
        return
    token = canary.token()
    source, target_agent, edge = canary.delegate(token)
    listed = canary.coordinator("GET", "/agents", operator)[1]["items"]
    assert {one["agent_session_id"] for one in listed} == {source, target_agent}
    assert listed[0]["lease_generation"] == "0"
    assert [one["id"] for one in canary.coordinator("GET", f"/delegations/inbound/{target_agent}", operator)[1]["items"]] == [edge]
    assert [one["id"] for one in canary.coordinator("GET", "/delegations/active", operator)[1]["items"]] == [edge]
    assert canary.coordinator("GET", f"/delegations/{edge}/traverse", operator)[1][0]["depth"] == 1
    assert canary.coordinator("POST", "/agents", operator, {"application_id": canary.application})[:2] == (401, {"error": "invalid_token"})
    assert canary.coordinator("GET", "/agents", "nonsense")[0] == 401
    epoch = f"SELECT epoch FROM delegation_graph_epochs WHERE zone_id = '{canary.zone}'"
    assert deployed.sql(epoch) == [(1,)]
    status, found, _headers = canary.coordinator("PATCH", f"/delegations/{edge}/revoke", operator, {})
    assert (status, found["revoked_edges"], found["affected_sessions"], found["terminated_sessions"]) == (200, 1, 1, 1)
    assert canary.coordinator("DELETE", f"/agents/{source}", token)[0] == 204
    # The stream revokes the record under which both agents acted, and with it the token, at some time. So the operator
    # asks again.
    assert canary.coordinator("DELETE", f"/agents/{source}", operator)[0] == 404
    eventually(lambda: canary.coordinator("GET", "/agents", token)[1] == {"error": "identity_revoked"})
    refused = canary.exchange(scope="canary:read", agent_session_id=target_agent, delegation_edge_id=edge)
    assert (refused[0], refused[1]["error_description"]) == (403, "delegation edge inactive or expired")
