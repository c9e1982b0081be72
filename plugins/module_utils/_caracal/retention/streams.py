# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compare Redis streams with their intended lengths, and check the age of pending entries and dead letters."""

from __future__ import annotations

import dataclasses
import typing as t

from ..._report.check import FAIL, PASS, UNPROVEN, WARN, Check
from ..._report.text import duration
from .. import streams as product

PREFIX = "retention.streams"
# From Caracal's provisioning. Nothing enforces these limits.
BOUNDS = {
    "caracal.audit.events": 1_000_000,
    "caracal.audit.events.dlq": 100_000,
    "caracal.policy.invalidate": 10_000,
    "caracal.sessions.revoke": 10_000,
    "caracal.keys.invalidate": 10_000,
}


@dataclasses.dataclass(frozen=True)
class Waiting:
    """Entries that a group has received but not acknowledged.

    `oldest` is the time of the oldest entry in milliseconds since 1970. `idle` is the milliseconds since one of its
    consumers last read, or None without a consumer.
    """

    group: str
    count: int
    oldest: int
    idle: int | None


@dataclasses.dataclass(frozen=True)
class Stream:
    """A stream. `first` is the time of its oldest entry in milliseconds since 1970, or None. `groups` are the names of all groups."""

    name: str
    length: int
    first: int | None
    groups: tuple[str, ...]
    waiting: tuple[Waiting, ...]


def judge(found: t.Sequence[Stream], now: int, budget: float) -> list[Check]:
    """Return all checks. `now` is in milliseconds since 1970 by Redis' clock. `budget` is the allowed age of a pending entry in seconds."""
    if not found:
        words = "this Redis contains no stream of Caracal; give the Redis that the services use"
        return [Check(f"{PREFIX}.{name}", UNPROVEN, words) for name in ("bounds", "pending", "dead_letters")]
    return [bounds(found), pending(found, now, budget), dead_letters(found, now)]


def bounds(found: t.Sequence[Stream]) -> Check:
    name, bounded = f"{PREFIX}.bounds", [one for one in found if one.name in BOUNDS]
    details = {"lengths": {one.name: one.length for one in found}}
    over = [one for one in bounded if one.length > BOUNDS[one.name]]
    if over:
        first = over[0]
        words = (
            f"{len(over)} of {len(bounded)} streams are longer than intended, first {first.name} with {first.length} entries instead of "
            f"{BOUNDS[first.name]}; check that its readers run, and monitor the memory of Redis"
        )
        return Check(name, WARN, words, details=details)
    if not bounded:
        return Check(name, UNPROVEN, "none of the streams with an intended length exists", details=details)
    return Check(name, PASS, f"{len(bounded)} streams are within their intended lengths", details=details)


def pending(found: t.Sequence[Stream], now: int, budget: float) -> Check:
    """Check entries that a reader received but did not finish, by the age of the entry. A retry does not make an entry younger."""
    name = f"{PREFIX}.pending"
    read = {(one.name, group) for one in found for group in one.groups if product.is_consumed(one.name, group)}
    missing = sorted({(known.name, group) for known in product.STREAMS for group in known.consumed} - read)
    waiting = [(one.name, each) for one in found for each in one.waiting if product.is_consumed(one.name, each.group)]
    late = sorted(((each.oldest, stream, each) for stream, each in waiting if now - each.oldest > budget * 1000), key=lambda one: one[:2])
    details = {
        "groups": len(read),
        "pending": sum(each.count for _stream, each in waiting),
        "oldest_seconds": max(((now - each.oldest) / 1000 for _stream, each in waiting), default=0.0),
        "budget_seconds": budget,
    }
    serious = [one for one in late if not _is_harmless(one[2], budget)]
    if missing and not serious:
        stream, wanted = missing[0]
        words = f"{len(missing)} consumer groups of Caracal are missing, first {wanted} of {stream}; check that the services run"
        return Check(name, UNPROVEN, words, details={**details, "missing": [" ".join(one) for one in missing]})
    if late:
        oldest, stream, group = (serious or late)[0]
        words = (
            f"{len(late)} of {len(read)} consumer groups have unacknowledged entries over budget, longest {group.group} of {stream}: "
            f"{group.count} entries, the oldest {duration((now - oldest) / 1000)} old, budget {duration(budget)}; "
            "check the log of the service that reads it"
        )
        gone = f", or remove the group if its Gateway does not exist any more: XGROUP DESTROY {stream} {group.group}"
        return Check(name, FAIL if serious else WARN, words + (gone if _is_left_behind(group, budget) else ""), details=details)
    return Check(name, PASS, f"{len(read)} consumer groups acknowledged their entries within {duration(budget)}", details=details)


def _is_harmless(group: Waiting, budget: float) -> bool:
    """Return whether the entries are retried at the next start, or belong to a reader that does not exist any more."""
    return group.group in product.RETRIED_LATER or _is_left_behind(group, budget)


def _is_left_behind(group: Waiting, budget: float) -> bool:
    """Return whether the group belongs to a removed Gateway host. Each Gateway host has its own group, which remains after
    the host is removed.
    """
    return group.group.startswith(f"{product.GATEWAY_GROUP}:") and (group.idle is None or group.idle > budget * 1000)


def dead_letters(found: t.Sequence[Stream], now: int) -> Check:
    name, dead = f"{PREFIX}.dead_letters", [one for one in found if product.is_dead_letters(one.name) and one.length]
    details = {"lengths": {one.name: one.length for one in dead}}
    if dead:
        first = min(dead, key=lambda one: one.first or 0)
        words = (
            f"{sum(one.length for one in dead)} entries were given up in {', '.join(one.name for one in dead)}, the oldest "
            f"{duration(max(0.0, (now - (first.first or now)) / 1000))} old; their messages had no effect"
        )
        return Check(name, WARN, words, details=details)
    return Check(name, PASS, f"no dead letters in {len(found)} streams", details=details)
