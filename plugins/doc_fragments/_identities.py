# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Identities that decrypt artifacts."""

    DOCUMENTATION = r"""
options:
  identity_files:
    description:
      - Files with age identities, or unencrypted SSH private keys, mode 0600.
      - Keep these files on the host that runs drills or restores, never on the backup host.
    type: list
    elements: path
    required: true
"""
