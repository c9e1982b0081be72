# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The types of a release's facts. A release is a module of constants of these types.

The renderer in `schema` converts them to SQL, and `introspect` reads a real database back into the same types, so that
tests can compare both.

Texts are as the server prints them: columns as `name type[ not null][ default …]`, constraints as
`pg_get_constraintdef` prints them, indexes and triggers without the words that repeat their name and table.
"""

from __future__ import annotations

import dataclasses
import typing as t

SECRET_STORE = "secret_store"
ZONE_KEK = "zone_kek"


@dataclasses.dataclass(frozen=True)
class Table:
    """One table: columns in attribute order, everything else by name."""

    columns: tuple[str, ...]
    constraints: dict[str, str] = dataclasses.field(default_factory=dict)
    indexes: dict[str, str] = dataclasses.field(default_factory=dict)
    triggers: dict[str, str] = dataclasses.field(default_factory=dict)
    policies: dict[str, str] = dataclasses.field(default_factory=dict)
    row_security: bool = False
    grants: dict[str, str] = dataclasses.field(default_factory=dict)
    partition_by: str = ""


@dataclasses.dataclass(frozen=True)
class Sequence:
    """One sequence: its owning column as `table.column`, its type and its access list."""

    owned_by: str
    type: str
    acl: str


@dataclasses.dataclass(frozen=True)
class Function:
    """One function. Its key elsewhere is its identity `name(arguments)`; an empty `acl` means the default."""

    returns: str
    body: str
    security_definer: bool = False
    search_path: str = ""
    acl: str = ""


@dataclasses.dataclass(frozen=True)
class Database:
    """One database. `partitions` are the ranges of every installation; months come from the data."""

    name: str
    owner: str
    tables: dict[str, Table]
    sequences: dict[str, Sequence] = dataclasses.field(default_factory=dict)
    functions: dict[str, Function] = dataclasses.field(default_factory=dict)
    extensions: tuple[str, ...] = ()
    default_partitions: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Names:
    """The names that differ from v1.0.0: tables, and columns and values by the table's name in v1.0.0."""

    tables: dict[str, str] = dataclasses.field(default_factory=dict)
    columns: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)
    values: dict[str, dict[str, dict[t.Any, t.Any]]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Release:
    """One release: its databases in order of creation, roles with their attributes, migrations.

    `hashes_wire` means that audit content hashes cover the received text instead of the stored one.
    """

    name: str
    family: str
    databases: tuple[Database, ...]
    roles: dict[str, str]
    migrations: tuple[str, ...]
    names: Names = Names()
    hashes_wire: bool = False

    def has(self, column: str) -> bool:
        """Return whether the product's database has `table.column`, in the release's own names."""
        table, _dot, name = column.partition(".")
        tables = self.databases[0].tables
        return table in tables and name in column_names(tables[table])


def column_names(table: Table) -> list[str]:
    """Return the names of the columns, without quotes."""
    return [column.partition(" ")[0].strip('"') for column in table.columns]


def changed(
    table: Table,
    *,
    drop: t.Collection[str] = (),
    columns: t.Mapping[str, str] | None = None,
    constraints: t.Mapping[str, str] | None = None,
    indexes: t.Mapping[str, str] | None = None,
) -> Table:
    """Return the table without the columns, constraints, indexes and grants that `drop` names, and with these entries.

    `columns` are matched by name: an existing one is replaced at its position, another one is appended. Raises KeyError
    if there is nothing with a name to drop.
    """
    parts = (table.constraints, table.indexes, table.grants)
    if strange := set(drop) - {*column_names(table), *(name for part in parts for name in part)}:
        raise KeyError(f"nothing to drop: {sorted(strange)}")
    rest = {name: text for name, text in zip(column_names(table), table.columns, strict=True) if name not in drop}
    return dataclasses.replace(
        table,
        columns=tuple({**rest, **(columns or {})}.values()),
        constraints={**without(table.constraints, *drop), **(constraints or {})},
        indexes={**without(table.indexes, *drop), **(indexes or {})},
        grants=without(table.grants, *drop),
    )


Entry = t.TypeVar("Entry")


def without(entries: t.Mapping[str, Entry], *names: str) -> dict[str, Entry]:
    """Return the entries except these."""
    return {name: entry for name, entry in entries.items() if name not in names}
