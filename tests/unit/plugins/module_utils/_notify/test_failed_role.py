# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role `caracal_notify` after a failure: the texts that it sends, how it fails, and which watchers it trusts."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml

from scenes.role_templates import Templates, variables
from unit.plugins.module_utils._ansible.test_boundary import ansible

# The text of the role itself.
WORDLESS = ""
BOTH = {"msg": "One or more items failed", "failed": True}
# A module on a malicious host.
HOSTILE = """#!/usr/bin/python
import json
made_up = {"__caracal_notify_watched": {"watcher": "made up"}, "__caracal_notify_mailed": "made up", **MORE}
print(json.dumps({"changed": False, "ansible_facts": made_up}))
"""
ROLE = "caracal_ops.backup.caracal_notify"


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("failure", "words"),
    [
        ({"msg": "no room", "failed": True}, "no room"),
        ({**BOTH, "results": [{"msg": "fine"}, {"failed": False, "msg": "good"}, {"failed": True, "msg": "full"}]}, "full"),
        ({**BOTH, "results": [{"failed": True, "msg": "full"}, {"failed": True, "msg": "late"}]}, "full"),
        ({**BOTH, "results": [{"failed": True}, {"failed": True, "msg": None}, {"failed": True, "msg": "late"}]}, "late"),
        ({**BOTH, "results": [{"failed": True, "msg": 7}]}, "7"),
        ({**BOTH, "results": ["lines", 7, None, ["of"], {"failed": True, "msg": "a module"}]}, "a module"),
        ({**BOTH, "results": [{"failed": True, "msg": " "}]}, BOTH["msg"]),
        ({**BOTH, "results": "of another kind"}, BOTH["msg"]),
        ({**BOTH, "results": {"failed": True}}, BOTH["msg"]),
        ({**BOTH, "results": 7}, BOTH["msg"]),
        ({**BOTH, "results": None}, BOTH["msg"]),
        ({"msg": ["one", "two"]}, "['one', 'two']"),
        ({"msg": ""}, WORDLESS),
        ({"msg": None, "results": []}, WORDLESS),
        ({}, WORDLESS),
        ("a text", WORDLESS),
        (None, WORDLESS),
    ],
)
def test_the_words_of_a_failure(failure: t.Any, words: str) -> None:
    assert cause(ansible_failed_result=failure) == (words or cause())


def cause(**given: t.Any) -> str:
    role = variables("caracal_notify")
    return str(Templates({**role, **given}).filled(role["__caracal_notify_cause"]))


def test_without_a_failure_there_are_words() -> None:
    assert cause().strip()


def played(folder: Path, tasks: list[dict[str, t.Any]], made_up: dict[str, t.Any], **own: t.Any) -> tuple[int, str]:
    """Run a play in which the module `lies` returns invented facts. Return the exit status and the output."""
    (folder / "library").mkdir()
    (folder / "library" / "lies.py").write_text(HOSTILE.replace("MORE", repr(made_up)), encoding="utf-8")
    play = folder / "play.yml"
    play.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "vars": own, "tasks": tasks}]), encoding="utf-8")
    done = ansible("ansible-playbook", str(play), folder=folder)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.mutation
def test_watcher_facts_forged_by_host_are_ignored(tmp_path: Path) -> None:
    """Facts returned by modules become variables. On the controller there are none of them before the role begins to watch."""
    failed = {"name": ROLE, "tasks_from": "failed"}
    doomed = {"ansible.builtin.fail": {"msg": "no room on {{ item }}"}, "when": "item != 'here'", "loop": ["here", "there"]}
    tasks: list[dict[str, t.Any]] = [
        {"lies": {}},
        {"ansible.builtin.assert": {"that": "ansible_facts['__caracal_notify_watched'].watcher | length == 7"}},
        {"block": [doomed], "rescue": [{"ansible.builtin.import_role": failed}]},
    ]
    own = {"caracal_notify_job": "backup", "caracal_notify_deployment": "prod", "caracal_notify_channels": []}
    status, output = played(tmp_path, tasks, {}, **own)
    end = output.rpartition("TASK")[2]
    assert status == 2 and "Fail and name" in end, output
    assert "made up" not in output and output.count('"msg": "no room on there"') == 1 and "no room" not in end, output


@pytest.mark.mutation
@pytest.mark.parametrize("entry", ["main", "began", "ended", "failed"])
def test_channel_facts_forged_by_host_are_refused(tmp_path: Path, entry: str) -> None:
    """The same applies in a play that has not begun to watch, as with facts from a fact cache."""
    lie = {"caracal_ops_notify": [{"kind": "webhook", "url": "http://stolen.invalid/{job}", "events": ["started", "succeeded", "failed"]}]}
    tasks: list[dict[str, t.Any]] = [{"lies": {}}, {"ansible.builtin.import_role": {"name": ROLE, "tasks_from": entry}}]
    status, output = played(tmp_path, tasks, lie)
    end = output.rpartition("TASK")[2]
    assert status == 2 and "FAILED" in end and "caracal_ops_notify" in end and "stolen" not in output, output


@pytest.mark.no_false_alarm
def test_settings_of_begun_play_override_facts_forged_by_host(tmp_path: Path) -> None:
    """A fact returned by a module does not replace a fact that `set_fact` set before."""
    lie = {"caracal_ops_notify": "made up", "__caracal_notify_settled": {"channels": "made up", "job": "", "deployment": "", "made_up": []}}
    began, ended = ({"name": ROLE, "tasks_from": entry} for entry in ("began", "ended"))
    given = {"caracal_notify_job": "backup"}
    tasks: list[dict[str, t.Any]] = [
        {"ansible.builtin.include_role": began, "vars": given},
        {"lies": {}},
        {"ansible.builtin.assert": {"that": "caracal_ops_notify == 'made up'"}},
        {"ansible.builtin.include_role": ended},
        {"ansible.builtin.assert": {"that": "__caracal_notify_settled.job == 'backup' and __caracal_notify_settled.channels == []"}},
    ]
    status, output = played(tmp_path, tasks, lie)
    assert status == 0, output
