# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter `schedule_plan`."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleError

from ..module_utils._ansible import schedule
from ..module_utils._errors import BackupError

DOCUMENTATION = r"""
name: schedule_plan
author:
  - Caracal Ops (@caracal-ops)
version_added: 0.1.0
short_description: Compute the timers, cron lines or AWX objects of a schedule
description:
  - The role C(caracal_ops.backup.caracal_schedule) uses this filter. It computes timers, lines of cron, or the objects in AWX from the
    settings of the role.
  - If the settings have errors, the filter fails. P(caracal_ops.backup.schedule_errors#filter) lists the errors.
options:
  _input:
    description: The settings, by the keys that the role uses in C(vars/main.yml).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Write the times of the jobs
  ansible.builtin.debug:
    msg: "{{ (settings | caracal_ops.backup.schedule_plan).timers | map(attribute='time') }}"
"""

RETURN = r"""
_value:
  description: The plan.
  type: dict
  contains:
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
      description: The command that sends a notification when a unit of systemd fails. Empty if there is no such unit.
      type: str
    removed_units:
      description: Units of the role that are not needed on the host any more.
      type: list
      elements: str
    forgotten_units:
      description: Patterns of these units for C(systemctl).
      type: list
      elements: str
    without_cron:
      description: V(true) if the host needs no lines of cron.
      type: bool
    awx:
      description: For AWX, its sides, job templates, schedules, workflows and notifications. It contains the secrets of channels.
      type: dict
"""


def schedule_plan(settings: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the plan. Raises AnsibleError."""
    try:
        return schedule.plan(settings)
    except BackupError as exc:
        raise AnsibleError(exc.msg) from exc


class FilterModule:
    """For Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"schedule_plan": schedule_plan}
