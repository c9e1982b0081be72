# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Sealed artifacts back into a database, without a plaintext file: rows stream through `pg_restore`, leaves are
loaded side by side, definitions come from an archive in memory."""

from __future__ import annotations

import dataclasses
import typing as t

from ..._crypto.sealing import Opener
from ..._errors import TamperedData
from ..._repository import objects
from . import libpq, tools
from .definitions import COMMON, Definitions
from .opening import SETTINGS
from .server import Server, Session
from .tables import Table, read_tables

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
            raise TamperedData(f"the archive has no table {schema}.{name}, but the set has its rows; use another set")
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


def _session(destination: Destination) -> Session:
    """Its ANALYZE makes first statistics, those of the first stage of `vacuumdb --analyze-in-stages`, without which the first queries
    after a restore crawl. Full ones take longer than loading the rows; autovacuum or the operator makes them while services work."""
    return Session(destination.server, destination.database, settings={**SETTINGS, "default_statistics_target": "1"})
