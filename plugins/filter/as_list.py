# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter `as_list`."""

from __future__ import annotations

import typing as t

from ..module_utils._ansible import texts

DOCUMENTATION = r"""
name: as_list
author:
  - Caracal Ops (@caracal-ops)
version_added: 0.1.0
short_description: Convert a text to a list
description:
  - A variable set on the command line with C(-e name=value) or in a survey of AWX is a text, even if the role expects a list. This filter
    returns the list.
  - The text is split at commas and at line ends. A text that begins with C([) is parsed as JSON. Use JSON if an item contains a comma.
  - Any other type is returned unchanged.
options:
  _input:
    description: A list, or a text to convert.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Print two databases, set in YAML or as `caracal,caracal_auth`
  ansible.builtin.debug:
    msg: "{{ caracal_backup_databases | caracal_ops.backup.as_list }}"
"""

RETURN = r"""
_value:
  description: The list.
  type: list
  elements: raw
"""


class FilterModule:
    """For Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"as_list": texts.as_list}
