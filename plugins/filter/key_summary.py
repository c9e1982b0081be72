# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter `key_summary`."""

from __future__ import annotations

import typing as t

from ..module_utils._setup import key_summary

DOCUMENTATION = r"""
name: key_summary
author:
  - Caracal Ops (@caracal-ops)
version_added: 0.1.0
short_description: Summarize the keys that setup created
description:
  - The role C(caracal_ops.backup.caracal_setup) prints this summary at its end.
options:
  _input:
    description: The deployment and its keys, by the names that C(tasks/summary.yml) of the role uses.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Print the keys of a deployment
  ansible.builtin.debug:
    msg: "{{ keys | caracal_ops.backup.key_summary }}"
"""

RETURN = r"""
_value:
  description: Lines of text.
  type: list
  elements: str
"""


class FilterModule:
    """For Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"key_summary": key_summary.lines}
