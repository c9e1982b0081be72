# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""WAL summaries prove that files are unchanged only without a gap, from a redo point to now. See `test_census` for their use."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import wal_summaries
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server_binaries import Install
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.wal_summaries import Changes
from scenes import own_server
from scenes.own_server import Cluster
from scenes.twin_database import TwinCluster

SINCE, UNTIL = "0/200", "0/500"


@pytest.mark.no_false_alarm
@pytest.mark.parametrize(
    "summaries",
    [
        [("0/200", "0/500")],
        [("0/200", "0/300"), ("0/300", "0/600")],
        [("0/100", "0/200"), ("0/200", "0/400"), ("0/300", "1/0")],
    ],
    ids=["one", "two", "overlap"],
)
def test_summaries_without_gap_suffice(summaries: list[tuple[str, str]]) -> None:
    assert wal_summaries._gap(summaries, SINCE, UNTIL) == ""


@pytest.mark.mutation
@pytest.mark.parametrize(
    "summaries",
    [
        [],
        [("0/100", "0/600")],
        [("0/201", "0/600")],
        [("0/200", "0/4FF")],
        [("0/200", "0/300"), ("0/301", "0/600")],
        [("0/200", "0/300"), ("0/400", "0/600")],
    ],
    ids=["none", "other start", "later start", "short", "gap", "missing"],
)
def test_gap_is_reported(summaries: list[tuple[str, str]]) -> None:
    assert wal_summaries._gap(summaries, SINCE, UNTIL) != ""


@pytest.mark.mutation
def test_change_of_file_or_of_whole_database_is_found() -> None:
    assert Changes("0/1", frozenset({"5/1663/77"})).has("5/1663/16384/77")
    assert Changes("0/1", frozenset({"5/1663/0"})).has("5/1663/16384/77")
    assert not Changes("0/1", frozenset({"5/1663/78", "5/1664/77", "6/1663/77", "6/1663/0"})).has("5/1663/16384/77")


@dataclasses.dataclass(frozen=True)
class Files:
    """A server with WAL summaries, and its database `files`."""

    cluster: Cluster

    def execute(self, *statements: str) -> list[tuple[t.Any, ...]]:
        return self.cluster.execute(*statements, database="files")

    def redo(self) -> str:
        self.execute("CHECKPOINT")
        return str(self.execute("SELECT redo_lsn::text FROM pg_control_checkpoint()")[0][0])

    def changes(self, since: str, user: str = "caracal") -> Changes:
        return wal_summaries.changes(dataclasses.replace(self.cluster.server, user=user), "files", since)

    def file(self, table: str) -> str:
        parts = f"concat_ws('/', oid, dattablespace, '1', pg_relation_filenode('{table}'))"
        query = f"SELECT {parts} FROM pg_database WHERE datname = 'files'"
        return str(self.execute(query)[0][0])


@pytest.fixture(scope="module")
def files(server_install: Install) -> t.Iterator[Files]:
    with own_server.folder(server_install) as (folder, install):
        cluster = Cluster(folder, install, 5432)
        cluster.create()
        cluster.start(wal_level="replica", autovacuum="off")
        cluster.execute("ALTER SYSTEM SET summarize_wal = on", "SELECT pg_reload_conf()", "CREATE DATABASE files", database="postgres")
        cluster.execute(
            "CREATE TABLE one AS SELECT 1 AS a", "CREATE TABLE two AS SELECT 1 AS a", "CREATE ROLE reader LOGIN", database="files"
        )
        yield Files(cluster)
        cluster.stop()


def test_only_changed_file_is_returned(files: Files) -> None:
    since = files.redo()
    files.execute("INSERT INTO two VALUES (2)")
    found = files.changes(since)
    assert found.reason == "" and found.has(files.file("two")) and not found.has(files.file("one"))
    assert files.changes(files.redo()).files.isdisjoint({files.file("one"), files.file("two")})


@pytest.mark.mutation
def test_position_that_is_not_a_redo_point_is_refused(files: Files) -> None:
    files.redo()
    files.execute("INSERT INTO one VALUES (2)")
    (since,) = files.execute("SELECT pg_current_wal_insert_lsn()::text")[0]
    assert files.changes(since).reason and files.changes("").reason and files.changes("no position").reason


@pytest.mark.mutation
def test_login_without_right_to_request_checkpoint_gets_reason(files: Files) -> None:
    since = files.redo()
    assert "pg_checkpoint" in files.changes(since, "reader").reason
    files.execute("GRANT pg_checkpoint TO reader")
    assert files.changes(since, "reader").reason == ""


@pytest.mark.mutation
def test_removed_summary_is_a_gap(files: Files) -> None:
    since = files.redo()
    files.execute("INSERT INTO one VALUES (3)")
    assert files.changes(since).reason == ""
    for summary in (files.cluster.data / "pg_wal" / "summaries").iterdir():
        summary.unlink()
    assert files.changes(since).reason


@pytest.mark.mutation
def test_server_without_summaries_gets_reason(caracal_database: TwinCluster) -> None:
    assert wal_summaries.changes(caracal_database.server, "caracal", "0/200").reason == "summarize_wal is off"


@pytest.mark.mutation
def test_late_summary_is_not_awaited_for_ever(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    since = files.redo()
    monkeypatch.setattr(wal_summaries, "PATIENCE", 1.0)
    monkeypatch.setattr(wal_summaries, "_NOW", wal_summaries._NOW.replace("pg_current_wal_insert_lsn()::text", "'FFFF/0'"))
    assert files.changes(since).reason
