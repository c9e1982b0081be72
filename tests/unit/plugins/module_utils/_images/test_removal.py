# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Removal deletes everything below a directory and nothing behind a link."""

from __future__ import annotations

import os
from pathlib import Path

from ansible_collections.caracal_ops.backup.plugins.module_utils._images import removal, tree


def filled(folder: Path, outside: Path) -> Path:
    """Return a directory with more files than one directory read returns, directories as deep as in any image, and links to the outside."""
    (folder / "many").mkdir(parents=True)
    for number in range(3000):
        (folder / "many" / f"{number:0100}").touch()
    deep = folder / Path(*["d"] * tree.DEPTH)
    deep.mkdir(parents=True)
    (deep / "link").symlink_to(outside)
    (folder / "link").symlink_to(outside)
    return folder


def test_nothing_of_it_is_left(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "kept").touch()
    removal.remove(str(filled(tmp_path / "one", tmp_path / "outside")))
    removal.empty(str(filled(tmp_path / "two", tmp_path / "outside")))
    assert sorted(os.listdir(tmp_path)) == ["outside", "two"] and os.listdir(tmp_path / "two") == []
    assert os.listdir(tmp_path / "outside") == ["kept"]
