# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Notification if a play dies: the processes that watch it, and those that are not ended."""

from __future__ import annotations

import contextlib
import time
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible.boundary import Invocation, complete
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import NotReady, OptionError
from ansible_collections.caracal_ops.backup.plugins.module_utils._notify import notify_watch
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import lease, processes
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream import workers
from harness.waiting import eventually


def call(check_mode: bool = False, **given: t.Any) -> dict[str, t.Any]:
    usual = {"state": "absent", "settings": None, "watcher": None}
    return notify_watch.run(Invocation(complete(notify_watch.Options, {**usual, **given}), check_mode, lambda _text: None))


PLAY = "41-7"


@pytest.fixture
def playing(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Make this test part of the play `PLAY`."""
    monkeypatch.setattr(lease, "controller", lambda: PLAY)
    return monkeypatch


@contextlib.contextmanager
def watching(name: str) -> t.Iterator[str]:
    """Run a process with this name that would watch for a long time, and yield it in the form of the option `watcher`."""
    pid = workers.detach(name, time.sleep, 600)
    found = processes.look(pid)
    assert found and found.name == name
    try:
        yield f"{pid}-{found.start_time}"
    finally:
        processes.send_kill(pid)
        assert eventually(lambda: processes.look(pid) is None)


def lives(named: str) -> bool:
    return not lease.gone(named)


def test_watch_without_controller_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "controller", lambda: "")
    with pytest.raises(NotReady):
        call(state="present", settings={"job": "backup"})


@pytest.mark.no_false_alarm
def test_a_watcher_is_ended_once(playing: pytest.MonkeyPatch) -> None:
    with watching(notify_watch._name(PLAY)) as named:
        assert call(check_mode=True, watcher=named)["changed"] and lives(named)
        assert call(watcher=named)["changed"] and eventually(lambda: not lives(named))
        assert not call(watcher=named)["changed"]


@pytest.mark.mutation
def test_a_process_that_only_has_its_pid_is_left_alone(playing: pytest.MonkeyPatch) -> None:
    with watching(notify_watch._name(PLAY)) as named:
        assert not call(watcher=f"{named.partition('-')[0]}-1")["changed"] and lives(named)


@pytest.mark.mutation
@pytest.mark.parametrize("name", ["python3", "caracal-sandbox", notify_watch._name("42-7")], ids=["none", "a sandbox's", "another play's"])
def test_process_that_is_not_watcher_of_this_play_keeps_running(playing: pytest.MonkeyPatch, name: str) -> None:
    with watching(name) as named:
        assert not call(watcher=named)["changed"] and lives(named)


@pytest.mark.mutation
def test_outside_of_a_play_nothing_is_ended(playing: pytest.MonkeyPatch) -> None:
    playing.setattr(lease, "controller", lambda: "")
    with watching(notify_watch._name("")) as named:
        assert not call(watcher=named)["changed"] and lives(named)


@pytest.mark.mutation
def test_another_users_watcher_is_left_alone(playing: pytest.MonkeyPatch) -> None:
    playing.setattr(notify_watch.os, "getuid", lambda: 12345)
    with watching(notify_watch._name(PLAY)) as named:
        assert not call(watcher=named)["changed"] and lives(named)


def test_the_longest_name_fits_in_the_kernels() -> None:
    assert len(notify_watch._name("4194304-1")) == 15


@pytest.mark.mutation
@pytest.mark.parametrize("named", ["", "1", "0-1", "-1-2", "1-2\n", "12345678901-1", "$(id)-1"])
def test_invalid_watcher_value_is_refused(named: str) -> None:
    with pytest.raises(OptionError):
        call(watcher=named)


@pytest.mark.parametrize(
    ("argv", "wanted"),
    [
        (
            ("/venv/bin/python", "/venv/bin/ansible-playbook", "caracal_ops.backup.backup"),
            ["/venv/bin/python", "/venv/bin/ansible-playbook"],
        ),
        (("/venv/bin/python", "-m", "ansible.cli.playbook", "x"), ["/venv/bin/python", "-m", "ansible.cli.playbook"]),
        ((), ["python3", "-m", "ansible.cli.playbook"]),
    ],
)
def test_word_is_sent_by_the_ansible_of_the_play(argv: tuple[str, ...], wanted: list[str]) -> None:
    assert notify_watch._command(argv) == wanted
