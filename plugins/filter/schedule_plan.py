# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter `schedule_plan`."""

from __future__ import annotations

import typing as t

from ..module_utils._ansible import schedule

DOCUMENTATION = r"""
name: schedule_plan
author:
  - Caracal Ops (@caracal-ops)
version_added: 0.1.0
short_description: Compute what a schedule of jobs consists of
description:
  - The role C(caracal_ops.backup.caracal_schedule) uses this filter. It computes timers, lines of cron, or what AWX shall have, from the
    settings of the role.
  - If the settings have errors, the result contains nothing but these.
options:
  _input:
    description: The settings, by the keys that the role uses in C(vars/main.yml).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Refuse settings that cannot work
  ansible.builtin.assert:
    that: (settings | caracal_ops.backup.schedule_plan).errors | length == 0
"""

RETURN = r"""
_value:
  description: The plan.
  type: dict
  contains:
    errors:
      description: The errors in the settings, one sentence each.
      type: list
      elements: str
    files:
      description: The files that the jobs need, each with the variable that names it.
      type: list
      elements: dict
    timers:
      description: For systemd, each job with its time and its command.
      type: list
      elements: dict
    lines:
      description: The same for cron, with the time as five fields.
      type: list
      elements: dict
    notify:
      description: The command that notifies people of a job that systemd saw fail. Empty if there is no such unit.
      type: str
    removed_units:
      description: Units of the role that the host no longer needs.
      type: list
      elements: str
    forgotten_units:
      description: The same as patterns for C(systemctl).
      type: list
      elements: str
    without_cron:
      description: Whether the host needs no lines of cron.
      type: bool
    awx:
      description: For AWX, its sides, job templates, schedules, workflows and notifications. It contains the secrets of channels.
      type: dict
"""


class FilterModule:
    """For Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"schedule_plan": schedule.plan}
