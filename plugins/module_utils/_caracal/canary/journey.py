# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The complete path of a protected request: exchange, delegation if the release requires it, Gateway, and the same token again."""

from __future__ import annotations

import dataclasses
import time

from . import exchange, gateway
from .asking import COORDINATOR, Answer, Refused, Services, expect, quoted
from .dialect import Dialect
from .exchange import ISSUED, Application, Exchange
from .gateway import Asked, Upstream

_SECONDS = 600
_LIFECYCLE = "agent:lifecycle"
# The Gateway checks for new bindings every 30 s.
BINDING_SECONDS = 45.0
_EVERY = 1.0


@dataclasses.dataclass
class Journey:
    """The results of the steps that were run. `left` are sessions that could not be ended."""

    exchange: Exchange
    stopped: Refused | None = None
    gateway: Asked | None = None
    again: Answer | None = None
    left: list[str] = dataclasses.field(default_factory=list)


def go(services: Services, application: Application, dialect: Dialect, upstream: Upstream | None) -> Journey:
    """Run every step until one fails, and end the sessions that were started."""
    scope = _LIFECYCLE if dialect.contract else " ".join(application.scopes)
    journey = Journey(exchange.ask(services, application, scope))
    if journey.exchange.outcome != ISSUED:
        return journey
    if not dialect.contract:
        journey.gateway = _ask(services, application, dialect, journey.exchange.token, upstream)
        return journey
    sessions: list[str] = []
    try:
        token = _delegated(services, application, journey.exchange.token, sessions)
        journey.gateway = _ask(services, application, dialect, token, upstream)
        if dialect.one_shot:
            journey.again = gateway.ask(services, application.resource, application.path, token, upstream).answer
    except Refused as exc:
        journey.stopped = exc
    finally:
        journey.left = _end(services, application.zone, journey.exchange.token, sessions)
    return journey


def _ask(services: Services, application: Application, dialect: Dialect, token: str, upstream: Upstream | None) -> Asked:
    """Send the protected request. Retries because the Gateway learns of a new binding only after some seconds."""
    until = time.monotonic() + BINDING_SECONDS
    while True:
        asked = gateway.ask(services, application.resource, application.path, token, upstream)
        unknown = asked.answer.is_(403, "resource not configured") and application.ours and dialect.bindings
        if not unknown or time.monotonic() > until:
            return asked
        time.sleep(_EVERY)


def _delegated(services: Services, application: Application, token: str, sessions: list[str]) -> str:
    """Return a one-time token for the resource, from a session that received a delegation from another session."""
    zone = f"/zones/{quoted(application.zone)}"
    wanted = {"application_id": application.id, "labels": list(application.labels), "ttl_seconds": _SECONDS}
    for step in ("start of the delegating session", "start of the session that acts"):
        answer = services.call(COORDINATOR, "POST", f"{zone}/agents", token=token, body=wanted)
        sessions += expect(step, answer, 201, "agent_session_id")
    edge = {
        "issuer_application_id": application.id,
        "receiver_application_id": application.id,
        "source_session_id": sessions[0],
        "target_session_id": sessions[1],
        "resource_id": application.resource,
        "scopes": list(application.scopes),
        "ttl_seconds": _SECONDS,
    }
    answer = services.call(COORDINATOR, "POST", f"{zone}/delegations", token=token, body=edge)
    (edge_id,) = expect("delegation", answer, 201, "delegation_edge_id")
    made = exchange.ask(services, application, " ".join(application.scopes), agent_session_id=sessions[1], delegation_edge_id=edge_id)
    if made.outcome != ISSUED:
        raise Refused("exchange for the delegated token", made.answer)
    return made.token


def _end(services: Services, zone: str, token: str, sessions: list[str]) -> list[str]:
    """End the sessions, the acting one first, and return those that did not end."""
    ended = {
        one: services.call(COORDINATOR, "DELETE", f"/zones/{quoted(zone)}/agents/{quoted(one)}", token=token) for one in sessions[::-1]
    }
    # 404 and 410: ending the other session also ended this one.
    return [one for one, answer in ended.items() if answer.status not in (200, 204, 404, 410)]
