#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: replay_stage_fetch
short_description: Fetch staged replay archives from a host to the controller, up to a size limit
version_added: 0.1.0
description:
  - Fetches the encrypted files that M(caracal_ops.backup.replay_volume_archive) wrote to the stage, a directory on a host that cannot reach
    the repository.
  - The module does not trust the host. It refuses a file name that cannot belong to a replay archive of this set and pass. It fetches each
    file in pieces of 8 MiB, and limits the total size. In contrast, M(ansible.builtin.fetch) would accept a file of any size, and with
    C(become) load the file into memory.
  - M(caracal_ops.backup.backup_set) checks the contents of the files when it adds them to the set.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._reading
attributes:
  action:
    description: Has an action plugin of the same name, which runs on the controller.
    support: full
  check_mode:
    support: full
    details:
      - Checks the names, and requests nothing from the host.
  diff_mode:
    support: full
    details:
      - Shows the files that are fetched.
  idempotent:
    support: none
    details:
      - Each run fetches all files, into a new directory.
options:
  set_id:
    description:
      - ID of the set to which the files belong.
    type: str
    required: true
  stage:
    description:
      - Directory on the host, as in O(caracal_ops.backup.replay_volume_archive#module:stage).
    type: path
    required: true
  staged:
    description:
      - Names of the files, as the host returned them in RV(caracal_ops.backup.replay_volume_archive#module:staged).
    type: list
    elements: str
    required: true
  max_bytes:
    description:
      - Maximum size in bytes of all files together.
    type: int
    required: true
  piece:
    description:
      - Piece that the controller requests from the host. The action plugin sets it. Do not set it in a play.
    type: dict
    suboptions:
      key: {description: "Name of a file, one of O(staged).", type: str, required: true}
      offset: {description: "Offset in this file, in bytes.", type: int, required: true}
notes:
  - Ansible reads the reply of every task into memory before a plugin can check it. This module therefore cannot limit the size of a reply.
    Only the connection can.
seealso:
  - module: caracal_ops.backup.replay_volume_archive
  - module: caracal_ops.backup.backup_set
"""

EXAMPLES = r"""
---
- name: Fetch the encrypted files from the replay host
  caracal_ops.backup.replay_stage_fetch:
    set_id: "{{ opened.set_id }}"
    reading: 1
    stage: /var/lib/caracal-ops/stage
    staged: "{{ sealed.staged }}"
    max_bytes: 8589934592
  delegate_to: replay.example.org
  register: carried
"""

RETURN = r"""
path:
  description:
    - Directory on the controller with the files. The directory is one of Ansible's own temporary directories. Ansible removes it at the end
      of the run, even if a host became unreachable. Empty in check mode.
  returned: always
  type: str
  sample: /home/operator/.ansible/tmp/ansible-local-4711abcd/caracal_backup.k3f9x2
files:
  description: Paths of the fetched files, relative to RV(path).
  returned: always
  type: list
  elements: str
  sample: ["sets/20261125T020000Z-k3f9/replay/sts-1.1.tar.zst.age", "sets/20261125T020000Z-k3f9/parts/replay.sts-1.1.json"]
bytes:
  description: Total size of the files in bytes. 0 in check mode.
  returned: always
  type: int
  sample: 12678
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._assets.replay.replay_stage_fetch import Options
from ..module_utils._assets.replay.replay_stage_fetch import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
