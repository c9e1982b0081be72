# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Data that is read before and after the snapshot."""

    DOCUMENTATION = r"""
options:
  reading:
    description:
      - Number of the pass, V(1) before the database dump or V(2) after it. The set needs both passes.
    type: int
    choices: [1, 2]
    required: true
"""
