# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from tools import roles_check

FILES = {
    "README.md": "# caracal_x\n",
    "meta/main.yml": "galaxy_info: {}\n",
    "meta/argument_specs.yml": """
argument_specs:
  main:
    options:
      caracal_x_a: {type: int, default: 1, description: A.}
      caracal_x_b: {type: str, required: true, description: B.}
""",
    "defaults/main.yml": "caracal_x_a: 1\n",
    "tasks/main.yml": """
- name: One
  block:
    - name: Two
      ansible.builtin.debug:
  tags: [caracal_x_one]
""",
}


def faults(folder: Path, changed: dict[str, str | None]) -> list[str]:
    role = folder / "caracal_x"
    for name, content in {**FILES, **changed}.items():
        if content is not None:
            (role / name).parent.mkdir(parents=True, exist_ok=True)
            (role / name).write_text(content)
    return roles_check.faults_of(role)


@pytest.mark.no_false_alarm
def test_a_good_role_is_accepted(tmp_path: Path) -> None:
    assert faults(tmp_path, {}) == []


OTHER = """  other:
    options:
      caracal_x_a: {type: int, default: 1, description: A.}
      caracal_x_c: {type: int, default: 3, description: C.}
"""


@pytest.mark.no_false_alarm
def test_options_of_other_entry_points_are_included(tmp_path: Path) -> None:
    both = {"meta/argument_specs.yml": SPECS + OTHER, "defaults/main.yml": "caracal_x_a: 1\ncaracal_x_c: 3\n"}
    assert faults(tmp_path, both) == []


SPECS, TASKS = FILES["meta/argument_specs.yml"], FILES["tasks/main.yml"]


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"README.md": None}, "README.md is missing"),
        ({"meta/argument_specs.yml": None, "defaults/main.yml": None}, "meta/argument_specs.yml has no spec of the entry point main"),
        ({"defaults/main.yml": "caracal_x_a: 2\n"}, "caracal_x_a: default 1 in argument_specs.yml, 2 in defaults/main.yml"),
        ({"defaults/main.yml": None}, "caracal_x_a: has a default in only one of argument_specs.yml and defaults/main.yml"),
        ({"defaults/main.yml": "caracal_x_a: 1\ncaracal_x_z: 1\n"}, "caracal_x_z is in defaults/main.yml but has no argument spec"),
        ({"meta/argument_specs.yml": SPECS.replace("caracal_x_b", "b")}, "b: does not begin with caracal_x_"),
        ({"meta/argument_specs.yml": SPECS.replace(", description: B.", "")}, "caracal_x_b: has no description"),
        ({"tasks/main.yml": TASKS.replace("caracal_x_one", "one")}, "tasks/main.yml: tag one does not begin with caracal_x_"),
        ({"tasks/main.yml": TASKS.replace("  tags: [caracal_x_one]\n", "")}, "tasks/main.yml: the step 'One' has no tags"),
        ({"tasks/main.yml": None}, "tasks/main.yml is missing or empty"),
        (
            {"meta/argument_specs.yml": SPECS + OTHER},
            "caracal_x_c: has a default in only one of argument_specs.yml and defaults/main.yml",
        ),
    ],
)
def test_a_fault_is_found(tmp_path: Path, changed: dict[str, str | None], fault: str) -> None:
    assert faults(tmp_path, changed) == [f"caracal_x: {fault}"]
