# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Recipients for which artifacts are encrypted."""

    DOCUMENTATION = r"""
options:
  recipients:
    description:
      - Public keys that artifacts are encrypted to, as C(age1...) (X25519), C(ssh-ed25519 ...) or C(ssh-rsa ...).
      - The identity of any one of these keys is sufficient to decrypt the artifacts.
      - The signing key must not be among them.
    type: list
    elements: str
    default: []
  recipients_files:
    description:
      - Files with one recipient per line. Comments begin with C(#).
    type: list
    elements: path
    default: []
"""
