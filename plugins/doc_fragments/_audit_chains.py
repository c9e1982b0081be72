# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Options for the verification of audit chains."""

    DOCUMENTATION = r"""
options:
  audit_hmac_key_files:
    description:
      - Files that each contain one C(AUDIT_HMAC_KEY), as in the secrets of the deployment. Include retired keys.
      - Without a key, the checks of chain HMACs are V(unproven).
    type: list
    elements: path
    default: []
  lock_hold_max:
    description:
      - Number of seconds that another session may wait for the module's session. After that, the module ends its session and reads the
        partition again.
    type: int
    default: 60
"""
