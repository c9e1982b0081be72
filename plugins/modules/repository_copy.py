#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: repository_copy
short_description: Copy a repository to a second location without any decryption key
version_added: 0.1.0
description:
  - Copies encrypted and signed objects unchanged. It needs neither an identity nor a signing key. During the copy, it compares the digest
    of every object with the signed digest. Then it reads the object back from the destination and compares the digest again.
  - The module copies objects before the journal entries that name them. An interrupted copy is therefore a complete repository from an
    earlier point in time. The next run continues the copy.
  - Objects that the destination already contains are not changed. A destination is refused if it contains another repository, or if its
    journal is not an earlier state of the source's journal.
  - An object that is missing or does not match its signed digest is not copied. Everything else is copied, and then the module fails.
  - The module never deletes anything. Prune the copy separately, with M(caracal_ops.backup.backup_prune) and separate rules. For sets that
    were pruned before the copy, only the remaining files, such as the manifest, are copied.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._attributes.progress
  - caracal_ops.backup._repository
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows the objects that are copied.
  idempotent:
    support: full
options:
  destination:
    description:
      - Location of the copy, in any form that O(repository) accepts. All other options for a store apply to both locations.
    type: str
    required: true
  read_all:
    description:
      - Whether to also read the objects that earlier runs copied, instead of comparing only their size.
    type: bool
    default: false
  metrics_file:
    description:
      - File for the textfile collector of node_exporter, such as C(/var/lib/node_exporter/caracal_copy.prom). Its directory must exist.
      - The module writes the time and the numbers of copied objects and bytes atomically, with mode 0644. If that fails, the module only
        prints a warning.
    type: path
notes:
  - Run the module on a host that the backup host cannot reach, with a login that may write to O(destination) but not delete objects.
seealso:
  - module: caracal_ops.backup.repository_verify
"""

EXAMPLES = r"""
---
- name: Copy a repository to a disk in another room
  caracal_ops.backup.repository_copy:
    repository: /srv/backup/caracal
    destination: /mnt/vault/caracal
    deployment: prod
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json
"""

RETURN = r"""
copied:
  description: Number of objects that were or would be copied.
  returned: always
  type: int
  sample: 12
kept:
  description: Number of objects that the destination had already.
  returned: always
  type: int
  sample: 512
bytes:
  description: Size of the copied objects in bytes.
  returned: always
  type: int
  sample: 412345678
faults:
  description: Errors of the objects that were not copied.
  returned: always
  type: list
  elements: str
  sample: []
destination:
  description: Location of the copy.
  returned: always
  type: str
  sample: /mnt/vault/caracal
journal_head:
  description: Number and first 16 hex digits of the newest journal entry.
  returned: always
  type: str
  sample: 42-9f86d081884c7d65
freshness:
  description: V(fresh), or V(unproven) when this host had no high-water mark.
  returned: always
  type: str
  sample: fresh
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._sets.repository_copy import Options
from ..module_utils._sets.repository_copy import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
