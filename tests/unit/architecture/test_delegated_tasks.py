# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What another host answers are facts of that host: without `delegate_facts` they would be settings of the one that asked."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml

from tools.rules import tree

FILES = sorted([*tree.ROOT.glob("roles/*/tasks/*.yml"), *tree.ROOT.glob("playbooks/*.yml")])


def faults(tasks: t.Any) -> list[str]:
    """Names of delegated tasks, at any depth, whose facts go to the host that asked."""
    if isinstance(tasks, dict):
        own = tasks.get("delegate_to", "localhost") != "localhost" and tasks.get("delegate_facts") is not True
        return ([tasks.get("name", "?")] if own else []) + [one for value in tasks.values() for one in faults(value)]
    return [one for task in tasks for one in faults(task)] if isinstance(tasks, list) else []


@pytest.mark.parametrize("path", FILES, ids=lambda one: str(one.relative_to(tree.ROOT)))
def test_facts_of_another_host_stay_its_own(path: Path) -> None:
    assert faults(yaml.safe_load(path.read_text(encoding="utf-8"))) == []


@pytest.mark.mutation
def test_a_delegated_task_without_it_is_found() -> None:
    text = "- block:\n    - {name: here, delegate_to: localhost}\n  always:\n    - {name: there, delegate_to: '{{ item }}', file: {}}\n"
    assert faults(yaml.safe_load(text)) == ["there"]
