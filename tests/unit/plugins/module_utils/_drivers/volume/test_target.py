# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writing into a service's directory: files are only added, are complete, and never replace an existing name."""

from __future__ import annotations

import hashlib
import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.volume import target
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.volume.target import ABSENT, OTHER, SAME, Target
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import PermissionMissing, StorageError
from ansible_collections.caracal_ops.backup.plugins.module_utils._files import paths

ONE = hashlib.sha256(b"one").hexdigest()


@pytest.fixture
def place(tmp_path: Path) -> t.Iterator[Target]:
    with Target(paths.folder(str(tmp_path)), os.geteuid(), os.getegid(), 0o640) as made:
        yield made


def test_a_file_appears_when_it_is_published(place: Target, tmp_path: Path) -> None:
    with place.writing("a", 1_700_000_000_123_456_789) as sink:
        sink.write(b"on")
        sink.write(b"e")
    assert os.listdir(tmp_path) == [".restoring-a"]
    place.publish("a")
    about = (tmp_path / "a").stat()
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_bytes() == b"one"
    assert (about.st_mtime_ns, about.st_mode & 0o7777, about.st_nlink) == (1_700_000_000_123_456_789, 0o640, 1)


@pytest.mark.mutation
def test_a_taken_name_stays_what_it_is(place: Target, tmp_path: Path) -> None:
    with place.writing("a", 0) as sink:
        sink.write(b"one")
    (tmp_path / "a").write_bytes(b"live")
    with pytest.raises(StorageError, match=r"created .*/a during the restore"):
        place.publish("a")
    assert (tmp_path / "a").read_bytes() == b"live"


@pytest.mark.mutation
def test_unpublished_file_is_removed(tmp_path: Path) -> None:
    with (
        pytest.raises(KeyError),
        Target(paths.folder(str(tmp_path)), os.geteuid(), os.getegid(), 0o600) as place,
        place.writing("a", 0) as sink,
    ):
        sink.write(b"one")
        raise KeyError
    assert os.listdir(tmp_path) == []


@pytest.mark.mutation
def test_target_reports_if_name_is_absent_same_or_other(place: Target, tmp_path: Path) -> None:
    assert place.holds("a", 3, ONE) == ABSENT
    for content, state in ((b"one", SAME), (b"one\ntwo", SAME), (b"on", OTHER), (b"two", OTHER)):
        (tmp_path / "a").write_bytes(content)
        assert place.holds("a", 3, ONE) == state
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "fifo")
    assert {place.holds(name, 3, ONE) for name in ("link", "dangling", "fifo")} == {OTHER}


def test_leftovers_are_found_and_removed(place: Target, tmp_path: Path) -> None:
    for name in (".restoring-a", ".restoring-b", "pending-1-1.ndjson", ".ready-1"):
        (tmp_path / name).touch()
    assert place.leftovers() == [".restoring-a", ".restoring-b"]
    place.clear()
    assert sorted(os.listdir(tmp_path)) == [".ready-1", "pending-1-1.ndjson"]


@pytest.mark.mutation
def test_user_that_cannot_change_file_owner_is_refused_in_advance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target.os, "geteuid", lambda: 1234)
    words = r"must belong to 65532:65532, which uid 1234 cannot give them; run as root"
    folder = paths.folder(str(tmp_path))
    with Target(folder, 65532, 65532, 0o600) as place, pytest.raises(PermissionMissing, match=words):
        place.check_may(0)


@pytest.mark.mutation
def test_more_than_there_is_room_for(place: Target) -> None:
    place.check_may(1)
    with pytest.raises(StorageError, match="free disk space"):
        place.check_may(1 << 60)


@pytest.mark.mutation
def test_private_directory_that_is_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    assert target.open_private(str(tmp_path / "q")) is None
    target.make_private(str(tmp_path / "q"))
    target.make_private(str(tmp_path / "q"))
    found = target.open_private(str(tmp_path / "q"))
    assert found is not None and found.mode == 0o700
    found.close()
    (tmp_path / "link").symlink_to(tmp_path / "q")
    with pytest.raises(StorageError, match="symbolic link"):
        target.open_private(str(tmp_path / "link"))
