# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules return results only, without facts, and paths and hosts in a result are checked before they are used."""

from __future__ import annotations

import importlib
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.caracal_ops.backup.plugins.plugin_utils.guard import Guarded
from tools.rules import guards, tree

ROLES = sorted(path for path in (tree.ROOT / "roles").iterdir() if path.is_dir())
# The quickstart runs completely on the controller.
FILES = sorted(
    path
    for path in (*tree.ROOT.glob("roles/*/tasks/*.yml"), *tree.ROOT.glob("playbooks/*.yml"), *tree.ROOT.glob("playbooks/parts/*.yml"))
    if not path.name.startswith("quickstart")
)
PLUGINS = "ansible_collections.caracal_ops.backup.plugins"
# Results that the task's action checks itself, and results that it creates on the controller.
CHECKED_THERE = {
    "caracal_backup": {
        "Fetch the encrypted files": {"__caracal_backup_replayed"},
        "Remove the fetched files from the controller": {"__caracal_backup_carried"},
    }
}


def modules() -> set[str]:
    return {path.stem for path in (tree.ROOT / "plugins" / "modules").glob("*.py")}


def guarded() -> set[str]:
    """Return the modules that run through an action which removes facts from the result."""
    routes = yaml.safe_load((tree.ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))["plugin_routing"]["modules"]
    routed = {name for name, route in routes.items() if route == {"action_plugin": "caracal_ops.backup.guarded"}}
    own = {path.stem for path in (tree.ROOT / "plugins" / "action").glob("*.py")} - {"__init__"}
    classes = {name: importlib.import_module(f"{PLUGINS}.action.{name}").ActionModule for name in own}
    return routed | {name for name, one in classes.items() if issubclass(one, Guarded)}


def crossings(role: Path) -> dict[str, set[str]]:
    documents = [guards.load(path) for path in sorted((role / "tasks").glob("*.yml"))]
    return guards.crossings(documents, {**(guards.load(role / "defaults/main.yml") or {}), **(guards.load(role / "vars/main.yml") or {})})


def test_every_module_is_guarded() -> None:
    assert modules() == guarded()


@pytest.mark.parametrize("path", FILES, ids=lambda one: str(one.relative_to(tree.ROOT)))
def test_each_task_is_guarded(path: Path) -> None:
    assert guards.unguarded(str(path), guards.load(path), modules()) == []


@pytest.mark.parametrize("role", ROLES, ids=lambda one: str(one.name))
def test_no_host_result_reaches_another_host_unchecked(role: Path) -> None:
    assert crossings(role) == CHECKED_THERE.get(role.name, {})


@pytest.mark.mutation
@pytest.mark.parametrize(
    "text",
    [
        "- {name: bad, ansible.builtin.stat: {path: /}}",
        "- {name: out, block: [{name: bad, ansible.builtin.copy: {}}]}",
        "- {name: bad, awx.awx.project: {}}",
        "- {name: bad, caracal_ops.backup.of_another: {}}",
        "- {name: bad, hosts: all, tasks: []}",
        "- {name: bad, action: ansible.builtin.setup}",
        "- {name: bad, local_action: {module: ansible.builtin.stat, path: /}}",
        "- {name: bad, caracal_ops.backup.backup_set: {}, async: 5}",
        "- {name: out, hosts: all, gather_facts: false, tasks: [{name: bad, ansible.builtin.setup: {}}]}",
    ],
)
def test_finds_an_unguarded_task(text: str) -> None:
    assert guards.unguarded("roles/x/tasks/main.yml", yaml.safe_load(text), modules()) == ["bad"]


THROUGH = {"__caracal_x_path": "{{ __caracal_x_asked.path }}"}
STEPS = "- {name: ask, caracal_ops.backup.backup_set_info: {}, register: __caracal_x_asked}\n"


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("task", "variables"),
    [
        ("{name: bad, delegate_to: there, caracal_ops.backup.guarded: {args: {path: '{{ __caracal_x_asked.path }}'}}}", {}),
        ("{name: bad, delegate_to: '{{ __caracal_x_asked.host }}', caracal_ops.backup.guarded: {}}", {}),
        ("{name: bad, delegate_to: '{{ item }}', loop: '{{ __caracal_x_asked.hosts }}', caracal_ops.backup.guarded: {}}", {}),
        (
            "{name: bad, delegate_to: there, caracal_ops.backup.guarded: {args: {path: '{{ __caracal_x_path }}'}}}",
            THROUGH,
        ),
        ("{name: out, delegate_to: there, block: [{name: bad, caracal_ops.backup.guarded: {args: ['{{ __caracal_x_asked }}']}}]}", {}),
    ],
)
def test_finds_an_unchecked_result_used_on_another_host(task: str, variables: dict[str, t.Any]) -> None:
    assert guards.crossings([yaml.safe_load(f"{STEPS}- {task}\n")], variables) == {"bad": {"__caracal_x_asked"}}


@pytest.mark.no_false_alarm
def test_checked_results_may_be_used_on_another_host() -> None:
    variables = {"__caracal_x_id": "{{ __caracal_x_asked.set_id | caracal_ops.backup.checked_set_id }}"}
    task = "- {name: good, delegate_to: there, caracal_ops.backup.guarded: {args: {path: '/s/{{ __caracal_x_id }}'}}}\n"
    assert guards.crossings([yaml.safe_load(STEPS + task)], variables) == {}
