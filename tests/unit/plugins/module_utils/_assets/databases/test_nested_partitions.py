# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An audit month with subpartitions: the set contains its rows, and they are bound by blocks, verified and restored."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t
import uuid
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import server_binaries
from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import access
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import lifecycle
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import SandboxSpec
from harness.fixtures import sandbox_path
from scenes import relations
from scenes.fixtures import Committed
from scenes.scene import Result, Scene
from scenes.twin_database import TwinCluster

ROWS = "SELECT tableoid::regclass::text, count(*) FROM audit_events GROUP BY 1 ORDER BY 1"


@dataclasses.dataclass(frozen=True)
class Divided:
    """A source with such a month, and its restored copy.

    The set was committed after two sets of the same database under another name.
    """

    scene: Scene
    source: TwinCluster
    database: str
    dumped: Result
    copy: TwinCluster

    def rows(self, cluster: TwinCluster) -> dict[str, int]:
        return dict(cluster.execute(ROWS, database=self.database))


@pytest.fixture(scope="module")
def divided(
    committed: Committed,
    caracal_database: TwinCluster,
    server_install: server_binaries.Install,
    tmp_path_factory: pytest.TempPathFactory,
) -> t.Iterator[Divided]:
    scene = committed.scene.copy(tmp_path_factory.mktemp("divided") / "scene")
    name, directory = f"copy_{uuid.uuid4().hex[:12]}", sandbox_path()
    caracal_database.execute(f"CREATE DATABASE {name} TEMPLATE caracal OWNER caracal STRATEGY file_copy", database="postgres")
    try:
        relations.divide(caracal_database, name)
        dumped = scene.backup(databases=[name])
        info = lifecycle.create(SandboxSpec(directory, server_install)).info
        scene.call("pg_encrypted_restore", sandbox=directory)
        yield Divided(scene, caracal_database, name, dumped, TwinCluster(info, caracal_database.spec))
    finally:
        lifecycle.destroy(directory)
        caracal_database.execute(f"DROP DATABASE {name} WITH (FORCE)", database="postgres")


@pytest.mark.mutation
def test_restores_rows_of_subpartitions(divided: Divided) -> None:
    before = divided.rows(divided.source)
    assert all(before[leaf] > 0 for leaf in relations.LEAVES)
    assert divided.rows(divided.copy) == before


@pytest.mark.no_false_alarm
def test_restored_copy_matches_the_source(divided: Divided) -> None:
    checks = {one["id"]: one for one in divided.scene.call("state_verify", sandbox=divided.copy.info.directory)["checks"]}
    assert [one for one in checks.values() if one["verdict"] == "fail"] == []
    sections = ("tables", "leaves", "schema", "schema_dump", "grants")
    assert [checks[f"inventory.{divided.database}.{name}"]["verdict"] for name in sections] == ["pass"] * len(sections)
    assert checks["inventory.audit_blocks"]["verdict"] == "pass"


@pytest.mark.no_false_alarm
def test_completeness_check_passes_and_nothing_is_left_out(divided: Divided) -> None:
    (check,) = (one for one in divided.dumped["checks"] if one["id"] == "source.complete")
    assert (check["verdict"], check["required"], divided.dumped["left_out"]) == ("pass", True, {})


def test_rows_moved_to_other_partitions_fail_until_acknowledged(divided: Divided, tmp_path: Path) -> None:
    scene = divided.scene.copy(tmp_path / "scene")
    (history,) = (one for one in verified(scene)["checks"] if one["verdict"] == "fail")
    found = [one["digest"] for one in history["details"]["open"]]
    expires = f"{access.now() + datetime.timedelta(days=30):%Y-%m-%d}"
    scene.call("journal_correct", findings=found, expires=expires, reason="a month was divided")
    assert (history["id"], verified(scene)["verdict"]) == ("blocks.history", "pass")


def verified(scene: Scene) -> Result:
    return scene.call("backup_set_verify", require_valid=False)


def test_each_subpartition_has_a_separate_object(divided: Divided) -> None:
    inventory = divided.scene.inventory()["databases"][0]
    rows = divided.rows(divided.source)
    assert {name.partition(".")[2]: one["rows"] for name, one in inventory["leaves"].items() if one["rows"]} == rows
    assert not [name for name in inventory["tables"] if "audit_events_y" in name]
    paths = [one["path"] for one in divided.dumped["artifacts"]]
    assert all(any(path.startswith(f"objects/audit/{leaf}/") for path in paths) for leaf in relations.LEAVES)


@pytest.mark.no_false_alarm
def test_verifies_rows_in_each_subpartition(divided: Divided) -> None:
    result = divided.scene.call("audit_chain_verify", database=divided.database, audit_retention_days=3650, require_valid=False)
    rows = divided.rows(divided.source)
    assert {leaf: result["coverage"]["leaves"][leaf] for leaf in relations.LEAVES} == {leaf: rows[leaf] for leaf in relations.LEAVES}
    found = {one["id"]: one["verdict"] for one in result["checks"]}
    assert (found["audit.rows"], found["audit.content"], found["audit.links"], found["audit.partitions"]) == ("pass",) * 4


@pytest.mark.mutation
def test_finds_an_edited_row_in_a_subpartition(divided: Divided) -> None:
    """The row is in a subpartition. The blocks of the set bind it anyway."""
    (event,) = divided.source.execute(f"SELECT id FROM {relations.LEAVES[0]} ORDER BY chain_seq LIMIT 1", database=divided.database)
    change = f"UPDATE {relations.LEAVES[0]} SET decision = '{{}}' || decision WHERE id = '{event[0]}'"
    divided.source.execute(relations.FREELY, change.format("not "), database=divided.database)
    try:
        set_id = divided.scene.new_id()
        result = divided.scene.call("pg_encrypted_dump", set_id=set_id, databases=[divided.database])
    finally:
        undo = f"UPDATE {relations.LEAVES[0]} SET decision = substr(decision, 5) WHERE id = '{event[0]}'"
        divided.source.execute(relations.FREELY, undo, database=divided.database)
    (check,) = (one for one in result["checks"] if one["id"] == "blocks.journal")
    assert check["verdict"] == "fail" and {one["leaf"] for one in check["details"]["positions"]} == {relations.LEAVES[0]}
