# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Word of a play that dies: who watches, and who is left alone."""

from __future__ import annotations

import subprocess
import sys
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible.boundary import Invocation
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import NotReady, OptionError
from ansible_collections.caracal_ops.backup.plugins.module_utils._notify import notify_watch
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import lease, processes


def call(check_mode: bool = False, **given: t.Any) -> dict[str, t.Any]:
    usual = {"state": "absent", "settings": None, "watcher": None}
    return notify_watch.run(Invocation({**usual, **given}, check_mode, lambda _text: None))


@pytest.fixture
def sleeper() -> t.Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        yield process
        process.kill()


def test_without_a_controller_nobody_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "controller", lambda: "")
    with pytest.raises(NotReady):
        call(state="present", settings={"job": "backup"})


def test_a_watcher_is_ended_once(sleeper: subprocess.Popen[bytes]) -> None:
    found = processes.look(sleeper.pid)
    assert found
    named = f"{found.pid}-{found.start_time}"
    assert call(check_mode=True, watcher=named)["changed"] and sleeper.poll() is None
    assert call(watcher=named)["changed"] and sleeper.wait() == -9
    assert not call(watcher=named)["changed"]


@pytest.mark.mutation
def test_a_process_that_only_has_its_pid_is_left_alone(sleeper: subprocess.Popen[bytes]) -> None:
    assert not call(watcher=f"{sleeper.pid}-1")["changed"] and sleeper.poll() is None


@pytest.mark.mutation
@pytest.mark.parametrize("named", ["", "1", "0-1", "-1-2", "1-2\n", "12345678901-1", "$(id)-1"])
def test_what_is_no_watcher_is_refused(named: str) -> None:
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
