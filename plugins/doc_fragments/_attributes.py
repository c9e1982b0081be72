# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Attributes of all modules."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Runs the full preflight and predicts the changes without making them.
  diff_mode:
    description: In diff mode, returns the changes that were made or, in check mode, would be made.
  idempotent:
    description: A second run with the same options changes nothing.
"""

    READ_ONLY = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - This module changes nothing except the high-water mark, if it uses one. In check mode, the high-water mark stays unchanged.
  diff_mode:
    support: N/A
    details:
      - This module changes nothing.
  idempotent:
    support: full
    details:
      - This module changes nothing.
"""

    PROGRESS = r"""
options: {}
attributes:
  action:
    description: An action plugin of the same name shows the progress on a terminal.
    support: full
    details:
      - It shows nothing without a terminal, in AWX, in check mode, with C(async), or if the variable C(caracal_ops_progress) is V(false).
"""
