# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """A report with a verdict: waivers, its location on this host, and whether it fails the module."""

    DOCUMENTATION = r"""
options:
  waivers:
    description:
      - Checks that are excluded from the verdict for a limited time. The report still lists each of these checks with its result.
    type: list
    elements: dict
    default: []
    suboptions:
      check:
        description:
          - Complete ID of the check.
        type: str
        required: true
      reason:
        description:
          - Reason for the waiver, for readers of the report.
        type: str
        required: true
      expires:
        description:
          - Last day of the waiver as YYYY-MM-DD, in UTC. An expired waiver is refused.
        type: str
        required: true
  report_dir:
    description:
      - Directory on this host for reports. Each report is written into its own subdirectory, named after the report ID.
    type: path
  require_valid:
    description:
      - Whether to fail unless the verdict is V(pass). The module writes all results before it fails.
    type: bool
    default: true
"""
