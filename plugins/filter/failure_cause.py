# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter `failure_cause`."""

from __future__ import annotations

import typing as t

from ..module_utils._ansible import failures

DOCUMENTATION = r"""
name: failure_cause
author:
  - Caracal Ops (@caracal-ops)
version_added: 0.1.0
short_description: Print why a task failed in one line
description:
  - A C(rescue) has the result of the failed task in C(ansible_failed_result). This filter returns its message, and shows characters that
    cannot be printed as escapes. In a loop, it returns the message of the first item that failed with one.
options:
  _input:
    description: The result of a task.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Print why the block failed
  ansible.builtin.debug:
    msg: "{{ ansible_failed_result | caracal_ops.backup.failure_cause }}"
"""

RETURN = r"""
_value:
  description: The message.
  type: str
"""


class FilterModule:
    """For Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"failure_cause": failures.cause}
