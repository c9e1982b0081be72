# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """A restore that is recorded in the journal, unless it is part of a drill."""

    DOCUMENTATION = r"""
options:
  signing_key:
    description:
      - OpenSSH Ed25519 key of C(operator@<deployment>), mode 0600, that signs the journal entry of the restore. If you give a C(.pub) file,
        the key is used through the SSH agent.
      - Required unless O(sandbox) is set. In check mode, or if the restore changed nothing, the module adds no entry.
    type: path
  sandbox:
    description:
      - Directory of a sandbox created by M(caracal_ops.backup.restore_drill), in which the target must be located. A drill restores only
        into that sandbox, and the module adds no journal entry for the restore.
    type: path
"""
