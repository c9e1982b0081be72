# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read both audit chains of a database, each row once. Worker processes read partitions, or page ranges of large partitions."""

from __future__ import annotations

import collections
import dataclasses
import re
import typing as t

from ..._caracal.chains import audit_blocks, block_history, chain_examiner, chain_times
from ..._caracal.chains.audit_blocks import Block, Parts
from ..._caracal.chains.audit_chains import ADMIN, AUDIT, Chain
from ..._caracal.chains.block_history import Baseline
from ..._caracal.chains.chain_examiner import Seen, Terms
from ..._caracal.chains.chain_gaps import LeafFacts, month_of
from ..._caracal.chains.chain_keys import AuditKey
from ..._drivers.postgres import dump
from ..._drivers.postgres.guard import Guard
from ..._drivers.postgres.server import Session
from ..._drivers.postgres.snapshot import Place
from ..._drivers.postgres.tables import TOP, Table, literal
from ..._errors import BackupError, StageFailed
from ..._reading import database_layout, newest_rows, reading
from ..._reading.newest_rows import Read
from ..._stream import pipes, workers
from ..._stream.progress import SILENT, Progress

PAGE = 8192
LEAST_PAGES = 4096
PIECES = 4

Pages = tuple[int, "int | None"]


@dataclasses.dataclass(frozen=True)
class ChainPass:
    """The settings of a pass.

    `recompute` is None if the release is unknown. `commit` is True if audit blocks are wanted too. With `since`, only
    rows from each zone's recorded head on are read, and only blocks that were still open then.
    """

    psql: str
    keys: tuple[AuditKey, ...]
    recompute: bool | None
    jobs: int
    commit: bool
    since: Baseline | None = None
    hours: bool = False
    progress: Progress = SILENT
    allowance: int = chain_times.ALLOWANCE


@dataclasses.dataclass
class Chains:
    """The result of a pass. `admin` is None if the release has no admin chain. `unread` is the number of blocks that were
    copied without reading.
    """

    events: Seen
    admin: Seen | None
    leaves: list[LeafFacts]
    blocks: list[Block]
    unread: int


Unit = tuple[Table, Terms, "Pages | None"]


def read(place: Place, layout: database_layout.Layout, plan: ChainPass, guard: Guard) -> Chains:
    """Read everything. Raises StageFailed if a partition is dropped during the pass."""
    admin = next((table for table in layout.rest if table.qualified == f"public.{ADMIN.table}"), None)
    if admin is not None and not ADMIN.columns <= set(admin.columns):
        admin = None
    with place.join() as session:
        bounds = _bounds(session, layout.leaves)
    units: list[Unit] = []
    for leaf in layout.leaves:
        terms = Terms(AUDIT, leaf.columns, plan.keys, plan.recompute is not False, bounds.get(leaf.name), plan.hours, plan.allowance)
        whole = 0 if plan.since else leaf.size
        units += [(leaf, terms, pages) for pages in pieces(whole, sum(one.size for one in layout.leaves), plan.jobs)]
    if admin is not None:
        units.append((admin, Terms(ADMIN, admin.columns, plan.keys, True), None))
    # The number of new rows is unknown.
    plan.progress.begin("verifying", 0 if plan.since else sum(_size(table, pages) for table, _terms, pages in units))
    gathered = _Gathered(place, units)
    tasks = [(guard.patiently, (_read, place, plan, *unit)) for unit in units]
    try:
        workers.run_all(tasks, plan.jobs, keep=gathered.take)
    except BackupError as exc:
        raise _explained(place, layout, exc) from exc
    facts = [LeafFacts(leaf.name, month_of(leaf.branch or leaf.name), _rows(gathered.seen[leaf.name])) for leaf in layout.leaves]
    events = chain_examiner.merge((part for leaf in layout.leaves for part in gathered.seen[leaf.name]), plan.allowance)
    merged = chain_examiner.merge(gathered.seen[admin.name]) if admin else None
    return Chains(events, merged, facts, gathered.blocks, gathered.unread)


def _rows(parts: t.Sequence[Seen]) -> int:
    return sum(zone.rows for part in parts for zone in part.values())


def pieces(size: int, whole: int, jobs: int) -> list[Pages | None]:
    """Return page ranges of one partition, so that no worker gets much more than its share of the total size. Sizes are in bytes."""
    pages = -(-size // PAGE)
    share = max(LEAST_PAGES, -(-whole // PAGE) // (jobs * PIECES))
    if jobs == 1 or pages <= 2 * share:
        return [None]
    starts = list(range(0, pages, share))
    return list(zip(starts, [*starts[1:], None], strict=True))


def _size(table: Table, pages: Pages | None) -> int:
    """Return the size of a unit on the server's disk, in bytes."""
    start, after = pages or (0, None)
    return (table.size if after is None else after * PAGE) - start * PAGE


def _read(place: Place, plan: ChainPass, table: Table, terms: Terms, pages: Pages | None) -> tuple[Seen, Parts | Read | list[Block]]:
    """Read one unit. Returns its results and its blocks. For a page range, the blocks are partial."""
    examiner = chain_examiner.Examiner(terms)
    if plan.since is not None:
        return _read_since(place, plan.since, table, terms, _Batches(examiner, plan.progress))
    collector = audit_blocks.Collector(terms.chain, table.name, table.columns)

    def take(lines: list[bytes]) -> None:
        examiner.take(lines)
        collector.take(lines)

    with plan.progress.share(_size(table, pages)) as share:
        dump.copy_leaf(place, plan.psql, table, dump.Lines(take if plan.commit else examiner.take, first=share), pages)
    if not plan.commit:
        return examiner.finish(), []
    return examiner.finish(), collector.parts() if pages else _complete(place, terms.chain, table, collector)


def _read_since(place: Place, since: Baseline, table: Table, terms: Terms, batches: _Batches) -> tuple[Seen, Parts | Read | list[Block]]:
    """Read the new rows through the index. The previous head is read again, so that the link of the next row can be verified."""
    heads = {zone: head for (chain, zone), head in block_history.heads(since.blocks).items() if chain == terms.chain.name}
    with place.join() as session:
        for span in newest_rows.spans(session, table):
            head = heads.get(span.zone, 0)
            if span.high >= head:
                where = f"{reading.zone_is(span.zone.encode())} AND chain_seq >= {head}"
                session.copy_to(f"COPY (SELECT {table.column_list} FROM {table.sql} WHERE {where}) TO STDOUT", batches)
    known = [block for block in since.blocks if (block.chain, block.leaf) == (terms.chain.name, table.name)]
    return batches.finish(), newest_rows.new_rows(place, terms.chain, table, known, heads)


class _Batches:
    """Passes on single lines from a session. Progress is counted in larger pieces, because there are many lines."""

    def __init__(self, examiner: chain_examiner.Examiner, progress: Progress) -> None:
        self._examiner, self._progress = examiner, progress
        self._uncounted = 0

    def write(self, line: bytes) -> None:
        self._examiner.take([line[:-1]])
        self._uncounted += len(line)
        if self._uncounted >= pipes.PIECE:
            self._count()

    def finish(self) -> Seen:
        self._count()
        return self._examiner.finish()

    def _count(self) -> None:
        self._progress.count(self._uncounted)
        self._uncounted = 0


def _complete(place: Place, chain: Chain, table: Table, collector: audit_blocks.Collector) -> list[Block]:
    with place.join() as session:
        return reading.complete(session, chain, table, collector)


class _Gathered:
    """Collects results as they arrive. So only partitions that are being read have partial blocks in memory."""

    def __init__(self, place: Place, units: t.Sequence[Unit]) -> None:
        self._place = place
        self._units = units
        self._missing = collections.Counter(table.name for table, _terms, _pages in units)
        self._collectors: dict[str, audit_blocks.Collector] = {}
        self.seen: dict[str, list[Seen]] = {table.name: [] for table, _terms, _pages in units}
        self.blocks: list[Block] = []
        self.unread = 0

    def take(self, index: int, result: tuple[Seen, Parts | Read | list[Block]]) -> None:
        table, terms, _pages = self._units[index]
        seen, found = result
        self.seen[table.name].append(seen)
        self._missing[table.name] -= 1
        if isinstance(found, Parts):
            collector = self._collectors.setdefault(table.name, audit_blocks.Collector(terms.chain, table.name, table.columns))
            collector.absorb(found)
            if not self._missing[table.name]:
                found = _complete(self._place, terms.chain, table, self._collectors.pop(table.name))
        if isinstance(found, Read):
            self.unread += found.unread
            found = list(found.blocks)
        if not isinstance(found, Parts):
            self.blocks += found


def _explained(place: Place, layout: database_layout.Layout, error: BackupError) -> BackupError:
    """Return a clearer error if retention dropped a partition during the pass. Its rows would look like a hole."""
    with Session(place.server, place.database) as session:
        for leaf in layout.leaves:
            if session.value("SELECT pg_catalog.to_regclass(%s) IS NULL", (leaf.sql,)):
                return StageFailed.caused_by(
                    error, f"partition {leaf.qualified} was dropped while it was read; run again", reading=error.msg
                )
    return error


_BOUND = re.compile(r"FOR VALUES FROM \('([^']+)'\) TO \('([^']+)'\)\Z")


def _bounds(session: Session, leaves: t.Sequence[Table]) -> dict[str, tuple[bytes, bytes]]:
    """Return the bounds of each partition as the session writes times. In UTC and ISO style they compare as text.

    The bounds belong to the partition directly below the audit table, because deeper ones may be partitioned by any
    column.
    """
    if not leaves:
        return {}
    names = ", ".join(literal(leaf.sql) for leaf in leaves)
    rows = session.rows(
        f"""SELECT c.relname, pg_get_expr(b.relpartbound, b.oid) FROM pg_catalog.pg_class c CROSS JOIN LATERAL {TOP} top
              JOIN pg_catalog.pg_class b ON b.oid = top.branch WHERE c.oid IN ({_regclasses(names)})"""
    )
    found = {}
    for name, expression in rows:
        bound = _BOUND.match(expression or "")
        if bound:
            found[name] = bound[1].encode(), bound[2].encode()
    return found


def _regclasses(names: str) -> str:
    return f"SELECT pg_catalog.to_regclass(name) FROM unnest(ARRAY[{names}]) AS name"
