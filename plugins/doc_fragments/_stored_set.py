# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The committed set that a module reads."""

    DOCUMENTATION = r"""
options:
  set_id:
    description:
      - ID of the set, or V(latest) for the newest set that the journal names.
    type: str
    default: latest
  max_age:
    description:
      - With O(set_id=latest), the maximum age of the newest set in hours. An older set is refused.
    type: int
"""
