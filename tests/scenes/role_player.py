# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tasks of a role, played in this process: the role's own files with Ansible's own templates, without a start of Python for each task.

It knows what our roles use and refuses everything else, so that nobody believes that a task was played which was not.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import io
import json
import os
import typing as t
from pathlib import Path

from ansible.errors import AnsibleError
from ansible.module_utils.testing import patch_module_args
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

COLLECTION = "caracal_ops.backup."
BUILTIN = "ansible.builtin."
MODULES = {
    COLLECTION: "ansible_collections.caracal_ops.backup.plugins.modules.",
    BUILTIN: "ansible.modules.",
}
# Plugins of the controller, which are no modules that could be called.
ACTIONS = ("set_fact", "assert", "fail", "debug", "set_stats", "include_tasks", "import_tasks")
KEYWORDS = {
    *("name", "tags", "vars", "when", "loop", "loop_control", "register", "failed_when", "changed_when", "check_mode"),
    *("block", "rescue", "always", "environment"),
}
Task = dict[str, t.Any]
Values = dict[str, t.Any]
Hook = t.Callable[[], None]


class TaskFailed(Exception):
    """A task failed, with its result; a `rescue` may take it."""

    def __init__(self, task: Task, result: Values) -> None:
        super().__init__(f"{task.get('name', '?')}: {result.get('msg', result)}")
        self.task = task
        self.result = result


@dataclasses.dataclass
class RolePlayer:
    """`given` are the role's settings. Tasks with one of the tags in `skipped` are left out.

    `before` and `after` are called around the task file of that name.
    """

    role: Path
    given: Values
    skipped: t.Collection[str] = ()
    check_mode: bool = False
    before: t.Mapping[str, Hook] = dataclasses.field(default_factory=dict)
    after: t.Mapping[str, Hook] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        self._loader = DataLoader()
        own = {**self._load("defaults/main.yml"), **self.given, **self._load("vars/main.yml")}
        self.variables: Values = {**own, "ansible_check_mode": self.check_mode}
        self.said: list[str] = []

    def play(self) -> None:
        """All tasks. Raises TaskFailed where the play would end with a failure."""
        self._file("main.yml", {})

    def _load(self, name: str) -> t.Any:
        return self._loader.load_from_file(str(self.role / name), trusted_as_template=True)

    def _file(self, name: str, scope: Values) -> None:
        stem = Path(name).stem
        self.before.get(stem, _nothing)()
        for task in self._load(f"tasks/{name}"):
            self._task(task, scope)
        self.after.get(stem, _nothing)()

    def _templar(self, scope: Values) -> Templar:
        return Templar(loader=self._loader, variables={**self.variables, **scope})

    def _task(self, task: Task, scope: Values) -> None:
        scope = {**scope, **task.get("vars", {})}
        if set(task.get("tags", ())) & set(self.skipped):
            return
        if "block" in task:
            assert task.keys() <= KEYWORDS
            if self._holds(task, scope):
                with self._environment(task.get("environment", {}), scope):
                    self._block(task, scope)
            return
        [action] = task.keys() - KEYWORDS
        results = [self._turn(task, action, {**scope, **named}) for named in self._turns(task, scope)]
        if name := task.get("register"):
            self.variables[name] = {"results": results} if "loop" in task else results[0]

    @contextlib.contextmanager
    def _environment(self, given: Values, scope: Values) -> t.Iterator[None]:
        before = dict(os.environ)
        os.environ.update(self._templar(scope).template(given))
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)

    def _turns(self, task: Task, scope: Values) -> list[Values]:
        """Variables of each turn of a loop; one turn without any where there is no loop."""
        if "loop" not in task:
            return [{}]
        control = task.get("loop_control", {})
        assert control.keys() <= {"label", "loop_var", "index_var"}
        items = self._templar(scope).template(task["loop"])
        indexes = [{control["index_var"]: number} if "index_var" in control else {} for number in range(len(items))]
        return [{control.get("loop_var", "item"): item, **index} for item, index in zip(items, indexes, strict=True)]

    def _turn(self, task: Task, action: str, scope: Values) -> Values:
        if not self._holds(task, scope):
            return {"skipped": True, "changed": False}
        try:
            result = self._act(task, action, scope)
        except AnsibleError as error:
            result = {"failed": True, "msg": error.message}
        if name := task.get("register"):
            self.variables[name] = result
        failed = result.get("failed", False)
        if "failed_when" in task:
            failed = self._templar(scope).evaluate_conditional(task["failed_when"])
        if failed:
            raise TaskFailed(task, result)
        return result

    def _holds(self, task: Task, scope: Values) -> bool:
        when = task.get("when", True)
        return all(self._templar(scope).evaluate_conditional(one) for one in (when if isinstance(when, list) else [when]))

    def _block(self, task: Task, scope: Values) -> None:
        try:
            self._tasks(task["block"], scope)
        except TaskFailed as failure:
            if "rescue" not in task:
                raise
            self.variables.update(ansible_failed_result=failure.result, ansible_failed_task=failure.task)
            self._tasks(task["rescue"], scope)
        finally:
            self._tasks(task.get("always", []), scope)

    def _tasks(self, tasks: t.Sequence[Task], scope: Values) -> None:
        for task in tasks:
            self._task(task, scope)

    def _act(self, task: Task, action: str, scope: Values) -> Values:
        templar = self._templar(scope)
        name = action.removeprefix(BUILTIN)
        given = task[action]
        if name in ("include_tasks", "import_tasks"):
            named = templar.template(given)
            self._file(named["file"] if isinstance(named, dict) else named, scope)
        elif name not in ACTIONS:
            return _run(action, templar.template(given), templar.template(task.get("check_mode", self.check_mode)))
        elif name == "assert":
            return self._assert(given, templar)
        else:
            return self._plain(name, templar.template(given))
        return {"changed": False}

    def _assert(self, given: Values, templar: Templar) -> Values:
        wanted = given["that"] if isinstance(given["that"], list) else [given["that"]]
        if all(templar.evaluate_conditional(one) for one in wanted):
            return {"changed": False}
        return {"failed": True, "msg": templar.template(given["fail_msg"])}

    def _plain(self, name: str, given: Values) -> Values:
        if name == "fail":
            return {"failed": True, "msg": given["msg"]}
        if name == "set_fact":
            self.variables.update(given)
        if name == "debug":
            self.said += given["msg"] if isinstance(given["msg"], list) else [given["msg"]]
        return {"changed": False}


def _run(action: str, given: Values, check_mode: bool) -> Values:
    """The module, as far as its result goes: the same options, checked by its own spec; the same one line of an error."""
    [prefix] = [one for one in MODULES if action.startswith(one)]
    module = importlib.import_module(MODULES[prefix] + action.removeprefix(prefix))
    out = io.StringIO()
    arguments = {**given, "_ansible_check_mode": check_mode}
    with patch_module_args(arguments), contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        module.main()
    result: Values = json.loads(out.getvalue().splitlines()[-1])
    return result


def _nothing() -> None:
    """No hook."""
