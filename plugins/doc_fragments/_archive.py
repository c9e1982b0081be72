# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Location of archived exports."""

    DOCUMENTATION = r"""
options:
  archive:
    description:
      - Location of the archived exports, which are stored below C(archive/) there. Without this option, they are stored in the repository.
      - An absolute path of a local directory, or a bucket with a prefix as C(s3://bucket/prefix). Access and locks are configured with the
        same options C(s3_*) and C(lock_*) as for a repository. The lock period is the value of O(lock_days) for the class C(archive).
    type: str
"""
