# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The part of `replay_stage_fetch` that runs on the controller. It requests one piece after the other from the host."""

from __future__ import annotations

import functools
import tempfile
import typing as t

from ansible import constants
from ansible.plugins.action import ActionBase

from ..module_utils._ansible.boundary import Invocation, answer, parameters
from ..module_utils._assets.replay import replay_stage_fetch
from ..plugin_utils.guard import Guarded


class _Fetch(ActionBase):
    """Fetches the pieces. From the host's answers, only validated names are copied into the result."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        _checked, options = self.validate_argument_spec(**parameters(replay_stage_fetch.Options))
        host = str(self._task.delegate_to or (task_vars or {}).get("inventory_hostname"))
        invocation = Invocation(replay_stage_fetch.Options.of(options), bool(self._task.check_mode), self._display.warning)
        bring = functools.partial(replay_stage_fetch.bring, ask=self._ask(task_vars), host=host, make=_folder)
        return answer(bring, invocation)

    def _ask(self, task_vars: dict[str, t.Any] | None) -> replay_stage_fetch.Ask:
        def ask(key: str, offset: int) -> t.Mapping[str, t.Any]:
            arguments = {**self._task.args, "piece": {"key": key, "offset": offset}}
            found: t.Mapping[str, t.Any] = self._execute_module(module_args=arguments, task_vars=task_vars)
            return found

        return ask


def _folder() -> str:
    """Create a folder on the controller. Ansible removes it when it ends, even if hosts have become unreachable."""
    return tempfile.mkdtemp(prefix="caracal_backup.", dir=constants.DEFAULT_LOCAL_TMP)


class ActionModule(Guarded, _Fetch):
    """For Ansible."""
