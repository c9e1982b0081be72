# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tasks for worker processes that read everything of one database in one snapshot.

A backup reads the source with these tasks, and a verification reads the copy with the same tasks. So both always read
the same things.
"""

from __future__ import annotations

import dataclasses
import datetime
import secrets
import typing as t

from .._caracal.chains import audit_blocks, audit_chains, block_history, copy_text
from .._caracal.chains.audit_blocks import Block
from .._caracal.chains.audit_chains import Chain
from .._caracal.chains.block_history import Baseline
from .._caracal.inventory import inventory
from .._crypto.sealing import Sealed
from .._drivers.postgres import catalog, dump, row_marks, schema_text, tables
from .._drivers.postgres.client_binaries import ClientTools
from .._drivers.postgres.row_marks import Marker, RowMarks
from .._drivers.postgres.server import Session
from .._drivers.postgres.snapshot import Place
from .._drivers.postgres.tables import Table
from .._errors import BackupError
from .._inventory import DatabaseFacts, DatabaseInventory, TableDigest
from .._report.check import Check
from .._repository.partitions import READ, Census
from .._stream.pipes import Both, Sink
from .._stream.progress import Share
from .._stream.workers import Task
from .database_layout import Layout


@dataclasses.dataclass(frozen=True)
class Leaf:
    """An audit partition after a pass over its rows, or with a proof that an earlier set has the same rows.

    `sealed` is None if nothing was stored. `key` is the key of the object. `census` is None if none can be recorded. `reason` is why the
    partition was read, and `scanned` is why it needed a census. `last_read` is the time of an earlier read if it was not read. See
    `Partition` for `unique`.
    """

    table: Table
    rows: int
    digest: str
    blocks: tuple[Block, ...]
    sealed: Sealed | None = None
    key: str | None = None
    gone: bool = False
    proof: str = READ
    census: Census | None = None
    reason: str = ""
    scanned: str = ""
    last_read: datetime.datetime | None = None
    unique: str = ""


def leaf(place: Place, table: Table, psql: str, sink: Sink | None = None) -> Leaf:
    """Read an audit partition in one pass, and pass its rows to `sink` too. Nothing is stored."""
    collector = audit_blocks.Collector(audit_chains.AUDIT, table.name, table.columns)
    dump.copy_leaf(place, psql, table, dump.Lines(collector.take, first=sink))
    blocks = collector.finish()
    if collector.deferred:
        with place.join() as session:
            blocks = complete(session, audit_chains.AUDIT, table, collector)
    return Leaf(table, collector.rows, audit_blocks.leaf_digest(blocks), tuple(blocks))


def sealed_leaf(
    source: dump.Source, table: Table, directory: str, name: t.Callable[[str], str], shared: t.Mapping[str, str], settled: bool
) -> Leaf:
    """Encrypt and hash an audit partition in one pass. `name(digest)` is the object's key; an object in `shared` is not stored again.

    A `settled` partition is first read in a separate pass. It is encrypted only if that pass shows a change.
    """
    with source.progress.share(table.size) as share:
        if settled:
            seen = _seen(source, table, shared, share)
            if seen.gone or seen.key:
                return seen
        return _sealed_leaf(source, table, directory, name, shared, share)


def _sealed_leaf(
    source: dump.Source, table: Table, directory: str, name: t.Callable[[str], str], shared: t.Mapping[str, str], share: Share
) -> Leaf:
    with dump.sealed_object(source, directory) as (sealer, publish):
        seen = _seen(source, table, shared, Both(share, sealer))
        if seen.gone or seen.key:
            return seen
        key = name(seen.digest)
        return dataclasses.replace(seen, key=key, sealed=publish(key))


def _seen(source: dump.Source, table: Table, shared: t.Mapping[str, str], sink: Sink) -> Leaf:
    """Read an audit partition in one pass. `key` is set if an object in `shared` has the same rows."""
    try:
        seen = leaf(source.place, table, source.psql, sink)
    except BackupError:
        if exists(source.place, table):
            raise
        return Leaf(table, 0, audit_blocks.leaf_digest([]), (), gone=True)
    # The digest covers only the known columns; another column may have changed.
    known = set(table.columns) <= audit_chains.AUDIT.columns
    return dataclasses.replace(seen, key=shared.get(seen.digest) if known else None)


def exists(place: Place, table: Table) -> bool:
    """Return whether a partition still exists.

    Retention may drop a partition that the snapshot still shows, and then its rows cannot be read.
    """
    with Session(place.server, place.database) as session:
        return session.value("SELECT pg_catalog.to_regclass(%s) IS NOT NULL", (table.sql,)) is True


def complete(session: Session, chain: Chain, table: Table, collector: audit_blocks.Collector) -> list[Block]:
    """Return the collector's blocks, and the blocks that it deferred, which are read again one by one by the chain's index."""
    blocks = collector.finish()
    for zone, number in sorted(collector.deferred):
        blocks.extend(_one_block(session, chain, table, (zone, number), (number + 1) * audit_blocks.BLOCK_ROWS))
    return blocks


def _one_block(session: Session, chain: Chain, table: Table, key: tuple[bytes, int], head: int) -> list[Block]:
    """Read one block by the chain's index, only rows up to sequence number `head`. Without rows, there is no block."""
    zone, number = key
    where = f"{zone_is(zone)} AND chain_seq BETWEEN {number * audit_blocks.BLOCK_ROWS + 1} AND {head}"
    collector = audit_blocks.Collector(chain, table.name, table.columns, only={key})
    session.copy_to(f"COPY (SELECT {table.column_list} FROM {table.sql} WHERE {where}) TO STDOUT", collector)
    return collector.finish()


def compare_with_earlier(
    place: Place, read: Layout, known: Baseline, current: t.Sequence[Block], acknowledged: t.Collection[str], unread: int = 0
) -> Check:
    """Compare the blocks of this snapshot with the blocks in the journal. See block_history.compare.

    `unread` of the current blocks were taken from the journal.
    """
    chains = {chain.name: chain for chain in (audit_chains.AUDIT, audit_chains.ADMIN)}
    by_name = {table.name: table for table in (*(one for one in read.tables if one.schema == "public"), *read.leaves)}
    with place.join() as session:

        def reread(block: Block, head: int) -> Block | None:
            high = min(head, (int(block.block) + 1) * audit_blocks.BLOCK_ROWS)
            found = _one_block(session, chains[block.chain], by_name[block.leaf], (block.zone.encode(), int(block.block)), high)
            return found[0] if found else None

        return block_history.compare(known, current, by_name.keys(), reread, read.detected, unread, acknowledged)


def zone_is(zone: bytes) -> str:
    if zone == copy_text.NULL:
        return "zone_id IS NULL"
    return f"zone_id = {tables.literal(copy_text.plain(zone).decode())}"


@dataclasses.dataclass(frozen=True)
class Rest:
    """Digests of ordinary tables, the blocks of the admin chain if its table is among them, and row marks with their key."""

    digests: dict[str, TableDigest]
    blocks: tuple[Block, ...]
    key: bytes
    marks: dict[str, RowMarks]


def rest(place: Place, wanted: t.Sequence[Table], key: bytes = b"") -> Rest:
    """Compute `copy-sha256-v1` of each table, in one transaction. Without a `key` for the row marks, a new one is generated."""
    key = key or secrets.token_bytes(row_marks.KEY_SIZE)
    digests: dict[str, TableDigest] = {}
    blocks: list[Block] = []
    marks: dict[str, RowMarks] = {}
    with place.join() as session:
        for table in wanted:
            collector, marker = _admin_collector(table), Marker(key)
            sinks = [marker.write, *([collector.write] if collector else [])]
            digests[table.qualified] = tables.digest(session, table, *sinks)
            marks[table.qualified] = marker.finish()
            if collector:
                blocks.extend(complete(session, audit_chains.ADMIN, table, collector))
    return Rest(digests, tuple(blocks), key, marks)


def _admin_collector(table: Table) -> audit_blocks.Collector | None:
    admin = audit_chains.ADMIN
    if table.qualified != f"public.{admin.table}" or not set(admin.chain) <= set(table.columns):
        return None
    return audit_blocks.Collector(admin, table.name, table.columns)


def facts(place: Place, names: t.Sequence[str], pg_dump: str) -> DatabaseFacts:
    """Read the parts of the inventory other than rows. Uses a separate transaction, so that no lock outlives it."""
    text = schema_text.read(pg_dump, place)
    with place.join() as session:
        return {
            "server_version": catalog.server_version(session),
            "schema": catalog.schema(session),
            "grants": catalog.grants(session),
            "owners": catalog.owners(session),
            "extensions": catalog.extensions(session),
            "settings": catalog.settings(session),
            "large_objects": catalog.large_objects(session),
            "materialized_views": catalog.materialized_views(session),
            "sequence_floor": catalog.sequence_floors(session),
            "state": inventory.state(session, names),
            "schema_digest": text.digest,
            "schema_objects": text.objects,
        }


def assemble(database: str, layout_read: Layout, facts_read: DatabaseFacts, rest_read: Rest, leaves: t.Sequence[Leaf]) -> DatabaseInventory:
    """Return the inventory of one database. The caller adds `sequences`, which are not part of a snapshot."""
    detected = layout_read.detected
    return {
        "database": database,
        "family": detected.family if detected else None,
        "release": detected.release if detected else None,
        "migrations": list(detected.migrations) if detected else [],
        "tables": rest_read.digests,
        "row_marks": {"key": rest_read.key.hex(), "tables": {name: one.to_dict() for name, one in rest_read.marks.items()}},
        "leaves": {leaf.table.qualified: {"rows": leaf.rows, "digest": leaf.digest} for leaf in leaves},
        **facts_read,
    }


def read_tasks(place: Place, read: Layout, client: ClientTools, key: bytes = b"") -> list[Task]:
    """Return tasks that read everything and store nothing: facts, ordinary tables, then each audit partition.

    `key` is the key of the row marks.
    """
    names = [table.name for table in read.tables if table.schema == "public"]
    tasks: list[Task] = [(facts, (place, names, client.paths["pg_dump"])), (rest, (place, read.rest, key))]
    return tasks + [(leaf, (place, table, client.paths["psql"])) for table in read.leaves]
