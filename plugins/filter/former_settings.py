# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter `former_settings`."""

from __future__ import annotations

import typing as t

from ..module_utils._ansible import former_settings

DOCUMENTATION = r"""
name: former_settings
author:
  - Caracal Ops (@caracal-ops)
version_added: 0.1.0
short_description: List variables that are former names of settings
description:
  - Several settings of the collection were renamed before 1.0. The role C(caracal_ops.backup.caracal_ops) uses this filter to end a play
    that still sets a former name.
options:
  _input:
    description: Names of variables.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Check for former names of settings
  ansible.builtin.assert:
    that: query('ansible.builtin.varnames', '^caracal_') | caracal_ops.backup.former_settings | length == 0
"""

RETURN = r"""
_value:
  description: One sentence for each former name, with the new name.
  type: list
  elements: str
"""


class FilterModule:
    """For Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"former_settings": former_settings.errors_of}
