# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Revocations have no table of their own: they are states of rows. So only the signed inventory reveals a revocation that was undone."""

from __future__ import annotations

import dataclasses
import typing as t

from .authority import agents_of, subjects_of
from .rule import Rule, Seen

State = t.Mapping[str, t.Sequence[t.Sequence[t.Any]]]
_AGAIN = "revoked items are valid again; restore another set, or revoke the items that rollback_info lists"


@dataclasses.dataclass(frozen=True)
class Revocation(Rule):
    """A rule for revoked rows. `fact` is the inventory's count of rows by status, and `statuses` are the statuses of revoked rows."""

    fact: str
    statuses: tuple[str, ...]

    def count(self, state: State) -> int:
        return sum(int(count) for status, count in state[self.fact] if status in self.statuses)


def of(family: str) -> tuple[Revocation, ...]:
    return (
        _of("subject_sessions", "revoked subject sessions", subjects_of(family)),
        _of("agents", "ended or suspended agents", agents_of(family), "terminated", "expired", "suspended"),
        _of("delegations", "revoked delegations", "delegation_edges"),
        _of("grants", "revoked grants", "delegated_grants"),
        _of("admin_tokens", "revoked admin tokens", "admin_tokens"),
    )


def _of(what: str, noun: str, table: str, *statuses: str) -> Revocation:
    return Revocation(
        f"revocations.{what}", noun, "are lost or have another status in the copy", _AGAIN, f"{table}_by_status", statuses or ("revoked",)
    )


def look(family: str, recorded: State, actual: State) -> list[tuple[Rule, Seen]]:
    """Compare the number of revoked rows in the copy and the set. The inventory's digests verify that they are the same rows."""
    return [(one, _seen(one, recorded, actual)) for one in of(family)]


def _seen(one: Revocation, recorded: State, actual: State) -> Seen:
    for state, side in ((recorded, "set"), (actual, "copy")):
        if one.fact not in state:
            return Seen(problem=f"the {side} does not record their number")
    wanted, found = one.count(recorded), one.count(actual)
    lost = max(0, wanted - found)
    return Seen(wanted, lost, (f"{found} instead of {wanted}",) * bool(lost), confirmed=not wanted)
