# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules that an entry point of a role calls, and their options, from Ansible's own templates and our own specs.

No module runs. The answers of earlier modules are given, so that every task is reached.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import typing as t

import yaml

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible.boundary import complete
from ansible_collections.caracal_ops.backup.plugins.module_utils._restore import restore_preflight
from ansible_collections.caracal_ops.backup.plugins.module_utils._sets import backup_preflight
from scenes import role_templates
from scenes.role_templates import Values
from tools.rules import tree

PREFIX = "caracal_ops.backup."
PLUGINS = "ansible_collections.caracal_ops.backup.plugins.modules"
INCLUDES = ("ansible.builtin.import_tasks", "ansible.builtin.include_tasks")
REHEARSED = {"backup_preflight": backup_preflight.LOOKS, "restore_preflight": restore_preflight.LOOKS}


@dataclasses.dataclass(frozen=True)
class Around:
    """The context of a task: what it inherits from the blocks and files around it."""

    vars: Values = dataclasses.field(default_factory=dict)
    defaults: tuple[Values, ...] = ()
    when: tuple[t.Any, ...] = ()

    def inside(self, task: Values) -> Around:
        when = task.get("when", [])
        return Around(
            {**self.vars, **task.get("vars", {})},
            (*self.defaults, task.get("module_defaults", {})),
            (*self.when, *(when if isinstance(when, list) else [when])),
        )


def made(role: str, entry: str, given: Values) -> dict[str, Values]:
    """Return, by task, the options of its module, or the refusal of a check of the settings. A refusal ends the role."""
    variables = {**role_templates.variables(role), **given}
    found: dict[str, Values] = {}
    for task, one in _tasks(role, role_templates.tasks(role, entry), variables, Around(), entry):
        found[task] = one
        if one.get("refused"):
            break
    return found


def _tasks(role: str, tasks: list[Values], variables: Values, above: Around, where: str) -> t.Iterator[tuple[str, Values]]:
    for number, task in enumerate(tasks):
        around, here = above.inside(task), f"{where}.{number}"
        for part in ("block", "rescue", "always"):
            yield from _tasks(role, task.get(part) or [], variables, around, f"{here}.{part}")
        for include in (task[name] for name in INCLUDES if name in task):
            file = (include["file"] if isinstance(include, dict) else include).removesuffix(".yml")
            yield from _tasks(role, role_templates.tasks(role, file), variables, around, f"{here}.{file}")
        yield from _task(task, {**variables, **around.vars}, around, here)


def _task(task: Values, variables: Values, around: Around, here: str) -> t.Iterator[tuple[str, Values]]:
    templates = role_templates.Templates(variables)
    # Ansible's modules, which `guarded` runs, do not have options of ours.
    module = next((name.removeprefix(PREFIX) for name in task if name.startswith(PREFIX) and name != f"{PREFIX}guarded"), None)
    if module is not None and templates.hold(around.when):
        given = templates.filled({**_defaults(module, around, templates), **(task[PREFIX + module] or {})})
        # A preflight gets the faults of the settings, and refuses them together with all other problems.
        wrong = given.get("earlier", {}).get("settings", [])
        yield f"{here} {module}", {"refused": " ".join(wrong)} if wrong else _options(module, given)
    assertion = task.get("ansible.builtin.assert", {})
    if "_wrong" in str(assertion.get("that")):
        yield f"{here} assert", {"refused": templates.filled(assertion["fail_msg"])}


def _defaults(module: str, around: Around, templates: role_templates.Templates) -> Values:
    groups = {f"group/{PREFIX}{name}" for name, members in _groups().items() if module in members}
    # Defaults that are nearer to the task replace outer defaults for the same group.
    merged = {name: options for defaults in around.defaults for name, options in defaults.items()}
    found: Values = {}
    for name in (*sorted(groups & merged.keys()), *({PREFIX + module} & merged.keys())):
        found.update(templates.filled(merged[name]))
    return found


@functools.cache
def _groups() -> dict[str, list[str]]:
    runtime = yaml.safe_load((tree.ROOT / "meta/runtime.yml").read_text(encoding="utf-8"))
    return {name: [one for one in members if isinstance(one, str)] for name, members in runtime["action_groups"].items()}


def _options(module: str, given: Values) -> Values:
    """Return options as the module's use case gets them; for a preflight, as each of its checks gets them."""
    kind = importlib.import_module(f"{PLUGINS}.{module}").Options
    options = complete(kind, given).flat()
    looks = REHEARSED.get(module, {})
    asked = {name: inspection for name, inspection in looks.items() if not inspection.optional or options.get(name) is not None}
    own = {name: inspection.options(name, kind.spec(), {**options, "set_id": "latest"}).flat() for name, inspection in asked.items()}
    return {**{name: value for name, value in options.items() if name not in looks}, **own}
