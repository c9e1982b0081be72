# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Evaluate the rules of a healthy Caracal in a copy, under its snapshot, and compare with the signed inventory."""

from __future__ import annotations

import dataclasses
import typing as t

from .._caracal import partitions
from .._caracal.chains.audit_blocks import Block
from .._caracal.invariants import audit_query, foreign_keys, revocations, rule, table
from .._caracal.invariants.audit_query import Search
from .._caracal.invariants.rule import Rule, Seen
from .._caracal.inventory import inventory
from .._caracal.releases import AUTH_DATABASE, SECRET_STORE
from .._caracal.source import source_checks
from .._drivers.postgres.server import Server, Session
from .._drivers.postgres.snapshot import BEGIN, Place
from .._errors import Unreachable
from .._inventory import DatabaseInventory
from .._report.check import PASS, Check

Observed = list[tuple[Rule, Seen]]


@dataclasses.dataclass(frozen=True)
class Wanted:
    """The rules to evaluate in one database. `family`, `release` and `schema` come from the signed inventory, not from the copy."""

    database: str
    family: str | None
    release: str | None
    schema: tuple[str, ...]
    searches: tuple[Search, ...] = ()
    acknowledged: frozenset[str] = frozenset()

    @classmethod
    def of(cls, expected: t.Mapping[str, t.Any], blocks: t.Sequence[Block], acknowledged: frozenset[str] = frozenset()) -> Wanted:
        searches = tuple(audit_query.searches(blocks)) if expected["family"] else ()
        return cls(expected["database"], expected["family"], expected["release"], tuple(expected["schema"]), searches, acknowledged)


def observe(place: Place, wanted: Wanted, existing: t.Collection[str]) -> Observed:
    """Evaluate the rules in a worker. `existing` are the tables of schema public."""
    with place.join() as session:
        return look(session, wanted, existing)


def look(session: inventory.Reader, wanted: Wanted, existing: t.Collection[str]) -> Observed:
    """Evaluate every rule of one database, in the reader's transaction."""
    found: Observed = [(foreign_keys.rule(wanted.database), foreign_keys.look(session, wanted.schema))]
    if wanted.family:
        found += [(one, rule.look(session, one, existing)) for one in table.invariants(wanted.family, wanted.release)]
        # The parent of the audit partitions comes last, so that its lock is not held for the other rules.
        found += audit_query.look(session, wanted.searches)
    return found


def judge(found: Observed, expected: DatabaseInventory, actual: DatabaseInventory, acknowledged: t.Collection[str] = ()) -> list[Check]:
    """Return the checks in the order of their groups. `actual` is the copy's inventory, of the same snapshot.

    A finding that the backup recorded and the operator acknowledged is a warning if the copy has exactly the same one.
    """
    family, checks = expected["family"], list[Check]()
    if family:
        found = [*found, *revocations.look(family, expected["state"], actual["state"])]
        checks = table.not_applicable(family, expected["release"])
    trusted = not family or inventory.believable(expected)
    for one, seen in found:
        confirmed = trusted and (seen.confirmed or _same(one, expected, actual))
        checks.append(rule.judge(one, seen, confirmed, bool(seen.broken) and _digest(expected["database"], one, seen) in acknowledged))
    return sorted(checks, key=lambda check: table.GROUPS.index(check.id.split(".")[1]))


def _digest(database: str, one: Rule, seen: Seen) -> str:
    return source_checks.to_record(source_checks.STATE, database, source_checks.of_rule(one, seen))["digest"]


def _same(one: Rule, expected: DatabaseInventory, actual: DatabaseInventory) -> bool:
    """Return whether the set confirms that there are no rows to count: the source had none, or all tables of the rule equal the set's."""
    if one.subject and _rows(one.subject, expected) == 0:
        return True
    return bool(one.tables) and all(_equal(name, expected, actual) for name in one.tables)


def _rows(name: str, recorded: t.Mapping[str, t.Any]) -> int | None:
    """Return the row count of a table in an inventory, or None if it has no such table. Partitions of the audit log are
    listed separately.
    """
    if name == partitions.PARENT:
        return sum(leaf["rows"] for leaf in recorded["leaves"].values())
    one = recorded["tables"].get(f"public.{name}")
    return one["rows"] if one else None


def _equal(name: str, expected: DatabaseInventory, actual: DatabaseInventory) -> bool:
    if name == partitions.PARENT:
        return bool(expected["leaves"] == actual["leaves"])
    recorded = expected["tables"].get(f"public.{name}")
    return recorded is not None and recorded == actual["tables"].get(f"public.{name}")


def owners(server: Server, expected: t.Sequence[t.Mapping[str, t.Any]], made: t.Sequence[Check]) -> list[Check]:
    """Check that each zone's owner exists in the other database. The two databases share no snapshot. `made` are the previous checks."""
    own = next((one["database"] for one in expected if one["family"] == SECRET_STORE), None)
    if own is None:
        return []
    confirmed = any(check.id == f"inventory.{own}.tables" and check.verdict == PASS for check in made)
    try:
        with Session(server, own) as zones, Session(server, AUTH_DATABASE) as accounts:
            for session in (zones, accounts):
                session.rows(BEGIN)
            seen = foreign_keys.owners(zones, accounts, confirmed)
    except Unreachable as exc:
        seen = Seen(problem=exc.msg)
    return [rule.judge(foreign_keys.OWNERS, seen, seen.confirmed)]
