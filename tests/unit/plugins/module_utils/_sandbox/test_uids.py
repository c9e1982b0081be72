# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sandboxes that are created at once, or that are dead, never share a uid. Otherwise removing one would end the other."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server_binaries import Install
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import MissingDependency, StorageError
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import lifecycle, marker, processes, uids, users
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import AUTO, Layout, SandboxSpec
from harness.users import only_root

pytestmark = only_root
FORK = multiprocessing.get_context("fork")
# Below the uids that other sandboxes of this host use.
FEW = range(60520, 60523)


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(uids, "PLACE", str(tmp_path / "uids"))
    monkeypatch.setattr(users, "FREE_IDS", FEW)


def made(folder: Path) -> int:
    """Return the uid of a sandbox that has only a marker."""
    folder.mkdir()
    layout = Layout.of(str(folder))
    with uids.claimed(layout) as identity:
        assert identity
        marker.write(layout, marker.Marker(server_uid=identity.uid, own_uid=True, boot_id=processes.boot_id()))
    return identity.uid


@pytest.mark.mutation
def test_no_two_have_the_same_though_nothing_runs(tmp_path: Path) -> None:
    assert {made(tmp_path / str(number)) for number in FEW} == set(FEW)
    with pytest.raises(MissingDependency):
        made(tmp_path / "more")


@pytest.mark.mutation
def test_no_two_that_are_made_at_once(tmp_path: Path) -> None:
    children = [FORK.Process(target=made, args=(tmp_path / str(number),)) for number in FEW]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * len(FEW) and set(os.listdir(uids.PLACE)) == {str(uid) for uid in FEW}


@pytest.mark.no_false_alarm
def test_the_uid_of_one_that_is_gone_is_free_again(tmp_path: Path) -> None:
    of = {made(tmp_path / str(number)): tmp_path / str(number) for number in FEW}
    marker.remove(Layout.of(str(of[FEW[1]])))
    assert made(tmp_path / "next") == FEW[1]


@pytest.mark.mutation
def test_a_marker_that_cannot_be_read_frees_nothing(tmp_path: Path) -> None:
    of = {made(tmp_path / str(number)): tmp_path / str(number) for number in FEW}
    Path(Layout.of(str(of[FEW[1]])).marker).write_text("{", encoding="utf-8")
    with pytest.raises(MissingDependency):
        made(tmp_path / "next")


@pytest.mark.mutation
def test_sandbox_without_directory_for_uids_is_refused(tmp_path: Path) -> None:
    Path(uids.PLACE).write_text("", encoding="utf-8")
    with pytest.raises(StorageError):
        made(tmp_path / "one")


@pytest.mark.mutation
def test_a_sandbox_takes_none_that_another_has(
    tmp_path: Path, server_install: Install, sandbox_directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server runs, so its uids must differ from those used by tests in other workers."""
    own = range(FEW.stop, FEW.stop + 3)
    monkeypatch.setattr(users, "FREE_IDS", own)
    others = {made(tmp_path / str(number)) for number in own[1:]}
    spec = SandboxSpec(sandbox_directory, server_install, isolation=AUTO, unisolated_reason="a test")
    info = lifecycle.create(spec).info
    assert {info.uid} == set(own) - others
    note = marker.read(Layout.of(sandbox_directory))
    assert note and note.exclusive_uid == info.uid and os.readlink(f"{uids.PLACE}/{info.uid}") == Layout.of(sandbox_directory).root
