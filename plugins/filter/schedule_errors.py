# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter `schedule_errors`."""

from __future__ import annotations

import typing as t

from ..module_utils._ansible import schedule

DOCUMENTATION = r"""
name: schedule_errors
author:
  - Caracal Ops (@caracal-ops)
version_added: 0.1.0
short_description: List the errors in the settings of a schedule
description:
  - The role C(caracal_ops.backup.caracal_schedule) uses this filter before it changes anything.
options:
  _input:
    description: The settings, by the keys that the role uses in C(vars/main.yml).
    type: dict
    required: true
seealso:
  - plugin: caracal_ops.backup.schedule_plan
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Refuse settings that cannot work
  ansible.builtin.assert:
    that: settings | caracal_ops.backup.schedule_errors | length == 0
"""

RETURN = r"""
_value:
  description: The errors, one sentence each.
  type: list
  elements: str
"""


class FilterModule:
    """For Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"schedule_errors": schedule.errors_of}
