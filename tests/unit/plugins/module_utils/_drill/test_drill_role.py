# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role passes every setting to the module, and its tasks match the module's steps."""

from __future__ import annotations

import typing as t

import yaml

from ansible_collections.caracal_ops.backup.plugins.module_utils._drill import engine
from ansible_collections.caracal_ops.backup.plugins.module_utils._options.shared import RepositoryOptions
from scenes import role_settings, role_templates
from tools.rules import tree

ROLE = tree.ROOT / "roles" / "caracal_drill"
MODULE = "caracal_ops.backup.restore_drill"
# The play sets the access to a bucket. The step `verdict` decides whether a verdict fails the task.
NOT_OF_THE_ROLE = {"step", "drill", "require_valid"} | {name for name in RepositoryOptions.spec() if name.startswith(("s3_", "lock_"))}


def load(name: str) -> t.Any:
    return yaml.safe_load((ROLE / name).read_text(encoding="utf-8"))


def steps(tasks: t.Sequence[dict[str, t.Any]]) -> t.Iterator[str]:
    for task in tasks:
        yield from steps([*task.get("block", ()), *task.get("always", ())])
        if "ansible.builtin.import_tasks" in task:
            yield from steps(load(f"tasks/{task['ansible.builtin.import_tasks']}"))
        if MODULE in task:
            yield str(task[MODULE]["step"])


def test_every_setting_becomes_the_option_of_its_name() -> None:
    variables = role_templates.variables("caracal_drill")
    given = {**variables["__caracal_drill_options"], **variables["__caracal_ops_journal"]}
    settings = load("meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    names = {name: role_settings.named("caracal_drill", name) for name in given if name != "drill"}
    assert {name for name in names.values() if not name.startswith("caracal_ops_")} == set(settings)
    assert set(names) == set(engine.Options.spec()) - NOT_OF_THE_ROLE
    assert all(variable in given[name] for name, variable in names.items())


def test_the_steps_are_played_in_their_order() -> None:
    played = list(steps(load("tasks/main.yml")))
    assert played == [*(step.name for step in engine.STEPS), engine.REPORT, engine.DESTROY, engine.VERDICT]
    inspected = list(steps(load("tasks/doctor.yml")))
    assert [*inspected, *played] == engine.Options.spec()["step"]["choices"]


def test_each_step_follows_steps_it_needs() -> None:
    names = [step.name for step in engine.STEPS]
    assert all(set(step.needs) <= set(names[:number]) for number, step in enumerate(engine.STEPS))
