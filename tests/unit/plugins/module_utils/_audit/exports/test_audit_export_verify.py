# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verification of an archive with every kind of damage: in a directory, and in a bucket with versions and locks."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import OptionError, TamperedData
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import archive_days
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.entry import Entry
from scenes import archive_scene
from scenes.archive_scene import ArchiveScene, Finding, found, verdicts
from scenes.s3_server import S3Server
from scenes.twin_database import TwinCluster
from twin import exports as files

MODULE = "audit_export_verify"
GONE = {("archive.journal", "gone")}
MISSING = {("exports.complete", "missing_hour"), ("exports.sequence", "hole")}
ALTERED = {("archive.journal", "altered")}
DIFFERS = {("exports.database", "archive_differs")}


@pytest.fixture(scope="module")
def _filled(archive_twin: TwinCluster, tmp_path_factory: pytest.TempPathFactory) -> ArchiveScene:
    made = archive_scene.new(tmp_path_factory.mktemp("archive"), archive_twin)
    made.fill()
    return made


@pytest.fixture
def place(_filled: ArchiveScene, tmp_path: Path) -> ArchiveScene:
    return _filled.copy(tmp_path)


@pytest.fixture
def in_bucket(archive_twin: TwinCluster, s3: S3Server, tmp_path: Path) -> ArchiveScene:
    made = archive_scene.new(tmp_path, archive_twin, s3)
    made.fill()
    return made


def middle(place: ArchiveScene) -> Path:
    keys = place.stored()
    return place.file(keys[len(keys) // 2])


@pytest.mark.no_false_alarm
def test_a_whole_archive_passes(place: ArchiveScene) -> None:
    result = place.verify()
    assert (result["verdict"], found(result)) == ("pass", set()), result["checks"]
    assert verdicts(result) == {
        **dict.fromkeys(("journal.freshness", "archive.objects", "archive.journal"), "pass"),
        "archive.shadowed": "not_applicable",
        "archive.lock": "warn",
        **dict.fromkeys(("archive.begins", "exports.readable", "exports.complete", "exports.hmac_key"), "pass"),
        **dict.fromkeys(("exports.hmac", "exports.sequence", "exports.database", "exports.content"), "pass"),
    }
    assert result["coverage"]["files"] == result["coverage"]["entered"] == len(place.stored())


@pytest.mark.no_false_alarm
def test_unverifiable_checks_are_unproven(place: ArchiveScene) -> None:
    alone = place.verify(alone=True)
    assert (alone["verdict"], found(alone)) == ("unproven", set())
    assert verdicts(alone)["exports.complete"] == verdicts(alone)["exports.database"] == "unproven"
    assert verdicts(place.verify(audit_hmac_key_files=[]))["exports.hmac"] == "unproven"


def missing(place: ArchiveScene) -> set[Finding]:
    middle(place).unlink()
    return GONE | MISSING


def truncated(place: ArchiveScene) -> set[Finding]:
    path = middle(place)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return ALTERED | {("exports.readable", "unreadable_hour"), ("exports.sequence", "hole")}


def row_changed(place: ArchiveScene) -> set[Finding]:
    rows = files.read(str(middle(place)))
    rows[0]["decision"] = "another"
    files.write(str(middle(place)), rows)
    return ALTERED | DIFFERS


def hash_changed(place: ArchiveScene) -> set[Finding]:
    rows = files.read(str(middle(place)))
    rows[0]["content_sha256"] = "0" * 64
    files.write(str(middle(place)), rows)
    return ALTERED | DIFFERS | {("exports.hmac", "hmac")}


def emptied(place: ArchiveScene) -> set[Finding]:
    files.write(str(middle(place)), [])
    return ALTERED | MISSING


def swapped(place: ArchiveScene) -> set[Finding]:
    one, other = (place.file(key) for key in place.stored()[3:5])
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)
    return ALTERED | DIFFERS


def doubled(place: ArchiveScene) -> set[Finding]:
    path = middle(place)
    second = next(path.with_name(f"{path.stem[:11]}{hour:02d}.parquet") for hour in range(24) if not _of_hour(path, hour).exists())
    second.write_bytes(path.read_bytes())
    return {("archive.journal", "not_entered"), ("exports.sequence", "duplicate")} | DIFFERS


def _of_hour(path: Path, hour: int) -> Path:
    return path.with_name(f"{path.stem[:11]}{hour:02d}.parquet")


def tail_cut(place: ArchiveScene) -> set[Finding]:
    for key in place.stored()[-3:]:
        place.file(key).unlink()
    return GONE | {("exports.complete", "missing_hour")}


def strange(place: ArchiveScene) -> set[Finding]:
    (Path(place.archive) / "archive" / "audit" / "notes").write_text("x")
    return {("archive.objects", "strange"), ("exports.readable", "strange_file")}


@pytest.mark.mutation
@pytest.mark.parametrize("damage", [missing, truncated, row_changed, hash_changed, emptied, swapped, doubled, tail_cut])
def test_a_damage_to_files_is_found(damage: t.Callable[[ArchiveScene], set[Finding]], place: ArchiveScene) -> None:
    expected = damage(place)
    result = place.verify()
    assert (found(result), result["verdict"]) == (expected, "fail"), result["checks"]
    alone = place.verify(alone=True)
    assert alone["verdict"] == "fail" or damage is doubled, alone["checks"]


@pytest.mark.no_false_alarm
def test_a_strange_file_is_only_a_warning(place: ArchiveScene) -> None:
    expected = strange(place)
    result = place.verify()
    assert (found(result), result["verdict"]) == (expected, "pass")


@pytest.mark.mutation
def test_lost_archive_fails_and_empty_archive_is_unproven(place: ArchiveScene, archive_twin: TwinCluster, tmp_path: Path) -> None:
    for key in place.stored():
        place.file(key).unlink()
    assert verdicts(place.verify())["archive.objects"] == "fail"
    empty = archive_scene.new(tmp_path / "empty", archive_twin)
    result = empty.verify()
    assert (result["verdict"], verdicts(result)["archive.objects"]) == ("unproven", "unproven")
    assert empty.scene.call(MODULE, database="caracal", **empty.place())["failed"]


@pytest.mark.mutation
def test_late_start_of_an_archive_differs_from_a_lost_start(archive_twin: TwinCluster, tmp_path: Path) -> None:
    place = archive_scene.new(tmp_path, archive_twin)
    for path in sorted(place.source.rglob("*.parquet"))[:5]:
        path.unlink()
    place.fill()
    result = place.verify()
    assert (result["verdict"], verdicts(result)["archive.begins"], found(result)) == ("pass", "warn", set()), result["checks"]
    assert "5 earlier events" in next(check["message"] for check in result["checks"] if check["id"] == "archive.begins")
    place.file(place.stored()[0]).unlink()
    result = place.verify()
    assert result["verdict"] == "fail"
    assert found(result) == GONE | {("exports.complete", "before_first_file")}, result["checks"]


@pytest.mark.mutation
def test_files_without_journal_entries_are_unproven(place: ArchiveScene, archive_twin: TwinCluster, tmp_path: Path) -> None:
    other = archive_scene.new(tmp_path / "other", archive_twin)
    result = other.verify(archive=place.archive)
    assert (result["verdict"], verdicts(result)["archive.journal"]) == ("unproven", "unproven")


@pytest.mark.mutation
def test_an_entry_that_was_changed_is_refused(place: ArchiveScene) -> None:
    path = max((place.scene.repository / "journal").glob("*.json"))
    entry = json.loads(path.read_text())
    entry["subject"][0]["digest"]["sha256"] = "0" * 64
    path.write_text(json.dumps(entry))
    place.scene.refused(MODULE, TamperedData, **place.place())


@pytest.mark.mutation
def test_archive_reveals_rows_deleted_from_the_database(_filled: ArchiveScene, caracal_archive_copy: str, tmp_path: Path) -> None:
    place = _filled.copy(tmp_path)
    usual = {"database": caracal_archive_copy}
    assert place.verify(**usual)["verdict"] == "pass"
    zone = "(SELECT zone_id FROM audit_events GROUP BY 1 ORDER BY count(*) DESC LIMIT 1)"
    place.cluster.execute(
        "SET session_replication_role = replica",
        f"DELETE FROM audit_events WHERE zone_id = {zone} AND chain_seq = 3",
        database=caracal_archive_copy,
    )
    result = place.verify(**usual)
    assert (result["verdict"], found(result)) == ("fail", {("exports.database", "missing_in_database")}), result["checks"]


def test_hours_within_the_lag_are_not_reported_missing(place: ArchiveScene, monkeypatch: pytest.MonkeyPatch) -> None:
    last = place.stored()[-1]
    place.file(last).unlink()
    now = dt.datetime.strptime(Path(last).stem + "+0000", "%Y-%m-%dT%H%z") + dt.timedelta(hours=2)
    monkeypatch.setattr("ansible_collections.caracal_ops.backup.plugins.module_utils._evidence.access.now", lambda: now)
    assert ("exports.complete", "missing_hour") not in found(place.verify(lag=3))
    assert ("exports.complete", "missing_hour") in found(place.verify(lag=0))
    place.scene.refused(MODULE, OptionError, "lag", lag=-1, **place.place())


@pytest.mark.no_false_alarm
def test_a_whole_bucket_passes(in_bucket: ArchiveScene) -> None:
    result = in_bucket.verify()
    assert (result["verdict"], found(result)) == ("pass", set()), result["checks"]
    assert verdicts(result)["archive.shadowed"] == verdicts(result)["archive.lock"] == "pass"
    lock = next(check for check in result["checks"] if check["id"] == "archive.lock")
    assert lock["details"]["days_left"] == archive_scene.DAYS - 1 and lock["details"]["not_locked"] == 0


def overwritten(place: ArchiveScene, key: str) -> set[Finding]:
    place.client.put_object(**place.named(key), Body=b"PAR1 another PAR1")
    return {("archive.shadowed", "overwritten")}


def hidden(place: ArchiveScene, key: str) -> set[Finding]:
    place.client.delete_object(**place.named(key))
    return {("archive.shadowed", "hidden")}


def shortened(place: ArchiveScene, key: str) -> set[Finding]:
    soon = dt.datetime.now(dt.timezone.utc) + dt.timedelta(days=2)
    place.client.put_object_retention(
        **place.named(key), Retention={"Mode": "GOVERNANCE", "RetainUntilDate": soon}, BypassGovernanceRetention=True
    )
    return {("archive.lock", "shortened")}


def destroyed(place: ArchiveScene, key: str) -> set[Finding]:
    _remove(place, key)
    return GONE | MISSING


def exchanged(place: ArchiveScene, key: str) -> set[Finding]:
    """Replace an export with the valid content of another hour, as an attacker can who may bypass the lock."""
    other = place.stored()[0]
    body = place.client.get_object(**place.named(other))["Body"].read()
    _remove(place, key)
    place.client.put_object(**place.named(key), Body=body)
    return ALTERED | DIFFERS | {("archive.lock", "shortened"), ("exports.sequence", "duplicate"), ("exports.sequence", "hole")}


def _remove(place: ArchiveScene, key: str) -> None:
    version = place.client.head_object(**place.named(key))["VersionId"]
    place.client.delete_object(**place.named(key), VersionId=version, BypassGovernanceRetention=True)


@pytest.mark.mutation
@pytest.mark.parametrize("damage", [overwritten, hidden, shortened, destroyed, exchanged])
def test_a_damage_to_a_bucket_is_found(damage: t.Callable[[ArchiveScene, str], set[Finding]], in_bucket: ArchiveScene) -> None:
    keys = in_bucket.stored()
    key = keys[len(keys) // 2]
    expected = damage(in_bucket, key)
    result = in_bucket.verify()
    assert (found(result), result["verdict"]) == (expected, "fail"), result["checks"]
    assert any(key in check["message"] for check in result["checks"] if check["verdict"] == "fail")


@pytest.mark.mutation
def test_a_lock_that_is_shorter_than_asked_is_found(in_bucket: ArchiveScene) -> None:
    asked = in_bucket.place(lock_days={"archive": 800}, lock_days_max=800)
    result = in_bucket.verify(**asked)
    assert found(result) == {("archive.lock", "short_lock")}
    result = in_bucket.verify(**in_bucket.place(lock_mode="COMPLIANCE"))
    assert found(result) == {("archive.lock", "short_lock")}


@pytest.mark.no_false_alarm
def test_export_lost_after_its_lock_expired_is_a_warning(in_bucket: ArchiveScene, monkeypatch: pytest.MonkeyPatch) -> None:
    _remove(in_bucket, in_bucket.stored()[0])
    assert ("archive.journal", "gone") in found(in_bucket.verify(alone=True))
    later = dt.datetime.now(dt.timezone.utc) + dt.timedelta(days=archive_scene.DAYS + 1)
    monkeypatch.setattr("ansible_collections.caracal_ops.backup.plugins.module_utils._evidence.access.now", lambda: later)
    result = in_bucket.verify(alone=True)
    assert (found(result), verdicts(result)["archive.journal"]) == ({("archive.journal", "expired")}, "warn")


@pytest.mark.mutation
def test_two_contradicting_entries_of_one_export_fail(place: ArchiveScene, monkeypatch: pytest.MonkeyPatch) -> None:
    real = archive_days.entered

    def twice(journal: t.Sequence[Entry]) -> dict[str, archive_days.Entered]:
        other = next(entry for entry in journal if entry.kind == "archive-day")
        return real([*journal, dataclasses.replace(other, sequence=999, subjects=dict.fromkeys(other.subjects, "0" * 64))])

    monkeypatch.setattr(archive_days, "entered", twice)
    result = place.verify()
    assert (found(result), result["verdict"]) == ({("archive.journal", "entered_twice")}, "fail")


@pytest.mark.mutation
def test_a_bucket_without_locks_is_a_warning(archive_twin: TwinCluster, s3: S3Server, tmp_path: Path) -> None:
    place = archive_scene.new(tmp_path, archive_twin, s3)
    unlocked = place.place(lock_mode="none")
    place.fill(**unlocked)
    result = place.verify(**unlocked)
    lock = next(check for check in result["checks"] if check["id"] == "archive.lock")
    assert (result["verdict"], lock["verdict"]) == ("pass", "warn") and "no export is locked" in lock["message"]
