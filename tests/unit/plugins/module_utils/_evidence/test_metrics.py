# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a backup leaves for node_exporter, and that no backup is lost for it. The drill's is in the tests of drill_report."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import OptionError, StorageError
from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import options
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.fields import parse_timestamp
from scenes import scene as scenes
from scenes.metrics_text import parse
from scenes.scene import Scene

LABELS = (("deployment", "prod"),)


@pytest.fixture
def waited(dumped: Scene) -> tuple[Scene, str]:
    """A set that is dumped and not committed, during whose dump somebody waited: its scene and id."""
    (part,) = dumped.repository.glob("sets/*/parts/postgres.json")
    set_id = part.parent.parent.name

    def wait(_name: str, content: scenes.Result) -> None:
        for one, seconds in zip(content["sources"], (0.25, 4.125), strict=True):
            one["longest_wait"] = seconds

    scenes.rewrite_parts(dumped, set_id, wait)
    return dumped, set_id


def test_a_commit_writes_what_it_did(waited: tuple[Scene, str], tmp_path: Path) -> None:
    (scene, set_id), path = waited, tmp_path / "backup.prom"
    given: dict[str, t.Any] = {"state": "committed", "set_id": set_id, "metrics_file": str(path)}
    assert scene.call("backup_set", check_mode=True, **given)["changed"] and not path.exists()
    made = scene.call("backup_set", **given)
    assert made["changed"] and path.stat().st_mode & 0o7777 == 0o644

    opened = options.open_repository(scene.options("backup_set_verify"))
    manifest = opened.catalog.open(set_id).manifest
    entry = opened.journal.entries[-1]
    assert manifest.timings["lock_wait.caracal_auth"] == 4.125 and parse_timestamp(entry.time["host"] or "") == entry.judged
    found = {name.removeprefix("caracal_backup_"): values for name, values in parse(path.read_text()).items()}
    assert found == {
        "last_snapshot_timestamp_seconds": {LABELS: min(one.snapshot_time for one in manifest.sources).timestamp()},
        "last_commit_timestamp_seconds": {LABELS: entry.judged.timestamp()},
        "last_size_bytes": {LABELS: made["bytes"]},
        "last_artifacts": {LABELS: made["artifacts"]},
        "longest_lock_wait_seconds": {LABELS: 4.125},
        "journal_entries": {LABELS: 4},
        "journal_head_info": {(*LABELS, ("head", made["journal_head"])): 1},
    }
    path.write_text("gone")
    assert not scene.call("backup_set", check_mode=True, **given)["changed"] and path.read_text() == "gone"
    assert not scene.call("backup_set", **given)["changed"]
    assert parse(path.read_text())["caracal_backup_journal_entries"] == {LABELS: 4}


def test_an_older_set_leaves_the_metrics_of_the_newest_alone(scene: Scene, tmp_path: Path) -> None:
    path = tmp_path / "backup.prom"
    older, newest = scene.sets()
    for set_id, exists in ((older, False), (newest, True)):
        assert not scene.call("backup_set", state="committed", set_id=set_id, metrics_file=str(path))["changed"]
        assert path.exists() == exists


@pytest.mark.mutation
def test_a_wrong_place_is_refused_before_the_work_and_costs_no_set_after_it(waited: tuple[Scene, str], tmp_path: Path) -> None:
    scene, set_id = waited
    nowhere, named = str(tmp_path / "no" / "x.prom"), str(tmp_path / "x.txt")
    scene.refused("backup_set", StorageError, nowhere, "there is no folder", state="open", metrics_file=nowhere)
    scene.refused("backup_set", OptionError, named, ".prom", state="open", metrics_file=named)
    for check_mode in (True, False):
        warnings: list[str] = []
        given = {"state": "committed", "set_id": set_id, "metrics_file": nowhere}
        assert scene.call("backup_set", check_mode=check_mode, warn=warnings.append, **given)["changed"]
        assert len(warnings) == 1 and nowhere in warnings[0]
    assert scene.sets()[-1] == set_id


def test_a_set_of_an_earlier_version_has_no_lock_wait(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ansible_collections.caracal_ops.backup.plugins.module_utils._evidence.metrics.LOCK_WAIT", "other.")
    scene.call("backup_set", state="committed", set_id=scene.sets()[-1], metrics_file=str(tmp_path / "x.prom"))
    assert "caracal_backup_longest_lock_wait_seconds" not in parse((tmp_path / "x.prom").read_text())
