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
short_description: Make a list of a text that stands for one
description:
  - The command line, with C(-e name=value), and surveys of AWX give a text where a role's variable is a list. This is the list that is
    meant.
  - A text is split at commas and at the ends of lines. So an item that has a comma itself must come as JSON; a text that begins with C([)
    is taken for that.
  - What is no text stays as it is.
options:
  _input:
    description: A list, or a text that stands for one.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Two databases, whether they come as YAML or as `caracal,caracal_auth`
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
