# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shape of a release's facts. A release is a module of constants of these types; the renderer in `schema`
turns them into SQL, and `introspect` reads a real database back into the same types, so equality is the test.

Texts are in the server's own words: columns as `name type[ not null][ default …]`, constraints as
`pg_get_constraintdef` prints them, indexes and triggers without the words that repeat their name and table.
"""

from __future__ import annotations

import dataclasses


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
    """One sequence: the column that owns it as `table.column`, its type and its access list."""

    owned_by: str
    type: str
    acl: str


@dataclasses.dataclass(frozen=True)
class Function:
    """One function, keyed elsewhere by its identity `name(arguments)`; `acl` empty means the default."""

    returns: str
    body: str
    security_definer: bool = False
    search_path: str = ""
    acl: str = ""


@dataclasses.dataclass(frozen=True)
class Database:
    """One database; `partitions` are the ranges that every installation has, months come from the data."""

    name: str
    owner: str
    tables: dict[str, Table]
    sequences: dict[str, Sequence] = dataclasses.field(default_factory=dict)
    functions: dict[str, Function] = dataclasses.field(default_factory=dict)
    extensions: tuple[str, ...] = ()
    default_partitions: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Release:
    """One release: its databases in the order they are made, roles with their attributes, migrations."""

    name: str
    family: str
    databases: tuple[Database, ...]
    roles: dict[str, str]
    migrations: tuple[str, ...]
