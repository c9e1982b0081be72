# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Metrics that jobs write for node_exporter. A failure to write them does not fail the job.

The drill's metrics are tested with drill_report.
"""

from __future__ import annotations

import datetime
import shutil
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import OptionError, StorageError
from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import access, metrics
from ansible_collections.caracal_ops.backup.plugins.module_utils._report import prometheus
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.fields import parse_timestamp
from scenes import scene as scenes
from scenes.metrics_text import parse
from scenes.old_repository import OldRepository
from scenes.scene import Scene

LABELS = (("deployment", "prod"),)


@pytest.fixture
def waited(dumped: Scene) -> tuple[Scene, str]:
    """Return the scene and the ID of a set that is dumped and not committed. Another session waited during its dump."""
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

    opened = access.open_repository(scene.access())
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
        "findings": {(*LABELS, ("state", one)): 0 for one in ("open", "acknowledged")},
        "sets": {LABELS: 3},
        "repository_free_bytes": found["repository_free_bytes"],
        "identity_proved_timestamp_seconds": {(*LABELS, ("recipient", one)): 0 for one in manifest.artifacts[0].recipients},
        "journal_entries": {LABELS: 4},
        "journal_head_info": {(*LABELS, ("head", made["journal_head"])): 1},
    }
    (free,) = found["repository_free_bytes"].values()
    assert free == pytest.approx(shutil.disk_usage(scene.repository).free, rel=0.2)
    path.write_text("gone")
    assert not scene.call("backup_set", check_mode=True, **given)["changed"] and path.read_text() == "gone"
    assert not scene.call("backup_set", **given)["changed"]
    assert parse(path.read_text())["caracal_backup_journal_entries"] == {LABELS: 4}


def test_older_set_does_not_write_metrics_of_newest_set(scene: Scene, tmp_path: Path) -> None:
    path = tmp_path / "backup.prom"
    older, newest = scene.sets()
    for set_id, exists in ((older, False), (newest, True)):
        assert not scene.call("backup_set", state="committed", set_id=set_id, metrics_file=str(path))["changed"]
        assert path.exists() == exists


@pytest.mark.mutation
def test_a_wrong_place_is_refused_before_the_work_and_costs_no_set_after_it(waited: tuple[Scene, str], tmp_path: Path) -> None:
    scene, set_id = waited
    nowhere, named = str(tmp_path / "no" / "x.prom"), str(tmp_path / "x.txt")
    scene.refused("backup_set", StorageError, nowhere, "the directory", state="open", metrics_file=nowhere)
    scene.refused("backup_set", OptionError, named, ".prom", state="open", metrics_file=named)
    for check_mode in (True, False):
        warnings: list[str] = []
        given = {"state": "committed", "set_id": set_id, "metrics_file": nowhere}
        assert scene.call("backup_set", check_mode=check_mode, warn=warnings.append, **given)["changed"]
        assert len(warnings) == 1 and nowhere in warnings[0]
    assert scene.sets()[-1] == set_id


def values_of(path: Path, *, deployment: str = "prod") -> dict[str, t.Any]:
    """Return the deployment's value of each metric. If a metric has labels, return its values by the last label."""
    found: dict[str, t.Any] = {}
    for name, samples in parse(path.read_text()).items():
        assert all(labels[0] == ("deployment", deployment) for labels in samples)
        by_label = {labels[-1][1]: value for labels, value in samples.items()}
        found[name.removeprefix("caracal_backup_")] = by_label if len(next(iter(samples))) > 1 else next(iter(by_label.values()))
    return found


def recently(timestamp: float) -> bool:
    return abs(timestamp - access.now().timestamp()) < 60


def test_backup_metrics_report_time_of_identity_proof(old: OldRepository, tmp_path: Path) -> None:
    given = {"state": "committed", "set_id": old.made[-1], "metrics_file": str(tmp_path / "backup.prom")}
    for proved in (False, True):
        if proved:
            old.call("escrow_verify", "operator")
        assert not old.call("backup_set", "backup", **given)["changed"]
        times = values_of(tmp_path / "backup.prom")["identity_proved_timestamp_seconds"]
        assert list(times) == [old.recipient.fingerprint] and bool(times[old.recipient.fingerprint]) == proved
    entered = old.journal().of_kind("escrow")[-1].judged.timestamp()
    assert times == {old.recipient.fingerprint: entered} and values_of(tmp_path / "backup.prom")["sets"] == len(old.sets())


def test_prune_metrics_report_pruned_sets_and_stop(old: OldRepository, tmp_path: Path) -> None:
    path = tmp_path / "prune.prom"
    old.prune(check_mode=True, metrics_file=str(path))
    assert not path.exists()
    done = old.prune(metrics_file=str(path))
    found = values_of(path)
    assert recently(found.pop("prune_finished_timestamp_seconds")) and done["pruned"]
    assert found == {
        "prune_stopped": 0,
        "prune_pruned_sets": len(done["pruned"]),
        "prune_kept_sets": len(old.sets()),
        "prune_freed_bytes": done["bytes"],
        "prune_locked_objects": 0,
    }
    old.add(1, size=1)
    assert old.prune(metrics_file=str(path))["stopped"] and values_of(path)["prune_stopped"] == 1


def test_copy_metrics_report_copied_objects_and_bytes(old: OldRepository, tmp_path: Path) -> None:
    path = tmp_path / "copy.prom"
    given = {"destination": str(tmp_path / "copy"), "metrics_file": str(path)}
    old.call("repository_copy", "operator", check_mode=True, **given)
    assert not path.exists()
    done = old.call("repository_copy", "operator", **given)
    found = values_of(path)
    assert recently(found.pop("copy_finished_timestamp_seconds"))
    assert found == {"copy_copied_objects": done["copied"], "copy_copied_bytes": done["bytes"], "copy_kept_objects": 0, "copy_faults": 0}


@pytest.mark.parametrize("whole", [True, False])
def test_verification_metrics_report_verdict(old: OldRepository, tmp_path: Path, whole: bool) -> None:
    path = tmp_path / "verify.prom"
    if not whole:
        old.path(old.manifest_of(old.made[-1]).artifacts[0].path).unlink()
    given = {"identity_files": [str(old.identity)], "signing_key": None, "metrics_file": str(path), "require_valid": False}
    old.see("drill")
    old.call("repository_verify", "drill", check_mode=True, **given)
    assert not path.exists()
    done = old.call("repository_verify", "drill", **given)
    found = values_of(path)
    assert recently(found["verification_finished_timestamp_seconds"])
    assert found["verification_verdict"] == {"pass": float(whole), "fail": float(not whole), "unproven": 0}
    assert found["verification_failed_sets"] == len(done["failed_sets"]) == int(not whole)
    assert found["verification_read_bytes"] == done["bytes"] and sum(found["verification_checks"].values()) == len(done["checks"])


@pytest.mark.parametrize("verdict", ["pass", "warn", "fail", "unproven"])
def test_checkpoint_metrics_report_verdict(tmp_path: Path, verdict: str) -> None:
    now = datetime.datetime(2026, 11, 25, 3, tzinfo=datetime.timezone.utc)
    samples = metrics.of_checkpoint("prod", verdict, 0.8, 1840, now)
    prometheus.write(str(tmp_path / "x.prom"), prometheus.render(samples))
    assert values_of(tmp_path / "x.prom") == {
        "checkpoint_finished_timestamp_seconds": now.timestamp(),
        "checkpoint_duration_seconds": 0.8,
        "checkpoint_verdict": {one: float(one == verdict) for one in ("pass", "warn", "fail", "unproven")},
        "checkpoint_rows": 1840,
    }


@pytest.mark.parametrize(("hours", "last"), [([], None), ([493_000], 493_001 * 3600), ([493_000, 70_389_527], 70_389_528 * 3600)])
def test_archive_metrics_report_end_of_last_hour_also_in_year_9999(hours: list[int], last: int | None) -> None:
    now = datetime.datetime(2026, 11, 25, 3, tzinfo=datetime.timezone.utc)
    samples = metrics.of_archive("prod", 1.5, 0, hours, 21, now)
    found = {one.name.removeprefix("caracal_backup_archive_"): one.value for one in samples}
    wanted = {
        "finished_timestamp_seconds": now.timestamp(),
        "duration_seconds": 1.5,
        "exports": len(hours),
        "copied_exports": 0,
        "faults": 21,
    }
    assert found == (wanted if last is None else {**wanted, "last_hour_timestamp_seconds": last})


@pytest.mark.mutation
def test_backup_set_succeeds_without_metrics_if_free_space_is_unreadable(
    old: OldRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal entry that the operator has not corrected yet, and free space that cannot be queried. The set is still valid."""

    def refuse(_store: object) -> int:
        raise StorageError("the room cannot be asked for; try again")

    monkeypatch.setattr("ansible_collections.caracal_ops.backup.plugins.module_utils._storage.local.LocalStore.free_bytes", refuse)
    assert not old.call("backup_set", "backup", state="committed", set_id=old.made[-1], metrics_file=str(tmp_path / "x.prom"))["changed"]
    assert not (tmp_path / "x.prom").exists()


def test_a_set_of_an_earlier_version_has_no_lock_wait(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ansible_collections.caracal_ops.backup.plugins.module_utils._evidence.metrics.LOCK_WAIT", "other.")
    scene.call("backup_set", state="committed", set_id=scene.sets()[-1], metrics_file=str(tmp_path / "x.prom"))
    assert "caracal_backup_longest_lock_wait_seconds" not in parse((tmp_path / "x.prom").read_text())
