# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Which databases are dumped, and how gently."""

    DOCUMENTATION = r"""
options:
  databases:
    description:
      - Databases in the order in which they are dumped, Caracal's own first.
      - Without this option, those that the release found on the server keeps, V(caracal) first, then V(caracal_auth).
    type: list
    elements: str
    default: []
  jobs:
    description:
      - How many streams run side by side.
    type: int
    default: 2
  lock_hold_max:
    description:
      - Seconds that another session may wait for a lock of ours.
      - Then our session is ended, and its work tried again under the same snapshot.
      - A session that keeps others waiting in turn, as a partition change does with INSERTs, never waits longer than a moment.
    type: int
    default: 60
  max_duration:
    description:
      - Seconds after which the run is stopped. Without this option it takes as long as it takes.
    type: int
"""
