# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Databases to dump, and limits of the dump."""

    DOCUMENTATION = r"""
options:
  databases:
    description:
      - Names of the databases in the order in which they are dumped, with Caracal's main database first.
      - Without this option, the module dumps the databases of the detected release, first V(caracal), then V(caracal_auth).
    type: list
    elements: str
    default: []
  jobs:
    description:
      - Number of dump streams that run in parallel.
    type: int
    default: 2
  lock_hold_max:
    description:
      - Number of seconds that another session may wait for a lock of the module.
      - After that, the module ends its own session and repeats the work under the same snapshot.
      - If the waiting session blocks further sessions, the module ends its own session at once. This happens, for example, when a partition
        change blocks INSERTs.
    type: int
    default: 60
  max_duration:
    description:
      - Time limit in seconds for the run. When it is reached, the module stops. Without this option, there is no limit.
    type: int
"""
