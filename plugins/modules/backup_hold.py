#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_hold
short_description: Keep a backup set whatever the rules say, or end that
version_added: 0.1.0
description:
  - A hold keeps M(caracal_ops.backup.backup_prune) from a set and from every object that it shares with others, as a court or an
    investigation may demand.
  - It is an entry of the journal, signed by C(operator@<deployment>). Several holds on a set have names of their own and end one by one.
  - In a bucket with Object Lock, the store enforces it with a legal hold on every object that the set consists of, whatever O(lock_mode)
    is. They are on before the entry is made, and come off after the entry that ends the set's last hold, but for objects that another
    held set names. In other stores, a hold is the entry alone.
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
      - Shows the holds on the set, and the objects whose legal hold is put on or comes off.
  idempotent:
    support: full
    details:
      - A hold that stands already is left as it is, with the reason that it was given first.
      - A run that was interrupted is completed by the same call. Legal holds that are missing are put on again, without another entry.
options:
  set_id:
    description:
      - The set.
    type: str
    required: true
  hold:
    description:
      - Name of the hold, such as the number of a case.
    type: str
    required: true
  reason:
    description:
      - Why the set is held, or why it is no longer. It goes into the journal, which everybody who reads the repository can read.
    type: str
    required: true
  state:
    description:
      - Whether the hold stands.
      - With V(absent), a hold that the journal has never known changes nothing.
    type: str
    choices: [present, absent]
    default: present
  signing_key:
    required: true
notes:
  - In a bucket, only the operator's identity may change legal holds (C(s3:PutObjectLegalHold)). The S3 guide has its policy.
  - Objects that are missing are left out; M(caracal_ops.backup.repository_verify) tells them.
seealso:
  - module: caracal_ops.backup.backup_prune
  - module: caracal_ops.backup.repository_verify
"""

EXAMPLES = r"""
---
- name: Keep a set for an investigation
  caracal_ops.backup.backup_hold:
    set_id: 20261125T020000Z-k3f9
    hold: case-2026-17
    reason: Evidence in the matter of the leaked grant
    repository: /srv/backup/caracal
    deployment: prod
    signing_key: ~/operator_signing_key.pub
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: ~/high-water-mark.json

- name: Let it go
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
  description: Id of the set.
  returned: always
  type: str
  sample: 20261125T020000Z-k3f9
holds:
  description: The holds that stand on it now.
  returned: always
  type: list
  elements: dict
  contains:
    hold:
      description: Name of the hold.
      type: str
      sample: case-2026-17
    reason:
      description: Why.
      type: str
      sample: Evidence in the matter of the leaked grant
objects:
  description: Number of objects whose legal hold was put on or taken off.
  returned: always
  type: int
  sample: 23
enforced:
  description: Whether the store itself keeps what is held from being deleted. It does in a bucket with Object Lock, and nowhere else.
  returned: always
  type: bool
  sample: true
journal_head:
  description: Number and first 16 hex digits of the newest journal entry.
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
