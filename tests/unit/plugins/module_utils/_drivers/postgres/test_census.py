# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A census or WAL summaries accept a partition only if its rows have the same text as before."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import census, tables, wal_summaries
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.census import Counted
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server_binaries import Install
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.snapshot import Place, Snapshot
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.tables import Table
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.wal_summaries import Changes
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.partitions import CENSUS, WAL, Census
from scenes import own_server
from scenes.own_server import Cluster
from scenes.twin_database import Copier, TwinCluster
from twin import load

SETUP = (
    "CREATE TYPE kind AS ENUM ('login', 'logout')",
    "CREATE TYPE pair AS (a int, b int)",
    "CREATE DOMAIN label AS text",
    "CREATE TABLE events (id bigint, at timestamptz, kind kind, tags label[], note jsonb, number int) PARTITION BY RANGE (id)",
    "CREATE TABLE part PARTITION OF events FOR VALUES FROM (0) TO (1000000)",
    "INSERT INTO events SELECT i, '2026-01-01', 'login', ARRAY['a'], '{}', i FROM generate_series(1, 300) i",
    "UPDATE events SET note = '[]' WHERE id % 3 = 0",
)


@dataclasses.dataclass(frozen=True)
class Events:
    """A database with one partition `public.part`, on a server with or without WAL summaries."""

    cluster: TwinCluster | Cluster
    name: str
    proof: str

    def run(self, *statements: str) -> None:
        self.cluster.execute(*statements, database=self.name)

    @contextlib.contextmanager
    def snapshot(self) -> t.Iterator[tuple[Place, Table]]:
        with Snapshot(self.cluster.server, self.name, alone=False) as held:
            yield held.place, next(one for one in tables.read_tables(held.session) if one.name == "part")

    def changes(self, earlier: Census | None) -> Changes:
        return wal_summaries.changes(self.cluster.server, self.name, earlier.redo if earlier else "")

    def count(self, earlier: Census | None = None) -> Counted:
        census.make_durable(self.cluster.server, self.name)
        with self.snapshot() as (place, table):
            census.make_durable(self.cluster.server, self.name)
            return census.count(place, table, earlier, self.changes(earlier))

    def taken(self) -> Census:
        found = self.count().census
        assert found is not None
        return found

    def text(self) -> str:
        """Return a digest of the rows as the dump reads them, in any order."""
        with self.snapshot() as (place, table), place.join() as session:
            lines: list[bytes] = []
            session.copy_to(table.copy_heap_order(), _Sink(lines))
            return hashlib.sha256(b"".join(sorted(lines))).hexdigest()


class _Sink:
    def __init__(self, lines: list[bytes]) -> None:
        self._lines = lines

    def write(self, data: bytes) -> None:
        self._lines.append(bytes(data))


@pytest.fixture(scope="module")
def summarizing(server_install: Install) -> t.Iterator[Cluster]:
    """Yield a server with WAL summaries."""
    with own_server.folder(server_install) as (folder, install):
        made = Cluster(folder, install, 5432)
        made.create()
        made.start(wal_level="replica", summarize_wal="on", autovacuum="off")
        yield made
        made.stop()


@pytest.fixture(params=[CENSUS, WAL])
def events(request: pytest.FixtureRequest) -> Events:
    if request.param == CENSUS:
        copier: Copier = request.getfixturevalue("caracal_copy")
        found = Events(request.getfixturevalue("caracal_database"), copier(), CENSUS)
        found.run(*SETUP)
        return found
    return _events(request.getfixturevalue("summarizing"))


def _events(cluster: Cluster) -> Events:
    name = f"events_{next(_NUMBERS)}"
    cluster.execute(f"CREATE DATABASE {name} STRATEGY wal_log", database="postgres")
    found = Events(cluster, name, WAL)
    # A file that changed since the last checkpoint counts as changed. A scan would prune the updated rows.
    found.run(*SETUP, "VACUUM part", "CHECKPOINT")
    return found


_NUMBERS = itertools.count()


@pytest.fixture
def logged(summarizing: Cluster) -> Events:
    """Return the database on the server with WAL summaries."""
    return _events(summarizing)


@pytest.mark.no_false_alarm
@pytest.mark.parametrize(
    "statements",
    [
        ("SELECT 1",),
        ("VACUUM part",),
        ("VACUUM FREEZE part",),
        ("ANALYZE part",),
        ("CREATE INDEX ON part (id)",),
        ("BEGIN", "SELECT * FROM part FOR UPDATE", "COMMIT"),
        ("BEGIN", "UPDATE part SET number = 0", "ROLLBACK"),
        ("BEGIN", "DELETE FROM part", "ROLLBACK"),
        ("BEGIN", "INSERT INTO part (id) VALUES (7)", "ROLLBACK"),
        ("GRANT SELECT ON part TO PUBLIC",),
    ],
    ids=["nothing", "vacuum", "freeze", "analyze", "index", "locks", "aborted update", "aborted delete", "aborted insert", "grant"],
)
def test_accepts_same_rows(events: Events, statements: tuple[str, ...]) -> None:
    earlier, text = events.taken(), events.text()
    events.run(*statements)
    found = events.count(earlier)
    assert found.changed == "" and events.text() == text
    assert found.census is not None and found.census.rows == 300


@pytest.mark.mutation
@pytest.mark.parametrize(
    "statements",
    [
        ("INSERT INTO part (id) VALUES (7)",),
        ("DELETE FROM part WHERE id = 7",),
        ("UPDATE part SET number = 0 WHERE id = 7",),
        ("DELETE FROM part WHERE id = 7", "INSERT INTO part (id) VALUES (7)"),
        ("UPDATE part SET number = 0 WHERE id = 7", "UPDATE part SET number = 7 WHERE id = 7"),
        ("BEGIN", "UPDATE part SET number = 0 WHERE id = 7", "SAVEPOINT s", "UPDATE part SET number = 7 WHERE id = 7", "COMMIT"),
        ("TRUNCATE part",),
        ("BEGIN", "CREATE TEMP TABLE kept AS TABLE part", "TRUNCATE part", "INSERT INTO part TABLE kept", "COMMIT"),
        ("VACUUM FULL part",),
        ("ALTER TABLE events ADD COLUMN more int DEFAULT 7",),
        ("ALTER TABLE events DROP COLUMN number",),
        ("ALTER TYPE kind RENAME VALUE 'login' TO 'entry'",),
        ("ALTER TYPE kind RENAME VALUE 'login' TO 'entry'", "ALTER TYPE kind RENAME VALUE 'entry' TO 'login'"),
        ("ALTER TABLE events ALTER COLUMN number TYPE oid",),
        ("ALTER TABLE events RENAME COLUMN number TO count",),
        ("ALTER TABLE events ADD COLUMN other pair",),
        ("ALTER TABLE events ADD COLUMN other regclass",),
        ("ALTER TABLE events ADD COLUMN other money",),
        ("ALTER TABLE part SET UNLOGGED",),
        ("ALTER TABLE events DETACH PARTITION part", "ALTER TABLE events ATTACH PARTITION part FOR VALUES FROM (0) TO (1000000)"),
        ("DROP TABLE part", "CREATE TABLE part PARTITION OF events FOR VALUES FROM (0) TO (1000000)"),
    ],
    ids=[
        "insert",
        "delete",
        "update",
        "delete and insert",
        "update and back",
        "subtransaction",
        "truncate",
        "truncate and load",
        "vacuum full",
        "added column",
        "dropped column",
        "enum",
        "enum and back",
        "type",
        "renamed column",
        "composite",
        "regclass",
        "money",
        "unlogged",
        "attached again",
        "another table",
    ],
)
def test_refuses_changed_partition(events: Events, statements: tuple[str, ...]) -> None:
    earlier = events.taken()
    events.run(*statements)
    assert events.count(earlier).changed not in ("", census.FIRST)


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("field", "value"),
    [("cluster", "1"), ("timeline", 99), ("server", "PostgreSQL 99"), ("file", "1/1/1/1"), ("columns", "0" * 64)],
)
def test_refuses_other_facts(events: Events, field: str, value: object) -> None:
    earlier = events.taken()
    events_of = dataclasses.replace(earlier, facts=dataclasses.replace(earlier.facts, **{field: value}))
    assert events.count(earlier).changed == "" and events.count(events_of).changed != ""


@pytest.mark.mutation
@pytest.mark.parametrize("events", [CENSUS], indirect=True)
@pytest.mark.parametrize("changed", [{"rows": 299}, {"positions": "1"}, {"lsn": "FFFFFFFF/0"}, {"xmin": 1 << 40}, {"xmin": 3}], ids=str)
def test_refuses_other_census(events: Events, changed: dict[str, t.Any]) -> None:
    assert events.count(dataclasses.replace(events.taken(), **changed)).changed != ""


@pytest.mark.mutation
def test_refuses_rows_committed_after_earlier_snapshot(events: Events) -> None:
    """A transaction that ran during the earlier snapshot is not older than it, although its ID is lower than later IDs."""
    with contextlib.closing(load.open_database(events.cluster.target, events.name)) as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("UPDATE part SET number = 0 WHERE id = 7")
        earlier = events.taken()
        cursor.execute("COMMIT")
    assert events.count(earlier).changed != ""


@pytest.mark.mutation
def test_refuses_snapshot_older_than_census(events: Events) -> None:
    with events.snapshot() as (place, table):
        events.run("UPDATE part SET number = 0 WHERE id = 7")
        later = events.taken()
        assert census.count(place, table, later, events.changes(later)).changed != ""


@pytest.mark.mutation
def test_refuses_file_that_replaced_another_after_snapshot(events: Events) -> None:
    """Frozen rows of a new file are visible in an older snapshot."""
    earlier = events.taken()
    with events.snapshot() as (place, table):
        events.run(
            "CREATE TABLE kept AS TABLE part",
            "UPDATE kept SET number = 0 WHERE id = 7",
        )
        events.run("BEGIN", "TRUNCATE part", "INSERT INTO part TABLE kept", "COMMIT")
        assert census.count(place, table, earlier, events.changes(earlier)).changed != ""


@pytest.mark.no_false_alarm
@pytest.mark.parametrize(
    ("statement", "proof"),
    [
        ("SELECT count(*) FROM part", WAL),
        ("ANALYZE part", WAL),
        ("INSERT INTO elsewhere VALUES (1)", WAL),
        ("SELECT FROM part FOR UPDATE", CENSUS),
        ("UPDATE part SET number = 0 WHERE false", WAL),
    ],
)
def test_unchanged_file_needs_no_scan(logged: Events, statement: str, proof: str) -> None:
    logged.run("CREATE TABLE elsewhere (id int)")
    earlier = logged.taken()
    logged.run(statement, "CHECKPOINT")
    found = logged.count(earlier)
    assert (found.changed, found.proof) == ("", proof) and bool(found.scanned) == (proof == CENSUS)
    again = logged.count(found.census)
    assert (again.changed, again.proof) == ("", WAL) and again.census is not None and again.census.rows == 300


@pytest.mark.mutation
def test_change_after_proof_by_wal_is_found(logged: Events) -> None:
    second = logged.count(logged.taken())
    assert second.proof == WAL
    logged.run("UPDATE part SET number = 0 WHERE id = 7")
    assert logged.count(second.census).changed != ""


@pytest.mark.mutation
def test_no_redo_point_if_a_transaction_began_before_it(logged: Events) -> None:
    """The transaction may have changed a file before the redo point, and the earlier snapshot does not show the change."""
    with contextlib.closing(load.open_database(logged.cluster.target, logged.name)) as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("UPDATE part SET number = 0 WHERE id = 7")
        logged.run("CHECKPOINT")
        earlier = logged.taken()
        cursor.execute("COMMIT")
    assert earlier.redo == ""
    found = logged.count(earlier)
    assert found.proof == CENSUS and found.changed != ""


@pytest.mark.mutation
def test_census_without_redo_point_is_not_compared_by_wal(logged: Events) -> None:
    earlier = logged.taken()
    with logged.snapshot() as (place, table):
        found = census.count(place, table, dataclasses.replace(earlier, redo=""), logged.changes(earlier))
    assert found.proof == CENSUS and found.changed == "" and found.scanned
