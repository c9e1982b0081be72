# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Messages and set_stats results of a role's tasks, rendered with Ansible's templates.

Modules do not run: the tests give their results.
"""

from __future__ import annotations

import typing as t

from scenes import role_templates
from scenes.role_templates import Templates, Values


def printed(role: str, tasks: str, answers: Values, check_mode: bool = False) -> list[str]:
    """Return the lines that the task file prints. `answers` are variables of earlier tasks and modules."""
    return [line for task, templates in _played(role, tasks, answers, check_mode) for line in _lines(task, templates)]


def left(role: str, tasks: str, answers: Values, check_mode: bool = False) -> Values:
    """Return the data that the task file stores with `set_stats`."""
    found: Values = {}
    for task, templates in _played(role, tasks, answers, check_mode):
        found.update(templates.filled(task.get("ansible.builtin.set_stats", {}).get("data", {})))
    return found


def _played(role: str, tasks: str, answers: Values, check_mode: bool) -> t.Iterator[tuple[Values, Templates]]:
    """Yield each task that is not skipped, with the variables that it sees."""
    variables: Values = {**role_templates.variables(role), **answers, "ansible_check_mode": check_mode}
    for task in role_templates.tasks(role, tasks):
        templates = Templates({**variables, **task.get("vars", {})})
        if not templates.hold(_list(task.get("when", True))):
            continue
        if "ansible.builtin.set_fact" in task:
            variables.update(templates.filled(task["ansible.builtin.set_fact"]))
        yield task, templates


def values(role: str, answers: Values, *names: str) -> Values:
    """Return the evaluated variables of the role."""
    variables = {**role_templates.variables(role), **answers}
    templates = Templates(variables)
    return {name: templates.filled(variables[name]) for name in names}


def _lines(task: Values, templates: Templates) -> list[str]:
    if "ansible.builtin.debug" in task:
        return [str(one) for one in _list(templates.filled(task["ansible.builtin.debug"]["msg"]))]
    if "ansible.builtin.fail" in task:
        return [f"failed: {templates.filled(task['ansible.builtin.fail']['msg'])}"]
    given = task.get("ansible.builtin.assert")
    if given is None or templates.hold(_list(given["that"])):
        return []
    return [f"failed: {templates.filled(given['fail_msg'])}"]


def _list(given: t.Any) -> list[t.Any]:
    return given if isinstance(given, list) else [given]


def settings_refused(role: str) -> list[str]:
    """Return the role's message for invalid settings, which it prints before it does anything."""
    return [one["otherwise"] for one in role_templates.variables(role)[f"__{role}_rules"]]
