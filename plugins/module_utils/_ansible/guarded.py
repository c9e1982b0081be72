# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name, which its action runs on the controller."""

from __future__ import annotations

import dataclasses
import typing as t

from .._errors import OptionError
from .._options import declared
from .boundary import Invocation


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """An Ansible module and its arguments."""

    module: str
    args: t.Mapping[str, object] = dataclasses.field(default_factory=dict)


def run(invocation: Invocation[Options]) -> dict[str, t.Any]:
    """Raise OptionError, since the module does nothing on a host."""
    raise OptionError(f"guarded cannot run {invocation.options.module} on a host; call guarded as a task, not as a module")
