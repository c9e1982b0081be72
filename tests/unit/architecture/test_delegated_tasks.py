# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Facts of delegated tasks belong to the other host, and tasks on the controller do not run as root.

Without `delegate_facts`, the facts of the other host would become variables of the current host. An inventory's
`ansible_become` is meant for its hosts. It overrides `become`, so a task on the controller must set the variable
itself.
"""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml

from tools.rules import tree

FILES = sorted([*tree.ROOT.glob("roles/*/tasks/*.yml"), *tree.ROOT.glob("playbooks/*.yml")])


def faults(tasks: t.Any) -> list[str]:
    """Return the names of delegated tasks, at any depth, that store facts on the delegating host."""
    if isinstance(tasks, dict):
        own = tasks.get("delegate_to", "localhost") != "localhost" and tasks.get("delegate_facts") is not True
        return ([tasks.get("name", "?")] if own else []) + [one for value in tasks.values() for one in faults(value)]
    return [one for task in tasks for one in faults(task)] if isinstance(tasks, list) else []


def roots(tasks: t.Any) -> list[str]:
    """Return the names of tasks on the controller, at any depth, that would run as root if the inventory sets `ansible_become`."""
    if isinstance(tasks, dict):
        own = tasks.get("delegate_to") == "localhost" and (tasks.get("vars") or {}).get("ansible_become") is not False
        return ([tasks.get("name", "?")] if own else []) + [one for value in tasks.values() for one in roots(value)]
    return [one for task in tasks for one in roots(task)] if isinstance(tasks, list) else []


@pytest.mark.parametrize("path", FILES, ids=lambda one: str(one.relative_to(tree.ROOT)))
def test_delegated_tasks_store_facts_on_the_other_host(path: Path) -> None:
    assert faults(yaml.safe_load(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("path", FILES, ids=lambda one: str(one.relative_to(tree.ROOT)))
def test_no_task_runs_as_root_on_the_controller(path: Path) -> None:
    assert roots(yaml.safe_load(path.read_text(encoding="utf-8"))) == []


@pytest.mark.mutation
def test_finds_a_delegated_task_without_delegate_facts() -> None:
    text = "- block:\n    - {name: here, delegate_to: localhost}\n  always:\n    - {name: there, delegate_to: '{{ item }}', file: {}}\n"
    assert faults(yaml.safe_load(text)) == ["there"]


@pytest.mark.mutation
def test_a_task_that_would_be_root_on_the_controller_is_found() -> None:
    block = "- block:\n    - {name: keyword, delegate_to: localhost, become: false}\n"
    well = "- {name: well, delegate_to: localhost, vars: {ansible_become: false}}\n"
    assert roots(yaml.safe_load(block + well)) == ["keyword"]
