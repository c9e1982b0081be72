# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Replay directories into a set and back: every byte, time, mode and owner. Also check mode and second runs."""

from __future__ import annotations

import os
import subprocess
import typing as t
from pathlib import Path

import pyrage
import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import replay
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import OptionError
from scenes.replay_folders import TIME, ReplayFolder, event, events, folder
from scenes.scene import ENTERED, Result, Scene

A, B, C, D = (f"pending-1-{TIME + number}.ndjson" for number in range(4))
ME = {"owner": os.geteuid(), "group": os.getegid()}


def open_id(scene: Scene) -> str:
    (part,) = scene.files("sets/*/parts/postgres.json")
    return part.split("/")[1]


def archive(scene: Scene, reading: int, *folders: ReplayFolder, warnings: list[str] | None = None, **given: t.Any) -> Result:
    volumes = [{"service": "sts", "replica": str(number), "path": str(one.volume)} for number, one in enumerate(folders, 1)]
    given = {"set_id": open_id(scene), "reading": reading, "volumes": volumes, **given}
    return scene.call("replay_volume_archive", warn=[].append if warnings is None else warnings.append, **given)


def commit(scene: Scene, *folders: ReplayFolder) -> str:
    """Commit the set. If the test is about pass 1, run pass 2 of `folders` first."""
    set_id = open_id(scene)
    if folders:
        archive(scene, 2, *folders)
    scene.call("backup_set", state="committed", set_id=set_id)
    return set_id


def restore(scene: Scene, *folders: ReplayFolder, warnings: list[str] | None = None, **given: t.Any) -> Result:
    volumes = [{"service": "sts", "replica": str(number), "path": str(one.volume)} for number, one in enumerate(folders, 1)]
    return scene.call(
        "replay_volume_restore", warn=[].append if warnings is None else warnings.append, **{"volumes": volumes, **ME, **given}
    )


@pytest.fixture
def source(tmp_path: Path) -> ReplayFolder:
    made = folder(tmp_path / "source")
    made.file(A, event("a-1") + event("a-2"))
    made.file(B, event("b-1"), TIME + 7, 0o640)
    return made


@pytest.fixture
def copy(tmp_path: Path) -> ReplayFolder:
    return folder(tmp_path / "copy")


@pytest.mark.no_false_alarm
def test_restores_every_byte_time_and_owner(dumped: Scene, source: ReplayFolder, copy: ReplayFolder) -> None:
    before = {path.name: (path.stat().st_mtime_ns, path.stat().st_atime_ns) for path in source.path.iterdir()}
    first = archive(dumped, 1, source)
    assert first["changed"] and first["volumes"] == [
        {
            "service": "sts",
            "replica": "1",
            "state": "archived",
            "files": 2,
            "bytes": len(event("a-1") * 3),
            "lines": 3,
            **dict.fromkeys(("unchanged", "drained", "incomplete", "unparsable", "oversized", "other", "unknown"), 0),
        }
    ]
    source.append(A, event("a-3"))
    source.file(C, event("c-1"))
    (source.path / B).unlink()
    second = archive(dumped, 2, source)["volumes"][0]
    assert (second["files"], second["lines"], second["unchanged"], second["drained"]) == (2, 4, 0, 1)
    set_id = commit(dumped)
    assert not dumped.files(f"sets/{set_id}/parts/*")
    predicted = restore(dumped, copy, check_mode=True)
    assert copy.content() == {} and os.listdir(copy.volume) == ["audit-replay"]
    result = restore(dumped, copy)
    assert {**result, **ENTERED} == {**predicted, **ENTERED}
    assert result["changed"] and result["volumes"][0]["restored"] == 3
    assert copy.content() == {**source.content(), B: event("b-1")}
    for name in (A, B, C):
        about = (copy.path / name).stat()
        assert (about.st_mode & 0o7777, about.st_uid, about.st_gid) == (replay.MODE, *ME.values())
    assert (copy.path / B).stat().st_mtime_ns == TIME + 7
    assert before[B][0] == TIME + 7 and (source.path / C).stat().st_mtime_ns == (copy.path / C).stat().st_mtime_ns
    again = restore(dumped, copy)
    assert not again["changed"] and again["volumes"][0]["skipped"] == 3 and again["diff"] == {"before": "", "after": ""}


def test_nothing_in_the_source_is_touched(dumped: Scene, source: ReplayFolder) -> None:
    def state() -> list[tuple[str, os.stat_result]]:
        return [(path.name, path.stat()) for path in [source.path, *sorted(source.path.iterdir())]]

    before = [(name, one.st_mtime_ns, one.st_ctime_ns, one.st_ino, one.st_mode) for name, one in state()]
    times = [one.st_atime_ns for name, one in state() if name != "audit-replay"]
    archive(dumped, 1, source)
    archive(dumped, 2, source)
    assert [(name, one.st_mtime_ns, one.st_ctime_ns, one.st_ino, one.st_mode) for name, one in state()] == before
    assert [one.st_atime_ns for name, one in state() if name != "audit-replay"] == times


def test_setting_the_owner_of_caracal_needs_root(dumped: Scene, source: ReplayFolder, copy: ReplayFolder) -> None:
    """The default is Caracal's own user, which only root can set. For other users the message shows how to run it."""
    archive(dumped, 1, source)
    commit(dumped, source)
    caracals = {"owner": replay.OWNER, "group": replay.OWNER}
    if os.geteuid() == 0:
        restore(dumped, copy, **caracals)
        assert {(path.stat().st_uid, path.stat().st_gid) for path in copy.path.iterdir()} == {(replay.OWNER, replay.OWNER)}
    else:
        with pytest.raises(Exception, match=r"run as root \(become\)"):
            restore(dumped, copy, **caracals)
        assert copy.content() == {}


def test_check_mode_predicts_and_a_second_run_changes_nothing(dumped: Scene, source: ReplayFolder) -> None:
    before = dumped.files()
    predicted = archive(dumped, 1, source, check_mode=True)
    assert dumped.files() == before and predicted["artifacts"] == [] and predicted["changed"]
    # The whole play runs in check mode: pass 1 was only predicted.
    assert archive(dumped, 2, source, check_mode=True)["volumes"] == predicted["volumes"]
    first = archive(dumped, 1, source)
    assert first["volumes"] == predicted["volumes"] and len(first["artifacts"]) == 2
    again = archive(dumped, 1, source)
    assert not again["changed"] and again["diff"]["before"] == again["diff"]["after"] == first["diff"]["after"]
    assert {**again, "seconds": 0, "changed": True, "diff": first["diff"]} == {**first, "seconds": 0}
    assert archive(dumped, 1, source, check_mode=True)["changed"] is False


def test_second_pass_without_new_files_has_no_archive(dumped: Scene, source: ReplayFolder, copy: ReplayFolder) -> None:
    archive(dumped, 1, source)
    second = archive(dumped, 2, source)
    assert [one["path"].rpartition("/")[2] for one in second["artifacts"]] == ["sts-1.2.json.zst.age"]
    assert (second["volumes"][0]["files"], second["volumes"][0]["unchanged"]) == (0, 2)
    commit(dumped)
    restore(dumped, copy)
    assert copy.content() == source.content()


def test_empty_directory_is_archived_and_restored_empty(dumped: Scene, tmp_path: Path, copy: ReplayFolder) -> None:
    result = archive(dumped, 1, folder(tmp_path / "source"))
    assert (result["volumes"][0]["state"], result["volumes"][0]["files"], len(result["artifacts"])) == ("archived", 0, 2)
    commit(dumped, ReplayFolder(tmp_path / "source"))
    restored = restore(dumped, copy)
    assert not restored["changed"] and restored["volumes"][0]["files"] == 0


def test_incomplete_last_line_is_restored_to_quarantine(dumped: Scene, source: ReplayFolder, copy: ReplayFolder) -> None:
    source.append(A, b'{"id":"torn')
    source.file(C, b"no newline at all")
    warnings: list[str] = []
    assert archive(dumped, 1, source)["volumes"][0]["bytes"] == len(event("a-1")) * 3
    source.file(D, event("d-1") + b'{"new')
    second = archive(dumped, 2, source, warnings=warnings)["volumes"][0]
    assert second["incomplete"] == 3 and len([one for one in warnings if "incomplete line" in one]) == 3
    commit(dumped)
    predicted = restore(dumped, copy, check_mode=True)
    warnings.clear()
    result = restore(dumped, copy, warnings=warnings)
    assert {**result, **ENTERED} == {**predicted, **ENTERED}
    assert copy.content() == {A: event("a-1") + event("a-2"), B: event("b-1"), C: b"", D: event("d-1")}
    quarantine = Path(f"{copy.volume}.quarantine")
    assert quarantine.stat().st_mode & 0o7777 == 0o700
    assert {path.name: path.read_bytes() for path in quarantine.iterdir()} == {A: b'{"id":"torn', C: b"no newline at all", D: b'{"new'}
    assert result["volumes"][0]["quarantined"] == 3 and any(str(quarantine) in one for one in warnings)
    assert not restore(dumped, copy)["changed"]


def test_keeps_both_files_with_one_name_and_different_content(dumped: Scene, source: ReplayFolder, copy: ReplayFolder) -> None:
    archive(dumped, 1, source)
    source.file(A, event("other"))
    warnings: list[str] = []
    assert archive(dumped, 2, source, warnings=warnings)["volumes"][0]["other"] == 1
    assert any("with this name in reading 1" in one for one in warnings)
    commit(dumped)
    restore(dumped, copy)
    assert sorted(events(copy.content().values())) == ["a-1", "a-2", "b-1", "other"]
    assert all(replay.is_pending(name) for name in copy.content())


def test_restore_keeps_existing_files_in_the_target(dumped: Scene, source: ReplayFolder, copy: ReplayFolder, tmp_path: Path) -> None:
    archive(dumped, 1, source)
    source.file(C, event("c-1"))
    archive(dumped, 2, source)
    commit(dumped)
    secret = tmp_path / "secret"
    secret.write_bytes(b"not to be touched")
    copy.file(A, event("live"))  # other content
    copy.file(B, event("b-1") + event("b-2"))  # the same content, and more since
    (copy.path / C).symlink_to(secret)
    copy.file("pending-1-9.ndjson", event("mine"))
    copy.file(".restoring-pending-1-8.ndjson", b"half of a ki")
    predicted, warnings = restore(dumped, copy, check_mode=True), []
    result = restore(dumped, copy, warnings=warnings)
    assert {**result, **ENTERED} == {**predicted, **ENTERED}
    found = result["volumes"][0]
    assert (found["restored"], found["skipped"], found["renamed"]) == (2, 1, 2) and len(warnings) == 2
    assert sorted(events(copy.content().values())) == ["a-1", "a-2", "b-1", "b-2", "c-1", "live", "mine"]
    assert (copy.path / A).read_bytes() == event("live") and (copy.path / C).is_symlink() and secret.read_bytes() == b"not to be touched"
    assert not list(copy.path.glob(".restoring-*"))
    assert not restore(dumped, copy)["changed"]


def test_one_directory_under_two_names_is_read_once(dumped: Scene, source: ReplayFolder) -> None:
    result = archive(dumped, 1, source, ReplayFolder(source.volume))
    assert [one["state"] for one in result["volumes"]] == ["archived", "same_as"] and result["volumes"][1]["same_as"] == "sts-1"
    assert len(result["artifacts"]) == 2
    assert not archive(dumped, 1, source, ReplayFolder(source.volume))["changed"]
    set_id = commit(dumped, source, ReplayFolder(source.volume))
    facts = dumped.call("backup_set_verify", set_id=set_id)["set_facts"]
    assert facts["left_out"] == {"replay of sts-2": "the same directory as sts-1; its files are in the archive of sts-1"}


def test_reports_a_service_without_a_durable_directory(dumped: Scene) -> None:
    reason = "Cloud Run has no durable volume"
    given: dict[str, t.Any] = {"not_durable": [{"service": "gateway", "reason": reason}], "volumes": []}
    for reading in (1, 2):
        result = archive(dumped, reading, **given)
        assert result["volumes"] == [{"service": "gateway", "replica": None, "state": "not_durable", "reason": reason}]
        assert result["artifacts"] == [] and result["changed"]
    assert not archive(dumped, 2, **given)["changed"]
    set_id = commit(dumped)
    assert dumped.call("backup_set_verify", set_id=set_id)["set_facts"]["left_out"] == {"replay of gateway": reason}


@pytest.mark.mutation
def test_refuses_invalid_options(dumped: Scene, source: ReplayFolder, copy: ReplayFolder) -> None:
    sts = {"service": "sts", "path": str(source.volume)}
    usual: dict[str, t.Any] = {"set_id": open_id(dumped), "reading": 1}
    dumped.refused("replay_volume_archive", OptionError, "all empty", **usual)
    dumped.refused("replay_volume_archive", OptionError, "twice", volumes=[sts, sts], **usual)
    dumped.refused("replay_volume_archive", OptionError, "replica 'a/b'", volumes=[{**sts, "replica": "a/b"}], **usual)
    words = "run reading 1 before the database is dumped"
    dumped.refused("replay_volume_archive", OptionError, words, check_mode=False, volumes=[sts], **{**usual, "reading": 2})
    archive(dumped, 1, source)
    commit(dumped, source)
    bare = {"service": "sts", "path": str(copy.volume.parent / "source" / "..")}
    dumped.refused("replay_volume_restore", OptionError, "volumes is empty", volumes=[], **ME)
    dumped.refused("replay_volume_restore", OptionError, "has no directory audit-replay", volumes=[bare], **ME)
    inside = {"service": "sts", "path": str(copy.path), "quarantine": str(copy.path / "torn")}
    dumped.refused("replay_volume_restore", OptionError, "is inside the replay directory", volumes=[inside], **ME)
    other = {"service": "gateway", "path": str(copy.path)}
    dumped.refused("replay_volume_restore", OptionError, "no replay files of gateway-1", volumes=[other], **ME)
    twice = [{"service": "sts", "path": str(copy.path)}, {"service": "gateway", "from": "sts-1", "path": str(copy.volume)}]
    dumped.refused("replay_volume_restore", OptionError, "the same directory", volumes=twice, **ME)


def test_extracting_both_archives_manually_gives_all_files(dumped: Scene, source: ReplayFolder, tmp_path: Path) -> None:
    archive(dumped, 1, source)
    source.append(A, event("a-3"))
    archive(dumped, 2, source)
    set_id = commit(dumped)
    out = tmp_path / "out"
    out.mkdir()
    identity = pyrage.x25519.Identity.from_str(dumped.identity.read_text().strip())
    for reading in (1, 2):
        sealed = (dumped.repository / "sets" / set_id / "replay" / f"sts-1.{reading}.tar.zst.age").read_bytes()
        packed = pyrage.decrypt(sealed, [identity])
        plain = subprocess.run(["zstd", "-q", "-d"], input=packed, capture_output=True, check=True).stdout
        subprocess.run(["tar", "--extract", "--directory", out], input=plain, check=True)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == source.content()
    assert (out / B).stat().st_mtime_ns == TIME + 7 and (out / B).stat().st_mode & 0o7777 == 0o640
