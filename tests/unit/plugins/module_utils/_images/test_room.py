# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The disk never fills up: an image that does not fit is refused before it is written."""

from __future__ import annotations

import contextlib
import io
import os
import types
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import StorageError
from ansible_collections.caracal_ops.backup.plugins.module_utils._images import cache, room
from scenes import image_scene
from scenes.image_scene import archive, packed

MIB = 1 << 20
Disk = t.Callable[..., None]


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Return a function that sets the disk's free space in MiB and the number of free inodes."""

    def make(size: int, free: int, files: int = 1 << 20, more: int = 1 << 20) -> None:
        about = {"f_frsize": MIB, "f_blocks": size, "f_bavail": free, "f_files": files, "f_favail": more}
        monkeypatch.setattr(os, "statvfs", lambda _path: types.SimpleNamespace(**about))

    return make


@pytest.mark.mutation
def test_a_hundredth_stays_free(disk: Disk) -> None:
    disk(size=1000, free=50)
    room.check("/images", 0, 40 * MIB)
    for files, size in ((1, 40 * MIB), (0, 40 * MIB + 1), (11000, 0)):
        with pytest.raises(StorageError) as raised:
            room.check("/images", files, size)
        assert "/images" in raised.value.msg and "make room" in raised.value.msg


@pytest.mark.mutation
def test_files_have_a_number(disk: Disk) -> None:
    disk(size=1000, free=900, files=1000, more=100)
    room.check("/images", 90, 0)
    with pytest.raises(StorageError):
        room.check("/images", 91, 0)
    # A file system that does not count inodes.
    disk(size=1000, free=900, files=0, more=0)
    room.check("/images", 91, 0)


@pytest.mark.mutation
@pytest.mark.parametrize("pack", [bytes, packed], ids=["as it is", "packed"])
def test_an_image_that_the_disk_does_not_take(tmp_path: Path, disk: Disk, pack: t.Callable[[bytes], bytes]) -> None:
    """The packed image may fit. No other source is tried, because the image would not fit from there either."""
    image, data = image_scene.saved([archive([("large", bytes(6 * MIB))])], pack=pack)
    (tmp_path / "images").mkdir(mode=0o755)
    asked = []

    def save() -> t.ContextManager[io.BytesIO]:
        asked.append(data)
        return contextlib.nullcontext(io.BytesIO(data))

    disk(size=100, free=6)
    with pytest.raises(StorageError):
        cache.unpacked(str(tmp_path / "images"), image, [save, save])
    assert len(asked) == 1 and [path for path in (tmp_path / "images").iterdir() if path.suffix != ".lock"] == []
    disk(size=100, free=100)
    assert cache.unpacked(str(tmp_path / "images"), image, [save])[1]
