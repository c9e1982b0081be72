# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Create a twin in a running PostgreSQL cluster: roles, databases, schema, rows."""

from __future__ import annotations

import contextlib
import hashlib
import time
import typing as t

import psycopg2

from . import audit, copytext, keys, schema
from .facts import Database, Names, Release
from .releases.known import RELEASES
from .shape import Row, Shape
from .spec import Spec, Summary
from .state import access, admin, agents, approvals, auth, catalog, operator, outboxes, policies
from .state.world import World

# The load can be repeated, so it does not wait for the disk. Indexes are built in memory if they fit.
SETTINGS = "-c TimeZone=UTC -c synchronous_commit=off -c maintenance_work_mem=256MB -c client_min_messages=warning"
Target = t.Mapping[str, t.Any]


class TwinError(Exception):
    """The cluster cannot load a twin; the message contains the reason."""


def create(target: Target, spec: Spec) -> Summary:
    """Create the databases of `spec` in the cluster at `target` (host, port, user, password). Raises TwinError if one exists.

    After an error the databases are dropped again.
    """
    started = time.monotonic()
    release = RELEASES[spec.release]
    secrets = keys.for_seed(spec.seed)
    world = build(spec, secrets, release)
    stream = audit.AuditStream(spec, secrets, world.zones, release)
    rows = spec.events
    with contextlib.closing(open_database(target, "postgres")) as admin_connection, admin_connection.cursor() as cursor:
        _refuse(cursor, release)
        for statement in schema.roles(release, _verifiers(release, secrets, spec.seed)):
            cursor.execute(statement)
        try:
            for database in release.databases:
                cursor.execute(schema.create_database(database))
                with contextlib.closing(open_database(target, database.name)) as connection:
                    rows += _fill(connection, database, world, stream)
        except BaseException:
            for database in release.databases:
                cursor.execute(f"DROP DATABASE IF EXISTS {schema.quote(database.name)} WITH (FORCE)")
            raise
        cursor.execute("SELECT sum(pg_database_size(datname)) FROM pg_database WHERE datname = ANY(%s)", [_names(release)])
        size = int(cursor.fetchone()[0])
    tables = sum(len(database.tables) for database in release.databases)
    return Summary(spec.zones, spec.events, tables, rows, time.monotonic() - started, size)


def build(spec: Spec, secrets: keys.Keys, release: Release) -> World:
    """Create all rows that do not depend on the audit events."""
    world = World(spec, secrets, release)
    auth.build(world)
    for part in (catalog, access, policies, agents, approvals, operator):
        part.build(world)
    admin.build(world)
    return world


def open_database(target: Target, name: str) -> t.Any:
    """Return an autocommit connection with the settings for a load."""
    given = {key: target[key] for key in ("host", "port", "user", "password") if target.get(key) is not None}
    connection = psycopg2.connect(dbname=name, options=SETTINGS, **given)
    connection.autocommit = True
    return connection


def _names(release: Release) -> list[str]:
    return [database.name for database in release.databases]


def _refuse(cursor: t.Any, release: Release) -> None:
    cursor.execute("SELECT current_user, rolsuper FROM pg_roles WHERE rolname = current_user")
    user, superuser = cursor.fetchone()
    if user != release.databases[0].owner or not superuser:
        raise TwinError(f"a twin is made by the superuser {release.databases[0].owner}, not by {user}")
    cursor.execute("SELECT datname FROM pg_database WHERE datname = ANY(%s)", [_names(release)])
    if found := [name for (name,) in cursor.fetchall()]:
        raise TwinError(f"the cluster has a database {found[0]} already; drop it or take another cluster")


def _verifiers(release: Release, secrets: keys.Keys, seed: int | str) -> dict[str, str]:
    return {
        role: keys.scram_verifier(secrets.role_passwords[role], hashlib.sha256(f"salt {seed} {role}".encode()).digest()[:16])
        for role, attributes in release.roles.items()
        if attributes.startswith("LOGIN")
    }


def _fill(connection: t.Any, database: Database, world: World, stream: audit.AuditStream) -> int:
    """Fill one database; return the number of its rows without audit events."""
    product = database.name == "caracal"
    shape = Shape(database, world.release.names if product else Names())
    with connection.cursor() as cursor:
        cursor.execute(f"SET ROLE {schema.quote(database.owner)}")
        for statement in schema.before_data(database, world.spec.partitions if product else ()):
            cursor.execute(statement)
        if product:
            for month, lines in stream.months():
                leaf = month.strftime("audit_events_y%Ym%m")
                copy(cursor, leaf, audit.COLUMNS, lines)
            outboxes.build(world, stream)
        made = shape.rows(world.rows if product else world.auth_rows)
        for table, rows in made.items():
            _copy_rows(cursor, table, rows)
        for statement in schema.after_data(database):
            cursor.execute(statement)
        for name, sequence in database.sequences.items():
            table = sequence.owned_by.partition(".")[0]
            cursor.execute("SELECT setval(%s, %s)", [name, len(made[table])])
        for statement in schema.statistics(database):
            cursor.execute(statement)
    return sum(map(len, made.values()))


def copy(cursor: t.Any, table: str, columns: t.Sequence[str], lines: t.Iterator[str]) -> None:
    """Stream COPY lines in text format into a table."""
    names = ", ".join(map(schema.quote, columns))
    cursor.copy_expert(f"COPY public.{schema.quote(table)} ({names}) FROM STDIN", copytext.ByteStream(lines), 1 << 20)


def _copy_rows(cursor: t.Any, table: str, rows: t.Sequence[Row]) -> None:
    copy(cursor, table, list(rows[0]), (copytext.line(row.values()) for row in rows))
