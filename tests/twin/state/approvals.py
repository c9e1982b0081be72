# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Step-up challenges with each outcome, and the receipts with which the coordinator recognizes a repeated request."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac

from ..copytext import Json
from .world import World, Zone

RECEIPT_LABEL = b"caracal:coordinator:idempotency:v1\x00"


def build(world: World) -> None:
    for zone in world.zones:
        _challenges(world, zone)
        _receipts(world, zone)


def _challenges(world: World, zone: Zone) -> None:
    for number, outcome in enumerate(("open", "consumed", "rejected")):
        at = world.ago(minutes=4 + number)
        decided = at + dt.timedelta(minutes=1)
        world.add(
            "step_up_challenges",
            id=world.id(at),
            zone_id=zone.id,
            session_id=zone.authorities[0] if number else None,
            challenge_type="human_approval",
            metadata_json=Json({"resources": [zone.resources[0]], "reason": world.dice.awkward()}),
            created_at=at,
            expires_at=at + dt.timedelta(hours=1),
            satisfied_at=decided if outcome == "consumed" else None,
            challenge_secret_hash=hashlib.sha256(f"{zone.slug} {outcome}".encode()).digest() if number else None,
            principal_id=zone.applications[number],
            resource_set_hash=world.dice.randbytes(32) if number else None,
            consumed_at=decided + dt.timedelta(seconds=9) if outcome == "consumed" else None,
            approver_subject_id=zone.owner if number else None,
            application_id=zone.applications[number],
            tier="high" if number else None,
            approver_class=("operator", "subject", "any")[number],
            privacy_mode=("identified", "pseudonymous", "anonymous")[number],
            rejected_at=decided if outcome == "rejected" else None,
            decision_reason="no \\ nein" if outcome == "rejected" else None,
            approver_session_id=None,
            subject_anchor=None,
            consumed_authority_record_id=zone.authorities[0] if outcome == "consumed" else None,
        )


def _receipts(world: World, zone: Zone) -> None:
    for number, agent in enumerate(zone.agents[:3]):
        at = world.ago(hours=3)
        key = f"{zone.slug}-key-{number}".encode()
        world.add(
            "coordinator_idempotency_receipts",
            id=world.id(at),
            operation="session.start.v2",
            zone_id=zone.id,
            scope_id=agent.application,
            key_digest=hmac.digest(world.keys.idempotency_hmac_key, RECEIPT_LABEL + key, "sha256"),
            request_digest=hashlib.sha256(key).digest(),
            resource_type="session",
            resource_id=agent.id,
            response_status=201,
            response_json=Json({"agent_session_id": agent.id, "zone_id": zone.id, "status": "active", "parent_id": None}),
            created_at=at,
            expires_at=at + dt.timedelta(days=7),
        )
