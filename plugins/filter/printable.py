# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter `printable`."""

from __future__ import annotations

import typing as t

from ..module_utils import _errors

DOCUMENTATION = r"""
name: printable
author:
  - Caracal Ops (@caracal-ops)
version_added: 0.1.0
short_description: Convert a text to one line of printable characters
description:
  - A text from a host can contain escape sequences of a terminal, line breaks, and characters that change the direction of writing. This
    filter replaces each character that cannot be printed by an escape such as C(\x1b).
options:
  _input:
    description: Any text.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Print what a host returned
  ansible.builtin.debug:
    msg: "{{ asked.stdout | caracal_ops.backup.printable }}"
"""

RETURN = r"""
_value:
  description: The line.
  type: str
"""


def printable(text: t.Any) -> str:
    return _errors.printable(text if isinstance(text, str) else str(text))


class FilterModule:
    """For Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"printable": printable}
