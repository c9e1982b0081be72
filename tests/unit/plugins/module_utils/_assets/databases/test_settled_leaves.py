# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Past months are read each night and sealed once. Unchanged partitions are not sealed or sent again."""

from __future__ import annotations

import dataclasses
import json
import typing as t
from pathlib import Path

import pyrage
import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto import recipients
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import client_binaries, dump, tables
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.snapshot import Snapshot
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.tables import Table
from ansible_collections.caracal_ops.backup.plugins.module_utils._reading import reading
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.local import LocalStore
from scenes.fixtures import Committed
from scenes.scene import Scene
from scenes.twin_database import Copier, TwinCluster

LEAF = "audit_events_y2026m06"


class Sealers:
    """Counts the partitions that any process begins to seal."""

    def __init__(self, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._log = log
        self._log.touch()
        sealed_object = dump.sealed_object

        def watched(source: dump.Source, directory: str, key: str | None = None) -> t.Any:
            if key is None:
                with open(log, "a") as stream:
                    stream.write("leaf\n")
            return sealed_object(source, directory, key)

        monkeypatch.setattr(dump, "sealed_object", watched)

    def begun(self) -> int:
        """Return the count since the last call."""
        count = len(self._log.read_text().splitlines())
        self._log.write_text("")
        return count


@pytest.fixture
def sealers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sealers:
    return Sealers(tmp_path / "sealers", monkeypatch)


def leaves(scene: Scene, set_id: str) -> list[dict[str, t.Any]]:
    manifest = json.loads((scene.repository / "sets" / set_id / "manifest.json").read_bytes())
    return [one for one in manifest["artifacts"] if one["kind"] == "leaf"]


def test_third_set_does_not_seal_shared_partitions_again(scene: Scene, committed: Committed, sealers: Sealers) -> None:
    first, second = scene.sets()
    scene.backup(reread_days=0)
    assert sealers.begun() == 0
    third = scene.sets()[-1]
    assert leaves(scene, third) == leaves(scene, second) and {one["shared_from"] for one in leaves(scene, third)} == {first}
    assert scene.call("backup_set_verify", set_id=third)["verdict"] == "pass"


def test_second_set_seals_every_partition_again(empty_scene: Scene, sealers: Sealers) -> None:
    empty_scene.backup()
    count = sealers.begun()
    assert count == len(leaves(empty_scene, empty_scene.sets()[-1])) > 10
    empty_scene.backup(reread_days=0)
    assert sealers.begun() == count


@dataclasses.dataclass(frozen=True)
class Leaves:
    """One partition of a database for one test, and the directory in which it is sealed."""

    cluster: TwinCluster
    database: str
    store: LocalStore
    identity: t.Any

    def seal(self, shared: t.Mapping[str, str], settled: bool, meanwhile: str = "", folder: str = "leaves") -> reading.Leaf:
        """Seal under a new snapshot. `meanwhile` runs after the snapshot was taken."""
        client = client_binaries.find(None, minimum_major=17, tools=("pg_dump", "pg_restore", "psql"))
        with Snapshot(self.cluster.server, self.database) as held:
            to = tuple(recipients.load([str(self.identity.to_public())], []))
            paths = (client.paths[name] for name in ("pg_dump", "pg_restore", "psql"))
            source = dump.Source(held.place, *paths, self.store, to)
            if meanwhile:
                self.cluster.execute(meanwhile, database=self.database)
            return reading.sealed_leaf(source, self._table(held), folder, lambda digest: f"{folder}/{digest}", shared, settled)

    def _table(self, held: Snapshot) -> Table:
        return next(table for table in tables.read_tables(held.session) if table.name == LEAF)


@pytest.fixture
def own(tmp_path: Path, caracal_database: TwinCluster, caracal_copy: Copier) -> Leaves:
    return Leaves(caracal_database, caracal_copy(), LocalStore(str(tmp_path / "store")), pyrage.x25519.Identity.generate())


@pytest.mark.mutation
def test_changed_settled_partition_is_sealed_again(own: Leaves, sealers: Sealers) -> None:
    before = own.seal({}, settled=False)
    assert before.rows > 0 and before.sealed is not None and sealers.begun() == 1
    shared = {before.digest: t.cast(str, before.key)}
    assert own.seal(shared, settled=True) == dataclasses.replace(before, sealed=None)
    assert sealers.begun() == 0
    own.cluster.execute(f"UPDATE {LEAF} SET decision = 'altered' WHERE id = (SELECT min(id) FROM {LEAF})", database=own.database)
    after = own.seal(shared, settled=True)
    assert sealers.begun() == 1
    assert after.rows == before.rows and after.digest != before.digest
    assert after.sealed is not None and after.key == f"leaves/{after.digest}"
    assert sorted(one.key for one in own.store.list("leaves")) == sorted([str(before.key), after.key])


def test_settled_partition_with_an_extra_column_is_always_sealed(own: Leaves, sealers: Sealers) -> None:
    """The digest does not cover unknown columns."""
    own.cluster.execute("ALTER TABLE audit_events ADD COLUMN note text", database=own.database)
    before = own.seal({}, settled=False)
    again = own.seal({before.digest: t.cast(str, before.key)}, settled=True, folder="anew")
    assert again.sealed is not None and sealers.begun() == 2


def test_settled_partition_dropped_meanwhile_counts_as_gone(own: Leaves, sealers: Sealers) -> None:
    before = own.seal({}, settled=False)
    sealers.begun()
    gone = own.seal({before.digest: t.cast(str, before.key)}, settled=True, meanwhile=f"DROP TABLE {LEAF}")
    assert gone.gone and gone.rows == 0 and sealers.begun() == 0


@pytest.mark.mutation
def test_altered_shared_object_is_found_and_can_be_replaced(scene: Scene) -> None:
    path = max((scene.repository / "objects" / "audit").rglob("*.age"), key=lambda one: one.stat().st_size)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    scene.backup()
    result = scene.call("backup_set_verify", require_valid=False)
    assert result["verdict"] == "fail"
    assert [check["message"] for check in result["checks"] if check["verdict"] == "fail"] == [
        f"{path} was altered; use another copy of the set"
    ]
    path.rename(scene.root / "evidence")
    scene.backup()
    assert scene.call("backup_set_verify")["verdict"] == "pass"
    assert not path.exists()
