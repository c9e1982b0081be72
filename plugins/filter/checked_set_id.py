# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter `checked_set_id`."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleError

from ..module_utils._errors import BackupError
from ..module_utils._repository import layout

DOCUMENTATION = r"""
name: checked_set_id
author:
  - Caracal Ops (@caracal-ops)
version_added: 0.1.0
short_description: Refuse a text that is not the ID of a set
description:
  - A host that is asked for a set may return any text. Before the text reaches another host, this filter checks that it is an ID.
options:
  _input:
    description: The ID of a set, of a drill or of a checkpoint.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Use the ID that another host returned
  ansible.builtin.debug:
    msg: "{{ opened.set_id | caracal_ops.backup.checked_set_id }}"
"""

RETURN = r"""
_value:
  description: The ID.
  type: str
  sample: 20261125T020000Z-k3f9
"""


def checked_set_id(text: t.Any) -> t.Any:
    """Return the text unchanged. Raises AnsibleError if it is not an ID."""
    try:
        layout.check_id(str(text))
    except BackupError as exc:
        raise AnsibleError(exc.msg) from exc
    return text


class FilterModule:
    """For Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"checked_set_id": checked_set_id}
