#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: repository_copy
short_description: Copy a repository to a second place, with no key that opens it
version_added: 0.1.0
description:
  - Copies what is sealed and signed as it is, and needs neither an identity nor a signing key. The digest of every object is compared
    with the signed one on the way, and with what the destination gives back.
  - Objects go before the journal's entries that name them, so an interrupted copy is a whole, older repository. The next run goes on.
  - What is there already stays. A destination that holds another repository, or a journal that is not the beginning of this one, is
    refused.
  - An object that is missing or not as it was signed stays behind; everything else is copied, and the module fails in the end.
  - Nothing is ever deleted. Prune the copy by itself, with M(caracal_ops.backup.backup_prune) and its own rules; sets that were pruned
    before they were copied come with their public files only.
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
      - Where the copy lives, in any form that O(repository) may have. Other options about a store hold for both places.
    type: str
    required: true
  read_all:
    description:
      - Read what was copied by earlier runs too, instead of looking at its size.
    type: bool
    default: false
  metrics_file:
    description:
      - File for the textfile collector of node_exporter, such as C(/var/lib/node_exporter/caracal_copy.prom). Its folder must exist.
      - The time, and the numbers of objects and bytes that were copied are written there
        in one step, with mode 0644. When that fails, there is a warning and nothing else.
    type: path
notes:
  - Run it on a host that the backup host cannot reach, with a login that may write to O(destination) and not delete.
seealso:
  - module: caracal_ops.backup.repository_verify
"""

EXAMPLES = r"""
---
- name: Copy to a disk in another room
  caracal_ops.backup.repository_copy:
    repository: /srv/backup/caracal
    destination: /mnt/vault/caracal
    deployment: prod
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json
"""

RETURN = r"""
copied:
  description: Number of objects that are copied.
  returned: always
  type: int
  sample: 12
kept:
  description: Number of objects that were there already.
  returned: always
  type: int
  sample: 512
bytes:
  description: Size of what is copied.
  returned: always
  type: int
  sample: 412345678
faults:
  description: What is wrong with the objects that are not copied.
  returned: always
  type: list
  elements: str
  sample: []
destination:
  description: Where the copy lives.
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
