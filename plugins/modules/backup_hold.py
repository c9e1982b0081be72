#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_hold
short_description: Place or end a legal hold on a backup set
version_added: 0.1.0
description:
  - Prevents M(caracal_ops.backup.backup_prune) from deleting a set, including the objects that the set shares with other sets. A court or
    an investigation may require such a hold.
  - A hold is a journal entry that is signed by C(operator@<deployment>). A set can have several holds. Each has its own name and ends
    separately.
  - In a bucket with Object Lock, the object store enforces the hold with a legal hold on every object of the set, regardless of
    O(lock_mode).
  - The module sets the legal holds before it adds the journal entry. After the journal entry that ends the last hold on the set, the module
    removes the legal holds. It keeps the legal holds on objects that another held set uses.
  - In other stores, a hold consists only of the journal entry.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._repository
  - caracal_ops.backup._signing
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows the holds on the set, and the objects on which a legal hold is set or removed.
  idempotent:
    support: full
    details:
      - An existing hold is not changed and keeps its original reason.
      - To complete an interrupted run, repeat the same call. Missing legal holds are set again, without another journal entry.
options:
  set_id:
    description:
      - ID of the backup set.
    type: str
    required: true
  hold:
    description:
      - Name of the hold, such as a case number.
    type: str
    required: true
  reason:
    description:
      - Reason for the hold, or for its end. It is stored in the journal, and every reader of the repository can read it.
    type: str
    required: true
  state:
    description:
      - Whether to place the hold (V(present)) or to end it (V(absent)).
      - With V(absent), nothing is changed if the journal has never recorded the hold.
    type: str
    choices: [present, absent]
    default: present
  signing_key:
    required: true
notes:
  - In a bucket, allow only the operator's S3 credentials to change legal holds (C(s3:PutObjectLegalHold)). See the S3 guide for the policy.
  - Missing objects are skipped. M(caracal_ops.backup.repository_verify) reports them.
seealso:
  - module: caracal_ops.backup.backup_prune
  - module: caracal_ops.backup.repository_verify
"""

EXAMPLES = r"""
---
- name: Place a hold for an investigation
  caracal_ops.backup.backup_hold:
    set_id: 20261125T020000Z-k3f9
    hold: case-2026-17
    reason: Evidence in the matter of the leaked grant
    repository: /srv/backup/caracal
    deployment: prod
    signing_key: ~/operator_signing_key.pub
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: ~/high-water-mark.json

- name: End the hold
  caracal_ops.backup.backup_hold:
    set_id: 20261125T020000Z-k3f9
    hold: case-2026-17
    reason: The matter is closed
    state: absent
    repository: /srv/backup/caracal
    deployment: prod
    signing_key: ~/operator_signing_key.pub
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: ~/high-water-mark.json
"""

RETURN = r"""
set_id:
  description: ID of the set.
  returned: always
  type: str
  sample: 20261125T020000Z-k3f9
holds:
  description: Current holds on the set.
  returned: always
  type: list
  elements: dict
  contains:
    hold:
      description: Name of the hold.
      type: str
      sample: case-2026-17
    reason:
      description: Reason for the hold.
      type: str
      sample: Evidence in the matter of the leaked grant
objects:
  description: Number of objects on which a legal hold was set or removed.
  returned: always
  type: int
  sample: 23
enforced:
  description: V(true) if the object store itself prevents the deletion of held objects. This is the case only in a bucket with Object Lock.
  returned: always
  type: bool
  sample: true
journal_head:
  description: Number and first 16 hex digits of the digest of the newest journal entry.
  returned: always
  type: str
  sample: 42-9f86d081884c7d65
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._sets.backup_hold import Options
from ..module_utils._sets.backup_hold import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
