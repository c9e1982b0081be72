# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restore encrypted artifacts into a database without a plaintext file.

Rows stream through `pg_restore`, audit partitions are loaded in parallel, and definitions come from an archive in memory.
"""

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
    """The source and destination of a restore. It is passed to the worker processes.

    `database` is the working name. `pg_restore` is the start of its command line.
    """

    server: Server
    database: str
    pg_restore: tuple[str, ...]
    store: objects.Readable
    identity_files: tuple[str, ...]


def _open(destination: Destination, key: str) -> Opener:
    return objects.open_sealed(destination.store, key, destination.identity_files)


def definitions(destination: Destination, key: str) -> Definitions:
    """Return the decrypted schema archive."""
    with _open(destination, key) as source:
        data = source.read_all(SCHEMA_LIMIT)
    return Definitions(destination.pg_restore, destination.server, destination.database, data)


def archive(destination: Destination, key: str) -> None:
    """Load the rows of the archive into tables that have no index, constraint or trigger yet."""
    argv = [*destination.pg_restore, *COMMON, f"--dbname={libpq.conninfo(destination.database)}", "--section=data"]
    with _open(destination, key) as source:
        tools.stream_in(argv, destination.server, destination.database, source)


def tables(destination: Destination, names: t.Sequence[tuple[str, str]]) -> list[Table]:
    """Return the tables for the audit partitions, by schema and name.

    They are read once and before any is loaded, since this query would wait for each worker that has truncated a table.
    """
    with _session(destination) as session:
        found = {(table.schema, table.name): table for table in read_tables(session)}
    for schema, name in names:
        if (schema, name) not in found:
            raise TamperedData(f"the archive has no table {schema}.{name}, but the set contains its rows; use another set")
    return [found[name] for name in names]


def leaf(destination: Destination, table: Table, key: str) -> int:
    """Load the rows of one audit partition, compute its statistics, and return the number of rows."""
    with (
        _session(destination) as session,
        _open(destination, key) as source,
    ):
        # A table truncated in the same transaction needs no WAL if wal_level is minimal, and its rows are loaded frozen.
        session.rows("BEGIN")
        session.rows(f"TRUNCATE ONLY {table.sql}")
        rows = session.copy_from(table.copy_in(), source)
        session.rows("COMMIT")
        session.rows(f"ANALYZE {table.sql}")
    return rows


def analyze(destination: Destination, leaves: t.Collection[tuple[str, str]]) -> None:
    """Compute statistics of all tables except `leaves`, which have theirs.

    A partitioned parent gets none, as autovacuum never analyzes it.
    """
    with _session(destination) as session:
        wanted = [table.sql for table in read_tables(session) if (table.schema, table.name) not in leaves]
        if wanted:
            session.rows(f"ANALYZE {', '.join(wanted)}")


def without_rows(destination: Destination, recorded: t.Mapping[str, TableDigest]) -> list[str]:
    """Return the tables in `recorded` that have rows there, but none in this database.

    Call it before policies are restored, since they could hide rows.
    """
    with _session(destination) as session:
        found = {table.qualified: table.sql for table in read_tables(session)}
        wanted = [name for name in sorted(recorded) if recorded[name]["rows"]]
        return [name for name in wanted if name not in found or not session.value(f"SELECT EXISTS (SELECT FROM {found[name]})")]


def materialized_views(destination: Destination, wanted: t.Collection[str]) -> dict[str, str]:
    """Compute the materialized views in `wanted` that have no content, and return name → error for those that failed.

    Each is computed with the privileges of its owner. Their queries may use views, so the setting that restricts views is
    disabled. It protects sessions that read a source database, not a restored one.
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
    """Set sequences that were never used in the copy but have a value in the inventory, because the dump did not contain it."""
    with _session(destination) as session:
        for schema, name in session.rows("SELECT schemaname, sequencename FROM pg_catalog.pg_sequences WHERE last_value IS NULL"):
            value = recorded.get(f"{schema}.{name}")
            if value is not None:
                session.rows("SELECT pg_catalog.setval(%s::pg_catalog.regclass, %s)", (f"{quote(schema)}.{quote(name)}", value))


def _session(destination: Destination) -> Session:
    """Open a session whose ANALYZE computes minimal statistics, like the first stage of `vacuumdb --analyze-in-stages`.

    Without them, the first queries after a restore are very slow. Full statistics take longer than loading the rows. Autovacuum
    or the operator computes them while services run.
    """
    return Session(destination.server, destination.database, settings={**SETTINGS, "default_statistics_target": "1"})
