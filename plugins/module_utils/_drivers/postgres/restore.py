# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sealed artifacts back into a database, without a plaintext file: rows stream through `pg_restore`, leaves are
loaded side by side, definitions come from an archive in memory."""

from __future__ import annotations

import dataclasses
import typing as t

from ..._crypto.sealing import Opener
from ..._errors import BackupError, TamperedData
from ..._inventory import TableDigest
from ..._repository import objects
from . import libpq, relations, tools
from .definitions import COMMON, Definitions
from .opening import RESTRICTION, SETTINGS
from .server import Server, Session
from .tables import Table, quote, read_tables

SCHEMA_LIMIT = 64 << 20


@dataclasses.dataclass(frozen=True)
class Destination:
    """Where to and from where; it travels to the worker processes. `database` is the working name,
    `pg_restore` the words that start it."""

    server: Server
    database: str
    pg_restore: tuple[str, ...]
    store: objects.Readable
    identity_files: tuple[str, ...]


def _open(destination: Destination, key: str) -> Opener:
    return objects.open_sealed(destination.store, key, destination.identity_files)


def definitions(destination: Destination, key: str) -> Definitions:
    """The schema archive, opened."""
    with _open(destination, key) as source:
        data = source.read_all(SCHEMA_LIMIT)
    return Definitions(destination.pg_restore, destination.server, destination.database, data)


def archive(destination: Destination, key: str) -> None:
    """The rows of the archive, into tables that have no index, constraint or trigger yet."""
    argv = [*destination.pg_restore, *COMMON, f"--dbname={libpq.conninfo(destination.database)}", "--section=data"]
    with _open(destination, key) as source:
        tools.stream_in(argv, destination.server, destination.database, source)


def tables(destination: Destination, names: t.Sequence[tuple[str, str]]) -> list[Table]:
    """Where leaves go, by schema and name. Read once and before any is loaded: it would wait for each worker that has emptied a table."""
    with _session(destination) as session:
        found = {(table.schema, table.name): table for table in read_tables(session)}
    for schema, name in names:
        if (schema, name) not in found:
            raise TamperedData(f"the archive has no table {schema}.{name}, but the set contains its rows; use another set")
    return [found[name] for name in names]


def leaf(destination: Destination, table: Table, key: str) -> int:
    """The rows of one audit leaf and its statistics; the number of rows."""
    with (
        _session(destination) as session,
        _open(destination, key) as source,
    ):
        # Emptied in the same transaction, the table needs no WAL where wal_level is minimal, and its rows are born frozen.
        session.rows("BEGIN")
        session.rows(f"TRUNCATE ONLY {table.sql}")
        rows = session.copy_from(table.copy_in(), source)
        session.rows("COMMIT")
        session.rows(f"ANALYZE {table.sql}")
    return rows


def analyze(destination: Destination, leaves: t.Collection[tuple[str, str]]) -> None:
    """Statistics of all tables but the leaves, which have theirs. A partitioned parent gets none, as autovacuum gives it none."""
    with _session(destination) as session:
        wanted = [table.sql for table in read_tables(session) if (table.schema, table.name) not in leaves]
        if wanted:
            session.rows(f"ANALYZE {', '.join(wanted)}")


def without_rows(destination: Destination, recorded: t.Mapping[str, TableDigest]) -> list[str]:
    """Those of `schema.name` for which rows were recorded, and that have none here. Before policies come back, which could hide them."""
    with _session(destination) as session:
        found = {table.qualified: table.sql for table in read_tables(session)}
        wanted = [name for name in sorted(recorded) if recorded[name]["rows"]]
        return [name for name in wanted if name not in found or not session.value(f"SELECT EXISTS (SELECT FROM {found[name]})")]


def materialized_views(destination: Destination, wanted: t.Collection[str]) -> dict[str, str]:
    """Compute those of `schema.name` that have no content; what did not succeed, and why.

    Each runs as its owner. Their queries may go through views, which the restriction of our sessions is not about: those of a source.
    """
    failed: dict[str, str] = {}
    with Session(destination.server, destination.database, settings={**SETTINGS, RESTRICTION: ""}) as session:
        for name, quoted in (one for one in relations.unpopulated(session).items() if one[0] in wanted):
            try:
                session.rows(f"REFRESH MATERIALIZED VIEW {quoted}")
            except BackupError as exc:
                failed[name] = exc.msg
    return failed


def sequences(destination: Destination, recorded: t.Mapping[str, int | None]) -> None:
    """What was never used in the copy, and yet has a value in the inventory: the dump had none of it."""
    with _session(destination) as session:
        for schema, name in session.rows("SELECT schemaname, sequencename FROM pg_catalog.pg_sequences WHERE last_value IS NULL"):
            value = recorded.get(f"{schema}.{name}")
            if value is not None:
                session.rows("SELECT pg_catalog.setval(%s::pg_catalog.regclass, %s)", (f"{quote(schema)}.{quote(name)}", value))


def _session(destination: Destination) -> Session:
    """Its ANALYZE makes first statistics, those of the first stage of `vacuumdb --analyze-in-stages`, without which the first queries
    after a restore crawl. Full ones take longer than loading the rows; autovacuum or the operator makes them while services work."""
    return Session(destination.server, destination.database, settings={**SETTINGS, "default_statistics_target": "1"})
