# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The differences between the inventories of two sets: lost rows, and other settings, rights, functions, roles, retention or state."""

from __future__ import annotations

import dataclasses
import typing as t

from ..._errors import printable
from .. import releases
from .recorded_inventory import COLUMNS, DEFAULT_RIGHTS, Database, Facts, Inventory, Retention, Rows, Thing

FEWER, GONE, NEW, CHANGED, UNRECORDED = "fewer", "gone", "new", "changed", "unrecorded"
TABLES, LEAVES, SCHEMA, RIGHTS, ROLES, SETTINGS = "tables", "audit partitions", "schema", "rights", "roles", "settings"
STATE, RETENTION = "state", "retention"
# State with rows of a status and a number, and the statuses for which a lower number is reported.
_COUNTED = {
    "admin_tokens_by_status": ("revoked", "valid"),
    **dict.fromkeys(
        (f"{one}_by_status" for one in ("authority_records", "sessions", "agent_sessions", "delegation_edges", "delegated_grants")),
        ("revoked",),
    ),
}
# State with a last column that only grows. A lower value was set back.
_GROWING = ("delegation_epochs", "binding_revision", "export_watermark")
_LISTS = ("signing_keys", "active_policies", "admin_tokens")
# In these parts, an object that only one set has is not reported, because the schema reports it.
_FOLLOWING = (RIGHTS, "owners", "materialized views")
# The number of roles, columns or settings that a line names.
_NAMED = 5
_DIGITS = 20
_LINE_LIMIT = 300


@dataclasses.dataclass(frozen=True)
class Difference:
    """A change of `thing` in one part of the inventory. `database` is empty for the cluster. `before` and `after` are row
    counts, or None.
    """

    part: str
    database: str
    thing: str
    change: str
    words: str = ""
    before: int | None = None
    after: int | None = None

    def line(self, since: str = "") -> str:
        """Return a line of text. With `since`, the name of the earlier set, the line is complete without context."""
        where = f"database {self.database}: " if self.database not in ("", releases.OWN_DATABASE) else ""
        line = printable(f"{where}{self.thing}: {self._description(f' than in {since}' if since else '')}")
        return line if len(line) <= _LINE_LIMIT else f"{line[:_LINE_LIMIT]}..."

    def _description(self, than: str) -> str:
        unit = " rows" if self.part in (TABLES, LEAVES) else ""
        if self.change == FEWER:
            return f"{self.after}{unit}, {(self.before or 0) - (self.after or 0)} fewer{than}"
        if self.change == GONE and self.before is not None:
            return f"gone, with {self.before}{unit}"
        return self.words or self.change


@dataclasses.dataclass(frozen=True)
class _Two:
    """One database in both sets. `others` are the names of relations and functions that only one of the sets has."""

    before: Database
    after: Database
    others: frozenset[str]
    set_ids: tuple[str, str]

    @property
    def name(self) -> str:
        return self.after.name

    @property
    def tables(self) -> set[str]:
        """Relations with row counts in both sets. If one of them is new or gone, it already has a line."""
        pairs = ((self.before.rows, self.after.rows), (self.before.leaves, self.after.leaves))
        return {name for one, other in pairs if one is not None and other is not None for name in (*one, *other)}


def compare(before: Inventory, after: Inventory) -> list[Difference]:
    """Return all differences except added rows."""
    set_ids = before.set_id, after.set_id
    found: list[Difference] = []
    for name in sorted(before.databases.keys() | after.databases.keys()):
        if name in before.databases and name in after.databases:
            found += _database(before.databases[name], after.databases[name], set_ids)
        else:
            found.append(Difference("databases", "", f"database {name}", GONE if name in before.databases else NEW))
    found += _retention(before.retention, after.retention, set_ids)
    found += _unrecorded("", {ROLES: (before.roles, after.roles)}, set_ids)
    found += (_difference(ROLES, "", *one) for one in _changes(before.roles, after.roles))
    return found


def tables(before: Database, after: Database) -> list[Difference]:
    """Return the differences in the rows of ordinary tables. Returns none if a set does not record the rows."""
    return list(_rows(before.name, TABLES, "table", before.rows, after.rows))


def _database(before: Database, after: Database, set_ids: tuple[str, str]) -> t.Iterator[Difference]:
    schemas = before.facts.get(SCHEMA), after.facts.get(SCHEMA)
    others = {thing.name for thing, _one, _other in _changes(*schemas) if (thing in (schemas[0] or {})) != (thing in (schemas[1] or {}))}
    two = _Two(before, after, frozenset(others), set_ids)
    yield from _versions(two)
    yield from tables(before, after)
    yield from _rows(two.name, LEAVES, "audit partition", before.leaves, after.leaves)
    yield from _state(two)
    for part in after.facts:
        for thing, one, other in _changes(before.facts.get(part), after.facts.get(part)):
            if not _follows(two, part, thing):
                yield _difference(part, two.name, thing, one, other)
    yield from _numbers(two)
    counted = {TABLES: (before.rows, after.rows), LEAVES: (before.leaves, after.leaves), "sequences": (before.sequences, after.sequences)}
    facts = {part: (before.facts.get(part), after.facts.get(part)) for part in after.facts}
    others_of = {STATE: (before.state, after.state), "large objects": (before.large_objects, after.large_objects)}
    yield from _unrecorded(two.name, {**counted, **facts, **others_of}, set_ids)


def _unrecorded(database: str, parts: t.Mapping[str, tuple[t.Any, t.Any]], set_ids: tuple[str, str]) -> t.Iterator[Difference]:
    """Yield a difference for each part that an older set does not record, because changes in it are unknown."""
    for part, values in parts.items():
        lacking = [set_id for set_id, value in zip(set_ids, values, strict=True) if value is None]
        if lacking:
            yield Difference(part, database, part, UNRECORDED, f"not recorded in {' and '.join(lacking)}, so not compared")


def _versions(two: _Two) -> t.Iterator[Difference]:
    for part, one, other in (("release", two.before.release, two.after.release), ("server", two.before.server, two.after.server)):
        if one is not None and other is not None and one != other:
            yield Difference(part, two.name, part, CHANGED, f"{other} instead of {one}")


def _rows(database: str, part: str, word: str, before: Rows | None, after: Rows | None) -> t.Iterator[Difference]:
    if before is None or after is None:
        return
    for name in sorted(before.keys() | after.keys()):
        thing, one, other = f"{word} {name.removeprefix('public.')}", before.get(name), after.get(name)
        if other is None:
            yield Difference(part, database, thing, GONE, before=one)
        elif one is None:
            yield Difference(part, database, thing, NEW, after=other)
        elif other < one:
            yield Difference(part, database, thing, FEWER, before=one, after=other)


def _numbers(two: _Two) -> t.Iterator[Difference]:
    before, after = two.before.sequences or {}, two.after.sequences or {}
    for name in sorted(before.keys() & after.keys()):
        if after[name] < before[name]:
            words = f"lowered from {before[name]} to {after[name]}"
            yield Difference("sequences", two.name, f"sequence {name.removeprefix('public.')}", CHANGED, words)
    one, other = two.before.large_objects, two.after.large_objects
    if one is not None and other is not None and other < one:
        yield Difference("large objects", two.name, "large objects", FEWER, before=one, after=other)


def _changes(before: Facts | None, after: Facts | None) -> list[tuple[Thing, frozenset[str] | None, frozenset[str] | None]]:
    """Return the things that differ, with the facts in each set. Returns none if a set does not record this part."""
    if before is None or after is None:
        return []
    return [(one, before.get(one), after.get(one)) for one in sorted(before.keys() | after.keys()) if before.get(one) != after.get(one)]


def _follows(two: _Two, part: str, thing: Thing) -> bool:
    """Return whether another line already reports the change, as for parts of a table, view or function that only one set has."""
    if part == SCHEMA:
        in_another = thing.relation in two.others and thing.relation != thing.name
        return in_another or (thing.name in two.others and thing.kind == "table" and thing.name in two.tables)
    relation = thing.name.rpartition(".")[0] if thing.kind == "column" else thing.name
    return part in _FOLLOWING and relation in two.others


def _difference(part: str, database: str, thing: Thing, before: frozenset[str] | None, after: frozenset[str] | None) -> Difference:
    # An object without rights or settings is not listed, so a missing entry is an empty one.
    listed = part not in (RIGHTS, SETTINGS)
    if listed and (before is None or after is None):
        return Difference(part, database, str(thing), NEW if before is None else GONE)
    return Difference(part, database, str(thing), CHANGED, _words(part, thing, before or frozenset(), after or frozenset()))


def _words(part: str, thing: Thing, before: frozenset[str], after: frozenset[str]) -> str:
    if part == RIGHTS:
        return "rights changed" if thing.kind == DEFAULT_RIGHTS else f"rights changed: {_rights(before, after)}"
    if part in (ROLES, SETTINGS):
        # Never include a value, because it may be a secret.
        return f"{_listed({one.partition('=')[0] for one in before ^ after})} changed"
    if part == SCHEMA:
        return f"{_listed({one.partition(' ')[0] for one in before ^ after})} changed" if thing.kind == COLUMNS else "definition changed"
    noun = {"owners": "owner ", "extensions": "version "}.get(part, "")
    return f"{noun}{', '.join(sorted(after))} instead of {', '.join(sorted(before))}"


def _rights(before: frozenset[str], after: frozenset[str]) -> str:
    """Return text such as `caracalapi gained DELETE; PUBLIC lost EXECUTE`."""
    found: dict[tuple[str, str], list[str]] = {}
    for verb, facts in (("gained", after - before), ("lost", before - after)):
        for fact in sorted(facts):
            role, _blank, privilege = fact.partition(" ")
            found.setdefault((role, verb), []).append(privilege)
    return _listed((f"{role} {verb} {', '.join(privileges)}" for (role, verb), privileges in found.items()), "; ")


def _listed(names: t.Iterable[str], between: str = ", ") -> str:
    found = sorted(names)
    more = f"{between}{len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return between.join(found[:_NAMED]) + more


def _state(two: _Two) -> t.Iterator[Difference]:
    before, after = two.before.state, two.after.state
    if before is None or after is None:
        return
    for name in sorted(before.keys() | after.keys()):
        label = name.removesuffix("_by_status").replace("_", " ")
        if name in before and name in after:
            yield from _fact(two.name, name, label, before[name], after[name])
        elif two.before.release == two.after.release:
            yield from _unrecorded(two.name, {label: (before.get(name), after.get(name))}, two.set_ids)


def _fact(
    database: str, name: str, label: str, before: t.Sequence[tuple[str, ...]], after: t.Sequence[tuple[str, ...]]
) -> t.Iterator[Difference]:
    if name in _COUNTED:
        one, other = ({row[0]: _value(row[-1])[0] for row in rows} for rows in (before, after))
        fewer = [(status, one[status], other.get(status, 0)) for status in _COUNTED[name] if other.get(status, 0) < one.get(status, 0)]
        yield from (Difference(STATE, database, f"{status} {label}", FEWER, before=most, after=now) for status, most, now in fewer)
    elif name in _GROWING:
        highest = {row[:-1]: _value(row[-1]) for row in after}
        back = sum(row[:-1] not in highest or highest[row[:-1]] < _value(row[-1]) for row in before)
        if back:
            yield Difference(STATE, database, label, CHANGED, f"{back} of {len(before)} lowered or gone")
    elif name in _LISTS:
        lost = len(set(before) - set(after))
        if len(after) < len(before):
            yield Difference(STATE, database, label, FEWER, before=len(before), after=len(after))
        elif lost:
            yield Difference(STATE, database, label, CHANGED, f"{lost} of {len(before)} replaced")


def _value(text: str) -> tuple[int, str]:
    """Return a sort key: numbers compare as numbers, anything else as text."""
    return (int(text), "") if text.isdecimal() and len(text) < _DIGITS else (0, text)


def _retention(before: Retention, after: Retention, set_ids: tuple[str, str]) -> t.Iterator[Difference]:
    """Yield a difference in retention. A release without the table records no days in any set, so there is nothing to report."""
    if before.known and after.known and before.days != after.days:
        words = f"{_days(after)} instead of {_days(before)}"
        yield Difference(RETENTION, releases.OWN_DATABASE, "audit retention", CHANGED, words)
    elif before.known != after.known:
        values = tuple(one if one.known else None for one in (before, after))
        yield from _unrecorded(releases.OWN_DATABASE, {"audit retention": (values[0], values[1])}, set_ids)


def _days(one: Retention) -> str:
    return "no row in audit_retention" if one.days is None else f"{one.days} days"
