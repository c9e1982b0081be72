# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The services of a project to start, and their order: dependencies come first."""

from __future__ import annotations

import dataclasses
import typing as t

from .._drivers.engine.answers import COMPLETED, HEALTHY, State
from .._errors import OptionError
from . import compose


@dataclasses.dataclass(frozen=True)
class Starts:
    """A service to start once the conditions in `needs` (by service) hold. It is ready when it meets the condition `until`."""

    service: str
    needs: t.Mapping[str, str]
    until: str


def in_order(states: t.Sequence[State], wanted: t.Collection[str]) -> list[Starts]:
    """Return the `wanted` services (all if none is named) and their dependencies, without those that already run.

    A completed one-time service is only started again for a service that depends on it and is started itself, as in
    Compose. Raises OptionError for circular dependencies.
    """
    return _Order(states).of(wanted)


class _Order:
    def __init__(self, states: t.Sequence[State]) -> None:
        one_time = {other for one in states for other, condition in one.needs.items() if condition == COMPLETED}
        self._once = {*compose.ONCE, *one_time}
        self._services: dict[str, list[State]] = {}
        # Without dependencies in the containers, the order is: PostgreSQL and Redis, one-time services, permanent
        # services.
        for one in sorted(states, key=lambda one: (one.service not in compose.DATA, one.service not in self._once)):
            self._services.setdefault(one.service, []).append(one)
        self._found: dict[str, Starts] = {}

    def of(self, wanted: t.Collection[str]) -> list[Starts]:
        for name in self._services:
            if not wanted or name in wanted:
                self._add(name, ())
        return list(self._found.values())

    def _add(self, name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise OptionError(f"services {', '.join(sorted(above))[:200]} depend on each other, so none can start; correct depends_on")
        # A dependency without a container is optional in Compose.
        replicas = self._services.get(name)
        if name in self._found or not replicas or all(self._done(one, bool(above)) for one in replicas):
            return
        needs = {other: condition for one in replicas for other, condition in one.needs.items() if other in self._services}
        for other in needs:
            self._add(other, (*above, name))
        self._found[name] = Starts(name, needs, COMPLETED if name in self._once else HEALTHY)

    def _done(self, one: State, needed: bool) -> bool:
        if one.service in self._once:
            return one.ended and one.exit_code == 0 and not needed
        return one.running
