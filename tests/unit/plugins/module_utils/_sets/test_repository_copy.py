# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import shutil
import signal
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import ObjectMissing, OptionError, TamperedData
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import layout
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.local import LocalStore
from scenes.old_repository import OldRepository
from scenes.scene import Result, outside, tree


def place(old: OldRepository) -> Path:
    return old.folder / "copy"


def copy(old: OldRepository, **own: t.Any) -> Result:
    return old.call("repository_copy", "operator", **{"destination": str(place(old)), **own})


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def check_copy(old: OldRepository) -> Result:
    """Verify the whole repository like a host that has never seen it."""
    mark = str(old.folder / f"mark{len(os.listdir(old.folder))}")
    result = old.call("repository_verify", "drill", repository=str(place(old)), high_water_mark=mark, signing_key=None)
    assert result["verdict"] in ("pass", "unproven") and "fail" not in {one["verdict"] for one in result["checks"]}
    return result


@pytest.mark.no_false_alarm
def test_the_copy_is_the_repository_and_a_second_run_copies_nothing(old: OldRepository) -> None:
    predicted = copy(old, check_mode=True)
    assert not place(old).exists()
    done = copy(old)
    assert {**done, "freshness": ""} == {**predicted, "freshness": ""} and done["changed"] and done["kept"] == 0
    assert files(place(old)) == files(Path(old.store.location)) and done["copied"] == len(files(place(old)))
    assert check_copy(old)["verdict"] == "pass"
    before = outside(tree(place(old)), ".")
    for own in ({}, {"read_all": True}):
        again = copy(old, **own)
        assert not again["changed"] and again["copied"] == 0 and again["kept"] == done["copied"]
    assert outside(tree(place(old)), ".") == before


@pytest.mark.parametrize("here", [True, False])
def test_an_archive_in_the_repository_goes_along(old: OldRepository, here: bool) -> None:
    key = old.archive(here=here)
    copy(old)
    assert (key in files(place(old))) == here and files(place(old)) == files(Path(old.store.location))
    assert check_copy(old)["verdict"] == "pass"


def test_new_objects_are_copied_and_pruned_ones_stay_at_destination(old: OldRepository) -> None:
    copy(old)
    pruned = old.prune()["pruned"]
    new = old.add(0.5)
    done = copy(old)
    assert done["changed"] and all(new in key or key.startswith("journal/") for key in done["diff"]["after"].split())
    assert layout.dump_key(pruned[0], "caracal") in files(place(old))
    assert check_copy(old)["verdict"] == "pass"


def test_a_set_that_was_pruned_before_comes_with_its_public_files(old: OldRepository) -> None:
    pruned = old.prune()["pruned"]
    copy(old)
    assert files(place(old)) == files(Path(old.store.location))
    assert {name for name in files(place(old)) if pruned[0] in name and "objects/" not in name} == {
        layout.manifest_key(pruned[0]),
        layout.backup_signature_key(pruned[0]),
        layout.recovery_key(pruned[0]),
        layout.blocks_key(pruned[0]),
    }
    assert check_copy(old)["verdict"] == "pass"


@pytest.mark.mutation
def test_a_killed_copy_is_a_whole_older_repository_and_the_next_run_goes_on(old: OldRepository) -> None:
    whole = len(files(Path(old.store.location)))
    old.see("operator")
    for number in (0, 3, 5, 9, 20, 33, whole - 1):
        child = os.fork()
        if child == 0:
            try:
                _dies_at(number)
                copy(old)
            finally:
                os._exit(0)
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
        if (place(old) / layout.entry_key(1)).exists():
            check_copy(old)
        shutil.rmtree(place(old), ignore_errors=True)
    child = os.fork()
    if child == 0:
        _dies_at(20)
        copy(old)
    os.waitpid(child, 0)
    assert copy(old)["kept"] > 0 and check_copy(old)["verdict"] == "pass"


def _dies_at(number: int) -> None:
    left, real = iter(range(number)), LocalStore.writer

    def writer(store: LocalStore, *args: t.Any) -> t.Any:
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(store, *args)

    LocalStore.writer = writer  # type: ignore[method-assign]  # in a process that ends with it


@pytest.mark.mutation
def test_object_that_differs_from_signed_digest_is_not_copied(old: OldRepository) -> None:
    key = layout.dump_key(old.made[2], "caracal")
    data = old.path(key).read_bytes()
    old.path(key).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    result = copy(old)
    assert (
        result["failed"]
        and "1 objects were not copied" in result["msg"]
        and key in result["msg"]
        and "does not match its signed digest" in result["msg"]
    )
    assert key not in files(place(old)) and result["copied"] == len(files(place(old)))
    old.path(key).unlink()
    result = copy(old)
    assert result["failed"] and not result["changed"] and "is missing" in result["msg"]
    old.path(key).write_bytes(data)
    done = copy(old)
    assert done["copied"] == 1 and "failed" not in done and check_copy(old)["verdict"] == "pass"


@pytest.mark.mutation
def test_damaged_set_does_not_prevent_copy_of_others(old: OldRepository) -> None:
    old.path(layout.recovery_key(old.made[2])).unlink()
    result = copy(old)
    assert result["failed"] and "RECOVERY.md" in result["msg"] and len(result["faults"]) == 1
    copied = files(place(old))
    assert layout.manifest_key(old.made[2]) not in copied and layout.manifest_key(old.made[3]) in copied
    assert layout.entry_key(old.journal().head.sequence) in copied


@pytest.mark.mutation
def test_destination_returning_wrong_content_is_found(old: OldRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that returns wrong bytes."""
    real = LocalStore.open

    def open_(store: LocalStore, key: str) -> t.BinaryIO:
        if store.location == str(place(old)) and key.endswith("inventory.json.zst.age"):
            (place(old) / key).write_bytes(b"?")
        return real(store, key)

    monkeypatch.setattr(LocalStore, "open", open_)
    with pytest.raises(TamperedData, match="was read back with other content"):
        copy(old)


@pytest.mark.mutation
def test_changed_object_at_destination_is_found(old: OldRepository) -> None:
    copy(old)
    path = place(old) / layout.dump_key(old.made[3], "caracal")
    data = path.read_bytes()
    path.write_bytes(data + b"x")
    old.refused(TamperedData, str(path), "differs from the repository", call=lambda check_mode: copy(old, check_mode=check_mode))
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert not copy(old)["changed"], "only the size is looked at"
    old.refused(TamperedData, str(path), call=lambda check_mode: copy(old, check_mode=check_mode, read_all=True))


@pytest.mark.mutation
def test_another_repository_a_fork_and_a_longer_journal_are_refused(old: OldRepository, role_keys: Path, tmp_path: Path) -> None:
    def refused(kind: t.Any, *words: str, **own: t.Any) -> None:
        old.refused(kind, *words, call=lambda check_mode: copy(old, check_mode=check_mode, **own))

    old.see("operator")
    (tmp_path / "other").mkdir()
    other = OldRepository(tmp_path / "other", role_keys, 1)
    refused(OptionError, "contains another repository", destination=other.store.location)
    refused(OptionError, "is the repository itself", destination=old.store.location)
    refused(OptionError, "inside it", destination=f"{old.store.location}/copy")
    refused(OptionError, "not an absolute path", destination="copy")
    refused(ObjectMissing, str(tmp_path / "no"), destination=str(tmp_path / "no" / "folder"))
    copy(old)
    last = place(old) / layout.entry_key(old.journal().head.sequence)
    ahead = place(old) / layout.entry_key(old.journal().head.sequence + 1)
    ahead.write_bytes(last.read_bytes())
    refused(TamperedData, "is newer than")
    ahead.unlink()
    last.write_bytes(last.read_bytes() + b" ")
    refused(TamperedData, "differs from the entry in")
