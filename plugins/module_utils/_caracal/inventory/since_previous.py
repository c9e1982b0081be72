# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The changes in the source between two sets, as one check.

The check is mostly information. It has findings for a table of lasting state that lost more rows than the budget
allows, for fewer revocations, and for changed admin tokens or policy versions. The product never makes a revoked token,
grant or subject valid again, and never deletes it. It also never changes the value of a token or a version.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ..._errors import OptionError, printable
from ..._report.check import FAIL, NOT_APPLICABLE, UNPROVEN, Check
from .. import findings, releases
from ..findings import Finding
from . import inventory_changes
from .inventory_changes import FEWER, GONE, STATE, TABLES, UNRECORDED, Difference
from .recorded_inventory import Inventory

CHECK_ID = "inventory.since_previous"

# Tables from which a healthy Caracal never deletes many rows. Its API archives and revokes (`archived_at`,
# `revoked_at`). Policy versions are immutable. Bindings, epochs and signing keys stay with their zone or policy set.
# Rows of other tables end: sessions, delegations, grants, outboxes, receipts. The audit logs have their own checks.
LASTING = (
    *("zones", "applications", "providers", "resources", "subject_issuers", "secrets", "secret_store", "admin_tokens"),
    *("policies", "policy_versions", "policy_sets", "policy_set_versions", "policy_set_bindings", "delegation_graph_epochs"),
)
_LASTING_THINGS = frozenset(f"table {name}" for name in LASTING)
# The product keeps these rows. It does delete agents and delegations that ended long ago.
_REVOKED = ("revoked admin tokens", "revoked authority records", "revoked delegated grants")
# Their value, scope, zone and creator.
_TOKENS = "admin tokens"
# In a table with fewer rows, a single row is a large part.
LEAST_ROWS = 10
BUDGET = 50
# With this budget there are no findings.
ALL = 100

LISTED = 100
SHOWN = 5
# Parts of the inventory in the order of their lines. Other parts follow.
_ORDER = ("databases", "release", "server", "retention", "state", "roles", "rights", "owners", "settings", "schema", "extensions")


@dataclasses.dataclass(frozen=True)
class Rewritten:
    """Lost rows of a table that the product never changes: `lost` of `rows` are missing or changed. `digest` identifies them."""

    table: str
    lost: int
    rows: int
    digest: str


@dataclasses.dataclass(frozen=True)
class Immutable:
    """Comparison of rows that the product never changes. `uncompared` lists each table that was not compared, with the reason."""

    rewritten: tuple[Rewritten, ...] = ()
    uncompared: tuple[str, ...] = ()


def check(
    before: Inventory,
    after: Inventory,
    budget: int,
    acknowledged: t.Collection[str],
    notes: t.Sequence[str] = (),
    immutable: Immutable = Immutable(),
) -> Check:
    """Compare two sets.

    The verdict is `fail` if a table of lasting state lost more than `budget` percent of its rows, if there are fewer
    revocations, or if rows were rewritten. Otherwise the changes are reported as information. `notes` are lines about
    events between the two sets.
    """
    since, noted = before.set_id, [printable(one) for one in notes]
    differences = sorted(inventory_changes.compare(before, after), key=_rank)
    lines = [*noted, *(one.line(f"set {since}") for one in differences)]
    found = []
    if budget < ALL:
        found = [_shrunk(one, before.set_id, after.set_id, budget) for one in _over(before, after, budget)]
        found += [_undone(one, before.set_id, after.set_id) for one in differences if one.part == STATE and one.thing in _REVOKED]
        found += [_exchanged(one, before.set_id, after.set_id) for one in differences if (one.part, one.thing) == (STATE, _TOKENS)]
        found += [_changed(one, before.set_id, after.set_id) for one in immutable.rewritten]
    details = {"since": since, "changes": lines[:LISTED], "more": max(0, len(lines) - LISTED)}
    details |= {"uncompared": list(immutable.uncompared)} if immutable.uncompared else {}
    passed = _passed(since, [*noted, *(one.line() for one in differences)], immutable.uncompared)
    made = findings.check(CHECK_ID, found, passed, required=False, accepted=acknowledged, **details)
    if made.verdict != FAIL:
        return made
    digests = [one["digest"][:16] for one in made.details["recorded"]]
    named = ", ".join(digests[:SHOWN])
    remedy = (
        f"find out who made the change; restore rows or revoke again, or acknowledge the finding: journal_correct with findings: [{named}]"
    )
    return dataclasses.replace(made, required=True, message=f"{made.message}; {remedy}")


def first_set() -> Check:
    """Return the check for the first set, which has no earlier set to compare with."""
    return Check(CHECK_ID, NOT_APPLICABLE, "the repository has no earlier set of these databases", required=False)


def not_compared(problem: str) -> Check:
    """Return the check for an earlier set that cannot be read."""
    return Check(CHECK_ID, UNPROVEN, f"the changes since the previous set are unknown: {problem}", required=False)


def check_budget(budget: int) -> None:
    """Raise OptionError if the budget is not a percentage."""
    if not 0 <= budget <= ALL:
        raise OptionError(f"shrink_budget is {budget}; give a percentage from 0 to 100")


def _passed(since: str, lines: t.Sequence[str], uncompared: t.Sequence[str]) -> str:
    left_out = f"; not compared row by row: {', '.join(uncompared)}" if uncompared else ""
    if not lines:
        return f"no table shrank, and nothing else changed since set {since}{left_out}"
    more = f"; and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
    return f"{len(lines)} change(s) since set {since}: {'; '.join(lines[:SHOWN])}{more}{left_out}"


def _over(before: Inventory, after: Inventory, budget: int) -> list[Difference]:
    """Return the tables of lasting state that lost too many rows. A table that an upgrade drops is not included."""
    one, other = (found.databases.get(releases.OWN_DATABASE) for found in (before, after))
    if one is None or other is None:
        return []
    ends = (FEWER, GONE) if one.release == other.release else (FEWER,)
    lost = [found for found in inventory_changes.tables(one, other) if found.change in ends and found.thing in _LASTING_THINGS]
    return [found for found in lost if (found.before or 0) >= LEAST_ROWS and _lost(found) * 100 > budget * (found.before or 0)]


def _lost(one: Difference) -> int:
    return (one.before or 0) - (one.after or 0)


def _shrunk(one: Difference, since: str, set_id: str, budget: int) -> Finding:
    return _finding("shrunk", one, since, set_id, f"shrink_budget allows the loss of {budget} percent")


def _undone(one: Difference, since: str, set_id: str) -> Finding:
    return _finding("revocation_undone", one, since, set_id, "they are valid again, or their rows are gone")


def _exchanged(one: Difference, since: str, set_id: str) -> Finding:
    return _finding("exchanged", one, since, set_id, "Caracal revokes admin tokens, but never changes or deletes them")


def _changed(one: Rewritten, since: str, set_id: str) -> Finding:
    digest = findings.digest(CHECK_ID, since, set_id, one.table, one.lost, one.rows, one.digest)
    words = f"table {one.table}: {one.lost} of {one.rows} rows of set {since} were changed or deleted, which Caracal never does"
    return Finding("rewritten", "", "", 0, 0, words, digest=digest)


def _finding(kind: str, one: Difference, since: str, set_id: str, why: str) -> Finding:
    digest = findings.digest(CHECK_ID, since, set_id, one.database, one.thing, one.before, one.after)
    return Finding(kind, "", "", 0, 0, f"{one.line(f'set {since}')}; {why}", digest=digest)


def _rank(one: Difference) -> tuple[int, str, str, str]:
    """Sort key: lasting state first, then changes that explain others, then rights and settings, and last the daily changes."""
    place = _ORDER.index(one.part) + 1 if one.part in _ORDER else len(_ORDER) + 1
    if one.part == TABLES and one.thing in _LASTING_THINGS:
        place = 0
    if one.change == UNRECORDED:
        place = len(_ORDER) + 2
    return place, one.database, one.part, one.thing
