# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Where archived exports lie."""

    DOCUMENTATION = r"""
options:
  archive:
    description:
      - Where archived exports lie, below C(archive/) of this place. Without it, in the repository.
      - A local directory as an absolute path, or a bucket with a prefix as C(s3://bucket/prefix). It is reached and locked with the same
        options C(s3_*) and C(lock_*) as a repository; the days are those of the class C(archive).
    type: str
"""
