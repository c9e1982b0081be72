# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Only one backup of a deployment runs on a host at a time. A killed backup does not block the next one."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import datetime
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import Busy, KeyProblem, StorageError, TamperedData
from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import access, running
from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence.running import LEASE, Running
from ansible_collections.caracal_ops.backup.plugins.module_utils._files import paths
from ansible_collections.caracal_ops.backup.plugins.module_utils._options.shared import RepositoryOptions

FIRST, SECOND = "20260102T030405Z-abcd", "20260102T030406Z-abcd"
# A process that has ended.
GONE = "4194305-1"
SECOND_OF_TIME = datetime.timedelta(seconds=1)


@pytest.fixture
def given(tmp_path: Path) -> RepositoryOptions:
    mark = str(tmp_path / "mark" / "mark.json")
    return RepositoryOptions(repository="/srv/backup", deployment="prod", allowed_signers="/signers", high_water_mark=mark)


def set_as(patch: pytest.MonkeyPatch, process: str, controller: str) -> None:
    patch.setattr(running.lease, "own", lambda: process)
    patch.setattr(running.lease, "controller", lambda: controller)


def later(patch: pytest.MonkeyPatch, by: datetime.timedelta) -> None:
    now = access.now()
    patch.setattr(access, "now", lambda: now + by)


@pytest.mark.mutation
def test_another_set_is_refused_with_the_name_of_the_running_one_and_its_begin(given: RepositoryOptions) -> None:
    Running(given, FIRST).begin()
    for refused in (Running(given, SECOND).refuse_other, Running(given, SECOND).begin):
        with pytest.raises(Busy) as caught:
            refused()
        assert FIRST in caught.value.msg and "2026-01-02T03:04:05Z" in caught.value.msg and caught.value.details == {"set_id": FIRST}
    Running(given, FIRST).begin()


@pytest.mark.no_false_alarm
def test_nothing_of_others_is_in_the_way(given: RepositoryOptions) -> None:
    Running(given, SECOND).refuse_other()
    Running(given, FIRST).begin()
    Running(dataclasses.replace(given, deployment="test"), SECOND).begin()
    Running(given, SECOND).end()
    Running(given, SECOND).renew()
    with pytest.raises(Busy):
        Running(given, SECOND).refuse_other()
    Running(given, FIRST).end()
    Running(given, SECOND).begin()


@pytest.mark.no_false_alarm
def test_set_killed_with_its_local_controller_blocks_no_other_set(given: RepositoryOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        set_as(patch, GONE, GONE)
        Running(given, FIRST).begin()
    Running(given, SECOND).begin()


def test_between_two_modules_the_controller_shows_that_the_set_runs(given: RepositoryOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        set_as(patch, GONE, running.lease.own())
        Running(given, FIRST).begin()
    later(monkeypatch, LEASE + SECOND_OF_TIME)
    with pytest.raises(Busy):
        Running(given, SECOND).begin()


def test_with_a_controller_elsewhere_the_lease_counts(given: RepositoryOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        set_as(patch, GONE, "")
        Running(given, FIRST).begin()
        with pytest.raises(Busy) as caught:
            Running(given, SECOND).begin()
        assert "aborted" in caught.value.msg
    for by, runs in ((LEASE - datetime.timedelta(minutes=1), True), (LEASE + SECOND_OF_TIME, False), (-2 * LEASE, False)):
        with monkeypatch.context() as patch:
            later(patch, by)
            if runs:
                with pytest.raises(Busy):
                    Running(given, SECOND).refuse_other()
            else:
                Running(given, SECOND).refuse_other()


@pytest.mark.mutation
@pytest.mark.parametrize("process", [GONE, ""], ids=["another container", "a process with the same number"])
def test_processes_of_another_container_are_neither_alive_nor_gone(
    given: RepositoryOptions, monkeypatch: pytest.MonkeyPatch, process: str
) -> None:
    """This includes processes from before the host started. For both, the lease decides."""
    with monkeypatch.context() as patch:
        named = process or running.lease.own()
        set_as(patch, named, named)
        patch.setattr(running.lease, "here", lambda: "elsewhere")
        Running(given, FIRST).begin()
    with pytest.raises(Busy):
        Running(given, SECOND).begin()
    later(monkeypatch, LEASE + SECOND_OF_TIME)
    Running(given, SECOND).begin()


def test_a_module_renews_it(given: RepositoryOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        set_as(patch, GONE, GONE)
        Running(given, FIRST).begin()
    Running(given, FIRST).renew()
    with pytest.raises(Busy):
        Running(given, SECOND).refuse_other()


@pytest.mark.mutation
@pytest.mark.parametrize("change", [Running.renew, Running.end])
def test_a_set_that_was_quiet_for_long_takes_no_note_from_the_next_one(
    given: RepositoryOptions, monkeypatch: pytest.MonkeyPatch, change: t.Callable[[Running], None]
) -> None:
    """The next set begins between two checks by a module of the first set."""
    first, second, exclusive, unlink = Running(given, FIRST), Running(given, SECOND), running.lock.exclusive, paths.unlink
    begun = list[str]()
    with monkeypatch.context() as patch:
        set_as(patch, GONE, GONE)
        first.begin()

    @contextlib.contextmanager
    def late(path: str) -> t.Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setattr(running.lock, "exclusive", exclusive)
            second.begin()
        begun.append(path)
        with exclusive(path):
            yield

    def late_unlink(path: str) -> None:
        if not begun:
            second.begin()
        unlink(path)

    monkeypatch.setattr(running.lock, "exclusive", late)
    monkeypatch.setattr(running.paths, "unlink", late_unlink)
    change(first)
    monkeypatch.undo()
    with pytest.raises(Busy) as caught:
        first.refuse_other()
    assert caught.value.details == {"set_id": SECOND}


@pytest.mark.mutation
def test_only_one_of_many_concurrent_sets_begins(given: RepositoryOptions) -> None:
    def begun(number: int) -> bool:
        try:
            Running(given, f"20260102T0304{number:02d}Z-abcd").begin()
        except Busy:
            return False
        return True

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(begun, range(8))) == 1


@pytest.mark.mutation
def test_unusable_note_of_running_backup_is_refused(given: RepositoryOptions) -> None:
    Running(given, FIRST).begin()
    [note] = Path(given.high_water_mark).parent.glob("*.running")
    note.write_text("{}")
    with pytest.raises(TamperedData, match="remove it"):
        Running(given, SECOND).refuse_other()
    note.chmod(0o666)
    with pytest.raises(KeyProblem):
        Running(given, SECOND).refuse_other()
    note.unlink()
    note.mkdir()
    with pytest.raises(StorageError):
        Running(given, SECOND).refuse_other()
