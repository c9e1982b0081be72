# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading a live directory: the files that are found, and that nothing is written to it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.volume import live
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.volume.live import Directory, LiveFile
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import OptionError, PermissionMissing, StageFailed
from ansible_collections.caracal_ops.backup.plugins.module_utils._files.folder import Folder


def opened(path: Path) -> LiveFile:
    with Directory(str(path.parent), "inner") as directory:
        found = directory.open(path.name)
    assert found is not None
    return found


def test_the_inner_directory_if_there_is_one(tmp_path: Path) -> None:
    with Directory(str(tmp_path), "inner") as directory:
        assert directory.path == str(tmp_path)
    (tmp_path / "inner").mkdir()
    with Directory(str(tmp_path), "inner") as one, Directory(str(tmp_path / "inner"), "inner") as other:
        assert one.path == str(tmp_path / "inner") and one.identity == other.identity


@pytest.mark.mutation
def test_no_descriptor_is_left_when_the_inner_one_is_a_link(tmp_path: Path) -> None:
    (tmp_path / "inner").symlink_to("/etc")
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OptionError, match="is a symbolic link"):
        Directory(str(tmp_path), "inner")
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("content", "whole"),
    [
        (b"", 0),
        (b"x", 0),
        (b"\n", 1),
        (b"one\ntwo", 4),
        (b"one\ntwo\n", 8),
        (b"one\n" + b"x" * (3 * live.STEP), 4),
        (b"x" * live.STEP + b"\n" + b"x" * (live.STEP - 1), live.STEP + 1),
    ],
)
def test_the_end_of_the_last_whole_line(tmp_path: Path, content: bytes, whole: int) -> None:
    (tmp_path / "file").write_bytes(content)
    with opened(tmp_path / "file") as found:
        assert found.whole_lines() == whole


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("written", "whole"), [({}, 0), ({1 << 41: b"x"}, 0), ({0: b"one\n", 1 << 41: b"two"}, 4), ({1 << 41: b"one\ntwo"}, (1 << 41) + 4)]
)
def test_holes_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: dict[int, bytes], whole: int) -> None:
    """An attacker with write access to a replay directory can create a sparse file of 8 TiB at once. Reading it would take an hour."""
    with open(tmp_path / "file", "wb") as out:
        out.truncate(1 << 43)
        for at, data in written.items():
            os.pwrite(out.fileno(), data, at)
    with opened(tmp_path / "file") as found:
        sizes = list[int]()
        read = found._read

        def counted(size: int, offset: int) -> bytes:
            sizes.append(size)
            return read(size, offset)

        monkeypatch.setattr(found, "_read", counted)
        assert found.whole_lines() == whole and len(sizes) <= 4


@pytest.mark.no_false_alarm
def test_a_file_system_that_knows_no_holes_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_given: int) -> int:
        raise OSError(errno.EINVAL, "no such seek")

    (tmp_path / "file").write_bytes(b"one\n" + b"x" * (2 * live.STEP))
    monkeypatch.setattr(live.os, "lseek", unknown)
    with opened(tmp_path / "file") as found:
        assert found.whole_lines() == 4


@pytest.mark.no_false_alarm
def test_bytes_appended_after_opening_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one\n")
    with opened(path) as found, open(path, "ab") as out:
        assert found.same_now()
        out.write(b"two\n")
        out.flush()
        assert found.whole_lines() == 4 and found.part(0, 4).read(100) == b"one\n" and not found.same_now()
        found.check_whole()


@pytest.mark.no_false_alarm
def test_a_deleted_file_is_read_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"one\n")
    with opened(tmp_path / "file") as found:
        (tmp_path / "file").unlink()
        assert found.part(0, 4).read(100) == b"one\n"


@pytest.mark.mutation
def test_a_file_that_became_shorter(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"one\ntwo\n")
    with opened(tmp_path / "file") as found:
        os.truncate(tmp_path / "file", 2)
        part = found.part(0, 8)
        assert part.read(100) == b"on"
        with pytest.raises(StageFailed, match="became shorter"):
            part.read(100)
        with pytest.raises(StageFailed, match="became shorter"):
            found.check_whole()


@pytest.mark.mutation
def test_pipe_link_and_missing_file_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/etc/passwd")
    with Directory(str(tmp_path), "inner") as directory:
        assert directory.names() == [("fifo", False), ("link", False)]
        assert directory.open("fifo") is None and directory.open("link") is None and directory.open("gone") is None
        assert directory.size("gone") is None and directory.size("fifo") == 0


@pytest.mark.mutation
def test_a_directory_that_cannot_be_entered_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This simulates a user who is not root, because root can enter any directory."""
    before = len(os.listdir("/proc/self/fd"))

    def refused(_folder: Folder, _name: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Folder, "stat", refused)
    with pytest.raises(PermissionMissing):
        Directory(str(tmp_path), "audit-replay")
    assert len(os.listdir("/proc/self/fd")) == before
