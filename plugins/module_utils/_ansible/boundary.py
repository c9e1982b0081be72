# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The only interface between Ansible and the use cases: parse options, return the result or a one-line error."""

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
    """The call of a use case: its options, whether it may change anything, and a function for its warnings."""

    options: Given
    check_mode: bool
    warn: t.Callable[[str], None]

    def asking(self, options: Others) -> Invocation[Others]:
        """Return the same invocation with the options of another use case."""
        return Invocation(options, self.check_mode, self.warn)


UseCase = t.Callable[[Invocation[Given]], t.Mapping[str, object]]


def run(options: type[Given], use_case: UseCase[Given]) -> None:
    """Parse the options, run the use case and exit. Only errors of this collection become a one-line failure."""
    module = AnsibleModule(supports_check_mode=True, **parameters(options))
    environment.enter(module.params, module.warn)
    result = answer(use_case, Invocation(options.of(module.params), module.check_mode, lambda text: module.warn(printable(text))))
    if not result.pop("failed", False):
        module.exit_json(**result)
    if role := os.environ.get(role_variables.ROLE):
        result["msg"] = role_variables.with_variables(str(result["msg"]), role)
    module.fail_json(**result)


def answer(use_case: UseCase[Given], invocation: Invocation[Given]) -> dict[str, object]:
    """Return the result of a use case, or with `failed` an error of this collection in one line."""
    try:
        return dict(use_case(invocation))
    except BackupError as exc:
        return {"failed": True, **exc.to_result()}


def complete(options: type[Given], given: t.Mapping[str, object]) -> Given:
    """Return options for a use case that no task calls, with defaults, and validated like Ansible's. Raises OptionError."""
    found = ModuleArgumentSpecValidator(**parameters(options)).validate(dict(given))
    if found.error_messages:
        raise OptionError(f"{found.error_messages[0]}; correct the options")
    return options.of(found.validated_parameters)


def parameters(options: type[Options]) -> dict[str, t.Any]:
    """Return the keyword arguments for `AnsibleModule`."""
    return {"argument_spec": options.spec(), **{name: list(rules) for name, rules in vars(options.rules()).items()}}
