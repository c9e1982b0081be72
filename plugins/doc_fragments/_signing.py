# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The key that signs."""

    DOCUMENTATION = r"""
options:
  signing_key:
    description:
      - OpenSSH Ed25519 key that signs, mode 0600. With a C(.pub) file the key is used through the agent.
      - The module says which principal must own it in O(allowed_signers).
      - Required when something is to be written.
    type: path
"""
