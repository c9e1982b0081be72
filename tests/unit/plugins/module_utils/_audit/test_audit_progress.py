# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Progress of long work on audit rows and exports: the final value equals the announced total, if the total was known."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils import _deps
from ansible_collections.caracal_ops.backup.plugins.module_utils._audit.chains import chain_reading, exports_against_rows
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.exports import export_files
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.snapshot import Snapshot
from ansible_collections.caracal_ops.backup.plugins.module_utils._reading import database_layout
from scenes import archive_scene
from scenes.archive_scene import ArchiveScene
from scenes.fixtures import Committed
from scenes.progress_heard import Heard, listen
from scenes.twin_database import TwinCluster
from unit.plugins.module_utils._audit.chains.test_audit_corpus import verify, world_of
from unit.plugins.module_utils._audit.exports.test_audit_exports import export


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Heard:
    return listen(monkeypatch)


@pytest.fixture
def place(archive_twin: TwinCluster, tmp_path: Path) -> ArchiveScene:
    return archive_scene.new(tmp_path, archive_twin)


def sizes(paths: t.Iterable[Path | str]) -> int:
    return sum(Path(path).stat().st_size for path in paths)


def rows_on_disk(cluster: TwinCluster) -> int:
    """Return the bytes of both chains."""
    with Snapshot(cluster.server, "caracal") as held:
        layout = database_layout.read(held.session)
    return sum(table.size for table in (*layout.leaves, *layout.rest) if table.name.startswith(("audit_events", "admin_audit_events")))


@pytest.mark.parametrize("jobs", [1, 2])
def test_all_rows_of_the_chains_are_counted(
    committed: Committed, caracal_database: TwinCluster, heard: Heard, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    monkeypatch.setattr(chain_reading, "LEAST_PAGES", 5)
    monkeypatch.setattr(chain_reading, "PIECES", 1000)
    result = verify(committed.scene, world_of(caracal_database, "caracal"), jobs=jobs)
    assert result["verdict"] == "pass"
    size = rows_on_disk(caracal_database)
    assert heard.phases() == [("verifying", size, size)] and size


def test_progress_with_since_has_no_total(committed: Committed, caracal_database: TwinCluster, heard: Heard) -> None:
    world = world_of(caracal_database, "caracal")
    assert verify(committed.scene, world, since=committed.first["set_id"])["verdict"] != "fail"
    ((phase, total, done),) = heard.phases()
    assert (phase, total) == ("verifying", 0) and done


class Calls:
    def __init__(self) -> None:
        self.sizes: list[int] = []

    def count(self, size: int) -> None:
        self.sizes.append(size)

    def take(self, lines: list[bytes]) -> None:
        pass

    def finish(self) -> dict[bytes, t.Any]:
        return {}


def test_progress_counts_single_rows_in_batches() -> None:
    calls: t.Any = Calls()
    batches = chain_reading._Batches(calls, calls)
    for _row in range(5000):
        batches.write(b"x" * 99 + b"\n")
    batches.finish()
    assert sum(calls.sizes) == 500_000 and len(calls.sizes) == 2


def test_progress_counts_exports_compared_with_rows(
    committed: Committed, caracal_database: TwinCluster, caracal_copy: t.Callable[[], str], heard: Heard, tmp_path: Path
) -> None:
    world = world_of(caracal_database, caracal_copy())
    size = sizes(export(world.cluster, world.database, tmp_path))
    assert verify(committed.scene, world, exports=str(tmp_path))["verdict"] == "pass"
    assert heard.phases()[-1] == ("verifying", size, size)


def test_progress_counts_an_unreadable_hour_once(place: ArchiveScene) -> None:
    broken, *_others = paths = sorted(place.source.rglob("*.parquet"))
    broken.write_bytes(b"no export")
    heard, size = Heard(), sizes(paths)
    found = exports_against_rows.folder(str(place.source), heard)()
    for _pass in range(2):
        for hour in found.hours:
            try:
                list(found.rows(hour))
            except export_files.UnreadableHour:
                assert hour.path == str(broken)
    assert heard.phases() == [("verifying", size, size)]


def test_progress_counts_an_hour_after_it_was_read(place: ArchiveScene) -> None:
    found = export_files.Folder(str(place.source), _deps.require_pyarrow())
    heard = Heard()
    counted = exports_against_rows.counted(found, dict.fromkeys(found.hours, 7), heard)
    rows = counted.rows(counted.hours[0])
    next(rows)
    assert heard.phases() == [("verifying", 7 * len(found.hours), 0)]
    rows.close()
    assert heard.phases() == [("verifying", 7 * len(found.hours), 7)]


def test_progress_counts_archived_exports(place: ArchiveScene, heard: Heard) -> None:
    size = sizes(place.source.rglob("*.parquet"))
    place.fill()
    assert heard.phases() == [("verifying", 0, 0), ("copying", size, size)]


def test_progress_counts_compared_exports_without_copying(place: ArchiveScene, heard: Heard) -> None:
    place.fill(compare_days=36500)
    before = heard.phases()
    place.fill(compare_days=36500)
    size = sizes(place.source.rglob("*.parquet"))
    # Read at the source and in the archive.
    assert heard.phases()[len(before) :] == [("verifying", 0, 2 * size)]


@pytest.mark.parametrize("alone", [True, False])
def test_progress_counts_verified_exports(place: ArchiveScene, heard: Heard, alone: bool) -> None:
    place.fill()
    before, size = heard.phases(), sizes(place.source.rglob("*.parquet"))
    place.verify(alone=alone)
    found = heard.phases()[len(before) :]
    # With a database, a worker verifies the rows and starts that phase itself.
    assert found[-1] == ("verifying", size, size)
    assert len(found) == (2 if alone else 1) and len(set(found)) == 1
