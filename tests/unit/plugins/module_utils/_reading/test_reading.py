# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading a database under one snapshot gives blocks in the documented format, for any row content and during writes."""

from __future__ import annotations

import dataclasses
import multiprocessing
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains import audit_blocks
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.audit_blocks import BLOCK_ROWS, Block
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.audit_chains import ADMIN, AUDIT, Chain
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.block_history import Baseline
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.inventory import inventory
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.inventory.inventory import Located
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import catalog, client_binaries, tables
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.client_binaries import ClientTools
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server import Session
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.snapshot import Snapshot
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.tables import Table
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import StageFailed
from ansible_collections.caracal_ops.backup.plugins.module_utils._reading import database_layout, reading
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, NOT_APPLICABLE, PASS
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream import workers
from harness.waiting import eventually
from scenes.twin_database import Copier, TwinCluster, TwinFactory
from twin import activity
from unit.plugins.module_utils._caracal.chains import oracle

ZONES = ["plain", "tab\there", "line\nend\r", "back\\slash", "\\N", "\\n", "q'uo\"te", "\b\f\v\\", "ä\u2028\u0085", "%s {}", ""]


@pytest.fixture(scope="module")
def client() -> ClientTools:
    return client_binaries.find(None, minimum_major=17, tools=("pg_dump", "psql"))


def lines_of(session: Session, table: Table) -> list[bytes]:
    found: list[bytes] = []

    class Sink:
        def write(self, data: bytes) -> None:
            found.append(data)

    session.copy_to(table.copy_heap_order(), Sink())
    return found


def expected(session: Session, chain: Chain, table: Table) -> list[bytes]:
    rows = (dict(zip(table.columns, line.decode()[:-1].split("\t"), strict=True)) for line in lines_of(session, table))
    return oracle.lines(chain.name, table.name, rows)


def lines(blocks: t.Iterable[Block]) -> list[bytes]:
    return sorted(block.line() for block in blocks)


def read_all(held: Snapshot, client: ClientTools) -> tuple[dict[str, t.Any], list[Block]]:
    """Return the inventory and the blocks, read as in a backup and a verification."""
    read = database_layout.read(held.session)
    facts, rest, *leaves = workers.run_all(reading.read_tasks(held.place, read, client), 2)
    found = reading.assemble(held.place.database, read, facts, rest, leaves)
    found["sequences"] = catalog.sequences(held.session)
    return found, [*rest.blocks, *(block for leaf in leaves for block in leaf.blocks)]


def read_blocks(held: Snapshot, client: ClientTools) -> list[Block]:
    """Return the blocks only."""
    read = database_layout.read(held.session)
    admin = reading.rest(held.place, [table for table in read.rest if table.name == ADMIN.table])
    return [*admin.blocks, *(block for table in read.leaves for block in reading.leaf(held.place, table, client.paths["psql"]).blocks)]


@pytest.fixture(scope="module")
def before(caracal_database: TwinCluster, client: ClientTools) -> list[Block]:
    """Return the blocks of the twin, which every copy of it starts with."""
    with Snapshot(caracal_database.server, "caracal") as held:
        return read_blocks(held, client)


def insert(table: str, zone: str, sequence: int | None, number: int) -> tuple[str, tuple[t.Any, ...]]:
    if table == "admin_audit_events":
        columns = "id, request_id, action, method, path, status_code, zone_id, chain_seq"
        return f"INSERT INTO public.{table} ({columns}) VALUES (%s, 'r', 'a', 'm', 'p', 200, %s, %s)", (f"t{number}", zone, sequence)
    columns = "id, event_type, occurred_at, zone_id, chain_seq"
    return f"INSERT INTO public.{table} ({columns}) VALUES (%s, 'x', '1999-01-01', %s, %s)", (f"t{number}", zone, sequence)


def test_the_tables_of_the_twin(caracal_database: TwinCluster) -> None:
    with Session(caracal_database.server, "caracal") as session:
        read = database_layout.read(session)
    assert read.detected is not None
    assert (read.detected.family, read.detected.release) == ("secret_store", "v1.0.0")
    assert read.partitioned == ('"public"."audit_events"',)
    assert len(read.leaves) == 17
    assert [leaf.size for leaf in read.leaves] == sorted((leaf.size for leaf in read.leaves), reverse=True)
    assert {table.qualified for table in read.rest}.isdisjoint(leaf.qualified for leaf in read.leaves)
    with Session(caracal_database.server, "caracal_auth") as session:
        other = database_layout.read(session)
    assert (other.detected, other.leaves, other.partitioned) == (None, (), ())


def test_blocks_of_twin_match_format(caracal_database: TwinCluster, client: ClientTools) -> None:
    with Snapshot(caracal_database.server, "caracal") as held:
        read = database_layout.read(held.session)
        total = 0
        for table in read.leaves:
            leaf = reading.leaf(held.place, table, client.paths["psql"])
            assert lines(leaf.blocks) == expected(held.session, AUDIT, table)
            assert leaf.digest == audit_blocks.leaf_digest(leaf.blocks)
            total += leaf.rows
        assert total == caracal_database.spec.events
        (admin,) = [table for table in read.rest if table.name == ADMIN.table]
        rest = reading.rest(held.place, [admin])
        assert lines(rest.blocks) == expected(held.session, ADMIN, admin) != []
        assert rest.digests == {admin.qualified: tables.digest(held.session, admin)}


@pytest.mark.parametrize("table_name", ["audit_events_default", "admin_audit_events"])
def test_blocks_that_did_not_fit_are_read_again_by_their_numbers(
    caracal_database: TwinCluster, caracal_copy: Copier, table_name: str
) -> None:
    name = caracal_copy()
    chain = ADMIN if table_name == ADMIN.table else AUDIT
    with Session(caracal_database.server, name) as session:
        number = 0
        for sequence in (1, 2, BLOCK_ROWS, BLOCK_ROWS + 1, None, 3 * BLOCK_ROWS + 5):
            for zone in ZONES:
                session.rows(*insert(table_name, zone, sequence, number))
                number += 1
        (table,) = [one for one in tables.read_tables(session) if one.name == table_name]
        collector = audit_blocks.Collector(chain, table.name, table.columns, limit=64)
        all_lines = lines_of(session, table)
        for start in range(0, len(all_lines), 7):
            collector.take([line[:-1] for line in all_lines[start : start + 7]])
        assert len(collector.deferred) > 20
        assert lines(reading.complete(session, chain, table, collector)) == expected(session, chain, table)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12) | st.text("\\ntN\t\n'x", max_size=8))
def test_a_zone_is_found_again_by_its_copy_text(caracal_database: TwinCluster, zone: str) -> None:
    with Session(caracal_database.server, "postgres") as session:
        found: list[bytes] = []

        class Sink:
            def write(self, data: bytes) -> None:
                found.append(data[:-1])

        session.rows("CREATE TEMPORARY TABLE z (zone_id text)")
        session.rows("INSERT INTO pg_temp.z VALUES (%s)", (zone,))
        session.copy_to("COPY pg_temp.z TO STDOUT", Sink())
        session.rows("INSERT INTO pg_temp.z VALUES (%s || 'x'), (NULL), ('other')", (zone,))
        where = reading.zone_is(found[0])
        assert session.rows(f"SELECT zone_id FROM pg_temp.z WHERE {where}") == [(zone,)] * (2 if zone == "other" else 1)
        assert session.rows(f"SELECT zone_id FROM pg_temp.z WHERE {reading.zone_is(audit_blocks.NULL)}") == [(None,)]


@pytest.mark.mutation
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit_events SET decision = 'deny!' WHERE {}",
        "UPDATE audit_events SET ingest_signature = 'x' WHERE {}",
        "DELETE FROM audit_events WHERE {}",
        "INSERT INTO audit_events (id, chain_seq, zone_id, event_type, occurred_at) "
        "SELECT 'forged', chain_seq, zone_id, event_type, occurred_at FROM audit_events WHERE {}",
    ],
)
def test_a_change_of_one_row_is_found_in_its_block(
    caracal_database: TwinCluster, caracal_copy: Copier, client: ClientTools, before: list[Block], change: str
) -> None:
    name = caracal_copy()
    (zone, leaf) = caracal_database.execute(
        "SELECT zone_id, tableoid::regclass::text FROM audit_events WHERE chain_seq = 20 ORDER BY 1 LIMIT 1", database=name
    )[0]
    row = f"zone_id = '{zone}' AND chain_seq = 20"
    caracal_database.execute("ALTER TABLE audit_events DISABLE TRIGGER USER", change.format(row), database=name)
    with Snapshot(caracal_database.server, name) as held:
        check = reading.compare_with_earlier(
            held.place, database_layout.read(held.session), Baseline(tuple(before), "set X"), read_blocks(held, client), ()
        )
    assert check.verdict == FAIL
    assert [(one["zone"], one["leaf"]) for one in check.details["positions"]] == [(zone, leaf)]


def test_later_rows_pass_but_row_added_within_baseline_is_reported(
    caracal_database: TwinCluster, caracal_copy: Copier, client: ClientTools, before: list[Block]
) -> None:
    name = caracal_copy()
    zones = [row[0] for row in caracal_database.execute("SELECT id FROM zones ORDER BY 1")]
    heads = dict(caracal_database.execute("SELECT zone_id, max(chain_seq) FROM audit_events GROUP BY 1"))

    def add(zone: str, sequence: int) -> str:
        return (
            "INSERT INTO audit_events (id, zone_id, event_type, occurred_at, chain_seq) "
            f"VALUES ('later{sequence}', '{zone}', 'x', '2026-06-17', {sequence})"
        )

    caracal_database.execute(*(add(zone, heads[zone] + number) for zone in zones for number in (1, 2, 3)), database=name)
    with Snapshot(caracal_database.server, name) as held:
        check = reading.compare_with_earlier(
            held.place, database_layout.read(held.session), Baseline(tuple(before), "set X"), read_blocks(held, client), ()
        )
    assert (check.verdict, check.details["positions"]) == (PASS, [])
    caracal_database.execute(add(zones[1], heads[zones[1]]).replace("later", "forged"), database=name)
    with Snapshot(caracal_database.server, name) as held:
        check = reading.compare_with_earlier(
            held.place, database_layout.read(held.session), Baseline(tuple(before), "set X"), read_blocks(held, client), ()
        )
    (difference,) = check.details["positions"]
    assert (difference["kind"], difference["zone"], difference["leaf"]) == ("block_added_rows", zones[1], "audit_events_y2026m06")


@pytest.mark.mutation
def test_failed_complete_read_of_partition_is_an_error(caracal_database: TwinCluster, client: ClientTools) -> None:
    with Snapshot(caracal_database.server, "caracal") as held:
        read = database_layout.read(held.session)
        with pytest.raises(StageFailed, match=r'psql failed \(exit status 1\): ERROR:  relation "public.no such leaf" does not exist;'):
            reading.leaf(held.place, dataclasses.replace(read.leaves[0], name="no such leaf"), client.paths["psql"])
        assert reading.leaf(held.place, read.leaves[0], client.paths["psql"]).rows > 0


def test_two_readings_of_one_snapshot_are_equal_while_the_system_works(twin_cluster: TwinFactory, client: ClientTools) -> None:
    cluster = twin_cluster(events=300)
    context = multiprocessing.get_context("fork")
    stop = context.Event()
    writer = context.Process(target=activity.write_some, args=(cluster.target, cluster.spec, 100_000, stop))
    writer.start()
    try:
        eventually(lambda: cluster.execute("SELECT count(*) FROM audit_events")[0][0] > cluster.spec.events)
        with Snapshot(cluster.server, "caracal") as held:
            first, blocks = read_all(held, client)
            second, again = read_all(held, client)
    finally:
        stop.set()
        writer.join()
    with Snapshot(cluster.server, "caracal") as held:
        third, grown = read_all(held, client)
        history = reading.compare_with_earlier(held.place, database_layout.read(held.session), Baseline(tuple(blocks), "set X"), grown, ())
    assert lines(blocks) == lines(again) != lines(grown)
    # A snapshot does not include sequences.
    checks = inventory.compare({**second, "sequences": first["sequences"]}, first, Located())
    assert {check.verdict for check in checks} <= {PASS, NOT_APPLICABLE}
    assert sum(leaf["rows"] for leaf in first["leaves"].values()) > cluster.spec.events
    assert [check.id for check in inventory.compare(third, first, Located()) if check.verdict == FAIL]
    assert (history.verdict, history.details["positions"]) == (PASS, [])
