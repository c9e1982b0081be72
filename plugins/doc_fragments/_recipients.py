# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Whom artifacts are sealed to."""

    DOCUMENTATION = r"""
options:
  recipients:
    description:
      - Public keys to seal to, as C(age1...) (X25519), C(ssh-ed25519 ...) or C(ssh-rsa ...).
      - Whoever holds the identity of one of them can open the set.
      - None of them may be the signing key.
    type: list
    elements: str
    default: []
  recipients_files:
    description:
      - Files with one recipient a line, comments after C(#).
    type: list
    elements: path
    default: []
"""
