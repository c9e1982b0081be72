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
short_description: Convert a text to a dictionary
description:
  - A variable set on the command line with C(-e name=value) or in a survey of AWX is a text, even if the role expects a dictionary. This
    filter returns the dictionary.
  - The text consists of C(key=value) pairs, on one line or on several lines, as for modules of Ansible. Quote a value that contains a
    space or a comma. A text that begins with C({) is parsed as JSON.
  - Any other type is returned unchanged.
options:
  _input:
    description: A dictionary, or a text to convert.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Print what is left out, set in YAML or as `redis=unused`
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
