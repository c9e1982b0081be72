# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tasks of a role say and leave for other jobs, with Ansible's own templates. Modules are not run: their answers are given."""

from __future__ import annotations

import inspect
import typing as t
from pathlib import Path

from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from tools.rules import tree

Values = dict[str, t.Any]


def said(role: str, tasks: str, answers: Values, check_mode: bool = False) -> list[str]:
    """What the file of tasks shows, in lines; `answers` are variables that earlier tasks and modules have left."""
    return [line for task, templar in _played(role, tasks, answers, check_mode) for line in _lines(task, templar)]


def left(role: str, tasks: str, answers: Values, check_mode: bool = False) -> Values:
    """What the file of tasks leaves by `set_stats`."""
    found: Values = {}
    for task, templar in _played(role, tasks, answers, check_mode):
        found.update(templar.template(task.get("ansible.builtin.set_stats", {}).get("data", {})))
    return found


def _played(role: str, tasks: str, answers: Values, check_mode: bool) -> t.Iterator[tuple[Values, Templar]]:
    """Each task that is not skipped, with the variables that it sees."""
    folder, loader = tree.ROOT / "roles" / role, DataLoader()
    variables: Values = {**_of(loader, folder / "defaults"), **_of(loader, folder / "vars"), **answers, "ansible_check_mode": check_mode}
    for task in _loaded(loader, folder / "tasks" / f"{tasks}.yml"):
        templar = Templar(loader=loader, variables={**variables, **task.get("vars", {})})
        if not _holds(templar, task.get("when", True)):
            continue
        if "ansible.builtin.set_fact" in task:
            variables.update(templar.template(task["ansible.builtin.set_fact"]))
        yield task, templar


def values(role: str, answers: Values, *names: str) -> Values:
    """What variables of the role come to."""
    folder, loader = tree.ROOT / "roles" / role, DataLoader()
    variables = {**_of(loader, folder / "defaults"), **_of(loader, folder / "vars"), **answers}
    templar = Templar(loader=loader, variables=variables)
    return {name: templar.template(variables[name]) for name in names}


def _of(loader: DataLoader, folder: Path) -> Values:
    path = folder / "main.yml"
    found: Values = _loaded(loader, path) if path.is_file() else {}
    return found


def _loaded(loader: DataLoader, path: Path) -> t.Any:
    """From ansible-core 2.19 on templates are only what is said to be trusted."""
    trusted = {"trusted_as_template": True} if "trusted_as_template" in inspect.signature(loader.load_from_file).parameters else {}
    return loader.load_from_file(str(path), **trusted)


def _holds(templar: Templar, conditions: t.Any) -> bool:
    if hasattr(templar, "evaluate_conditional"):
        return all(templar.evaluate_conditional(one) for one in _list(conditions))
    return all(templar.template(f"{{{{ ({one}) | bool }}}}") for one in _list(conditions))


def _lines(task: Values, templar: Templar) -> list[str]:
    if "ansible.builtin.debug" in task:
        return [str(one) for one in _list(templar.template(task["ansible.builtin.debug"]["msg"]))]
    if "ansible.builtin.fail" in task:
        return [f"failed: {templar.template(task['ansible.builtin.fail']['msg'])}"]
    given = task.get("ansible.builtin.assert")
    if given is None or _holds(templar, given["that"]):
        return []
    return [f"failed: {templar.template(given['fail_msg'])}"]


def _list(given: t.Any) -> list[t.Any]:
    return given if isinstance(given, list) else [given]


def settings_refused(role: str) -> list[str]:
    """What the role says of settings that cannot be, before it does anything."""
    return [one["otherwise"] for one in _of(DataLoader(), tree.ROOT / "roles" / role / "vars")[f"__{role}_rules"]]
