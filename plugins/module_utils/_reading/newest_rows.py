# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the audit blocks of a database without reading all rows. New rows and open blocks are read by the chain's index.

A block is closed if the head of its zone is in a later block. Closed blocks are taken from the journal, provided that
the index still has the zone's first and last row in that partition. So the time depends on the number of new rows, not
on the number of all rows.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._caracal.chains import audit_blocks, audit_chains, block_history
from .._caracal.chains.audit_blocks import Block
from .._caracal.chains.audit_chains import Chain
from .._drivers.postgres.server import Session
from .._drivers.postgres.snapshot import Place
from .._drivers.postgres.tables import Table
from .._errors import BackupError
from .._stream.workers import Task
from . import reading
from .database_layout import Layout

# A recursive step through the index from zone to zone, since there may be many rows and few zones.
_SPANS = """COPY (
    WITH RECURSIVE zone(id) AS (
        (SELECT x.zone_id FROM {table} x WHERE x.zone_id IS NOT NULL ORDER BY 1 LIMIT 1)
        UNION ALL
        SELECT (SELECT x.zone_id FROM {table} x WHERE x.zone_id > zone.id ORDER BY 1 LIMIT 1) FROM zone WHERE zone.id IS NOT NULL)
    SELECT zone.id,
           (SELECT coalesce(min(x.chain_seq), 0) FROM {table} x WHERE x.zone_id = zone.id AND x.chain_seq > 0),
           (SELECT coalesce(max(x.chain_seq), 0) FROM {table} x WHERE x.zone_id = zone.id AND x.chain_seq > 0),
           EXISTS (SELECT FROM {table} x WHERE x.zone_id = zone.id AND x.chain_seq IS NULL)
           OR EXISTS (SELECT FROM {table} x WHERE x.zone_id = zone.id AND x.chain_seq <= 0)
      FROM zone WHERE zone.id IS NOT NULL
    UNION ALL
    SELECT NULL, coalesce(min(chain_seq) FILTER (WHERE chain_seq > 0), 0), coalesce(max(chain_seq) FILTER (WHERE chain_seq > 0), 0),
           bool_or(chain_seq IS NULL OR chain_seq <= 0)
      FROM {table} WHERE zone_id IS NULL HAVING count(*) > 0) TO STDOUT"""


@dataclasses.dataclass(frozen=True)
class Span:
    """The rows of a zone (COPY text) in a partition: lowest and highest number, 0 for none, and whether there are rows without a number."""

    zone: str
    low: int
    high: int
    unnumbered: bool


@dataclasses.dataclass(frozen=True)
class Read:
    """The blocks of a partition, and the number of blocks taken from the journal.

    `gone` means the partition was dropped in the meantime.
    """

    table: Table
    blocks: tuple[Block, ...] = ()
    unread: int = 0
    gone: bool = False


def chains(read: Layout) -> list[tuple[Chain, Table]]:
    """Return the tables with a chain: the audit partitions, and the admin table in releases that chain it."""
    admin = audit_chains.ADMIN
    kept = [table for table in read.rest if table.qualified == f"public.{admin.table}" and set(admin.chain) <= set(table.columns)]
    return [*((audit_chains.AUDIT, leaf) for leaf in read.leaves), *((admin, table) for table in kept)]


def spans(session: Session, table: Table) -> list[Span]:
    """Return the span of every zone with rows in a partition."""
    lines = _Lines()
    session.copy_to(_SPANS.format(table=table.sql), lines)
    found = [line.decode().split("\t") for line in lines.found]
    return [Span(zone, int(low), int(high), unnumbered == "t") for zone, low, high, unnumbered in found]


class _Lines:
    def __init__(self) -> None:
        self.found: list[bytes] = []

    def write(self, line: bytes) -> None:
        self.found.append(line[:-1])


def tasks(place: Place, read: Layout, known: t.Sequence[Block] | None) -> list[Task]:
    """Return tasks with a Read as result. If `known` is None, they read every row."""
    if known is None:
        return [(every_row, (place, chain, table)) for chain, table in chains(read)]
    heads = block_history.heads(known)
    return [
        (
            new_rows,
            (
                place,
                chain,
                table,
                [block for block in known if (block.chain, block.leaf) == (chain.name, table.name)],
                {zone: head for (name, zone), head in heads.items() if name == chain.name},
            ),
        )
        for chain, table in chains(read)
    ]


def every_row(place: Place, chain: Chain, table: Table) -> Read:
    """Read all rows in the order of the heap."""
    return _reading(place, table, lambda session: _every_row(session, chain, table))


def new_rows(place: Place, chain: Chain, table: Table, known: t.Sequence[Block], heads: t.Mapping[str, int]) -> Read:
    """Read new rows. `known` are the blocks of this partition, `heads` the known heads of the chain's zones in all partitions."""
    return _reading(place, table, lambda session: _new_rows(session, chain, table, known, heads))


def _reading(place: Place, table: Table, read: t.Callable[[Session], Read]) -> Read:
    """Read in a transaction that accesses only this partition. Retention may drop a partition that the snapshot still shows."""
    try:
        with place.join() as session:
            return read(session)
    except BackupError:
        if reading.exists(place, table):
            raise
        return Read(table, gone=True)


def _every_row(session: Session, chain: Chain, table: Table) -> Read:
    collector = audit_blocks.Collector(chain, table.name, table.columns)
    session.copy_to(table.copy_heap_order(), collector)
    return Read(table, tuple(reading.complete(session, chain, table, collector)))


def _new_rows(session: Session, chain: Chain, table: Table, known: t.Sequence[Block], heads: t.Mapping[str, int]) -> Read:
    collector = audit_blocks.Collector(chain, table.name, table.columns)
    kept: list[Block] = []
    for span in spans(session, table):
        of_zone = [block for block in known if block.zone == span.zone]
        first = _first_block(span, of_zone, heads.get(span.zone, 0))
        kept += [block for block in of_zone if 0 <= _number(block) < first]
        conditions = [f"chain_seq > {first * audit_blocks.BLOCK_ROWS}"] if span.high else []
        unnumbered = [block for block in of_zone if _number(block) < 0]
        if span.unnumbered:
            kept += unnumbered
            conditions += [] if unnumbered else ["chain_seq IS NULL", "chain_seq <= 0"]
        for condition in conditions:
            where = f"{reading.zone_is(span.zone.encode())} AND {condition}"
            session.copy_to(f"COPY (SELECT {table.column_list} FROM {table.sql} WHERE {where}) TO STDOUT", collector)
    return Read(table, (*kept, *reading.complete(session, chain, table, collector)), len(kept))


def _first_block(span: Span, known: t.Sequence[Block], head: int) -> int:
    """Return the first block to read: the open block, or an earlier one if the first or the last row has changed."""
    first = max(head - 1, 0) // audit_blocks.BLOCK_ROWS
    closed = [block for block in known if 0 <= _number(block) < first]
    if not closed:
        return min(first, _block_of(span.low))
    low, high = min(int(block.seq_low) for block in closed), max(int(block.seq_high) for block in closed)
    if span.low != low:
        first = min(first, _block_of(low), _block_of(span.low))
    return min(first, _block_of(span.high)) if span.high < high else first


def _block_of(sequence: int) -> int:
    return max(sequence - 1, 0) // audit_blocks.BLOCK_ROWS


def _number(block: Block) -> int:
    """Return the number of a block, or a negative number for rows that are not part of the chain."""
    return audit_blocks.NO_SEQUENCE if block.block == "-" else int(block.block)
