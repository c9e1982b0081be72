# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filling the archive: exports that are copied, skipped or refused, and its journal entries."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
import re
import typing as t
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import OptionError, PermissionMissing, StorageError, TamperedData
from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import access
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import archive_days
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.local import LocalStore
from scenes import archive_scene, s3_policies
from scenes.archive_scene import ArchiveScene
from scenes.metrics_text import parse
from scenes.s3_server import BACKUP, DRILL, S3Server
from scenes.scene import BACKUP_HOST, tree
from scenes.twin_database import TwinCluster

MODULE = "audit_export_archive"
DAY = dt.timedelta(days=1)
GUIDE = s3_policies.GUIDE.with_name("guide_audit_exports.rst")


@pytest.fixture
def place(archive_twin: TwinCluster, tmp_path: Path) -> ArchiveScene:
    return archive_scene.new(tmp_path, archive_twin)


@pytest.fixture
def in_bucket(archive_twin: TwinCluster, s3: S3Server, tmp_path: Path) -> ArchiveScene:
    return archive_scene.new(tmp_path, archive_twin, s3)


def newest(place: ArchiveScene) -> Path:
    """Return the last export at the source."""
    return max(place.source.rglob("*.parquet"))


@pytest.mark.no_false_alarm
def test_every_export_is_archived_byte_for_byte_and_entered_by_day(place: ArchiveScene) -> None:
    files = sorted(place.source.rglob("*.parquet"))
    before = tree(place.scene.repository)
    dry = place.fill(check_mode=True)
    assert (tree(place.scene.repository), Path(place.archive).exists()) == (before, False)
    made = place.fill()
    assert {**made, "seconds": 0, "journal_head": ""} == {**dry, "seconds": 0, "journal_head": ""}
    assert (made["changed"], len(made["archived"]), made["faults"]) == (True, len(files), [])
    assert made["diff"]["before"].count("absent") == len(files)

    assert place.stored() == [f"archive/{path.relative_to(place.source)}" for path in files]
    assert [place.file(f"archive/{path.relative_to(place.source)}").read_bytes() for path in files] == [path.read_bytes() for path in files]
    subjects = {key: digest for entry in place.entries() for key, digest in entry.subjects.items()}
    assert subjects == {key: hashlib.sha256(place.file(key).read_bytes()).hexdigest() for key in place.stored()}
    assert [entry.body["day"] for entry in place.entries()] == made["days"] == sorted({path.stem[:10] for path in files})
    assert {entry.principal for entry in place.entries()} == {"backup@prod"}

    again, whole = place.fill(), tree(Path(place.archive))
    assert (again["changed"], again["unchanged"], again["days"]) == (False, len(files), [])
    assert (tree(Path(place.archive)), len(place.entries())) == (whole, len(made["days"]))


def test_metrics_report_the_last_archived_hour(place: ArchiveScene, tmp_path: Path) -> None:
    path = tmp_path / "archive.prom"
    place.fill(check_mode=True, metrics_file=str(path))
    assert not path.exists()
    made, labels = place.fill(metrics_file=str(path)), (("deployment", "prod"),)
    found = parse(path.read_text())
    end = dt.datetime.strptime(f"{made['last_hour']}+0000", "%Y-%m-%dT%H%z") + dt.timedelta(hours=1)
    assert found["caracal_backup_archive_last_hour_timestamp_seconds"] == {labels: end.timestamp()}
    copied = found["caracal_backup_archive_copied_exports"]
    assert copied == found["caracal_backup_archive_exports"] == {labels: len(place.stored())} and made["archived"]
    newest(place).write_bytes(b"PAR1 other PAR1")
    place.fill(metrics_file=str(path))
    again = parse(path.read_text())
    assert again["caracal_backup_archive_faults"] == {labels: 1} and again["caracal_backup_archive_copied_exports"] == {labels: 0}


def test_late_hour_gets_a_separate_journal_entry(place: ArchiveScene) -> None:
    first = min(place.source.rglob("*.parquet"))
    kept = first.read_bytes()
    first.unlink()
    made = place.fill()
    first.write_bytes(kept)
    late = place.fill()
    assert (late["archived"], late["unchanged"], late["days"]) == ([first.stem], len(made["archived"]), [first.stem[:10]])
    assert list(place.entries()[-1].subjects) == [f"archive/{first.relative_to(place.source)}"]


def test_a_day_is_entered_when_it_is_over(place: ArchiveScene, monkeypatch: pytest.MonkeyPatch) -> None:
    path = newest(place)
    midnight = dt.datetime.strptime(path.stem + "+0000", "%Y-%m-%dT%H%z").replace(hour=0) + DAY
    monkeypatch.setattr(LocalStore, "clock", lambda _store: access.now())
    monkeypatch.setattr(access, "now", lambda: midnight + dt.timedelta(hours=1, minutes=59))
    early = place.fill()
    assert path.stem in early["archived"] and path.stem[:10] not in early["days"]
    assert archive_scene.verdicts(place.verify())["archive.journal"] == "pass"
    monkeypatch.setattr(access, "now", lambda: midnight + dt.timedelta(hours=2))
    later = place.fill()
    assert (later["changed"], later["archived"], later["days"]) == (True, [], [path.stem[:10]])
    assert not place.fill()["changed"]


def test_run_after_a_killed_run_completes_the_entries(place: ArchiveScene, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_arguments: t.Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("ansible_collections.caracal_ops.backup.plugins.module_utils._audit.exports.audit_export_archive._enter", die)
        with pytest.raises(KeyboardInterrupt):
            place.fill()
    assert (len(place.stored()), place.entries()) == (len(list(place.source.rglob("*.parquet"))), [])
    result = place.fill()
    assert (result["changed"], result["archived"], bool(result["days"])) == (True, [], True)
    assert place.verify()["verdict"] == "pass"


@pytest.mark.mutation
def test_changed_source_is_reported_and_other_exports_continue(place: ArchiveScene) -> None:
    path = newest(place)
    kept = path.read_bytes()
    path.unlink()
    place.fill()
    changed = min(place.source.rglob("*.parquet"))
    changed.write_bytes(changed.read_bytes() + b"PAR1")
    path.write_bytes(kept)
    result = place.fill()
    assert result["failed"] and result["archived"] == [path.stem]
    assert f"archive/{changed.relative_to(place.source)} is inconsistent: its source has other content" in result["msg"]
    assert place.verify()["verdict"] == "pass"


@pytest.mark.mutation
def test_missing_export_is_restored_only_with_the_same_bytes(place: ArchiveScene) -> None:
    place.fill()
    path = newest(place)
    key = f"archive/{path.relative_to(place.source)}"
    place.file(key).unlink()
    warnings: list[str] = []
    result = place.fill(warn=warnings.append)
    assert (result["archived"], result["days"]) == ([path.stem], []) and "is missing" in warnings[0]
    assert place.verify()["verdict"] == "pass"
    place.file(key).unlink()
    path.write_bytes(path.read_bytes() + b"PAR1")
    result = place.fill()
    assert result["failed"] and "missing in the archive" in result["msg"] and not place.file(key).exists()


@pytest.mark.mutation
def test_half_a_file_is_not_archived(place: ArchiveScene) -> None:
    path = newest(place)
    path.write_bytes(path.read_bytes()[:-1])
    for check_mode in (True, False):
        result = place.fill(check_mode=check_mode)
        assert result["failed"] and "not a complete Parquet file" in result["msg"] and path.stem not in result["archived"]
    assert not [key for key in place.stored() if path.stem in key]
    assert not place.fill()["changed"]


def test_unknown_files_are_reported_and_not_archived(place: ArchiveScene) -> None:
    (place.source / "audit" / "notes.txt").write_text("x")
    assert place.fill()["strange"] == ["audit/notes.txt"]
    assert not [key for key in place.stored() if "notes" in key]


def test_refuses_invalid_options_and_sources(place: ArchiveScene, tmp_path: Path) -> None:
    usual = {"source": str(place.source), "archive": place.archive}
    place.scene.refused(MODULE, OptionError, "compare_days", **{**usual, "compare_days": -1})
    place.scene.refused(MODULE, OptionError, "is the archive itself", **{**usual, "archive": str(place.source)})
    place.scene.refused(MODULE, StorageError, "has no hourly export", **{**usual, "source": str(tmp_path)})
    place.scene.refused(MODULE, StorageError, "check the option source", **{**usual, "source": str(tmp_path / "nowhere")})
    place.scene.refused(MODULE, OptionError, "is inside the repository", **{**usual, "archive": str(place.scene.root / "backup")})


def test_repository_can_contain_the_archive(place: ArchiveScene) -> None:
    own: dict[str, t.Any] = {"archive": None}
    place.fill(**own)
    assert (place.scene.repository / "archive" / "audit").is_dir()
    assert place.verify(**own)["verdict"] == "pass"


@pytest.mark.mutation
def test_refuses_a_journal_entry_of_another_day(place: ArchiveScene) -> None:
    place.fill()
    entry = place.entries()[0]
    entry.body["day"] = "2020-01-01"
    with pytest.raises(TamperedData, match="object of another day"):
        archive_days.entered([entry])
    entry.body["day"] = "someday"
    with pytest.raises(TamperedData, match="invalid day"):
        archive_days.entered([entry])


@pytest.mark.mutation
def test_first_journal_entry_of_an_export_counts(place: ArchiveScene) -> None:
    place.fill()
    entry = place.entries()[0]
    key = next(iter(entry.subjects))
    other = dataclasses.replace(entry, sequence=entry.sequence + 100, subjects={key: "0" * 64})
    assert archive_days.entered([entry, entry])[key].other == 0
    known = archive_days.entered([entry, other])[key]
    assert (known.sha256, known.sequence, known.other) == (entry.subjects[key], entry.sequence, other.sequence)


@pytest.mark.no_false_alarm
def test_exports_in_a_bucket_are_locked_once(in_bucket: ArchiveScene) -> None:
    made = in_bucket.fill()
    key = in_bucket.stored()[0]
    locked = in_bucket.client.head_object(**in_bucket.named(key))
    assert locked["ObjectLockMode"] == "GOVERNANCE"
    left = locked["ObjectLockRetainUntilDate"] - dt.datetime.now(dt.timezone.utc)
    assert DAY * (archive_scene.DAYS - 1) < left <= DAY * archive_scene.DAYS
    assert all((entry.body["mode"], bool(entry.body["until"])) == ("GOVERNANCE", True) for entry in in_bucket.entries())
    again = in_bucket.fill(compare_days=10_000)
    assert (again["changed"], again["unchanged"]) == (False, len(made["archived"]))
    versions = in_bucket.client.list_object_versions(Bucket=in_bucket.bucket[0], Prefix=in_bucket.bucket[1])
    assert len(versions["Versions"]) == len(made["archived"])


def test_a_shorter_lock_is_extended_once(in_bucket: ArchiveScene) -> None:
    place = in_bucket
    short = place.place(lock_days={"archive": 1})
    made = place.fill(**short)
    asked = place.place(lock_days={"archive": 300})
    predicted = place.fill(check_mode=True, **asked)
    done = place.fill(**asked)
    assert done["extended"] == predicted["extended"] == made["archived"] and done["days"] == predicted["days"]
    assert done["diff"]["before"] != done["diff"]["after"]
    until = place.client.head_object(**place.named(place.stored()[0]))["ObjectLockRetainUntilDate"]
    assert until > dt.datetime.now(dt.timezone.utc) + 299 * DAY
    assert not place.fill(**asked)["changed"]
    assert place.verify(**asked)["verdict"] == "pass"


@pytest.mark.mutation
@pytest.mark.parametrize("marker", [True, False])
def test_reports_a_newer_version_or_marker_over_an_export(in_bucket: ArchiveScene, marker: bool) -> None:
    in_bucket.fill()
    key = in_bucket.stored()[-1]
    if marker:
        in_bucket.client.delete_object(**in_bucket.named(key))
    else:
        in_bucket.client.put_object(**in_bucket.named(key), Body=b"PAR1 other PAR1")
    result = in_bucket.fill()
    assert result["failed"] and f"{key} is shadowed" in result["msg"]
    assert ("delete marker" if marker else "another version") in result["msg"] and not result["changed"]


def test_policy_of_the_guide_is_enough_for_a_source_bucket(place: ArchiveScene, s3: S3Server) -> None:
    bucket = s3.bucket(lock=False, versions=False)
    for path in place.source.rglob("*.parquet"):
        s3.client.put_object(Bucket=bucket, Key=str(path.relative_to(place.source)), Body=path.read_bytes())
    policy = re.search(r":caption: Policy for the source\n\n((?:   .*\n)+)", GUIDE.read_text(encoding="utf-8"))
    assert policy
    document = json.loads(policy[1].replace("EXPORTS", bucket))
    for statement in document["Statement"]:
        statement["Principal"] = {"AWS": f"arn:aws:iam::000000000000:user/{BACKUP}"}
    login = {f"source_{name}": value for name, value in s3.options(BACKUP).items()}
    place.scene.refused(MODULE, PermissionMissing, source=f"s3://{bucket}", archive=place.archive, **login)
    s3.client.put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))
    made = place.fill(source=f"s3://{bucket}", **login)
    assert len(made["archived"]) == len(list(place.source.rglob("*.parquet")))
    assert place.verify()["verdict"] == "pass"


@pytest.mark.mutation
def test_overwritten_source_is_archived_in_its_first_version(place: ArchiveScene, s3: S3Server) -> None:
    bucket, path = s3.bucket(lock=False), newest(place)
    for body in (path.read_bytes(), b"PAR1 another PAR1"):
        s3.client.put_object(Bucket=bucket, Key=str(path.relative_to(place.source)), Body=body)
    warnings: list[str] = []
    login = {f"source_{name}": value for name, value in s3.options().items()}
    place.fill(source=f"s3://{bucket}", warn=warnings.append, **login)
    assert [place.file(key).read_bytes() for key in place.stored()] == [path.read_bytes()]
    assert "has 2 versions" in warnings[0]


@pytest.mark.mutation
def test_the_policies_of_the_guide_are_enough_and_no_more(archive_twin: TwinCluster, s3: S3Server, tmp_path: Path) -> None:
    """Repository and archive share one bucket. The backup host fills the archive and cannot remove anything; the drill host verifies it."""
    place = archive_scene.new(tmp_path, archive_twin)
    place.scene.mark(BACKUP_HOST).unlink()
    bucket = s3.bucket()
    s3_policies.enforce(s3, bucket, "prod")
    repository = {"repository": f"s3://{bucket}/prod", "lock_mode": "GOVERNANCE"}
    place.scene.call("backup_set", state="open", create_repository=True, **repository, **s3.options(BACKUP))
    usual: dict[str, t.Any] = {**repository, "archive": None}
    mine = {**usual, **s3.options(BACKUP)}
    made = place.fill(**mine, lock_days={"archive": 1})
    assert place.fill(**mine)["extended"] == made["archived"]
    assert place.fill(**mine)["changed"] is False
    verified = place.verify(**usual, **s3.options(DRILL))
    assert verified["verdict"] == "pass", verified["checks"]
    client = s3.client_of(BACKUP)
    prefix = "prod/archive/"
    versions = client.list_object_versions(Bucket=bucket, Prefix=prefix)["Versions"]
    assert len(versions) == len(made["archived"])
    for more in ({}, {"VersionId": versions[0]["VersionId"]}):
        with pytest.raises(ClientError, match="AccessDenied"):
            client.delete_object(Bucket=bucket, Key=versions[0]["Key"], **more)
