# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The operator assistant's tables: conversations with turns, runs with events, plan secrets, memory."""

from __future__ import annotations

import datetime as dt

from .. import envelopes
from ..copytext import Json
from ..dice import AWKWARD
from .world import Row, World, Zone


def build(world: World) -> None:
    _ai_providers(world)
    for zone in world.zones:
        for number in range(1, 4):
            conversation = _conversation(world, zone, number)
            turns = _turns(world, zone, conversation)
            _run(world, zone, conversation, turns[0], "completed" if number < 3 else "failed")
        _plan_secrets(world, zone, conversation)
        world.add("operator_conversation_counters", zone_id=zone.id, next_number=4)
        for text in filter(str.strip, AWKWARD[:6]):
            at = world.ago(days=1)
            world.add(
                "operator_zone_memory", id=world.id(at), zone_id=zone.id, conversation_id=conversation["id"], text=text, created_at=at
            )


def _ai_providers(world: World) -> None:
    for order, (slug, models) in enumerate((("local", []), ("hosted_1", [{"id": "large", "label": "Groß \\ large"}]))):
        world.add(
            "operator_ai_providers",
            slug=slug,
            label=f"{slug} · models",
            base_url="https://models.example/v1",
            models=Json(models),
            context_window=order * 200000,
            enabled=order == 1,
            sort_order=order,
            created_at=world.origin,
            updated_at=world.origin,
            auth_config=Json({"kind": "bearer"} if order else {}),
        )


def _conversation(world: World, zone: Zone, number: int) -> Row:
    at = world.ago(days=5 - number)
    return world.add(
        "operator_conversations",
        id=world.id(at),
        zone_id=zone.id,
        title=f"Conversation {number}: {world.dice.awkward()}",
        status="archived" if number == 1 else "active",
        created_by=zone.owner,
        next_seq=len(AWKWARD) + 1,
        created_at=at,
        updated_at=at,
        last_activity_at=at + dt.timedelta(minutes=30),
        archived_at=at + dt.timedelta(days=1) if number == 1 else None,
        mode="agent" if number % 2 else "ask",
        autopilot=False,
        number=number,
    )


def _turns(world: World, zone: Zone, conversation: Row) -> list[str]:
    turns = []
    for seq, text in enumerate(AWKWARD, start=1):
        at = conversation["created_at"] + dt.timedelta(minutes=seq)
        turns.append(world.id(at))
        user = seq % 2 == 1
        world.add(
            "operator_turns",
            id=turns[-1],
            conversation_id=conversation["id"],
            zone_id=zone.id,
            seq=seq,
            role="user" if user else "operator",
            kind="message" if seq < 6 else "plan",
            content=Json({"text": text, "steps": [{"id": "s1", "args": {"große": 1, "z": None}}] if seq >= 6 else []}),
            actor_id=zone.owner if user else None,
            client_token=world.dice.hex(8) if user else None,
            created_at=at,
        )
    return turns


def _run(world: World, zone: Zone, conversation: Row, turn: str, state: str) -> None:
    at = conversation["created_at"] + dt.timedelta(minutes=1)
    states = ("queued", "reasoning", state)
    run = world.id(at)
    usage = [{"provider": "hosted_1", "model": "large", "input_tokens": 1200, "output_tokens": 340}]
    world.add(
        "operator_message_runs",
        id=run,
        zone_id=zone.id,
        conversation_id=conversation["id"],
        client_message_id=world.dice.hex(8),
        server_message_turn_id=turn,
        correlation_id=world.id(at),
        state=state,
        actor_id=zone.owner,
        provider_id="hosted_1",
        reason=None,
        error_code="upstream" if state == "failed" else None,
        error_detail='HTTP 502\n\tfrom "models.example"' if state == "failed" else None,
        deadline_at=at + dt.timedelta(minutes=5),
        started_at=at,
        updated_at=at + dt.timedelta(seconds=40),
        completed_at=at + dt.timedelta(seconds=40),
        last_event_seq=len(states),
        input_tokens=1200,
        output_tokens=340,
        usage_by_provider_model=Json(usage),
        served_provider_id="hosted_1",
        served_model="large",
    )
    for seq, step in enumerate(states, start=1):
        when = at + dt.timedelta(seconds=seq * 10)
        world.add(
            "operator_message_run_events",
            id=world.id(when),
            run_id=run,
            zone_id=zone.id,
            conversation_id=conversation["id"],
            event_seq=seq,
            state=step,
            reason=None,
            error_code=None,
            error_detail=None,
            payload=Json({"delta": world.dice.awkward()}),
            created_at=when,
        )


def _plan_secrets(world: World, zone: Zone, conversation: Row) -> None:
    at = world.ago(minutes=20)
    world.add(
        "operator_plan_secrets",
        conversation_id=conversation["id"],
        zone_id=zone.id,
        plan_seq=6,
        step_id="s1",
        envelope=world.seal(envelopes.PLAN_SECRETS, '{"api_key":"sk-plan-ü"}'),
        secret_keys=["api_key"],
        created_at=at,
        expires_at=at + dt.timedelta(hours=24),
    )
