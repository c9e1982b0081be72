# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The product's database, and the release that wrote it."""

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
    """Short transactions on separate connections, so that any thread can use it at any time."""

    def __init__(self, url: str) -> None:
        self._url = url

    def connect(self) -> t.Any:
        """Return a new connection."""
        return psycopg2.connect(self._url, options=SETTINGS, connect_timeout=2)

    @contextlib.contextmanager
    def transaction(self) -> t.Iterator[Cursor]:
        """Yield a cursor with dictionaries as rows; commit at the end, roll back on an exception."""
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
        """Run a statement; return the number of changed rows."""
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
    """The differences between releases that a service must know.

    `authority` and `agents` are tables; `subject`, `started` and `labels` are columns of `agents`. `contract` means
    that policies are data documents for the product's own rules. `wire_hash` means that content hashes cover the
    received text.
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
    """Detect the release from its tables and columns."""
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
    """Return a value for a JSON column."""
    return psycopg2.extras.Json(value)
