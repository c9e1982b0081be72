# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The part of `guarded` that runs on the controller. `meta/runtime.yml` assigns it to modules without their own action."""

from __future__ import annotations

import typing as t

from ansible.plugins.action.normal import ActionModule as Normal

from ..module_utils._ansible import answers, guarded
from ..module_utils._ansible.boundary import parameters
from ..plugin_utils.guard import Guarded, Vars

OWN = "guarded"


class _Plain(Normal):
    """Runs the module of the task, or the Ansible module in `module` with its own action plugin."""

    def run(self, tmp: str | None = None, task_vars: Vars = None) -> dict[str, t.Any]:
        if self._task.action.rpartition(".")[2] != OWN:
            answer: dict[str, t.Any] = super().run(tmp, task_vars)
            return answer
        _checked, given = self.validate_argument_spec(**parameters(guarded.Options))
        handler = self._handler(given["module"], given["args"])
        found: dict[str, t.Any] = handler.run(None, task_vars)
        self._discovered_interpreter_key = handler._discovered_interpreter_key
        self._discovered_interpreter = handler._discovered_interpreter
        # Gathered facts are returned as part of the result, and do not become facts of a host.
        return {**found, "gathered": found.get(answers.FACTS, {})} if answers.FACTS in found else found

    def _handler(self, module: str, arguments: dict[str, t.Any]) -> t.Any:
        task = self._task.copy()
        task.action, task.args = module, arguments
        loader = self._shared_loader_obj.action_loader
        name = module if loader.has_plugin(module) else "ansible.builtin.normal"
        return loader.get(
            name,
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )


class ActionModule(Guarded, _Plain):
    """For Ansible."""

    _supports_check_mode = True
    _supports_async = True
