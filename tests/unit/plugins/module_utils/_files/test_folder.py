# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A directory that is held open: files are written completely, and links of other users are not followed."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import stat
import threading
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import UnsafePath
from ansible_collections.caracal_ops.backup.plugins.module_utils._files import paths
from ansible_collections.caracal_ops.backup.plugins.module_utils._files.folder import TEMPORARY, Folder, Owner
from harness.users import only_root

USER = 64999


def test_a_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with paths.folder(str(tmp_path)) as folder:
        with folder.replacing("file", 0o640) as out:
            out.write(b"new")
            assert (tmp_path / "file").read_text() == "old"
        assert (tmp_path / "file").read_text() == "new" and folder.names() == ["file"]
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


@pytest.mark.mutation
def test_failed_write_keeps_old_file_and_leaves_no_other(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(KeyError), paths.replacing(str(tmp_path / "file")) as out:
        out.write(b"half")
        raise KeyError
    assert os.listdir(tmp_path) == ["file"] and (tmp_path / "file").read_text() == "old"


@pytest.mark.mutation
def test_a_new_file_replaces_nothing(tmp_path: Path) -> None:
    assert paths.add(str(tmp_path / "file"), b"first")
    assert not paths.add(str(tmp_path / "file"), b"second")
    assert os.listdir(tmp_path) == ["file"] and (tmp_path / "file").read_bytes() == b"first"


@pytest.mark.mutation
def test_writer_removes_abandoned_temporary_files_but_not_locked_ones(tmp_path: Path) -> None:
    left, held = tmp_path / f"{TEMPORARY}left", tmp_path / f"{TEMPORARY}held"
    left.touch()
    with held.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        paths.replace(str(tmp_path / "file"), b"new")
    assert sorted(os.listdir(tmp_path)) == [held.name, "file"]


def test_writers_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    def write(number: int) -> None:
        for _round in range(20):
            paths.replace(str(tmp_path / "file"), b"%d" % number * 1000)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert os.listdir(tmp_path) == ["file"] and len(set((tmp_path / "file").read_bytes())) == 1


@pytest.mark.mutation
@pytest.mark.parametrize("times", [1, 1000])
def test_locks_of_another_user_on_new_files_do_not_block_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    create, held = Folder.create, contextlib.ExitStack()
    ended: list[BaseException | None] = []

    def locked(folder: Folder, name: str, mode: int = 0o600, *, as_owner: bool = True) -> int:
        descriptor = create(folder, name, mode, as_owner=as_owner)
        if next(number) <= times:
            fcntl.flock(held.enter_context((tmp_path / name).open("rb")), fcntl.LOCK_EX)
        return descriptor

    def write() -> None:
        try:
            paths.replace(str(tmp_path / "file"), b"new")
        except UnsafePath as exc:
            ended.append(exc)
        else:
            ended.append(None)

    number = itertools.count(1)
    monkeypatch.setattr(Folder, "create", locked)
    writer = threading.Thread(target=write, daemon=True)
    with held:
        writer.start()
        writer.join(10)
        assert [type(one) for one in ended] == [type(None) if times == 1 else UnsafePath]
    assert os.listdir(tmp_path) == (["file"] if times == 1 else [])


@only_root
@pytest.mark.mutation
def test_a_hard_link_in_a_directory_of_another_user_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "shadow").write_text("secret")
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, USER, USER)
    (home / "file").hardlink_to(tmp_path / "shadow")
    with paths.folder(str(home)) as folder, pytest.raises(UnsafePath):
        folder.read("file")


@only_root
def test_new_files_belong_to_the_owner_of_the_directory_or_to_the_one_named(tmp_path: Path) -> None:
    os.chown(tmp_path, USER, USER)
    with paths.folder(str(tmp_path)) as folder:
        folder.replace("usual", b"")
        folder.replace("named", b"", owner=Owner(1234, 1235))
        folder.make("folder").close()
        folder.make("service", owner=Owner(1234)).close()
    found = {path.name: path.stat().st_uid for path in tmp_path.iterdir()}
    assert found == {"usual": USER, "named": 1234, "folder": USER, "service": 1234}


@only_root
@pytest.mark.mutation
def test_a_directory_of_root_in_one_of_another_user_is_not_given_away(tmp_path: Path) -> None:
    os.chown(tmp_path, USER, USER)
    (tmp_path / "folder").mkdir()
    with paths.folder(str(tmp_path)) as above, above.child("folder") as folder, pytest.raises(UnsafePath):
        folder.settle(0o700, Owner(USER))
    assert (tmp_path / "folder").stat().st_uid == 0


@only_root
@pytest.mark.mutation
@pytest.mark.parametrize("owner", [0, 1234])
def test_directory_that_user_may_have_renamed_into_place_keeps_its_mode(tmp_path: Path, owner: int) -> None:
    """In a directory that a user owns, the user can replace any directory with another user's private one, such as a database's."""
    os.chown(tmp_path, USER, USER)
    (tmp_path / "private").mkdir(mode=0o700)
    os.chown(tmp_path / "private", owner, owner)
    (tmp_path / "private").rename(tmp_path / "secrets")
    with paths.folder(str(tmp_path / "secrets")) as folder:
        with pytest.raises(UnsafePath) as refused:
            folder.settle(0o755)
        folder.settle(0o700)
    assert str(tmp_path / "secrets") in refused.value.msg
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700


@only_root
@pytest.mark.no_false_alarm
@pytest.mark.parametrize("owner", [0, USER])
def test_a_directory_of_the_same_owner_gets_its_mode(tmp_path: Path, owner: int) -> None:
    (tmp_path / "above" / "folder").mkdir(parents=True)
    for path in (tmp_path / "above", tmp_path / "above" / "folder"):
        os.chown(path, owner, owner)
    with paths.folder(str(tmp_path / "above" / "folder")) as folder:
        folder.settle(0o711)
    assert (tmp_path / "above" / "folder").stat().st_mode & 0o777 == 0o711
