# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one place where Ansible meets the domain: options in, result or one-line error out."""

from __future__ import annotations

import dataclasses
import os
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.arg_spec import ModuleArgumentSpecValidator

from .._errors import BackupError, OptionError, printable
from . import environment, role_variables
from .argspec import ArgumentSpec


@dataclasses.dataclass(frozen=True)
class Invocation:
    """What a use case knows of how it was called."""

    options: dict[str, t.Any]
    check_mode: bool
    warn: t.Callable[[str], None]


UseCase = t.Callable[[Invocation], dict[str, t.Any]]


def run(spec: ArgumentSpec, use_case: UseCase) -> None:
    """Parse the options, run the use case, exit. Only errors of our own family become a one-line failure."""
    module = AnsibleModule(supports_check_mode=True, **spec.to_module())
    environment.enter(module.params, module.warn)
    result = answer(use_case, Invocation(dict(module.params), module.check_mode, lambda text: module.warn(printable(text))))
    if not result.pop("failed", False):
        module.exit_json(**result)
    if role := os.environ.get(role_variables.ROLE):
        result["msg"] = role_variables.told(result["msg"], role)
    module.fail_json(**result)


def answer(use_case: UseCase, invocation: Invocation) -> dict[str, t.Any]:
    """What a use case returns; with `failed`, the error of our own family in one line."""
    try:
        return use_case(invocation)
    except BackupError as exc:
        return {"failed": True, "msg": exc.msg, "error": type(exc).__name__, **exc.details}


def complete(spec: ArgumentSpec, given: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Options for a use case that no task calls, checked as Ansible does, with the defaults of the rest. Raises OptionError."""
    found = ModuleArgumentSpecValidator(**spec.to_module()).validate(dict(given))
    if found.error_messages:
        raise OptionError(f"{found.error_messages[0]}; correct the options")
    return dict(found.validated_parameters)
