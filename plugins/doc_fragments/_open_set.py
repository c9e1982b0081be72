# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The set that a module adds artifacts to."""

    DOCUMENTATION = r"""
options:
  set_id:
    description:
      - The open set. In check mode, the id that M(caracal_ops.backup.backup_set) predicted.
      - Where a run that failed or was killed has left objects in it, the same again is refused before it begins, since that run could
        still be at work. M(caracal_ops.backup.backup_set) with O(caracal_ops.backup.backup_set#module:state=aborted) removes them; the
        id can then be used again.
    type: str
    required: true
  create_repository:
    description:
      - In check mode, look at everything else where O(repository) holds no repository yet, since M(caracal_ops.backup.backup_set) with
        the same option is to make it. Otherwise it changes nothing.
    type: bool
    default: false
"""
