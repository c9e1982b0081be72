# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The product's database, and which release wrote it."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

import psycopg2
import psycopg2.extras

from ...facts import SECRET_STORE, ZONE_KEK

# Without the setting, row security hides every row from a service's role, without an error.
SETTINGS = "-c caracal.zone_id=* -c TimeZone=UTC"
Row = dict[str, t.Any]
Cursor = t.Any


class Database:
    """Short transactions on connections of their own, so that any thread may use it at any time."""

    def __init__(self, url: str) -> None:
        self._url = url

    def connect(self) -> t.Any:
        """A connection of one's own."""
        return psycopg2.connect(self._url, options=SETTINGS, connect_timeout=2)

    @contextlib.contextmanager
    def transaction(self) -> t.Iterator[Cursor]:
        """A cursor whose rows are dictionaries; commits at the end, rolls back on an exception."""
        with contextlib.closing(self.connect()) as connection:  # noqa: SIM117 - pylint takes it for a tuple otherwise
            with connection, connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
                yield cursor

    def rows(self, sql: str, *values: t.Any) -> list[Row]:
        with self.transaction() as cursor:
            cursor.execute(sql, values)
            return [dict(row) for row in cursor.fetchall()]

    def row(self, sql: str, *values: t.Any) -> Row | None:
        return next(iter(self.rows(sql, *values)), None)

    def execute(self, sql: str, *values: t.Any) -> int:
        """Run a statement; how many rows it touched."""
        with self.transaction() as cursor:
            cursor.execute(sql, values)
            return int(cursor.rowcount)

    def ping(self) -> bool:
        try:
            return self.row("SELECT 1 AS one") is not None
        except psycopg2.Error:
            return False


@dataclasses.dataclass(frozen=True)
class Release:
    """What differs between releases, as a service must know it.

    `authority` and `agents` are tables, `subject`, `started` and `labels` columns of `agents`. `contract` says that policies
    are data documents which the product's own rules read, `wire_hash` that content hashes cover what came over the wire.
    """

    family: str
    authority: str
    agents: str
    subject: str
    started: str
    labels: str
    contract: bool
    wire_hash: bool
    admin_chain: bool

    @property
    def secret_store(self) -> bool:
        return self.family == SECRET_STORE


def release_of(database: Database) -> Release:
    """Read from the tables and columns that are there."""
    found = database.rows(
        "SELECT table_name || '.' || column_name AS name FROM information_schema.columns WHERE table_schema = 'public'"
        " UNION SELECT relname || '.' || attname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid"
        " WHERE relnamespace = 'public'::regnamespace AND attnum > 0"
    )
    names = {row["name"] for row in found}
    newer = "authority_records.id" in names
    return Release(
        family=SECRET_STORE if newer else ZONE_KEK,
        authority="authority_records" if newer else "sessions",
        agents="sessions" if newer else "agent_sessions",
        subject="subject_authority_record_id" if newer else "subject_session_id",
        started="started_at" if newer else "spawned_at",
        labels="labels" if newer or "agent_sessions.labels" in names else "capabilities",
        contract="resources.operations" in names,
        wire_hash="audit_chain_rehash.id" not in names,
        admin_chain="admin_audit_events.chain_seq" in names,
    )


def json_value(value: t.Any) -> t.Any:
    """A value for a column of JSON."""
    return psycopg2.extras.Json(value)
