# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets are read from the named directory, even if its owner replaces the directory in the meantime."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.secrets import files
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import UnsafePath
from harness.users import only_root

USER = 64999


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "home" / "secrets"
    (made / "console").mkdir(parents=True)
    (made / "a").write_text("x", encoding="utf-8")
    return made


def test_a_folder_without_a_file_is_found(directory: Path) -> None:
    found = files.empty_folders(str(directory), ("allowlist", "console"), "folders", files.directory(str(directory), "secrets"))
    assert [(one.name, one.content) for one in found] == [("folders/console", b"")]


@only_root
@pytest.mark.mutation
def test_no_folder_behind_a_link_is_found(directory: Path, tmp_path: Path) -> None:
    read = files.directory(str(directory), "secrets")
    directory.rename(directory.with_name("aside"))
    (tmp_path / "etc" / "console").mkdir(parents=True, mode=0o711)
    directory.symlink_to(tmp_path / "etc")
    os.lchown(directory, USER, USER)
    os.chown(directory.parent, USER, USER)
    with pytest.raises(UnsafePath):
        files.empty_folders(str(directory), ("console",), "folders", read)
