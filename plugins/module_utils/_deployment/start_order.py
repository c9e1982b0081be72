# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which services of a project have to be started, and in which order: what another one needs comes before it."""

from __future__ import annotations

import dataclasses
import typing as t

from .._drivers.engine.answers import COMPLETED, HEALTHY, State
from .._errors import OptionError
from . import compose


@dataclasses.dataclass(frozen=True)
class Starts:
    """A service to start once `needs` hold, conditions by service; it is waited for `until` it has come to that."""

    service: str
    needs: t.Mapping[str, str]
    until: str


def in_order(states: t.Sequence[State], wanted: t.Collection[str]) -> list[Starts]:
    """`wanted` services, all of them if none is named, and what these need; without those that run already.

    What runs once and has done so is started again only for a service that needs it and is started itself, as Compose does.
    Raises OptionError for services that need each other.
    """
    return _Order(states).of(wanted)


class _Order:
    def __init__(self, states: t.Sequence[State]) -> None:
        told = {other for one in states for other, condition in one.needs.items() if condition == COMPLETED}
        self._once = {*compose.ONCE, *told}
        self._services: dict[str, list[State]] = {}
        # PostgreSQL and Redis first, and what runs once before what stays: the order where the containers do not tell theirs.
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
            raise OptionError(f"services {', '.join(sorted(above))[:200]} need each other, so none can be the first; correct depends_on")
        # A need of which there is no container is one that Compose calls optional.
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
