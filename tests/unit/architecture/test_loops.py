# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every loop has a label that names the item without its content, because Ansible prints the label even on success.

Without a label Ansible prints the item itself. It may be the result of an earlier task and contain the text of a
tolerated failure.
"""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
import yaml

from tools.rules import tree

FILES = sorted(path for folder in ("roles", "playbooks", "molecule") for path in (tree.ROOT / folder).rglob("*.yml"))
TEXTS = re.compile(r"\b(content|exception|msg|password|results?|secret|stderr|stdout)\b")


def faults(document: t.Any) -> list[str]:
    """Return the names of tasks, at any depth, that loop without a checked label."""
    if isinstance(document, list):
        return [fault for one in document for fault in faults(one)]
    if not isinstance(document, dict):
        return []
    inner = [fault for value in document.values() for fault in faults(value)]
    return inner + ([str(document.get("name"))] if _shows(document) else [])


def _shows(task: dict[str, t.Any]) -> bool:
    if "name" in task and any(isinstance(key, str) and key.startswith("with_") for key in task):
        return True
    label = task.get("loop_control", {}).get("label") if isinstance(task.get("loop_control", {}), dict) else None
    if "loop" not in task or (label is None and isinstance(task["loop"], list) and all(isinstance(one, str) for one in task["loop"])):
        return False
    return label is None or TEXTS.search(label) is not None


@pytest.mark.parametrize("path", FILES, ids=lambda one: str(one.relative_to(tree.ROOT)))
def test_each_loop_has_a_safe_label(path: Path) -> None:
    assert faults(yaml.safe_load(path.read_text(encoding="utf-8"))) == []


@pytest.mark.mutation
@pytest.mark.parametrize(
    "given",
    [
        {"loop": "{{ asked.results }}"},
        {"loop": [{"path": "/a", "password": "p"}]},
        {"loop": "{{ asked.results }}", "loop_control": {"loop_var": "one"}},
        {"loop": "{{ asked.results }}", "loop_control": {"label": "{{ item.msg }}"}},
        {"with_items": ["a"]},
    ],
)
def test_a_loop_that_shows_its_items_is_found(given: dict[str, t.Any]) -> None:
    assert faults([{"block": [{"name": "bad", "file": {}, **given}]}]) == ["bad"]


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("given", [{"loop": ["a", "{{ b }}"]}, {"loop": "{{ hosts }}", "loop_control": {"label": "{{ item.path }}"}}])
def test_labels_with_names_are_accepted(given: dict[str, t.Any]) -> None:
    assert faults([{"name": "good", "file": {}, **given}]) == []
