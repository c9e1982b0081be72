# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

from __future__ import annotations


class ModuleDocFragment:
    """Where sets live and whom we believe; goes with `_argspec.repository`."""

    DOCUMENTATION = r"""
options:
  repository:
    description:
      - Where backup sets live.
      - A local directory, as an absolute path or C(file://) address.
    type: str
    required: true
  deployment:
    description:
      - Name of the Caracal deployment that the repository belongs to.
      - A repository of another deployment is refused.
    type: str
    required: true
  allowed_signers:
    description:
      - File in the format of OpenSSH's C(allowed_signers), with the principals C(backup@), C(drill@) and C(operator@) of the deployment.
      - It comes from the operator, never from the repository.
    type: path
    required: true
  revoked_keys:
    description:
      - File with one revoked OpenSSH public key a line. What they signed is not believed.
    type: path
  high_water_mark:
    description:
      - File outside the repository that remembers the newest journal entry this host has seen.
      - A repository whose journal ends before it was rolled back, and is refused. Without a mark, freshness is C(unproven).
      - It is made when it does not exist.
    type: path
    required: true
"""
