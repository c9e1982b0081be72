# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The set to which a module adds artifacts."""

    DOCUMENTATION = r"""
options:
  set_id:
    description:
      - ID of the open set. In check mode, the ID that M(caracal_ops.backup.backup_set) predicted.
      - If an earlier run has failed or was killed, its objects can remain in the set. The module then refuses to run again for this set,
        because the earlier run could still be in progress.
      - M(caracal_ops.backup.backup_set) with O(caracal_ops.backup.backup_set#module:state=aborted) removes these objects. You can then
        use the ID again.
    type: str
    required: true
  create_repository:
    description:
      - Whether to continue with all other checks in check mode if O(repository) does not contain a repository yet. Set this option if
        M(caracal_ops.backup.backup_set) will create the repository with its option of the same name. Without check mode, this option has no
        effect.
    type: bool
    default: false
"""
