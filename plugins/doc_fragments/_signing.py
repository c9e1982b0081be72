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
      - OpenSSH Ed25519 key for signatures, mode 0600. If you give a C(.pub) file, the key is used through the SSH agent.
      - Its principal in O(allowed_signers) depends on the module. The notes or the description of the module name the principal.
      - Required if the module writes to the repository.
    type: path
"""
