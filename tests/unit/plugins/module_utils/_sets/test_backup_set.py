# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Open, commit, abort: refusals, predictions of check mode, and the state that is left."""

from __future__ import annotations

import shutil
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import (
    BackupRunning,
    KeyProblem,
    ObjectMissing,
    OptionError,
    StorageError,
    TamperedData,
    VersionMismatch,
)
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import commit as commits
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import layout, parts
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.schemes import open_store
from scenes.fixtures import Committed
from scenes.scene import DEPLOYMENT, Result, Scene, new_ssh_key, tree

ID = "20260102T030405Z-abcd"


class Killed(BaseException):
    """Simulates SIGKILL: no later code runs, and no code handles it."""


def open_set(scene: Scene) -> str:
    """Return the ID of the only set that is not committed."""
    (part,) = scene.files("sets/*/parts/postgres.json")
    return part.split("/")[1]


def same(first: Result, second: Result) -> None:
    """Assert that check mode predicted the result. Only the journal's head may be newer."""
    late = ("journal_head",)
    assert {name: one for name, one in first.items() if name not in late} == {name: one for name, one in second.items() if name not in late}


def test_a_first_set_with_check_mode_before_each_step(empty_scene: Scene) -> None:
    scene, untouched = empty_scene, tree(empty_scene.root)
    opening: dict[str, t.Any] = {"state": "open", "create_repository": True, "set_id": ID}
    predicted = scene.call("backup_set", check_mode=True, **opening)
    assert tree(scene.root) == untouched
    same(predicted, scene.call("backup_set", **opening))
    (signature,) = scene.files("journal/*.sig")
    assert scene.files() == [signature, "journal/0000000001.json", "repository.json", "repository.json.sig"]
    before = tree(scene.root)
    predicted = scene.call("backup_set", check_mode=True, state="committed", set_id=ID)
    assert predicted["changed"] and tree(scene.root) == before
    scene.call("pg_encrypted_dump", set_id=ID)
    before = tree(scene.root)
    predicted = scene.call("backup_set", check_mode=True, state="committed", set_id=ID, left_out={"redis": "none"})
    assert tree(scene.root) == before
    made = scene.call("backup_set", state="committed", set_id=ID, left_out={"redis": "none"})
    same(predicted, made)
    assert made["changed"] and made["journal_head"].startswith("2-") and scene.sets() == [ID]
    before = tree(scene.root)
    for check_mode in (True, False):
        again = scene.call("backup_set", check_mode=check_mode, state="committed", set_id=ID, left_out={"redis": "none"})
        assert not again["changed"] and again["diff"]["before"] == again["diff"]["after"] == made["diff"]["after"]
        assert tree(scene.root) == before


def test_check_mode_reports_a_verdict_for_a_set_without_artifacts(scene: Scene) -> None:
    before = tree(scene.root)
    predicted = scene.call("backup_set", check_mode=True, state="committed", set_id=ID)
    assert predicted["changed"] and predicted["artifacts"] == 0 and tree(scene.root) == before
    assert predicted["verdict"] == "pass" and [one["id"] for one in predicted["checks"]] == ["blocks.history"]


def test_opening_again_before_anything_was_added_is_the_same(scene: Scene) -> None:
    for check_mode in (True, False, True):
        before = tree(scene.root)
        result = scene.call("backup_set", check_mode=check_mode, state="open", set_id=ID)
        assert result["changed"] and result["set_id"] == ID
        assert not check_mode or tree(scene.root) == before
    assert layout.is_id(scene.new_id()) and scene.new_id() != scene.new_id()


def test_abort_removes_what_the_set_made_and_nothing_else(scene: Scene) -> None:
    committed = scene.files()
    leaves = scene.files("objects/**/*")
    (scene.repository / leaves[0]).unlink()
    damaged = scene.files()
    set_id = scene.new_id()
    scene.call("pg_encrypted_dump", set_id=set_id)
    added = sorted(set(scene.files()) - set(damaged))
    assert any(path.startswith("objects/") for path in added) and any(path.endswith("parts/postgres.json") for path in added)
    before = tree(scene.root)
    predicted = scene.call("backup_set", check_mode=True, state="aborted", set_id=set_id)
    assert tree(scene.root) == before
    same(predicted, scene.call("backup_set", state="aborted", set_id=set_id))
    assert predicted["changed"] and sorted(predicted["diff"]["before"].split()) == added
    assert scene.files() == damaged == [path for path in committed if path != leaves[0]]
    for check_mode in (True, False):
        assert not scene.call("backup_set", check_mode=check_mode, state="aborted", set_id=set_id)["changed"]
    scene.refused("backup_set", OptionError, set_id, "no artifact", "pg_encrypted_dump", check_mode=False, state="committed", set_id=set_id)


def test_a_committed_set_is_neither_opened_nor_aborted(scene: Scene) -> None:
    for set_id in scene.sets():
        scene.refused("backup_set", OptionError, set_id, "committed", state="open", set_id=set_id)
        scene.refused("backup_set", OptionError, set_id, "cannot be aborted", "prune", state="aborted", set_id=set_id)
        scene.refused("pg_encrypted_dump", OptionError, set_id, "committed", set_id=set_id)


@pytest.mark.parametrize("bad", ["latest", "20261301T000000Z-abcd", "../../etc", "20260102T030405Z-ab\nd", "-" * 400])
def test_an_id_that_is_none_is_refused(scene: Scene, bad: str) -> None:
    for state in ("open", "committed", "aborted"):
        scene.refused("backup_set", OptionError, "not a valid set ID", state=state, set_id=bad)
    scene.refused("pg_encrypted_dump", OptionError, "not a valid set ID", set_id=bad)


def test_keys_and_signers_that_do_not_fit_are_refused(scene: Scene) -> None:
    opening: dict[str, t.Any] = {"state": "open"}
    scene.key("backup").chmod(0o644)
    scene.refused("backup_set", KeyProblem, str(scene.key("backup")), "0644", "chmod 600", **opening)
    scene.key("backup").chmod(0o600)
    missing = scene.root / "no such key"
    scene.refused("backup_set", KeyProblem, str(missing), "check the path", **opening, signing_key=str(missing))
    scene.refused("backup_set", KeyProblem, str(scene.identity), "ssh-keygen", **opening, signing_key=str(scene.identity))
    new_ssh_key(scene.root / "stranger")
    unknown = str(scene.root / "stranger")
    scene.refused("backup_set", KeyProblem, unknown, "not in", "allowed_signers", **opening, signing_key=unknown)
    scene.refused("backup_set", KeyProblem, f"backup@{DEPLOYMENT}", **opening, signing_key=str(scene.key("drill")))
    revoked = scene.root / "revoked"
    revoked.write_text(scene.key("backup").with_suffix(".pub").read_text())
    scene.refused("backup_set", KeyProblem, "revoked", **opening, revoked_keys=str(revoked))
    scene.refused("backup_set", KeyProblem, str(missing), **opening, allowed_signers=str(missing))


def test_a_commit_with_a_wrong_key_writes_nothing(dumped: Scene) -> None:
    scene, set_id = dumped, open_set(dumped)
    new_ssh_key(scene.root / "stranger")
    options: dict[str, t.Any] = {"state": "committed", "set_id": set_id}
    scene.refused(
        "backup_set", KeyProblem, "not in", "allowed_signers", check_mode=False, **options, signing_key=str(scene.root / "stranger")
    )
    scene.key("backup").chmod(0o640)
    scene.refused("backup_set", KeyProblem, "0640", **options)
    scene.key("backup").chmod(0o600)
    assert scene.call("backup_set", **options)["changed"]


def test_invalid_repository_locations_are_refused(scene: Scene, tmp_path: Path) -> None:
    new = tmp_path / "new"
    scene.refused("backup_set", ObjectMissing, str(new), "create_repository", state="open", repository=str(new))
    scene.refused("backup_set", OptionError, "deployment prod", "not to test", state="open", deployment="test")
    scene.refused("backup_set", OptionError, "deployment", state="open", deployment="a b")
    scene.refused("backup_set", OptionError, "relative", state="open", repository="relative")
    nowhere = str(tmp_path / "no" / "where")
    (tmp_path / "file").write_bytes(b"")
    scene.refused(
        "backup_set", StorageError, str(tmp_path / "file"), state="open", repository=str(tmp_path / "file" / "x"), create_repository=True,
        high_water_mark=str(tmp_path / "mark"),
    )  # fmt: skip
    scene.refused("backup_set", StorageError, str(tmp_path / "no"), check_mode=False, state="open", high_water_mark=f"{nowhere}/mark")


@pytest.mark.no_false_alarm
def test_new_repository_creates_parent_directories(empty_scene: Scene, tmp_path: Path) -> None:
    """On a new host, /srv/backup does not exist yet."""
    new = tmp_path / "srv" / "backup" / "caracal"
    options: dict[str, t.Any] = {"state": "open", "repository": str(new), "create_repository": True}
    assert empty_scene.call("backup_set", check_mode=True, **options)["changed"] and not (tmp_path / "srv").exists()
    assert empty_scene.call("backup_set", check_mode=False, **options)["changed"]
    assert [one.stat().st_mode & 0o7777 for one in (new, new.parent, new.parent.parent)] == [0o700] * 3


@pytest.mark.mutation
def test_vanished_repository_is_not_created_again(scene: Scene) -> None:
    """An operator moved it away. A new repository would start with an empty journal, and this would not be noticed."""
    shutil.rmtree(scene.repository)
    words = ("contains no repository", "records", str(scene.mark("backup")))
    scene.refused("backup_set", TamperedData, *words, state="open", create_repository=True)
    assert not scene.repository.exists()
    scene.mark("backup").unlink()
    assert scene.call("backup_set", state="open", create_repository=True)["changed"] and scene.sets() == []


@pytest.mark.mutation
def test_a_journal_that_was_rolled_back_or_forked_is_refused(scene: Scene, tmp_path: Path) -> None:
    old = scene.copy(tmp_path / "old")
    scene.backup()
    head = scene.call("backup_set_verify")["journal_head"]
    shutil.copy(scene.mark("backup"), scene.mark("drill"))
    scene.refused("backup_set_verify", TamperedData, "rolled back", head, repository=str(old.repository))
    scene.refused("backup_set", TamperedData, "rolled back", head, state="open", repository=str(old.repository))
    scene.refused("pg_encrypted_dump", TamperedData, "rolled back", set_id=ID, repository=str(old.repository))
    scene.refused("pg_encrypted_restore", TamperedData, "rolled back", sandbox="/var/tmp/none", repository=str(old.repository))
    old.backup()
    scene.refused("backup_set", TamperedData, "forked", head, state="open", repository=str(old.repository))
    scene.refused("pg_encrypted_dump", TamperedData, "forked", set_id=ID, repository=str(old.repository))
    assert old.call("backup_set", state="open")["changed"], "its own host never saw the other one"


@pytest.mark.mutation
@pytest.mark.parametrize("number", ["0000000001", "0000000002", "0000000003"])
def test_a_journal_with_a_gap_or_an_edit_is_refused(scene: Scene, number: str) -> None:
    entry = scene.repository / "journal" / f"{number}.json"
    whole = entry.read_bytes()
    # As a host that has not verified the journal before.
    for kept in scene.mark("backup").parent.glob("*.index"):
        kept.unlink()
    entry.write_bytes(whole.replace(b'"prod"', b'"tset"', 1))
    # The last entry has no valid signature now, so the journal ends before it, and this host has seen more entries.
    scene.refused("backup_set", TamperedData, "was rolled back" if number == "0000000003" else number, state="open")
    entry.write_bytes(whole)
    entry.unlink()
    kind = ObjectMissing if number == "0000000001" else TamperedData
    scene.refused("backup_set", kind, "" if number == "0000000003" else number, state="open")


def test_repository_of_newer_version_is_refused(empty_scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as later:
        later.setattr(layout, "FORMAT", layout.FORMAT + 1)
        with pytest.raises(VersionMismatch):
            empty_scene.call("backup_set", state="open", create_repository=True)
    empty_scene.refused("backup_set", ObjectMissing, "create it again", state="open")


def test_set_records_images_and_commands_of_services(dumped: Scene) -> None:
    image = f"sha256:{'e' * 64}"
    service = {"service": "sts", "replica": "1", "image": "caracal-go:v1.0.0", "digest": image, "image_id": image, "command": ["/bin/sts"]}
    commit: dict[str, t.Any] = {"state": "committed", "set_id": open_set(dumped), "left_out": {"secrets": "none"}}
    for wrong in ({"image_id": "latest"}, {"command": ["/bin/sts", "--password", "x"]}):
        dumped.refused("backup_set", OptionError, "services[0]", **commit, services=[{**service, **wrong}])
    dumped.call("backup_set", **commit, services=[service])
    assert dumped.call("backup_set_verify")["set_facts"]["services"] == [{**service, "command": ("/bin/sts",), "working_directory": "/"}]
    assert image in (dumped.repository / f"sets/{commit['set_id']}/RECOVERY.md").read_text()


@pytest.mark.mutation
@pytest.mark.parametrize("after", ["RECOVERY.md", "backup.sig", "manifest.json", ".sig", "0000000004.json", "nothing"])
def test_a_commit_that_was_killed_can_be_made_again(dumped: Scene, monkeypatch: pytest.MonkeyPatch, after: str) -> None:
    """A kill between two writes leaves no set. The same call then creates it, or finds that it exists."""
    scene, set_id = dumped, open_set(dumped)
    options: dict[str, t.Any] = {"state": "committed", "set_id": set_id, "left_out": {"redis": "none"}}
    store = type(open_store(str(scene.repository)))
    put = store.put

    def put_and_die(self: t.Any, key: str, data: bytes) -> t.Any:
        done = None if after == "nothing" else put(self, key, data)
        if after == "nothing" or (key.endswith(after) and (after != ".sig" or key.startswith("journal/"))):
            raise Killed
        return done

    with monkeypatch.context() as dying:
        dying.setattr(store, "put", put_and_die)
        with pytest.raises(Killed):
            scene.call("backup_set", **options)
    committed = after == "0000000004.json"
    assert (set_id in scene.sets()) == committed
    if not committed:
        scene.refused("backup_set_verify", ObjectMissing, set_id, set_id=set_id)
    result = scene.call("backup_set", **options)
    assert result["changed"] != committed and scene.sets()[-1] == set_id
    assert scene.call("backup_set_verify", set_id=set_id)["verdict"] == "pass"
    assert parts.read_unsigned(open_store(str(scene.repository)), set_id) == {}


def test_a_commit_that_was_killed_can_be_aborted(committed: Committed, dumped: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene, set_id, before = dumped, open_set(dumped), committed.scene.files()
    with monkeypatch.context() as dying:
        dying.setattr(commits.journals, "append", _die)
        with pytest.raises(Killed):
            scene.call("backup_set", state="committed", set_id=set_id)
    assert f"sets/{set_id}/manifest.json" in scene.files()
    assert scene.call("backup_set", state="aborted", set_id=set_id)["changed"]
    assert scene.files() == before


def _die(*_arguments: t.Any, **_options: t.Any) -> t.NoReturn:
    raise Killed


def test_the_part_of_another_set_is_refused(dumped: Scene) -> None:
    scene, first, second = dumped, open_set(dumped), dumped.new_id()
    theirs, ours = (scene.repository / "sets" / one / "parts" / "postgres.json" for one in (first, second))
    ours.parent.mkdir(parents=True)
    shutil.copy(theirs, ours)
    scene.refused("backup_set", TamperedData, "does not match its path", state="committed", set_id=second)


@pytest.mark.mutation
def test_a_second_backup_is_refused_before_anything_is_sealed(scene: Scene) -> None:
    opening: dict[str, t.Any] = {"state": "open", "exclusive": True}
    first = scene.call("backup_set", **opening)["set_id"]
    scene.refused("backup_set", BackupRunning, first, **opening)
    scene.refused("backup_set", BackupRunning, first, state="open")
    scene.refused("backup_preflight", BackupRunning, first, login_unix_socket=scene.socket)
    assert scene.call("backup_set", **opening, set_id=first)["set_id"] == first
    scene.call("backup_set", check_mode=True, state="aborted", set_id=first)
    scene.refused("backup_set", BackupRunning, first, **opening)
    scene.call("backup_set", state="aborted", set_id=first)
    second = scene.call("backup_set", **opening)["set_id"]
    scene.call("pg_encrypted_dump", set_id=second)
    scene.refused("backup_set", BackupRunning, second, **opening)
    scene.call("backup_set", state="committed", set_id=second)
    assert scene.call("backup_set", **opening)["set_id"] not in (first, second)


def test_second_set_opens_next_to_open_one_without_confirmation(scene: Scene) -> None:
    ids = {scene.call("backup_set", state="open")["set_id"] for _number in range(2)}
    assert len(ids) == 2 and not list(scene.mark("backup").parent.glob("*.running"))
