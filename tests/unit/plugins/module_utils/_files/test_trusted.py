# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Signer lists and marks that every user of the host can write are not trusted."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto import signer_lists
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import KeyProblem, UnsafePath
from ansible_collections.caracal_ops.backup.plugins.module_utils._files import paths, trusted
from ansible_collections.caracal_ops.backup.plugins.module_utils._files.folder import Folder
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.mark import HighWaterMark
from harness.users import only_root

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHG1ZLVg3OWYoVJ1sMGFm4ETzfzMW4ZGK3bG8vR8Ih0u"
Read = t.Callable[[Path], t.Any]
READERS: dict[str, tuple[str, Read]] = {
    "allowed_signers": (f"backup@prod {KEY}\n", lambda path: signer_lists.read_allowed(str(path))),
    "revoked_keys": (f"{KEY}\n", lambda path: signer_lists.read_revoked(str(path))),
    "mark": (
        '{"format":1,"repositories":{},"type":"high-water-mark"}\n',
        lambda path: HighWaterMark(str(path)).repositories_of("prod"),
    ),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a path in a directory that other users may enter."""
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o755)
    return folder / "file"


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(("file", "folder"), [(0o600, 0o700), (0o664, 0o775), (0o644, 0o1777)], ids=["own", "group", "sticky"])
def test_trusted_file_that_other_users_cannot_change_is_read(path: Path, reader: str, file: int, folder: int) -> None:
    content, read = READERS[reader]
    path.write_text(content)
    path.chmod(file)
    path.parent.chmod(folder)
    read(path)


def every_user_writes(path: Path) -> None:
    path.chmod(0o666)


def every_user_writes_unread(path: Path) -> None:
    path.chmod(0o602)


def every_user_exchanges_it(path: Path) -> None:
    path.parent.chmod(0o777)


def every_user_exchanges_a_folder_above(path: Path) -> None:
    path.parent.parent.chmod(0o777)


def another_user_was_first(path: Path) -> None:
    """In a directory like /tmp another user may have taken the operator's file name before the file exists."""
    path.parent.chmod(0o1777)
    os.chown(path, 64999, 64999)


PUBLIC: list[t.Any] = [every_user_writes, every_user_writes_unread, every_user_exchanges_it, every_user_exchanges_a_folder_above]


@pytest.mark.mutation
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("damage", [*PUBLIC, pytest.param(another_user_was_first, marks=only_root)])
def test_trusted_file_that_other_users_can_change_is_refused(path: Path, reader: str, damage: t.Callable[[Path], None]) -> None:
    content, read = READERS[reader]
    path.write_text(content)
    damage(path)
    with pytest.raises(KeyProblem):
        read(path)


@only_root
@pytest.mark.mutation
@pytest.mark.parametrize("below", ["x", "x/y", "x/y/z"])
def test_directory_created_by_another_user_after_check_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch, below: str) -> None:
    """The other user creates it after the check and before we create it, in a directory such as /tmp."""
    path.parent.chmod(0o1777)
    make_all = paths.make_all

    def late(wanted: str, mode: int) -> Folder:
        if not (path.parent / "x").exists():
            (path.parent / "x").mkdir()
            os.chown(path.parent / "x", 64999, 64999)
        return make_all(wanted, mode)

    monkeypatch.setattr(paths, "make_all", late)
    with pytest.raises(UnsafePath):
        trusted.workplace(str(path.parent / below))


@pytest.mark.no_false_alarm
def test_a_workplace_is_made_where_others_make_theirs(path: Path) -> None:
    path.parent.chmod(0o1777)
    for _again in range(2):
        trusted.workplace(str(path.parent / "x" / "y"))
    assert (path.parent / "x" / "y").is_dir()
