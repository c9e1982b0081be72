# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Replay files of a host without access to the repository: staged, fetched, verified, added to a set, restored."""

from __future__ import annotations

import json
import shutil
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible.boundary import Invocation, complete
from ansible_collections.caracal_ops.backup.plugins.module_utils._assets import staging
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import (
    BackupError,
    KeyProblem,
    ObjectExists,
    OptionError,
    TamperedData,
    VersionMismatch,
)
from scenes.replay_folders import ReplayFolder, event, folder
from scenes.scene import MODULES, Result, Scene
from unit.plugins.module_utils._assets.replay.test_replay_volumes import A, B, C, commit, open_id, restore

ARCHIVE = "replay_volume_archive"


@pytest.fixture
def source(tmp_path: Path) -> ReplayFolder:
    made = folder(tmp_path / "source")
    made.file(A, event("a-1"))
    made.file(B, event("b-1"))
    return made


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    (tmp_path / "other-host").mkdir()
    return tmp_path / "other-host" / "stage"


def put(scene: Scene, stage: Path, reading: int, source: ReplayFolder, check_mode: bool = False, **own: t.Any) -> Result:
    """Run the module on a host that has neither repository nor signing key."""
    volumes = [{"service": "sts", "path": str(source.volume)}]
    given = scene.given(ARCHIVE, set_id=open_id(scene), reading=reading, volumes=volumes, stage=str(stage), **own)
    checked = complete(MODULES[ARCHIVE][0].Options, given)
    result: Result = MODULES[ARCHIVE][1].run(Invocation(checked, check_mode, lambda _text: None))
    return result


def take(scene: Scene, stage: Path, check_mode: bool = False) -> Result:
    return scene.call("backup_set", check_mode=check_mode, state="extended", set_id=open_id(scene), staged=str(stage))


@pytest.mark.no_false_alarm
def test_staged_files_of_both_passes_are_added_and_restored(dumped: Scene, source: ReplayFolder, stage: Path, tmp_path: Path) -> None:
    assert put(dumped, stage, 1, source, check_mode=True)["changed"] and not stage.exists()
    first = put(dumped, stage, 1, source)
    assert stage.stat().st_mode & 0o7777 == 0o700 and first["changed"]
    assert not put(dumped, stage, 1, source)["changed"]
    before = dumped.files()
    predicted = take(dumped, stage, check_mode=True)
    assert dumped.files() == before
    taken = take(dumped, stage)
    assert taken == predicted and taken["changed"] and taken["artifacts"] == 2 and taken["bytes"] == first["bytes"]
    again = take(dumped, stage)
    assert not again["changed"] and again["diff"]["before"] == again["diff"]["after"] == taken["diff"]["after"]
    source.append(A, event("a-2"))
    source.file(C, event("c-1"))
    (source.path / B).unlink()
    second = put(dumped, stage, 2, source)["volumes"][0]
    assert (second["files"], second["drained"]) == (2, 1)
    assert take(dumped, stage)["artifacts"] == 4
    set_id = commit(dumped)
    assert dumped.call("backup_set_verify", set_id=set_id)["verdict"] == "pass"
    copy = folder(tmp_path / "copy")
    restore(dumped, copy)
    assert copy.content() == {**source.content(), B: event("b-1")}
    with pytest.raises(OptionError, match="is committed"):
        dumped.call("backup_set", state="extended", set_id=set_id, staged=str(stage))


@pytest.mark.mutation
def test_refuses_a_stage_without_the_first_pass(dumped: Scene, source: ReplayFolder, stage: Path) -> None:
    with pytest.raises(OptionError, match="run reading 1 before"):
        put(dumped, stage, 2, source)
    dumped.refused("backup_set", OptionError, "contains nothing of set", state="extended", set_id=open_id(dumped), staged=str(stage))


def edit(path: Path, change: t.Callable[[t.Any], object]) -> None:
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))


def first(part: t.Any) -> t.Any:
    return part["content"]["artifacts"][0]


DAMAGES: dict[str, tuple[t.Callable[[t.Any], object], type[BackupError], str]] = {
    "other bytes": (lambda one: first(one).update(sha256="0" * 64), TamperedData, "was altered"),
    "another size": (lambda one: first(one).update(size=7), TamperedData, "bytes instead of 7"),
    "a path outside": (lambda one: first(one).update(path="sets/../journal/0000000009.json"), TamperedData, "is not a valid path"),
    "another set": (lambda one: one.update(set="20260102T030405Z-zzzz"), TamperedData, "does not match its path"),
    "a shared object": (
        lambda one: first(one).update(path="objects/audit/x/1.20260102T030405Z-abcd.copy.zst.age", shared_from="20260102T030405Z-abcd"),
        TamperedData,
        "is not an encrypted replay archive",
    ),
    "another kind": (lambda one: first(one).update(kind="dump"), TamperedData, "is not an encrypted replay archive"),
    "a forged pairing": (
        lambda one: one["content"].update(pairing={"verdict": "pass", "message": "yes"}),
        TamperedData,
        "is not a part from",
    ),
    "keys": (lambda one: one["content"].update(key_ids={"kek": "0"}), TamperedData, "is not a part from"),
    "an excuse for others": (lambda one: one["content"].update(left_out={"secrets": "none"}), TamperedData, "is not a part from"),
    "a result that is a tree": (lambda one: one["content"]["result"].update(files={"x": 1}), TamperedData, "is not a part from"),
    "a text of two lines": (
        lambda one: one["content"].update(left_out={"replay of sts-1": "none\n# more"}),
        TamperedData,
        "is not a part from",
    ),
    "an excuse for another directory": (
        lambda one: one["content"].update(left_out={"replay of sts-2": "none"}),
        TamperedData,
        "is not a part from",
    ),
    "files that are none": (lambda one: one["content"].update(files={"x": {"size": "1"}}), TamperedData, "is not a part from"),
    "the archive of another directory": (lambda one: first(one).update(source="sts-2"), TamperedData, "is not an encrypted replay archive"),
    "a source that is a command": (
        lambda one: first(one).update(source='"; touch pwned; "'),
        TamperedData,
        "is not an encrypted replay archive",
    ),
    "a database": (lambda one: first(one).update(database="caracal"), TamperedData, "is not an encrypted replay archive"),
    "a recipient that is none": (lambda one: first(one).update(recipients=["`x`"]), TamperedData, "is not an encrypted replay archive"),
    "no artifacts": (lambda one: one["content"].pop("artifacts"), TamperedData, "is not a part from"),
    "a newer format": (lambda one: one.update(format=2), VersionMismatch, "install a newer release"),
}


@pytest.mark.mutation
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_part_that_was_tampered_with(dumped: Scene, source: ReplayFolder, stage: Path, damage: str) -> None:
    put(dumped, stage, 1, source)
    change, kind, words = DAMAGES[damage]
    edit(stage / "sets" / open_id(dumped) / "parts" / "replay.sts-1.1.json", change)
    dumped.refused("backup_set", kind, words, state="extended", set_id=open_id(dumped), staged=str(stage))


@pytest.mark.mutation
def test_objects_that_were_tampered_with(dumped: Scene, source: ReplayFolder, stage: Path) -> None:
    put(dumped, stage, 1, source)
    set_id = open_id(dumped)
    given: dict[str, t.Any] = {"state": "extended", "set_id": set_id, "staged": str(stage)}
    path = stage / "sets" / set_id / "replay" / "sts-1.1.tar.zst.age"
    (stage / "journal").mkdir()
    (stage / "journal" / "0000000009.json").write_text("{}")
    dumped.refused("backup_set", TamperedData, "is not in any part", **given)
    shutil.rmtree(stage / "journal")
    parts = stage / "sets" / set_id / "parts"
    shutil.copy(parts / "replay.sts-1.1.json", parts / "postgres.json")
    edit(parts / "postgres.json", lambda one: one.update(name="postgres"))
    dumped.refused("backup_set", TamperedData, "is not a part from replay_volume_archive", **given)
    (parts / "postgres.json").unlink()
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    dumped.refused("backup_set", TamperedData, "was altered", **given)
    path.unlink()
    path.symlink_to("/etc/passwd")
    dumped.refused("backup_set", TamperedData, "is not a regular file", **given)
    path.unlink()
    path.write_bytes(data)
    assert take(dumped, stage)["changed"]


@pytest.mark.mutation
def test_the_signing_key_among_the_recipients(dumped: Scene, source: ReplayFolder, stage: Path) -> None:
    public = dumped.key("backup").with_suffix(".pub").read_text()
    put(dumped, stage, 1, source, recipients=[public], recipients_files=[])
    dumped.refused("backup_set", KeyProblem, "the signing key", state="extended", set_id=open_id(dumped), staged=str(stage))


@pytest.mark.mutation
def test_refuses_an_identity_on_the_staging_host(dumped: Scene, source: ReplayFolder, stage: Path) -> None:
    shutil.copy(dumped.identity, dumped.recipients.parent / "forgotten")
    with pytest.raises(KeyProblem, match="is a private key that decrypts backups"):
        put(dumped, stage, 1, source)
    assert not stage.exists()


@pytest.mark.mutation
def test_two_hosts_that_both_report_sts_1(dumped: Scene, source: ReplayFolder, stage: Path, tmp_path: Path) -> None:
    put(dumped, stage, 1, source)
    other = tmp_path / "third-host"
    put(dumped, other, 1, folder(tmp_path / "empty"))
    take(dumped, stage)
    dumped.refused("backup_set", ObjectExists, "abort", state="extended", set_id=open_id(dumped), staged=str(other))


@pytest.mark.mutation
def test_bytes_that_change_after_they_were_verified(
    dumped: Scene, source: ReplayFolder, stage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(dumped, stage, 1, source)
    path = stage / "sets" / open_id(dumped) / "replay" / "sts-1.1.tar.zst.age"
    verify = staging.objects.verify

    def late(*given: t.Any) -> t.Any:
        found = verify(*given)
        path.write_bytes(bytes(path.stat().st_size))
        return found

    with monkeypatch.context() as patch:
        patch.setattr(staging.objects, "verify", late)
        with pytest.raises(TamperedData, match="changed while it was copied"):
            take(dumped, stage)
    assert not dumped.files("sets/*/replay/sts-1.1.tar.zst.age") and not dumped.files("sets/*/parts/replay*")
