# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: start services of a Compose project, each when its dependencies are ready."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from .._ansible.boundary import Invocation
from .._drivers.engine.answers import COMPLETED, STARTED, State
from .._drivers.engine.engine import Engine
from .._errors import OptionError, StageFailed
from .._options import declared
from . import compose
from .start_order import Starts, in_order

POLL_SECONDS = 0.5
States = t.Sequence[State]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    engine: str | None = None
    compose_project: str
    services: tuple[str, ...] = ()
    timeout: int = 180


class ServicesResult(t.TypedDict):
    """`started` lists services in start order. `urls` has the addresses at which this host reaches services."""

    changed: bool
    started: list[str]
    urls: dict[str, str]
    diff: dict[str, str]


def run(invocation: Invocation[Options]) -> ServicesResult:
    """Start each service and wait for it. Raises OptionError for an unknown service, and StageFailed for one that does not become ready."""
    given = invocation.options
    engine = Engine(given.engine)
    project = _Project(engine, given.compose_project, time.monotonic() + given.timeout)
    states = project.states()
    unknown = [name for name in given.services if name not in {one.service for one in states}]
    if unknown:
        raise OptionError(
            f"Compose project {given.compose_project} has no container of {', '.join(unknown)[:200]}; create it (docker compose create),"
            " or correct services"
        )
    for name in compose.SERVERS:
        compose.refuse_several(given.compose_project, name, [one.name for one in states if one.service == name])
    starts = in_order(states, given.services)
    if not invocation.check_mode:
        for one in starts:
            project.start(one)
    names = [one.service for one in starts]
    urls = compose.urls(engine.project(given.compose_project))
    return {"changed": bool(names), "started": names, "urls": urls, "diff": _diff(names)}


def _diff(names: t.Sequence[str]) -> dict[str, str]:
    return {"before": "", "after": "".join(f"{name}\n" for name in names)}


class _Project:
    """A project in which all services share one time limit."""

    def __init__(self, engine: Engine, name: str, deadline: float) -> None:
        self._engine, self._name, self._deadline = engine, name, deadline

    def states(self, service: str = "") -> States:
        return self._engine.states(self._name, service)

    def start(self, one: Starts) -> None:
        for service, condition in one.needs.items():
            self._wait(service, condition)
        for replica in self.states(one.service):
            if not replica.running:
                self._engine.start(replica.container)
        self._wait(one.service, one.until)

    def _wait(self, service: str, condition: str) -> None:
        """Wait until all replicas meet the condition. Raises StageFailed if a replica fails, is unhealthy, or exceeds the time limit."""
        while late := [one for one in self.states(service) if not _has_come_to(one, condition)]:
            lost = [one for one in late if one.health == "unhealthy" or (one.ended and condition == COMPLETED)]
            if lost or time.monotonic() > self._deadline:
                one = (lost or late)[0]
                raise StageFailed(f"{one.name} {_how(one)}; see docker logs {one.name}, then run again")
            time.sleep(POLL_SECONDS)


def _has_come_to(one: State, condition: str) -> bool:
    if condition == COMPLETED:
        return one.ended and one.exit_code == 0
    return one.running and (condition == STARTED or one.health == "healthy" or not one.checked)


def _how(one: State) -> str:
    if one.ended:
        return f"ended with exit status {one.exit_code}"
    if not one.running:
        return "is not running"
    return f"is not ready: its health is {one.health!a}" if one.checked else "has not ended"
