# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The player of roles does as Ansible does, and refuses what it does not know."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from scenes.drilling import ROLE, STEPS
from scenes.role_player import RolePlayer, TaskFailed

TASKS = """
- name: A loop, with a condition for each turn
  ansible.builtin.set_fact:
    seen: "{{ seen | default([]) + [item] }}"
  loop: [1, 2, 3]
  when: item != 2
- name: Left out
  ansible.builtin.set_fact: {seen: none}
  tags: [late]
- name: What fails is rescued, and what comes always comes
  block:
    - name: Fail
      ansible.builtin.fail: {msg: "no {{ what }}"}
      vars: {what: way}
  rescue:
    - name: Keep why
      ansible.builtin.set_fact: {why: "{{ ansible_failed_task.name }}: {{ ansible_failed_result.msg }}"}
  always:
    - name: Look at a file
      ansible.builtin.find: {paths: "{{ folder }}", patterns: "*.txt"}
      register: found
- name: What is omitted is not given
  ansible.builtin.find: {paths: "{{ folder }}", patterns: "{{ nothing | default(omit) }}"}
  register: all
- name: Include
  ansible.builtin.include_tasks: other.yml
  vars: {given: "{{ own }} and {{ seen | length }}"}
"""


def role(folder: Path, tasks: str) -> Path:
    for name, text in (("defaults", "own: default\n"), ("vars", "fixed: yes\n"), ("tasks", tasks)):
        (folder / name).mkdir()
        (folder / name / "main.yml").write_text(text)
    (folder / "tasks" / "other.yml").write_text('- ansible.builtin.debug: {msg: "{{ given }}"}\n')
    return folder


def test_what_a_role_does(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    (tmp_path / "b").touch()
    calls: list[str] = []
    before, after = ({"other": lambda word=word: calls.append(word)} for word in ("before", "after"))
    player = RolePlayer(role(tmp_path, TASKS), {"own": "mine", "folder": str(tmp_path)}, ["late"], before=before, after=after)
    player.play()
    assert player.variables["seen"] == [1, 3] and player.variables["why"] == "Fail: no way"
    assert [len(player.variables[name]["files"]) for name in ("found", "all")] == [1, 2]
    assert player.said == ["mine and 2"] and calls == ["before", "after"]


def test_a_failure_that_nobody_rescues_ends_the_play(tmp_path: Path) -> None:
    tasks = "- ansible.builtin.assert: {that: 1 == 2, fail_msg: one is not two}\n"
    with pytest.raises(TaskFailed, match="one is not two"):
        RolePlayer(role(tmp_path, tasks), {}).play()


def test_a_keyword_that_it_does_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="too many values"):
        RolePlayer(role(tmp_path, "- ansible.builtin.debug: {msg: x}\n  become: true\n"), {}).play()


def test_the_steps_are_those_of_the_role() -> None:
    needs = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))["__caracal_drill_needs"]
    assert list(needs) == list(STEPS)


@pytest.mark.mutation
def test_a_check_that_fails_in_a_later_step_is_not_hidden_by_an_earlier_one(tmp_path: Path) -> None:
    """With the role's own file of one step, and two steps of the test's own."""
    names = ("first", "second")
    tasks = "".join(f"- ansible.builtin.include_tasks: step.yml\n  vars: {{__caracal_drill_step: {name}}}\n" for name in names)
    folder = role(tmp_path, tasks)
    (folder / "tasks" / "step.yml").write_text((ROLE / "tasks" / "step.yml").read_text(encoding="utf-8"))
    verdicts = {"first": ("pass", "unproven", "fail"), "second": ("fail", "pass", "pass")}
    for name in names:
        made = [{"id": f"c{number}", "verdict": verdict, "message": name} for number, verdict in enumerate(verdicts[name])]
        (folder / "tasks" / f"{name}.yml").write_text(
            yaml.safe_dump([{"ansible.builtin.set_fact": {"__caracal_drill_made": {"checks": made}}}])
        )
    start = {f"__caracal_drill_{name}": [] for name in ("checks", "steps", "done", "failed")}
    player = RolePlayer(folder, start)
    player.play()
    found = {one["id"]: (one["verdict"], one["message"]) for one in player.variables["__caracal_drill_checks"]}
    assert found == {"c0": ("fail", "second"), "c1": ("unproven", "first"), "c2": ("fail", "first")}
    assert len(player.variables["__caracal_drill_checks"]) == 3
