# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter `as_dict`."""

from __future__ import annotations

import typing as t

from ..module_utils._ansible import texts

DOCUMENTATION = r"""
name: as_dict
author:
  - Caracal Ops (@caracal-ops)
version_added: 0.1.0
short_description: Make a dictionary of a text that stands for one
description:
  - The command line, with C(-e name=value), and surveys of AWX give a text where a role's variable is a dictionary. This is the dictionary
    that is meant.
  - A text is C(key=value), several on a line or one a line, as modules of Ansible take them, with quotes around a value that has a space
    or a comma. One that begins with C({) is taken for JSON.
  - What is no text stays as it is.
options:
  _input:
    description: A dictionary, or a text that stands for one.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: What is left out, whether it comes as YAML or as `redis=unused`
  ansible.builtin.debug:
    msg: "{{ caracal_backup_left_out | caracal_ops.backup.as_dict }}"
"""

RETURN = r"""
_value:
  description: The dictionary.
  type: dict
"""


class FilterModule:
    """For Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"as_dict": texts.as_dict}
