# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import io
import os
import typing as t
import uuid
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import StorageError, Unreachable
from ansible_collections.caracal_ops.backup.plugins.module_utils._options.shared import BucketOptions
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage import s3_ranges
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.archived import NO_LOCK, Held
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.base import Store
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.local import LocalStore
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.schemes import open_store
from scenes.s3_server import S3Server

KEY = "archive/audit/2026/06/17/2026-06-17T11.parquet"
BYTES = os.urandom(3 * s3_ranges.BUFFER + 17)


@pytest.fixture(params=["directory", "bucket", "large"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    if request.param == "directory":
        return LocalStore(str(tmp_path / "store"))
    if request.param == "large":
        monkeypatch.setattr(s3_ranges, "AT_ONCE", 0)
    s3: S3Server = request.getfixturevalue("s3")
    return open_store(f"s3://{s3.shared}/{uuid.uuid4().hex}", BucketOptions(**s3.options()))


def test_bytes_are_read_from_anywhere(store: Store) -> None:
    store.put(KEY, BYTES)
    [one] = store.held("archive/audit")
    assert (one.key, one.size, one.shadowed) == (KEY, len(BYTES), False)
    with store.open_held(one) as stream:
        assert stream.read() == BYTES
    with store.open_seekable(one) as stream:
        assert stream.seek(-5, io.SEEK_END) == len(BYTES) - 5
        assert stream.read() == BYTES[-5:] and stream.read() == b""
        stream.seek(7)
        assert stream.read(s3_ranges.BUFFER + 1) == BYTES[7 : s3_ranges.BUFFER + 8]
        stream.seek(3, io.SEEK_CUR)
        assert stream.tell() == s3_ranges.BUFFER + 11
        stream.seek(0)
        assert stream.read() == BYTES
        with pytest.raises((ValueError, OSError)):
            stream.seek(-1)


def test_object_hidden_by_delete_marker_is_still_held(s3: S3Server) -> None:
    store = open_store(f"s3://{s3.shared}/{uuid.uuid4().hex}", BucketOptions(**s3.options()))
    store.put(KEY, b"true")
    store.delete(KEY)
    [one] = store.held("archive/audit")
    assert (one.marked, one.versions, one.shadowed) == (True, 1, True)
    with store.open_held(one) as stream:
        assert stream.read() == b"true"


class Answers:
    """A store that returns these answers to reads. An exception is raised."""

    def __init__(self, *answers: bytes | Exception) -> None:
        self.left = list(answers)

    def __call__(self, **_more: t.Any) -> dict[str, t.Any]:
        answer = self.left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return {"Body": io.BytesIO(answer)}


def test_a_read_is_tried_again_and_a_wrong_part_refused() -> None:
    broken = Unreachable("gone")
    assert s3_ranges.Ranges(Answers(broken, broken, b"abc"), 3, "x").read(3) == b"abc"
    with pytest.raises(Unreachable):
        s3_ranges.Ranges(Answers(*[broken] * s3_ranges.ATTEMPTS), 3, "x").read(3)
    with pytest.raises(StorageError, match="another part"):
        s3_ranges.Ranges(Answers(b"ab"), 3, "x").read(3)


def test_a_directory_has_no_locks(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path / "store"))
    assert (store.locks, store.lock_of(Held(KEY, 1))) == (False, NO_LOCK)
