# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each role uses exactly the tags that its README explains."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
import yaml

from tools.rules import tree

# Tags with a special meaning in Ansible.
SPECIAL = {"always", "never"}
ROLES = sorted(path for path in (tree.ROOT / "roles").iterdir() if path.is_dir())


def used(role: Path) -> set[str]:
    """Return the tags of all tasks, including nested tasks."""
    return {tag for path in role.glob("tasks/*.yml") for tag in _tags(yaml.safe_load(path.read_text(encoding="utf-8")))} - SPECIAL


def _tags(value: t.Any) -> t.Iterator[str]:
    if isinstance(value, dict):
        yield from value.get("tags", ())
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _tags(one)


def explained(role: Path) -> set[str]:
    """Return the tags in the README's section. `_step` is short for the role's name followed by `_step`."""
    section = (role / "README.md").read_text(encoding="utf-8").partition("\n## Tags\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    return {f"{role.name}{tag}" if tag.startswith("_") else tag for cell in cells for tag in re.findall(r"`(\w+)`", cell)}


@pytest.mark.parametrize("role", ROLES, ids=lambda one: str(one.name))
def test_each_tag_is_explained_and_used(role: Path) -> None:
    assert used(role) and explained(role) == used(role)


@pytest.mark.mutation
def test_finds_an_unexplained_and_an_unused_tag(tmp_path: Path) -> None:
    role = tmp_path / "caracal_party"
    (role / "tasks").mkdir(parents=True)
    (role / "tasks" / "main.yml").write_text(
        "- block:\n    - include_tasks: {file: x.yml, apply: {tags: [caracal_party_in]}}\n  tags: [caracal_party_out, always]\n"
    )
    (role / "README.md").write_text("# x\n\n## Tags\n\n| tag | what |\n|---|---|\n| `caracal_party_in`, `_gone` | `_all` of it |\n")
    assert used(role) == {"caracal_party_in", "caracal_party_out"}
    assert explained(role) == {"caracal_party_in", "caracal_party_gone"}
