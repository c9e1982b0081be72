# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The limits of an image in their full size: an image within them takes time but no memory, others leave no files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._images import budget
from scenes import image_bounds, image_scene
from scenes.image_bounds import MIB, Unpacking

# Memory that a process may use to unpack any image.
MEMORY = 64 * MIB


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir(mode=0o755)
    return tmp_path / "images"


def left(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir() if path.suffix != ".lock"}


def shown(name: str, found: Unpacking) -> Unpacking:
    print(f"{name}: {found.seconds:.1f} s, {found.memory / MIB:.0f} MiB {found.error}")
    return found


@pytest.mark.no_false_alarm
def test_as_many_files_as_an_image_may_have(directory: Path, tmp_path: Path) -> None:
    image = image_bounds.image(tmp_path / "image.tar", image_bounds.empty_files(budget.ENTRIES_LIMIT, "many"))
    found = shown("all that it may have", image_bounds.unpack(directory, tmp_path / "image.tar", image))
    assert found.error == "" and found.memory < MEMORY
    folder = directory / image.removeprefix("sha256:")
    with os.scandir(folder / "rootfs/many") as entries:
        assert sum(1 for _entry in entries) == budget.ENTRIES_LIMIT

    os.utime(folder, (1_600_000_000, 1_600_000_000))
    other, data = image_scene.saved([image_scene.archive([("one", b"1")])])
    (tmp_path / "other.tar").write_bytes(data)
    found = shown("its removal", image_bounds.unpack(directory, tmp_path / "other.tar", other))
    assert found.memory < MEMORY and left(directory) == {other.removeprefix("sha256:")}


@pytest.mark.mutation
def test_a_million_files(directory: Path, tmp_path: Path) -> None:
    image = image_bounds.image(tmp_path / "image.tar", image_bounds.empty_files(1_000_001, "many"))
    found = shown("a million", image_bounds.unpack(directory, tmp_path / "image.tar", image))
    assert str(budget.ENTRIES_LIMIT) in found.error and "use another image" in found.error
    assert found.memory < MEMORY and left(directory) == set()


@pytest.mark.mutation
def test_more_bytes_than_an_image_may_have(directory: Path, tmp_path: Path) -> None:
    """All of these bytes would be zeros, and none is written."""
    image_bounds.zeros(tmp_path / "image.layer", 2, budget.BYTES_LIMIT // 2 + MIB)
    image = image_bounds.of_layer(tmp_path / "image.tar", tmp_path / "image.layer", "0" * 64)
    found = shown("a bomb", image_bounds.unpack(directory, tmp_path / "image.tar", image))
    assert str(budget.BYTES_LIMIT) in found.error and "use another image" in found.error
    assert found.memory < MEMORY and left(directory) == set()
