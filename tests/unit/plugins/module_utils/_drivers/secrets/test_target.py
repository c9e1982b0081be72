# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets restored into a service's directory. The service moves files in it while root writes."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.secrets import target
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.secrets.target import MODE, NEW, SAME, Owner, Wanted
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import StorageError, TargetRefused

US = Owner(os.geteuid(), os.getegid())


@pytest.fixture
def wanted(tmp_path: Path) -> Wanted:
    return Wanted("secrets/keys/hmac", str(tmp_path / "top"), "keys/hmac", 0o444, b"a secret")


@pytest.mark.no_false_alarm
def test_a_file_comes_with_its_folders(wanted: Wanted) -> None:
    target.put(wanted, 0o700, 0o755, US)
    assert target.examine(wanted, US) == SAME
    assert [path.name for path in Path(wanted.top).rglob("*")] == ["keys", "hmac"]


@pytest.mark.mutation
def test_a_link_in_the_place_of_a_folder_leads_nowhere(wanted: Wanted, tmp_path: Path) -> None:
    elsewhere, keys = tmp_path / "etc", Path(wanted.top) / "keys"
    elsewhere.mkdir()
    keys.mkdir(parents=True)
    assert target.examine(wanted, US) == NEW
    keys.rmdir()
    keys.symlink_to(elsewhere)
    with pytest.raises(StorageError):
        target.put(wanted, 0o700, 0o755, US)
    assert list(elsewhere.iterdir()) == []


@pytest.mark.mutation
def test_no_file_behind_a_link_changes_its_owner(wanted: Wanted, tmp_path: Path) -> None:
    elsewhere, keys = tmp_path / "etc", Path(wanted.top) / "keys"
    elsewhere.mkdir()
    (elsewhere / "hmac").write_bytes(b"another")
    (elsewhere / "hmac").chmod(0o600)
    keys.parent.mkdir()
    keys.symlink_to(elsewhere)
    with pytest.raises(StorageError):
        target.put(wanted, 0o700, 0o755, US)
    assert (elsewhere / "hmac").stat().st_mode & 0o777 == 0o600


@pytest.mark.mutation
def test_a_file_that_was_exchanged_keeps_its_owner_and_mode(wanted: Wanted, tmp_path: Path) -> None:
    """A hard link, which looks like any other file, replaced the file."""
    target.put(wanted, 0o700, 0o755, US)
    assert target.examine(replace(wanted, mode=0o400), US) == MODE
    elsewhere = tmp_path / "shadow"
    elsewhere.write_bytes(b"another")
    elsewhere.chmod(0o600)
    Path(wanted.path).unlink()
    Path(wanted.path).hardlink_to(elsewhere)
    target.put(replace(wanted, mode=0o400), 0o700, 0o755, US)
    assert elsewhere.stat().st_mode & 0o777 == 0o600 and elsewhere.read_bytes() == b"another"


@pytest.mark.mutation
def test_pipe_in_place_of_secret_file_is_refused_without_waiting(wanted: Wanted) -> None:
    target.put(wanted, 0o700, 0o755, US)
    Path(wanted.path).unlink()
    os.mkfifo(wanted.path)
    with pytest.raises(TargetRefused):
        target.examine(wanted, US)
