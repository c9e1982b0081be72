# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Types of the sealed inventory: the facts that a set records about each database and its roles. The formats guide describes each key."""

from __future__ import annotations

import typing as t


class TableDigest(t.TypedDict):
    """The number of rows, and the digest of their text."""

    rows: int
    digest: str


class RowMarks(t.TypedDict):
    """Digests in hex, each for `span` rows."""

    span: int
    digests: str


class KeyedRowMarks(t.TypedDict):
    """Row marks by table, and the key of their digests in hex."""

    key: str
    tables: dict[str, RowMarks]


class DatabaseSettings(t.TypedDict):
    """Settings of a database. `collate` and `ctype` are for libc, `locale` is for the provider. Each setting is `name=value`."""

    encoding: str
    provider: str
    locale: str | None
    collate: str
    ctype: str
    owner: str
    connection_limit: int
    acl: list[str] | None
    set: list[str] | None
    role_sets: dict[str, list[str]]


class _DatabaseFacts(t.TypedDict):
    server_version: int
    schema: list[str]
    grants: list[str]
    owners: list[str]
    extensions: dict[str, str]
    settings: DatabaseSettings
    large_objects: int
    sequence_floor: dict[str, int]
    state: dict[str, list[list[t.Any]]]
    schema_digest: str


class DatabaseFacts(_DatabaseFacts, total=False):
    """The facts of a database except its rows. Sets of older versions lack the optional ones."""

    materialized_views: dict[str, bool]
    schema_objects: dict[str, str]


class _DatabaseRows(DatabaseFacts):
    database: str
    family: str | None
    release: str | None
    migrations: list[str]
    tables: dict[str, TableDigest]
    leaves: dict[str, TableDigest]


class DatabaseInventory(_DatabaseRows, total=False):
    """One database. Tables and audit partitions (`leaves`) are by `schema.name`. `plain` has the artifacts before
    compression, by path.

    No snapshot covers `sequences`, so they are added later. Sets of older versions lack `row_marks`.
    """

    row_marks: KeyedRowMarks
    sequences: dict[str, int | None]
    plain: dict[str, dict[str, object] | None]


class RoleAttributes(t.TypedDict):
    """Attributes of a role, as in `pg_roles`."""

    login: bool
    createdb: bool
    inherit: bool
    superuser: bool
    replication: bool
    createrole: bool
    bypassrls: bool
    connection_limit: int
    valid_until: str | None
    set: list[str] | None


class ClusterRoles(t.TypedDict):
    """Roles by name, and memberships as pairs of member and group."""

    roles: dict[str, RoleAttributes]
    members: list[list[str]]


class SetInventory(t.TypedDict):
    """The inventory of a set."""

    format: int
    set: str
    roles: ClusterRoles
    databases: list[DatabaseInventory]
