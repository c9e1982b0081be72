# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A census accepts a partition only if its rows have the same text as before."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import census, tables
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.census import Counted
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.snapshot import Place, Snapshot
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.tables import Table
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.partitions import Census
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
    """A database with one partition `public.part`."""

    cluster: TwinCluster
    name: str

    def run(self, *statements: str) -> None:
        self.cluster.execute(*statements, database=self.name)

    @contextlib.contextmanager
    def snapshot(self) -> t.Iterator[tuple[Place, Table]]:
        with Snapshot(self.cluster.server, self.name, alone=False) as held:
            yield held.place, next(one for one in tables.read_tables(held.session) if one.name == "part")

    def count(self, earlier: Census | None = None) -> Counted:
        census.make_durable(self.cluster.server, self.name)
        with self.snapshot() as (place, table):
            census.make_durable(self.cluster.server, self.name)
            return census.count(place, table, earlier)

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


@pytest.fixture
def events(caracal_database: TwinCluster, caracal_copy: Copier) -> Events:
    found = Events(caracal_database, caracal_copy())
    found.run(*SETUP)
    return found


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
        assert census.count(place, table, later).changed != ""


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
        assert census.count(place, table, earlier).changed != ""
