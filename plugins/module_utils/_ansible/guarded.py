# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name, which its action runs on the controller."""

from __future__ import annotations

import typing as t

from .._errors import OptionError
from . import argspec
from .boundary import Invocation


def argument_spec() -> argspec.ArgumentSpec:
    return argspec.ArgumentSpec({"module": {"type": "str", "required": True}, "args": {"type": "dict", "default": {}}})


def run(invocation: Invocation) -> dict[str, t.Any]:
    """On a host there is nothing to do. Raises OptionError."""
    raise OptionError(f"the action of guarded runs {invocation.options['module']}; call guarded as a task, not as a module")
