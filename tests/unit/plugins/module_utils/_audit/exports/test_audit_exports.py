# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Database, journal and exports in one report: rows removed by a restore are not a finding, rows removed by an attacker are."""

from __future__ import annotations

import contextlib
import shutil
import typing as t
from pathlib import Path

import pytest

from harness.fixtures import FreshCluster
from scenes import scene as scenes
from scenes.fixtures import Committed
from scenes.twin_database import TwinCluster, TwinFactory
from twin import exports, load
from unit.plugins.module_utils._audit.chains.test_audit_corpus import found, verify, world_of


def export(cluster: TwinCluster, database: str, folder: Path) -> list[str]:
    with contextlib.closing(load.open_database(cluster.target, database)) as connection:
        paths = exports.export(connection, str(folder))
        connection.commit()
    return paths


def of_exports(result: scenes.Result) -> dict[str, dict[str, t.Any]]:
    return {check["id"]: check for check in result["checks"] if check["id"].startswith("exports.")}


@pytest.mark.no_false_alarm
@pytest.mark.mutation
def test_damage_to_one_of_three_sources_is_found(
    committed: Committed, caracal_database: TwinCluster, caracal_copy: t.Callable[[], str], tmp_path: Path
) -> None:
    world = world_of(caracal_database, caracal_copy())
    paths = export(world.cluster, world.database, tmp_path)
    whole = verify(committed.scene, world, exports=str(tmp_path))
    assert (whole["verdict"], found(whole)) == ("pass", set()), whole["checks"]
    assert {name: check["verdict"] for name, check in of_exports(whole).items()} == {
        "exports.readable": "pass",
        "exports.complete": "pass",
        "exports.hmac_key": "pass",
        "exports.hmac": "pass",
        "exports.sequence": "pass",
        "exports.database": "pass",
        "exports.content": "pass",
    }
    world.execute(f"DELETE FROM audit_events WHERE zone_id = '{world.zone}' AND chain_seq = {world.middle}")
    result = verify(committed.scene, world, exports=str(tmp_path))
    assert ("exports.database", "missing_in_database", world.zone, world.middle, world.middle, "") in found(result)
    Path(paths[len(paths) // 2]).unlink()
    result = verify(committed.scene, world, exports=str(tmp_path))
    assert ("exports.complete", "missing_hour", "", 0, 0, "") in found(result)


@pytest.mark.no_false_alarm
def test_recorded_restore_explains_the_rows_that_it_removed(twin_cluster: TwinFactory, fresh_cluster: FreshCluster, tmp_path: Path) -> None:
    source = twin_cluster(events=400, seed="cut")
    scene = scenes.make(tmp_path / "scene", source.info.socket_dir)
    scene.backup()
    world = world_of(source, "caracal")
    world.append(38)
    scene.call("audit_checkpoint")
    export(source, "caracal", tmp_path / "exports")
    target = TwinCluster(fresh_cluster(), source.spec)
    operator = {"login_unix_socket": target.info.socket_dir, "signing_key": str(scene.key("operator"))}
    scene.call("pg_encrypted_restore", **operator)
    restored = scenes.Scene(scene.root, target.info.socket_dir)
    after = world_of(target, "caracal")
    assert (after.head, world.head) == (world.head, after.head)

    result = verify(restored, after, exports=str(tmp_path / "exports"))
    assert result["verdict"] == "pass", result["checks"]
    database = of_exports(result)["exports.database"]
    assert database["verdict"] == "warn"
    assert f"cut the chain after number {after.head};" in database["message"] and "38" in database["message"]

    forgotten = tmp_path / "forgotten"
    shutil.copytree(scene.root, forgotten)
    newest = max((forgotten / "repository" / "journal").glob("*.json"))
    for path in (newest, *newest.parent.glob(f"{newest.stem}-*.sig")):
        path.unlink()
    for mark in forgotten.glob("*/high_water_mark"):
        mark.unlink()
    result = verify(scenes.Scene(forgotten, target.info.socket_dir), after, exports=str(tmp_path / "exports"))
    assert result["verdict"] == "fail"
    assert ("blocks.journal", "truncated", after.zone, after.head + 1, after.head + 38, "") in found(result)
