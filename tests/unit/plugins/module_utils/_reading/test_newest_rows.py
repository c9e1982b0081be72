# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading only new rows and open blocks gives the same blocks as reading all rows, for any zone names and row numbers."""

from __future__ import annotations

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains import audit_blocks, block_history
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.audit_blocks import BLOCK_ROWS, Block
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.audit_chains import ADMIN, AUDIT
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import tables
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server import Session
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.snapshot import Snapshot
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.tables import Table
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import StageFailed
from ansible_collections.caracal_ops.backup.plugins.module_utils._reading import database_layout, newest_rows
from ansible_collections.caracal_ops.backup.plugins.module_utils._reading.newest_rows import Span
from scenes.twin_database import Copier, TwinCluster
from unit.plugins.module_utils._reading.test_reading import ZONES, insert

NUMBERS = (None, 0, -1, -BLOCK_ROWS - 5, 1, 2, BLOCK_ROWS, BLOCK_ROWS + 1, 3 * BLOCK_ROWS + 5)


def table_of(session: Session, name: str) -> Table:
    return next(one for one in tables.read_tables(session) if one.name == name)


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("name", ["audit_events_default", "admin_audit_events"])
def test_new_rows_and_known_blocks_are_all_blocks(caracal_database: TwinCluster, caracal_copy: Copier, name: str) -> None:
    database, chain = caracal_copy(), ADMIN if name == ADMIN.table else AUDIT
    zones = [*ZONES, None] if chain is ADMIN else ZONES
    with Session(caracal_database.server, database) as session:
        table, number = table_of(session, name), 0
        known: tuple[Block, ...] = ()
        heads: dict[str, int] = {}
        for sequences in (NUMBERS, (3 * BLOCK_ROWS + 6, 3 * BLOCK_ROWS + 7), (4 * BLOCK_ROWS, 4 * BLOCK_ROWS + 1, 6 * BLOCK_ROWS)):
            for sequence in sequences:
                for zone in zones:
                    statement, values = insert(name, zone or "", sequence, number)
                    session.rows(statement, (values[0], zone, values[2]) if zone is None else values)
                    number += 1
            with Snapshot(caracal_database.server, database, alone=False) as held:
                whole = newest_rows.every_row(held.place, chain, table)
                found = newest_rows.new_rows(held.place, chain, table, known, heads)
            assert (whole.unread, whole.gone, found.gone) == (0, False, False)
            assert sorted(map(Block.line, found.blocks)) == sorted(map(Block.line, whole.blocks)) != []
            assert (found.unread > 0) == bool(known)
            known = whole.blocks
            heads = {zone: head for (_chain, zone), head in block_history.heads(known).items()}
        collector = audit_blocks.Collector(chain, name, table.columns)
        session.copy_to(table.copy_heap_order(), collector)
        assert collector.finish() == sorted(known, key=Block.line)


def test_spans_name_zones_as_copy_does(caracal_database: TwinCluster, caracal_copy: Copier) -> None:
    database = caracal_copy()
    with Session(caracal_database.server, database) as session:
        table = table_of(session, "audit_events_default")
        for number, sequence in enumerate((None, 0, 7, 9)):
            session.rows(*insert(table.name, "tab\there", sequence, number))
        session.rows(*insert(table.name, "plain", 3, 10))
        session.rows(*insert(table.name, "\\N", None, 11))
        assert sorted(newest_rows.spans(session, table), key=lambda one: one.zone) == [
            Span("\\\\N", 0, 0, True),
            Span("plain", 3, 3, False),
            Span("tab\\there", 7, 9, True),
        ]


def test_partition_dropped_by_retention_during_read_is_reported(caracal_database: TwinCluster, caracal_copy: Copier) -> None:
    database = caracal_copy()
    with Snapshot(caracal_database.server, database, alone=False) as held:
        (leaf, *_rest) = database_layout.read(held.session).leaves
        caracal_database.execute(f"DROP TABLE {leaf.name}", database=database)
        assert newest_rows.every_row(held.place, AUDIT, leaf) == newest_rows.Read(leaf, gone=True)
        assert newest_rows.new_rows(held.place, AUDIT, leaf, [], {}) == newest_rows.Read(leaf, gone=True)


@pytest.mark.mutation
def test_unreadable_partition_is_an_error(caracal_database: TwinCluster, caracal_copy: Copier) -> None:
    database = caracal_copy()
    with Snapshot(caracal_database.server, database, alone=False) as held:
        (leaf, *_rest) = database_layout.read(held.session).leaves
        caracal_database.execute("ALTER TABLE audit_events RENAME COLUMN zone_id TO other", database=database)
        with pytest.raises(StageFailed, match="zone_id"):
            newest_rows.new_rows(held.place, AUDIT, leaf, [], {})
