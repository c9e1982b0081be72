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
from .._options.declared import Options
from . import environment, role_variables

Given = t.TypeVar("Given", bound=Options)
Others = t.TypeVar("Others", bound=Options)


@dataclasses.dataclass(frozen=True)
class Invocation(t.Generic[Given]):
    """How a use case was called: its own options, whether it may change anything, and where its warnings go."""

    options: Given
    check_mode: bool
    warn: t.Callable[[str], None]

    def asking(self, options: Others) -> Invocation[Others]:
        """The same for another use case."""
        return Invocation(options, self.check_mode, self.warn)


UseCase = t.Callable[[Invocation[Given]], t.Mapping[str, object]]


def run(options: type[Given], use_case: UseCase[Given]) -> None:
    """Parse the options, run the use case, exit. Only errors of our own family become a one-line failure."""
    module = AnsibleModule(supports_check_mode=True, **parameters(options))
    environment.enter(module.params, module.warn)
    result = answer(use_case, Invocation(options.of(module.params), module.check_mode, lambda text: module.warn(printable(text))))
    if not result.pop("failed", False):
        module.exit_json(**result)
    if role := os.environ.get(role_variables.ROLE):
        result["msg"] = role_variables.told(str(result["msg"]), role)
    module.fail_json(**result)


def answer(use_case: UseCase[Given], invocation: Invocation[Given]) -> dict[str, object]:
    """What a use case returns; with `failed`, the error of our own family in one line."""
    try:
        return dict(use_case(invocation))
    except BackupError as exc:
        return {"failed": True, **exc.to_result()}


def complete(options: type[Given], given: t.Mapping[str, object]) -> Given:
    """Options for a use case that no task calls, checked as Ansible does, with the defaults of the rest. Raises OptionError."""
    found = ModuleArgumentSpecValidator(**parameters(options)).validate(dict(given))
    if found.error_messages:
        raise OptionError(f"{found.error_messages[0]}; correct the options")
    return options.of(found.validated_parameters)


def parameters(options: type[Options]) -> dict[str, t.Any]:
    """Keyword arguments of `AnsibleModule`."""
    return {"argument_spec": options.spec(), **{name: list(rules) for name, rules in vars(options.rules()).items()}}
