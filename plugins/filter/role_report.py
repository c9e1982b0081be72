# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter `role_report`."""

from __future__ import annotations

import typing as t

from ..module_utils._report import roles

DOCUMENTATION = r"""
name: role_report
author:
  - Caracal Ops (@caracal-ops)
version_added: 0.1.0
short_description: Create the report of a role from the results of its modules
description:
  - Roles print a summary, keep a result for later tasks and set a few values for other jobs. This filter creates all three from the
    results of the modules.
  - It copies texts and does not evaluate them.
options:
  _input:
    description: The results of modules and the settings that the report depends on, by the names that the roles of this collection use.
    type: dict
    required: true
  kind:
    description: Actions of the role.
    type: str
    choices: [backup, restore, drill, checkpoint, audit, retention, archive, verification]
    required: true
"""

EXAMPLES = r"""
- name: Print what a checkpoint entered
  ansible.builtin.debug:
    msg: "{{ (answers | caracal_ops.backup.role_report('checkpoint')).summary }}"
  vars:
    answers:
      deployment: prod
      check_mode: false
      checkpoint: "{{ entered }}"
"""

RETURN = r"""
_value:
  description: C(result) for later tasks, C(stats) for other jobs, and C(summary), lines for the console.
  type: dict
"""


def role_report(answers: t.Any, kind: str) -> roles.Report:
    return roles.report(str(kind), answers)


class FilterModule:
    """For Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"role_report": role_report}
