# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter `as_rrule`."""

from __future__ import annotations

import typing as t

from ..module_utils._ansible import rrule

DOCUMENTATION = r"""
name: as_rrule
author:
  - Caracal Ops (@caracal-ops)
version_added: 0.1.0
short_description: Make a rule for AWX of the time of a job
description:
  - The times in C(caracal_schedule_jobs) are written as timers of systemd take them. A schedule of AWX takes a rule of RFC 5545.
options:
  _input:
    description: A time as C(04:00), C(*:20), C(Sun 06:00), C(Mon,Thu 06:00) or C(*-*-01 06:00).
    type: str
    required: true
  zone:
    description: The time zone in which it is meant, by its name in the IANA database.
    type: str
    default: UTC
"""

EXAMPLES = r"""
- name: Each Sunday at six in the morning
  ansible.builtin.debug:
    msg: "{{ 'Sun 06:00' | caracal_ops.backup.as_rrule('Europe/Berlin') }}"
"""

RETURN = r"""
_value:
  description: The rule, with its beginning.
  type: str
  sample: DTSTART;TZID=Europe/Berlin:20260101T060000 RRULE:FREQ=WEEKLY;INTERVAL=1;BYDAY=SU
"""


class FilterModule:
    """For Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"as_rrule": rrule.as_rrule}
