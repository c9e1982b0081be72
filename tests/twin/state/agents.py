# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Authority records, agent sessions in trees, delegations along the trees; services and invocations."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from ..copytext import Json
from .world import Agent, Row, World, Zone

# Each tree: (status, its children in the same form). No live agent is below an ended one.
TREES = (
    ("active", (("active", (("active", ()), ("expired", ()))), ("terminated", ()), ("suspended", (("suspended", ()),)))),
    ("terminated", (("terminated", (("terminated", ()),)), ("expired", ()))),
    ("service", (("active", ()),)),
    ("expired", ()),
    ("active", ()),
    ("terminated service", ()),
)


def build(world: World) -> None:
    for zone in world.zones:
        _authorities(world, zone)
        for shape in TREES:
            _tree(world, zone, shape, None)
        _epoch(world, zone)
        _services(world, zone)


def _authorities(world: World, zone: Zone) -> None:
    """Create two live records first, because agents use them, then revoked, expired and derived ones."""
    for number, status in enumerate(("active", "active", "revoked", "expired", "active")):
        at = world.ago(hours=6 - number) if status != "expired" else world.ago(days=2)
        user = number % 2 == 0
        authority = world.id(at)
        world.add(
            "authority_records",
            id=authority,
            zone_id=zone.id,
            session_type="user" if user else "application",
            subject_id=f"user-{number}" if user else zone.applications[number % 4],
            parent_id=zone.authorities[0] if number == 4 else None,
            status=status,
            expires_at=at + dt.timedelta(hours=12),
            authenticated_at=at,
            claims_json=Json({"sub": f"user-{number}", "name": world.dice.awkward(), "amr": ["pwd", "otp"]}) if user else None,
            created_at=at,
            revoked_at=world.ago(minutes=50) if status == "revoked" else None,
            revoked_reason="subject_revoked" if status == "revoked" else None,
        )
        zone.authorities.append(authority)


@dataclasses.dataclass(frozen=True)
class _Node:
    """An agent in its tree while the tree is built."""

    agent: Agent
    row: Row
    edge: Row | None


def _tree(world: World, zone: Zone, shape: t.Any, parent: _Node | None) -> None:
    kind, children = shape
    status, _space, lifecycle = kind.partition(" ")
    if status == "service":
        status, lifecycle = "active", "service"
    agent, row = _agent(world, zone, status, lifecycle or "task", parent)
    edge = _edge(world, zone, parent, agent, row) if parent else None
    if parent:
        world.add("agent_topology", parent_id=parent.agent.id, child_id=agent.id)
        parent.row["child_count"] += agent.live
    for child in children:
        _tree(world, zone, child, _Node(agent, row, edge))


def _agent(world: World, zone: Zone, status: str, lifecycle: str, parent: _Node | None) -> tuple[Agent, Row]:
    number = len(zone.agents)
    at = parent.row["started_at"] + dt.timedelta(minutes=1) if parent else world.ago(hours=4)
    live = status in ("active", "suspended")
    agent = Agent(world.id(at), zone.applications[number % 4], zone.authorities[0 if live else number % 4], live)
    ended = None if live else at + dt.timedelta(minutes=20)
    service = lifecycle == "service"
    row = world.add(
        "sessions",
        id=agent.id,
        zone_id=zone.id,
        application_id=agent.application,
        parent_id=parent.agent.id if parent else None,
        subject_authority_record_id=agent.authority,
        status=status,
        depth=parent.row["depth"] + 1 if parent else 0,
        labels=["canary", world.dice.awkward()] if number % 3 == 0 else [],
        max_children=10,
        child_count=0,
        started_at=at,
        last_active_at=at + dt.timedelta(minutes=5),
        terminated_at=ended,
        ttl_seconds=None if service else 86400,
        metadata_json=None if number % 4 == 3 else Json({"note": world.dice.awkward(), "n": number, "nested": {"ü": [1, None, True]}}),
        updated_at=ended or at + dt.timedelta(minutes=5),
        lifecycle=lifecycle,
        last_heartbeat_at=at + dt.timedelta(minutes=6) if service else None,
        heartbeat_deadline_at=at + dt.timedelta(minutes=8) if service else None,
        termination_reason="delegation_revoked" if status == "terminated" else None,
        lease_generation=1 if service else 0,
        idempotency_key=f"{zone.slug}-start-{number}" if number % 3 == 1 else None,
    )
    zone.agents.append(agent)
    return agent, row


def _edge(world: World, zone: Zone, parent: _Node, child: Agent, row: Row) -> Row:
    """Add the delegation from parent to child, within the parent's own. The edge of a terminated child is revoked."""
    at = row["started_at"]
    status = {"terminated": "revoked", "expired": "expired"}.get(row["status"], "active")
    revoked_at = row["terminated_at"] if status == "revoked" else None
    resource = zone.resources[len(zone.agents) % 3] if status != "expired" else None
    expires = at + dt.timedelta(hours=12) if status != "expired" else at + dt.timedelta(minutes=10)
    if parent.edge:
        resource, expires = parent.edge["resource_id"], min(expires, parent.edge["expires_at"])
    return world.add(
        "delegation_edges",
        id=world.id(at),
        zone_id=zone.id,
        source_session_id=parent.agent.id,
        target_session_id=child.id,
        issuer_application_id=parent.agent.application,
        receiver_application_id=child.application,
        resource_id=resource,
        scopes=["canary:read"],
        constraints_json=Json({"ttl_seconds": 600, "max_depth": 2}),
        status=status,
        expires_at=expires,
        edge_version=0 if status == "active" else 1,
        revoked_at=revoked_at,
        created_at=at,
        updated_at=row["updated_at"],
        parent_edge_id=parent.edge["id"] if parent.edge else None,
    )


def _epoch(world: World, zone: Zone) -> None:
    """Set the epoch: one step for each created edge, and one for each ended edge."""
    edges = [row for row in world.rows["delegation_edges"] if row["zone_id"] == zone.id]
    ended = sum(row["status"] != "active" for row in edges)
    world.add("delegation_graph_epochs", zone_id=zone.id, epoch=len(edges) + ended, updated_at=max(row["updated_at"] for row in edges))


def _services(world: World, zone: Zone) -> None:
    at = world.ago(days=1)
    services = []
    for number, health in enumerate(("healthy", "degraded")):
        services.append(world.id(at))
        world.add(
            "agent_services",
            id=services[-1],
            zone_id=zone.id,
            application_id=zone.applications[number],
            endpoint_url=f"https://agent.example/{number}",
            protocol_versions=["a2a/1.0", "mcp/2025-06-18"],
            framework_name="pydantic" if number else None,
            framework_version="2.0" if number else None,
            capabilities=["summarize", "übersetzen"],
            health=health,
            metadata_json=Json({"region": "eu-west"}),
            last_heartbeat_at=world.ago(minutes=1),
            created_at=at,
            updated_at=at,
        )
    for number, status in enumerate(("pending", "running", "succeeded", "failed", "dead")):
        at = world.ago(hours=2, minutes=number)
        done = status in ("succeeded", "failed", "dead")
        world.add(
            "agent_invocations",
            id=world.id(at),
            zone_id=zone.id,
            service_id=services[number % 2],
            source_session_id=zone.agents[0].id,
            target_session_id=zone.agents[1].id if number % 2 else None,
            idempotency_key=f"{zone.slug}-task-{number}",
            method="tasks/send",
            params_json=Json({"text": world.dice.awkward(), "n": number}),
            metadata_json=Json({}),
            status=status,
            attempts=number,
            max_attempts=5,
            timeout_ms=30000,
            retry_policy_json=Json({"backoff_ms": 500}),
            error_json=Json({"code": "upstream", "message": 'a \\ b\n"c"'}) if status in ("failed", "dead") else None,
            deadline_at=at + dt.timedelta(days=1) if status == "running" else None,
            cancel_requested_at=None,
            started_at=None if status == "pending" else at,
            completed_at=at + dt.timedelta(seconds=3) if done else None,
            created_at=at,
            updated_at=at,
        )
