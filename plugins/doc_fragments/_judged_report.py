# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """A report that is judged: waivers, a place on this host, failing."""

    DOCUMENTATION = r"""
options:
  waivers:
    description:
      - Checks that the verdict shall not depend on for a while. The report shows each, with what came out.
    type: list
    elements: dict
    default: []
    suboptions:
      check:
        description:
          - Name of the check, whole.
        type: str
        required: true
      reason:
        description:
          - Why, for whoever reads the report.
        type: str
        required: true
      expires:
        description:
          - Last day of the waiver as YYYY-MM-DD, in UTC. An expired one is refused.
        type: str
        required: true
  report_dir:
    description:
      - Folder for the report on this host, which goes into a folder of its own there, named by its ID.
    type: path
  require_valid:
    description:
      - Fail unless the verdict is V(pass), after everything was written.
    type: bool
    default: true
"""
