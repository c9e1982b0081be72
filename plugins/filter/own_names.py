# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter `own_names`."""

from __future__ import annotations

import typing as t

from ..module_utils._ansible import answers

DOCUMENTATION = r"""
name: own_names
author:
  - Caracal Ops (@caracal-ops)
version_added: 0.1.0
short_description: List facts that have the name of a setting of this collection
description:
  - Facts override the inventory and the defaults of roles, and a host chooses its facts. A role that uses its settings on the controller
    refuses to run if this list is not empty.
options:
  _input:
    description: The facts of a host.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Refuse facts that would change settings
  ansible.builtin.assert:
    that: ansible_facts | caracal_ops.backup.own_names | length == 0
"""

RETURN = r"""
_value:
  description: The names, sorted.
  type: list
  elements: str
"""


class FilterModule:
    """For Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"own_names": answers.own_names}
