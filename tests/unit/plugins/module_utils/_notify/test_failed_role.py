# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role `caracal_notify` after a failure: with what words it fails, and whom of its watchers it believes."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml

from scenes.role_templates import Templates, variables
from unit.plugins.module_utils._ansible.test_boundary import ansible

# The words of the role itself.
WORDLESS = ""
BOTH = {"msg": "One or more items failed", "failed": True}
# A module of a host that lies.
HOSTILE = """#!/usr/bin/python
import json
made_up = {"__caracal_notify_watched": {"watcher": "made up"}, "__caracal_notify_mailed": "made up"}
print(json.dumps({"changed": False, "ansible_facts": made_up}))
"""


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
    assert told(ansible_failed_result=failure) == (words or told())


def told(**given: t.Any) -> str:
    role = variables("caracal_notify")
    return str(Templates({**role, **given}).filled(role["__caracal_notify_cause"]))


def test_without_a_failure_there_are_words() -> None:
    assert told().strip()


@pytest.mark.mutation
def test_what_a_host_makes_up_is_no_watcher(tmp_path: Path) -> None:
    """Facts that its modules return are variables; none of them comes to the controller where the role has not begun to watch."""
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "lies.py").write_text(HOSTILE, encoding="utf-8")
    failed = {"name": "caracal_ops.backup.caracal_notify", "tasks_from": "failed"}
    doomed = {"ansible.builtin.fail": {"msg": "no room on {{ item }}"}, "when": "item != 'here'", "loop": ["here", "there"]}
    tasks: list[dict[str, t.Any]] = [
        {"lies": {}},
        {"ansible.builtin.assert": {"that": "ansible_facts['__caracal_notify_watched'].watcher | length == 7"}},
        {"block": [doomed], "rescue": [{"ansible.builtin.import_role": failed}]},
    ]
    own = {"caracal_notify_job": "backup", "caracal_notify_deployment": "prod", "caracal_notify_channels": []}
    play = tmp_path / "play.yml"
    play.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "vars": own, "tasks": tasks}]), encoding="utf-8")
    done = ansible("ansible-playbook", str(play), folder=tmp_path)
    end = done.stdout.rpartition("TASK")[2]
    assert done.returncode == 2 and "Fail as the play did" in end, done.stdout + done.stderr
    assert "made up" not in done.stdout + done.stderr and '"msg": "no room on there"' in end, done.stdout + done.stderr
