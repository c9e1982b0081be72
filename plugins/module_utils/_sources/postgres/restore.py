# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Sealed artifacts back into a database, without a plaintext file: rows stream through `pg_restore`, leaves are
loaded side by side, the schema comes from an archive in memory, in parallel where that helps."""

from __future__ import annotations

import dataclasses
import os
import typing as t

from ..._crypto.recipients import load_identities
from ..._crypto.sealing import Opener
from ..._errors import TamperedData
from ..._storage.schemes import open_store
from ..._stream import pipes
from . import tools
from .server import Server, Session
from .tables import read_tables

# Never --clean, --no-privileges or --data-only: they lose rows, or leave SECURITY DEFINER functions to PUBLIC.
COMMON = ("--exit-on-error", "--no-tablespaces", "--no-subscriptions", "--no-publications", "--no-password")
SCHEMA_LIMIT = 64 << 20


@dataclasses.dataclass(frozen=True)
class Destination:
    """Where to and from where; it travels to the worker processes. `database` is the working name."""

    server: Server
    database: str
    pg_restore: str
    store: str
    identity_files: tuple[str, ...]


def open_object(store: str, key: str, identity_files: t.Sequence[str]) -> Opener:
    """A sealed object as plain bytes."""
    return Opener(open_store(store).open(key), load_identities(identity_files), key)


def archive(destination: Destination, key: str) -> None:
    """The rows of the archive, into tables that have no index, constraint or trigger yet."""
    argv = [destination.pg_restore, *COMMON, f"--dbname={destination.database}", "--section=data"]
    with open_object(destination.store, key, destination.identity_files) as source:
        tools.stream_in(argv, destination.server, destination.database, source)


def leaf(destination: Destination, schema: str, name: str, key: str) -> int:
    """The rows of one audit leaf; how many."""
    with (
        Session(destination.server, destination.database) as session,
        open_object(destination.store, key, destination.identity_files) as source,
    ):
        wanted = [table for table in read_tables(session) if (table.schema, table.name) == (schema, name)]
        if not wanted:
            raise TamperedData(f"the archive has no table {schema}.{name}, but the set has its rows; use another set")
        # Emptied in the same transaction, the table needs no WAL where wal_level is minimal, and its rows are born frozen.
        session.rows("BEGIN")
        session.rows(f"TRUNCATE ONLY {wanted[0].sql}")
        session.copy_from(wanted[0].copy_in(), source)
        session.rows("COMMIT")
        return int(session.value(f"SELECT count(*) FROM {wanted[0].sql}"))


def schema(destination: Destination, key: str, section: str, jobs: int) -> None:
    """One section of the schema archive: `pre-data` (tables, functions, grants) before the rows, `post-data` (indexes,
    constraints, triggers, policies) after them, `jobs` at a time."""
    with open_object(destination.store, key, destination.identity_files) as source:
        data = source.read_all(SCHEMA_LIMIT)
    fd = os.memfd_create("schema", 0)
    try:
        pipes.write_all(fd, data)
        argv = [
            destination.pg_restore,
            *COMMON,
            f"--dbname={destination.database}",
            f"--section={section}",
            f"--jobs={jobs}",
            f"/proc/self/fd/{fd}",
        ]
        tools.start(argv, destination.server, destination.database, pass_fds=[fd]).finish()
    finally:
        os.close(fd)


def analyze(destination: Destination) -> None:
    """Statistics, without which the first queries after a restore crawl."""
    with Session(destination.server, destination.database, settings={}) as session:
        session.rows("ANALYZE")
