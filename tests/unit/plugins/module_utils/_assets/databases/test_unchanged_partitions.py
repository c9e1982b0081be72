# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A set refers to the objects of the set before for partitions that a census proves unchanged."""

from __future__ import annotations

import dataclasses
import datetime
import json
import pathlib
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._assets.databases import dump_database
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.source import source_checks
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server_binaries import Install
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import StageFailed
from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import earlier, unchanged
from scenes import own_server
from scenes import scene as scenes
from scenes.own_server import Cluster
from scenes.scene import Result, Scene
from scenes.source_damages import duplicated
from scenes.twin_database import TwinCluster, TwinFactory
from twin import load
from twin.spec import Spec

LEAF = "audit_events_y2026m02"
Scanned = t.Callable[[], set[tuple[str, str]]]


@dataclasses.dataclass(frozen=True)
class Nights:
    """A source that is the test's alone, and its repository with one set."""

    source: TwinCluster
    scene: Scene
    first: Result

    def change(self, *statements: str) -> None:
        self.source.execute("SET session_replication_role = replica", *statements)

    def manifest(self) -> dict[str, t.Any]:
        return dict(json.loads((self.scene.repository / "sets" / self.scene.sets()[-1] / "manifest.json").read_bytes()))


@pytest.fixture
def nights(tmp_path: t.Any, twin_cluster: TwinFactory) -> Nights:
    source = twin_cluster(seed="nights")
    scene = scenes.make(tmp_path / "scene", source.info.socket_dir)
    return Nights(source, scene, scene.backup())


def proofs(result: Result) -> dict[str, tuple[str, str]]:
    """Return proof and reason by partition."""
    return {one["partition"]: (one["proof"], one["read_because"]) for one in result["partitions"]}


def blocks_check(result: Result) -> Result:
    return next(dict(one) for one in result["checks"] if one["id"] == "blocks.journal")


@pytest.mark.no_false_alarm
def test_second_set_reads_no_unchanged_partition(nights: Nights) -> None:
    assert {proof for proof, _reason in proofs(nights.first).values()} == {"read"} and len(nights.first["partitions"]) > 10
    before = nights.scene.inventory()
    second = nights.scene.backup()
    assert set(proofs(second).values()) == {("census", "")}
    assert [one["last_read"] for one in second["partitions"]] == [one["last_read"] for one in nights.first["partitions"]]
    assert all(one["shared"] for one in second["artifacts"] if one["path"].startswith("objects/"))
    check = blocks_check(second)
    assert check["verdict"] == "pass" and check["details"]["unread"] > 0
    found = {one["database"]: one for one in nights.scene.inventory()["databases"]}
    assert {name: one["leaves"] for name, one in found.items()} == {one["database"]: one["leaves"] for one in before["databases"]}
    assert nights.scene.call("backup_set_verify")["verdict"] == "pass"
    assert {one["proof"] for one in nights.manifest()["partitions"]} == {"census"} and nights.manifest()["format"] == 2
    assert set(proofs(nights.scene.backup()).values()) == {("census", "")}


@pytest.mark.mutation
def test_changed_partition_is_read_and_reported(nights: Nights) -> None:
    nights.change(f"UPDATE {LEAF} SET decision = 'altered' WHERE id = (SELECT min(id) FROM {LEAF})")
    second = nights.scene.backup()
    changed = {name for name, (proof, _reason) in proofs(second).items() if proof == "read"}
    assert changed == {f"public.{LEAF}"}
    assert blocks_check(second)["verdict"] == "fail"
    stored = [one["path"] for one in second["artifacts"] if one["path"].startswith("objects/") and not one["shared"]]
    assert len(stored) == 1 and LEAF in stored[0]


def test_partitions_are_read_again_after_reread_days(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    second = nights.scene.backup(reread_days=0)
    assert set(proofs(second).values()) == {("read", unchanged.DUE)}
    assert all(one["shared"] for one in second["artifacts"] if one["path"].startswith("objects/"))
    newest = {one["partition"]: one["last_read"] for one in second["partitions"]}
    assert all(newest[one["partition"]] > one["last_read"] for one in nights.first["partitions"])
    load = earlier.load

    def aged(*arguments: t.Any) -> earlier.History:
        found = load(*arguments)
        old = datetime.timedelta(days=31)
        stored = {key: dataclasses.replace(one, last_read=one.last_read - old) for key, one in found.stored.items()}
        return dataclasses.replace(found, stored=stored)

    monkeypatch.setattr(earlier, "load", aged)
    assert ("read", unchanged.DUE) in proofs(nights.scene.backup()).values()


@pytest.fixture
def scanned(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Scanned:
    """Return a function that returns, and forgets, the table and name of each unique index scanned, in any process of a backup."""
    log, is_whole = tmp_path / "scanned", source_checks.is_whole

    def recorded(reader: t.Any, index: source_checks.Index, rows: int) -> bool:
        with log.open("a", encoding="utf-8") as stream:
            stream.write(f"{index.table.name} {index.name}\n")
        return is_whole(reader, index, rows)

    def collect() -> set[tuple[str, str]]:
        found = {tuple(line.split()) for line in log.read_text(encoding="utf-8").splitlines()}
        log.write_text("", encoding="utf-8")
        return t.cast("set[tuple[str, str]]", found)

    log.touch()
    monkeypatch.setattr(source_checks, "is_whole", recorded)
    return collect


def unique_check(result: Result) -> Result:
    return next(dict(one) for one in result["checks"] if one["id"] == source_checks.UNIQUE)


def test_unique_indexes_of_unchanged_partition_are_not_scanned(nights: Nights, scanned: Scanned) -> None:
    second = nights.scene.backup()
    assert scanned() == set() and unique_check(second) == unique_check(nights.first)
    nights.source.execute(f"CREATE UNIQUE INDEX added ON {LEAF} (id)")
    third = nights.scene.backup()
    assert set(proofs(third).values()) == {("census", "")} and scanned() == {(LEAF, "added"), (LEAF, f"{LEAF}_pkey")}
    nights.scene.backup()
    assert scanned() == set()


@pytest.mark.mutation
def test_index_that_runs_code_of_an_owner_is_reported_each_time(nights: Nights) -> None:
    nights.source.execute(f"CREATE UNIQUE INDEX computed ON {LEAF} (lower(id), occurred_at)")
    for result in (nights.scene.backup(), nights.scene.backup()):
        assert proofs(result)[f"public.{LEAF}"] == ("census", "")
        assert [one["object"] for one in unique_check(result)["details"]["not_read"]] == [f"public.{LEAF} computed"]
    digests = {one["leaf"]: one.get("unique") for one in nights.manifest()["partitions"]}
    assert digests.pop(f"public.{LEAF}") is None and all(digests.values())


@pytest.mark.mutation
def test_failed_scan_of_unchanged_partition_records_no_index_digest(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: t.Any) -> t.NoReturn:
        raise StageFailed("the connection was lost")

    monkeypatch.setattr(source_checks, "indexes", fail)
    second = nights.scene.backup()
    assert set(proofs(second).values()) == {("census", "")} and unique_check(second)["verdict"] == "unproven"
    assert not any(one.get("unique") for one in nights.manifest()["partitions"])


@pytest.mark.mutation
def test_duplicate_keys_of_unchanged_partition_are_reported_each_time(nights: Nights) -> None:
    nights.change(*duplicated(LEAF, f"{LEAF}_pkey"))
    second, third = nights.scene.backup(), nights.scene.backup()
    assert proofs(second)[f"public.{LEAF}"][0] == "read" and proofs(third)[f"public.{LEAF}"] == ("census", "")
    assert unique_check(second)["verdict"] == unique_check(third)["verdict"] == "fail"


@pytest.mark.mutation
def test_no_census_is_recorded_if_commits_are_not_durable(nights: Nights) -> None:
    """Otherwise a crash could assign the IDs of lost transactions again."""
    rename = "UPDATE pg_proc SET proname = 'renamed' WHERE proname = 'pg_logical_emit_message'"
    nights.source.execute("SET allow_system_table_mods = on", rename)
    second = nights.scene.backup()
    assert {proof for proof, _reason in proofs(second).values()} == {"read"} and "" not in {
        reason for _proof, reason in proofs(second).values()
    }
    assert {one["census"] for one in nights.manifest()["partitions"] if one["database"] == "caracal"} == {None}


@pytest.mark.mutation
def test_stored_partition_needs_blocks_and_object(nights: Nights) -> None:
    """Blocks that do not belong to the object, or a missing object, make the backup read the partition."""
    (path,) = nights.scene.repository.glob(f"objects/audit/{LEAF}/*")
    path.unlink()
    second = nights.scene.backup()
    assert {name for name, (proof, _reason) in proofs(second).items() if proof == "read"} == {f"public.{LEAF}"}
    assert nights.scene.call("backup_set_verify")["verdict"] == "pass"


@pytest.mark.mutation
def test_unknown_facts_leave_no_census(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    """Facts that change during the pass leave no census."""
    monkeypatch.setattr(dump_database.unchanged.census, "known", lambda place, table: dump_database.unchanged.census.Known(None))
    second = nights.scene.backup()
    assert {one["census"] for one in nights.manifest()["partitions"]} == {None}
    assert {proof for proof, _reason in proofs(second).values()} == {"read"}


@pytest.fixture
def summarizing(tmp_path: pathlib.Path, server_install: Install) -> t.Iterator[tuple[Cluster, Scene]]:
    """Yield a server with WAL summaries, the twin on it, and a scene with one set."""
    with own_server.folder(server_install) as (folder, install):
        cluster = Cluster(folder, install, 5432)
        try:
            cluster.create()
            cluster.start(wal_level="replica", autovacuum="off")
            cluster.execute("ALTER SYSTEM SET summarize_wal = on", "SELECT pg_reload_conf()", database="postgres")
            load.create(cluster.target, Spec(events=600, seed="summaries"))
            cluster.execute("VACUUM", "CHECKPOINT")
            scene = scenes.make(tmp_path / "scene", str(folder))
            scene.backup()
            yield cluster, scene
        finally:
            cluster.stop()


@pytest.mark.no_false_alarm
def test_second_set_scans_no_unchanged_partition_with_wal_summaries(summarizing: tuple[Cluster, Scene]) -> None:
    cluster, scene = summarizing
    second = scene.backup()
    assert scene.call("backup_set_verify")["verdict"] == "pass"
    assert set(proofs(second).values()) == {("wal", "")} and {one["scanned_because"] for one in second["partitions"]} == {""}
    assert all(one["shared"] for one in second["artifacts"] if one["path"].startswith("objects/"))
    cluster.execute(
        "SET session_replication_role = replica", f"UPDATE {LEAF} SET decision = 'altered' WHERE id = (SELECT min(id) FROM {LEAF})"
    )
    third = scene.backup()
    assert {name: proof for name, (proof, _reason) in proofs(third).items() if proof != "wal"} == {f"public.{LEAF}": "read"}
    assert blocks_check(third)["verdict"] == "fail"


def test_census_replaces_missing_wal_summaries(summarizing: tuple[Cluster, Scene]) -> None:
    cluster, scene = summarizing
    cluster.execute("ALTER SYSTEM SET summarize_wal = off", "SELECT pg_reload_conf()", database="postgres")
    second = scene.backup()
    assert set(proofs(second).values()) == {("census", "")} and "" not in {one["scanned_because"] for one in second["partitions"]}
