# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Messages to a role's operator name an existing variable of that role."""

from __future__ import annotations

import ast
import re
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible import role_variables
from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible.role_variables import ROLE, VARIABLES, with_variables
from scenes.playing import Play, backup_settings
from scenes.scene import Scene
from tools.rules import tree

# caracal_ops is left out, because its settings are those which other roles share.
ROLES = sorted(path.name for path in tree.ROOT.glob("roles/*") if path.name != "caracal_ops")
Task = dict[str, t.Any]
# It runs modules of Ansible, whose errors do not name options of this collection.
GUARDED = "caracal_ops.backup.guarded"


def entries(role: str) -> dict[str, t.Any]:
    specs: dict[str, t.Any] = yaml.safe_load((tree.ROOT / f"roles/{role}/meta/argument_specs.yml").read_text(encoding="utf-8"))
    return specs["argument_specs"]


def variables(role: str) -> set[str]:
    return {name for entry in entries(role).values() for name in entry.get("options") or {}}


def test_each_option_is_a_variable_of_exactly_these_roles() -> None:
    known = {role: variables(role) for role in ROLES}
    assert {name: sorted(roles) for name, roles in VARIABLES.items()} == {
        name: [role for role in ROLES if f"{role}_{name}" in known[role]] for name in VARIABLES
    }


def _words() -> set[str]:
    """Return the words of all strings in the code, and the names of all options. Ansible names an option when it rejects a value."""
    found: set[str] = set()
    for path in (tree.ROOT / "plugins/module_utils").rglob("*.py"):
        if path.name == Path(role_variables.__file__).name:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.update(re.findall(r"\w+", node.value))
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found.add(node.target.id)
    return found


def test_each_listed_option_is_named_in_the_code() -> None:
    assert VARIABLES.keys() <= _words()


@pytest.mark.parametrize(
    ("message", "role", "expected"),
    [
        ("login_password_file /p cannot be read", "caracal_backup", ["caracal_ops_login_password_file"]),
        ("check redis_host, redis_port and redis_host", "caracal_restore", ["caracal_ops_redis_host", "caracal_ops_redis_port"]),
        ("set recipients_files, s3_profile or keep_last", "caracal_backup", []),
        ("/srv/signing_key.old and signing_key-1 are not keys", "caracal_backup", []),
        ("wait with unisolated_reason (caracal_drill_unisolated_reason)", "caracal_drill", []),
        ("set signing_key", "a_role_elsewhere", []),
    ],
)
def test_the_variables_follow_the_message(message: str, role: str, expected: list[str]) -> None:
    found = with_variables(message, role)
    assert found.startswith(message)
    assert re.findall(r"caracal_[a-z_]+_(?:login|redis)_[a-z_]+", found.removeprefix(message)) == expected


def silent(role: str, file: str, known: bool) -> t.Iterator[str]:
    """Yield, from an entry point on, the tasks with our modules that do not set the name of their role."""
    yield from _silent(role, yaml.safe_load((tree.ROOT / f"roles/{role}/tasks/{file}").read_text(encoding="utf-8")), known)


def _silent(role: str, tasks: list[Task], known: bool) -> t.Iterator[str]:
    for task in tasks:
        knows = known or task.get("environment", {}).get(ROLE) == role
        for part in ("block", "rescue", "always"):
            yield from _silent(role, task.get(part) or [], knows)
        for name in ("ansible.builtin.import_tasks", "ansible.builtin.include_tasks"):
            if name in task:
                file = task[name]["file"] if isinstance(task[name], dict) else task[name]
                # Included tasks inherit the environment of the surrounding block, but not the environment of the
                # include task itself.
                yield from silent(role, file, known if name.endswith("include_tasks") else knows)
        if not knows and any(key.startswith("caracal_ops.backup.") and key != GUARDED for key in task):
            yield str(task.get("name"))


@pytest.mark.parametrize("role", ROLES)
def test_each_module_task_has_its_role_set(role: str) -> None:
    assert [one for entry in entries(role) for one in silent(role, f"{entry}.yml", False)] == []


@pytest.mark.mutation
def test_finds_a_task_without_its_role() -> None:
    module = {"caracal_ops.backup.backup_set": {}}
    tasks = [
        {"name": "a", **module},
        {"environment": {ROLE: "caracal_backup"}, "block": [{"name": "b", **module}]},
        {"block": [{**module, "name": "c"}]},
    ]
    assert list(_silent("caracal_backup", tasks, False)) == ["a", "c"]


def test_error_names_the_role_variable(scene: Scene, tmp_path: Path) -> None:
    settings = {**backup_settings(scene), "caracal_ops_login_password_file": str(tmp_path / "none")}
    play = Play("backup", settings, tmp_path, ("--check",))
    assert play.ended() != 0
    assert "caracal_ops_login_password_file" in play.output() and "Traceback" not in play.output()
