# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory of a set as types, for the comparison of two sets.

A part is None if an older format does not have it or if it has another structure. Values of settings are never part of
a reported line.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

_TABLES = {"r": "table", "p": "table", "v": "view", "m": "materialized view", "S": "sequence", "f": "foreign table"}
_RELATION = r"(?P<relation>[^.]+\.[^.]+)"
COLUMNS, DEFAULT_RIGHTS = "columns of", "default rights"
# Kind of a schema line → (name of the kind for reports, pattern for name and table). `kind` and `fact` are used if they
# are relevant.
_SCHEMA = {
    "relation": ("", r"(?P<name>.+) kind (?P<kind>\w) (?P<fact>.*)"),
    # The position of a column changes when an earlier column is dropped.
    "column": (COLUMNS, _RELATION + r"\.(?P<fact>.+) at \d+ (?P<rest>.*)"),
    "constraint": ("constraint", _RELATION + r"\.(?P<name>\S+) .*"),
    "index": ("index", r"CREATE (UNIQUE )?INDEX (?P<name>\S+) ON (ONLY )?(?P<relation>\S+) .*"),
    "trigger": ("trigger", r"CREATE (CONSTRAINT )?TRIGGER (?P<name>\S+) .*? ON (?P<relation>\S+) .*"),
    "policy": ("policy", _RELATION + r"\.(?P<name>\S+) .*"),
    "function": ("function", r"(?P<name>.+\)) [0-9a-f]{64}"),
    "view": ("query of", r"(?P<relation>\S+) .*"),
    "type": ("type", r"(?P<name>\S+) .*"),
}
_COMPILED = {kind: (word, re.compile(pattern, re.DOTALL)) for kind, (word, pattern) in _SCHEMA.items()}
_PRIVILEGES = "SELECT|INSERT|UPDATE|DELETE|TRUNCATE|REFERENCES|TRIGGER|MAINTAIN|USAGE|EXECUTE|CREATE|CONNECT|TEMPORARY|SET|ALTER SYSTEM"
_GRANT = re.compile(rf"(?P<kind>\w+) ?(?P<name>.*) (?P<fact>\S+ ({_PRIVILEGES})( with grant option)?)", re.DOTALL)
_DEFAULT_GRANT = re.compile(r"default (?P<name>\S+ \S+ \S) (?P<fact>.*)", re.DOTALL)
_OWNER = re.compile(r"(?P<kind>\w+) ?(?P<name>.*) (?P<fact>\S+)", re.DOTALL)
_SETTINGS = ("encoding", "provider", "locale", "collate", "ctype", "connection_limit")
_NAME_LIMIT = 100


@dataclasses.dataclass(frozen=True, order=True)
class Thing:
    """An object of a database or cluster. `relation` is the table to which it belongs, if any. `name` is empty for a
    property of that table.
    """

    kind: str
    name: str
    relation: str = ""

    def __str__(self) -> str:
        own, relation = (one.removeprefix("public.") for one in (self.name, self.relation))
        if not relation or own == relation:
            return f"{self.kind} {own}"
        return f"{self.kind} {own} of table {relation}" if own else f"{self.kind} {relation}"


# The recorded facts of each thing, as texts.
Facts = t.Mapping[Thing, frozenset[str]]
Rows = t.Mapping[str, int]
# Name of a fact → its rows, as text.
State = t.Mapping[str, tuple[tuple[str, ...], ...]]


@dataclasses.dataclass(frozen=True)
class Database:
    """One database. `facts` are by part of the inventory. `rows` and `leaves` are row counts of tables and audit partitions."""

    name: str
    release: str
    server: str | None
    rows: Rows | None
    leaves: Rows | None
    sequences: Rows | None
    large_objects: int | None
    state: State | None
    facts: t.Mapping[str, Facts | None]


@dataclasses.dataclass(frozen=True)
class Retention:
    """The days in `audit_retention`, or None if the table has no row. `known` is True if the set records them."""

    days: int | None = None
    known: bool = False


UNKNOWN = Retention()


@dataclasses.dataclass(frozen=True)
class Inventory:
    """The inventory that set `set_id` records of its source."""

    set_id: str
    databases: t.Mapping[str, Database]
    roles: Facts | None
    retention: Retention = UNKNOWN


def of(set_id: str, found: t.Mapping[str, object], retention: Retention = UNKNOWN) -> Inventory:
    """Parse the JSON of a sealed inventory."""
    databases = [_database(one) for one in _list(found.get("databases")) or () if isinstance(one, dict)]
    return Inventory(set_id, {one.name: one for one in databases}, _roles(found.get("roles")), retention)


def _database(found: t.Mapping[str, object]) -> Database:
    name, version, objects = str(found.get("database")), found.get("server_version"), found.get("large_objects")
    facts = {
        "migrations": _named("migration", found.get("migrations")),
        "schema": _schema(found.get("schema")),
        "rights": _lines(name, found.get("grants"), _GRANT),
        "owners": _lines(name, found.get("owners"), _OWNER),
        "extensions": _versions(found.get("extensions")),
        "settings": _settings(name, found.get("settings")),
        "materialized views": _populated(found.get("materialized_views")),
    }
    return Database(
        name=name,
        release=" ".join(str(found[one]) for one in ("family", "release") if found.get(one)) or "unknown",
        server=f"{version // 10000}.{version % 10000}" if isinstance(version, int) else None,
        rows=_rows(found.get("tables")),
        leaves=_rows(found.get("leaves")),
        sequences=_values(found.get("sequences")),
        large_objects=objects if isinstance(objects, int) else None,
        state=_state(found.get("state")),
        facts=facts,
    )


def _list(value: t.Any) -> list[t.Any] | None:
    return value if isinstance(value, list) else None


def _texts(value: t.Any) -> list[str] | None:
    return value if isinstance(value, list) and all(isinstance(one, str) for one in value) else None


def _rows(value: t.Any) -> Rows | None:
    if not isinstance(value, dict) or not all(isinstance(one, dict) and isinstance(one.get("rows"), int) for one in value.values()):
        return None
    return {name: one["rows"] for name, one in value.items()}


def _values(value: t.Any) -> Rows | None:
    """Return the values of sequences. A sequence that was never used has no value and counts as 0."""
    if not isinstance(value, dict) or not all(isinstance(one, int | None) for one in value.values()):
        return None
    return {name: one or 0 for name, one in value.items()}


def _state(value: t.Any) -> State | None:
    if not isinstance(value, dict):
        return None
    return {name: tuple(tuple(map(str, row)) for row in rows) for name, rows in value.items() if _is_table(rows)}


def _is_table(value: t.Any) -> bool:
    return isinstance(value, list) and all(isinstance(row, list) and row for row in value)


def _named(kind: str, value: t.Any) -> Facts | None:
    found = _texts(value)
    return None if found is None else {Thing(kind, one): frozenset() for one in found}


def _versions(value: t.Any) -> Facts | None:
    return {Thing("extension", name): frozenset({str(version)}) for name, version in value.items()} if isinstance(value, dict) else None


def _populated(value: t.Any) -> Facts | None:
    if not isinstance(value, dict):
        return None
    return {Thing("materialized view", name): frozenset({"populated" if full else "empty"}) for name, full in value.items()}


def _schema(value: t.Any) -> Facts | None:
    lines = _texts(value)
    return None if lines is None else _collected(map(_object, lines))


def _object(line: str) -> tuple[Thing, str]:
    """Return the object of a schema line, and the recorded fact. A line of an unknown format is an object of its own."""
    kind, _blank, rest = line.partition(" ")
    word, pattern = _COMPILED.get(kind, ("", None))
    found = pattern.fullmatch(rest) if pattern else None
    if not found:
        return Thing("object", line[:_NAME_LIMIT]), line
    parts = found.groupdict()
    name = parts.get("name") or ""
    if kind == "relation":
        return Thing(_TABLES.get(parts["kind"], "relation"), name, name), parts["fact"]
    fact = f"{parts['fact']} {parts['rest']}" if "rest" in parts else rest
    return Thing(word, name, parts.get("relation") or ""), fact


def _lines(database: str, value: t.Any, pattern: re.Pattern[str]) -> Facts | None:
    lines = _texts(value)
    return None if lines is None else _collected(_of_line(database, line, pattern) for line in lines)


def _of_line(database: str, line: str, pattern: re.Pattern[str]) -> tuple[Thing, str]:
    default = _DEFAULT_GRANT.fullmatch(line)
    if default:
        return Thing(DEFAULT_RIGHTS, default["name"]), default["fact"]
    found = pattern.fullmatch(line)
    if not found:
        return Thing("object", line[:_NAME_LIMIT]), line
    return Thing(found["kind"], found["name"] or database), found["fact"]


def _collected(pairs: t.Iterable[tuple[Thing, str]]) -> Facts:
    found: dict[Thing, set[str]] = {}
    for thing, fact in pairs:
        found.setdefault(thing, set()).add(fact)
    return {thing: frozenset(facts) for thing, facts in found.items()}


def _settings(database: str, value: t.Any) -> Facts | None:
    """Return the settings of the database, and of roles in it. Owner and access list are in the parts for owners and rights."""
    if not isinstance(value, dict):
        return None
    own = [f"{name}={value[name]}" for name in _SETTINGS if name in value] + (_texts(value.get("set")) or [])
    roles = value.get("role_sets")
    of_roles = {
        Thing(f"settings in database {database} of role", role): frozenset(_texts(one) or ())
        for role, one in (roles.items() if isinstance(roles, dict) else ())
    }
    return {Thing("settings of database", database): frozenset(own), **of_roles}


def _roles(value: t.Any) -> Facts | None:
    """Return attributes, settings and memberships of roles."""
    if not isinstance(value, dict) or not isinstance(value.get("roles"), dict):
        return None
    pairs = []
    for role, attributes in value["roles"].items():
        for name, one in attributes.items() if isinstance(attributes, dict) else ():
            texts = _texts(one)
            pairs += [(Thing("role", role), fact) for fact in ([f"{name}={one}"] if texts is None else texts)]
    members = _list(value.get("members")) or []
    return _collected([*pairs, *((Thing("role", str(one[0])), f"member of {one[-1]}") for one in members if isinstance(one, list) and one)])
