# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Data in transit: both outboxes with sent, pending and dead rows, webhooks, export watermark, ingest alerts.

Built after the audit events, because the frames that the outbox has sent must exist as events.
"""

from __future__ import annotations

import datetime as dt
import hmac
import json
import typing as t

from .. import envelopes
from ..audit import AuditStream, Event
from ..copytext import Json
from .world import World, Zone

DEAD = "infinity"


def build(world: World, stream: AuditStream) -> None:
    for event, occurred_us in stream.revealed:
        _event(world, _frame(world, event, occurred_us), "caracal.audit.events", sent=True)
    heads = {link.zone.id: link.seq for link in stream.chains}
    for zone in world.zones:
        _zone_events(world, zone)
        _coordinator(world, zone)
        _announced(world, zone)
        _ended(world, zone)
        _webhooks(world, zone, heads[zone.id])
    _exports(world, stream)


def _event(world: World, payload: dict[str, t.Any], stream: str, *, sent: bool = False, dead: bool = False) -> None:
    at = world.ago(minutes=30 if sent else 2)
    tried = sent or dead
    world.add(
        "event_outbox",
        id=world.id(at),
        stream_name=stream,
        payload_json=Json(payload),
        attempts=12 if dead else int(sent),
        available_at=DEAD if dead else at,
        locked_until=None,
        locked_by="api:3111" if tried else None,
        last_error="redis: connection refused\n\tat \\dispatch" if dead else None,
        dispatched_at=at + dt.timedelta(milliseconds=90) if sent else None,
        request_id=payload.get("id"),
        created_at=at,
    )


def _frame(world: World, event: Event, occurred_us: int) -> dict[str, str]:
    """Return a signed audit frame as the API enqueues it."""
    at = dt.datetime.fromtimestamp(occurred_us // 1_000_000, dt.timezone.utc)
    event_id, zone, kind, request, decision = event.texts[:5]
    body = {
        "id": event_id,
        "zone_id": zone,
        "event_type": kind,
        "request_id": request,
        "decision": decision,
        "evaluation_status": "complete",
        "determining_policies_json": [],
        "diagnostics_json": [],
        "metadata_json": json.loads(event.documents[2] or "null"),
        "occurred_at": at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{occurred_us // 1000 % 1000:03d}Z",
    }
    data = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return {"id": request or "", "sig": hmac.digest(world.keys.audit_hmac_key, data.encode(), "sha256").hex(), "data": data}


def _zone_events(world: World, zone: Zone) -> None:
    activate = {"zone_id": zone.id, "policy_set_id": zone.policy_set, "policy_set_version_id": zone.policy_set_version}
    revoke = {"zone_id": zone.id, "session_id": zone.authorities[2], "reason": "subject_revoked"}
    _event(world, activate, "caracal.policy.invalidate", sent=True)
    _event(world, revoke, "caracal.sessions.revoke", sent=True)
    _event(world, {"zone_id": zone.id, "kid": "ü\\", "reason": None}, "caracal.keys.invalidate")
    _event(world, activate, "caracal.policy.invalidate")
    _event(world, revoke, "caracal.sessions.revoke", dead=True)


def _coordinator(world: World, zone: Zone) -> None:
    last = len(zone.agents) - 1
    started = {row["id"]: row["started_at"] for row in world.rows["sessions"]}
    for number, agent in enumerate(zone.agents):
        status = {last: "pending", last - 1: "dead"}.get(number, "published")
        waiting = world.ago(minutes=1)
        at = started[agent.id] if status == "published" else waiting
        world.add(
            "caracal_outbox",
            id=world.id(at),
            producer="coordinator",
            topic="caracal.agents.lifecycle",
            dedupe_key=f"spawn:{agent.id}",
            payload_json=Json({"event": "spawn", "zone_id": zone.id, "parent_id": None, "agent_session_id": agent.id}),
            status=status,
            attempts={"published": 1, "pending": 0, "dead": 10}[status],
            available_at=at,
            published_at=at + dt.timedelta(seconds=1) if status == "published" else None,
            created_at=at,
            updated_at=at + dt.timedelta(seconds=1),
        )


def _announced(world: World, zone: Zone) -> None:
    """Announce every created delegation, and every revoked one again. Only the newer releases keep the former rows."""
    for edge in world.rows["delegation_edges"]:
        if edge["zone_id"] == zone.id:
            ends = {name: edge[name] for name in ("source_session_id", "target_session_id")}
            _edge_event(world, edge, "edge_create", "f", ends)
            if edge["status"] == "revoked" and edge["parent_edge_id"] is None:
                _edge_event(world, edge, "edge_revoke", "e", {"affected_edges": 1})


def _edge_event(world: World, edge: dict[str, t.Any], event: str, first: str, more: dict[str, t.Any]) -> None:
    """Add an event of an edge. `first` is the first character of its ID; the other characters are the edge's."""
    payload = {"event": event, "zone_id": edge["zone_id"], "edge_id": edge["id"], "epoch": 1, **more}
    _published(world, "caracal.delegations.invalidate", f"{first}{edge['id'][1:]}", f"{event}:{edge['id']}", payload)


def _ended(world: World, zone: Zone) -> None:
    """Announce the end of every ended agent."""
    for row in world.rows["sessions"]:
        if row["zone_id"] == zone.id and row["status"] in ("terminated", "expired"):
            payload = {"event": "terminate", "zone_id": zone.id, "parent_id": row["parent_id"], "agent_session_id": row["id"]}
            _published(world, "caracal.agents.lifecycle", f"d{row['id'][1:]}", f"terminate:{row['id']}", payload)


def _published(world: World, topic: str, identifier: str, key: str, payload: dict[str, t.Any]) -> None:
    """Add a published event. Its ID is passed in, so that it does not consume random numbers."""
    at = world.ago(minutes=20)
    world.add(
        "caracal_outbox",
        id=identifier,
        producer="coordinator",
        topic=topic,
        dedupe_key=key,
        payload_json=Json(payload),
        status="published",
        attempts=1,
        available_at=at,
        published_at=at + dt.timedelta(seconds=1),
        created_at=at,
        updated_at=at + dt.timedelta(seconds=1),
    )


def _webhooks(world: World, zone: Zone, head: int) -> None:
    at = world.ago(days=2)
    sink = world.id(at)
    world.add(
        "notification_sinks",
        id=sink,
        zone_id=zone.id,
        name="hook ↯",
        url="https://hooks.example/caracal?token=\\t",
        secret_ct=world.seal(envelopes.SINK_SECRET, f"nsk_{world.dice.hex(24)}"),
        event_types=["step_up_issued", "step_up_decided"],
        active=True,
        cursor_chain_seq=head,
        consecutive_failures=1,
        last_success_at=at,
        last_failure_at=at + dt.timedelta(hours=1),
        last_error="HTTP 500",
        created_at=at,
        updated_at=at,
    )
    for number, outcome in enumerate(("delivered", "pending", "abandoned")):
        world.add(
            "notification_deliveries",
            id=world.id(at),
            sink_id=sink,
            zone_id=zone.id,
            event_id=world.id(at),
            event_type="step_up_issued",
            payload_json=Json({"zone_id": zone.id, "text": world.dice.awkward()}),
            attempts=(1, 2, 8)[number],
            available_at=at,
            delivered_at=at if outcome == "delivered" else None,
            abandoned_at=at if outcome == "abandoned" else None,
            response_status=(204, 500, None)[number],
            last_error=(None, "HTTP 500", "timeout\tafter 5 s")[number],
            created_at=at,
        )


def _exports(world: World, stream: AuditStream) -> None:
    last = stream.last_ingested or world.origin
    hour = last.replace(minute=0, second=0, microsecond=0) - dt.timedelta(hours=1)
    world.add("audit_export_watermark", name="parquet-hourly", last_exported_hour=hour, updated_at=last)
    for number in range(1, 4):
        at = world.ago(days=number)
        world.add(
            "audit_ingest_alerts",
            id=number,
            event_id=world.id(at),
            zone_id=world.zones[0].id,
            kind="content_mismatch_on_replay",
            detail=f"stored={world.dice.hex(8)} incoming={world.dice.hex(8)}",
            observed_at=at,
        )
