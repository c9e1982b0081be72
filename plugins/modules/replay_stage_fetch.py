#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: replay_stage_fetch
short_description: Bring what a host has staged of its replay directories to the controller, within a bound
version_added: 0.1.0
description:
  - Brings the sealed files that M(caracal_ops.backup.replay_volume_archive) left in a stage on a host that cannot reach the repository.
  - The host is believed nothing. A name that no replay archive of this set and reading has is refused, each file comes in pieces of
    8 MiB, and what comes in all is bounded. M(ansible.builtin.fetch) would take a file of any length, and with C(become) hold it in memory.
  - What the files say is looked at by M(caracal_ops.backup.backup_set), which takes them into the set.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._reading
attributes:
  action:
    description: Has an action of the same name, which runs on the controller.
    support: full
  check_mode:
    support: full
    details:
      - Looks at the names, and asks the host for nothing.
  diff_mode:
    support: full
    details:
      - Shows the files that are brought.
  idempotent:
    support: none
    details:
      - Each run brings all files, into a folder of its own.
options:
  set_id:
    description:
      - Id of the set that the files are for.
    type: str
    required: true
  stage:
    description:
      - The directory on the host, as in O(caracal_ops.backup.replay_volume_archive#module:stage).
    type: path
    required: true
  staged:
    description:
      - The names that the host gave, RV(caracal_ops.backup.replay_volume_archive#module:staged).
    type: list
    elements: str
    required: true
  max_bytes:
    description:
      - How many bytes all files together may have.
    type: int
    required: true
  piece:
    description:
      - What the controller asks the host for. The action sets it; a play leaves it out.
    type: dict
    suboptions:
      key: {description: "One of O(staged).", type: str, required: true}
      offset: {description: "Where in it, in bytes.", type: int, required: true}
notes:
  - Ansible reads the answer of any task into memory before somebody can look at it. What bounds that is the connection, not this module.
seealso:
  - module: caracal_ops.backup.replay_volume_archive
  - module: caracal_ops.backup.backup_set
"""

EXAMPLES = r"""
---
- name: Bring what was sealed on the replay host
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
    - The folder on the controller that the files are in. It is among Ansible's own temporary files, which Ansible removes when it ends,
      also after a host became unreachable. Empty in check mode.
  returned: always
  type: str
  sample: /home/operator/.ansible/tmp/ansible-local-4711abcd/caracal_backup.k3f9x2
files:
  description: What was brought, by path below RV(path).
  returned: always
  type: list
  elements: str
  sample: ["sets/20261125T020000Z-k3f9/replay/sts-1.1.tar.zst.age", "sets/20261125T020000Z-k3f9/parts/replay.sts-1.1.json"]
bytes:
  description: Their size. 0 in check mode.
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
