# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """How audit chains are verified."""

    DOCUMENTATION = r"""
options:
  audit_hmac_key_files:
    description:
      - Files with an C(AUDIT_HMAC_KEY) each, as in the deployment's secrets. Give retired keys too.
      - Without a key, chain HMACs are V(unproven).
    type: list
    elements: path
    default: []
  lock_hold_max:
    description:
      - How long, in seconds, another session may wait for ours before ours is ended and its leaf is read again.
    type: int
    default: 60
"""
