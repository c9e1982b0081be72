# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write the host and the arguments of each task of a play to the file in RECORDED.

With RECORDED_GIVEN, also tasks with an answer that does not contain its arguments.
"""

from __future__ import annotations

import json
import os
import typing as t

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    """Writes one line of JSON for each result."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "recorded"
    CALLBACK_NEEDS_ENABLED = True

    def v2_runner_on_ok(self, result: t.Any) -> None:
        self._write(result)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        self._write(result)

    def v2_runner_item_on_ok(self, result: t.Any) -> None:
        self._write(result)

    def v2_runner_item_on_failed(self, result: t.Any) -> None:
        self._write(result)

    def _write(self, result: t.Any) -> None:
        answer, fields = result._result, result._task_fields
        invocation = answer.get("invocation")
        if not isinstance(invocation, dict) and (result.is_failed() or "RECORDED_GIVEN" not in os.environ):
            return
        # The arguments in the module's answer. A stand-in returns none, so use the arguments that it was given.
        arguments = invocation.get("module_args") if isinstance(invocation, dict) else fields.get("args")
        line = {
            "host": str(fields.get("delegate_to") or result._host.get_name()),
            "task": str(fields.get("name")),
            "arguments": arguments,
        }
        with open(os.environ["RECORDED"], "a", encoding="utf-8") as out:
            out.write(json.dumps(line, default=str) + "\n")
