# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Root takes the rights of another user for a limited time, in one thread, and then gets its own rights again."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import PermissionMissing
from ansible_collections.caracal_ops.backup.plugins.module_utils._files import rights
from harness.users import only_root

USER = 64999
pytestmark = only_root


@pytest.fixture
def shut(tmp_path: Path) -> Path:
    (tmp_path / "file").touch(mode=0o600)
    return tmp_path / "file"


def test_rights_of_root_are_dropped_and_restored(shut: Path) -> None:
    before = os.getgroups()
    with rights.of(USER), pytest.raises(PermissionError):
        shut.read_text()
    assert shut.read_text() == "" and os.getgroups() == before


def test_rights_are_restored_after_an_error(shut: Path) -> None:
    with pytest.raises(KeyError), rights.of(USER):
        raise KeyError
    assert shut.read_text() == ""


def test_other_threads_keep_theirs(shut: Path) -> None:
    read: list[str] = []
    begun = threading.Event()
    other = threading.Thread(target=lambda: begun.wait() and read.append(shut.read_text()))
    other.start()
    with rights.of(USER):
        begun.set()
        other.join()
    assert read == [""]


def test_groups_of_root_give_no_right(shut: Path) -> None:
    os.chown(shut, 0, 0)
    shut.chmod(0o640)
    with rights.of(USER), pytest.raises(PermissionError):
        shut.read_text()


@pytest.mark.mutation
def test_nothing_runs_if_root_rights_cannot_be_dropped(shut: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rights.platform, "machine", lambda: "unknown")
    monkeypatch.setattr(rights.os, "getgroups", lambda: [0])
    with pytest.raises(PermissionMissing), rights.of(USER):
        shut.write_text("written")
    assert shut.read_text() == ""
