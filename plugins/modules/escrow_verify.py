#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: escrow_verify
short_description: Prove that identities open every sealed object of a backup set
version_added: 0.1.0
description:
  - A break-glass identity that nobody has tried is a hope. This tries it on the header of every sealed artifact and object of a set, and
    reads no more than that. What was sealed is not opened.
  - Every object must be opened by one of the identities, and by each of them that it is sealed to.
  - Runs on an offline machine with a copy of the repository. With O(signing_key), the identities that open all that is sealed to them are
    entered into the journal of O(repository), so do that where the repository itself is at hand.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._stored_set
  - caracal_ops.backup._repository
  - caracal_ops.backup._identities
  - caracal_ops.backup._signing
attributes:
  check_mode:
    support: full
    details:
      - Everything is tried, and nothing is entered.
  diff_mode:
    support: full
    details:
      - Shows what is entered.
  idempotent:
    support: N/A
    details:
      - Each proof with O(signing_key) is an entry of its own, since it says when the identity was tried.
options:
  identity_files:
    description:
      - Files with age identities, or unencrypted SSH private keys, mode 0600. Where secrets are sealed to other recipients than
        databases, give one of each class.
  require_valid:
    description:
      - Fail unless the identities open everything.
    type: bool
    default: true
notes:
  - That the bytes behind the headers are whole is for M(caracal_ops.backup.backup_set_verify) to prove, that they restore for a drill.
  - The signing key must belong to C(operator@<deployment>) in O(allowed_signers).
seealso:
  - module: caracal_ops.backup.backup_set_verify
"""

EXAMPLES = r"""
---
- name: Prove the break-glass identity, offline with a copy
  caracal_ops.backup.escrow_verify:
    identity_files:
      - /media/safe/break-glass.identity
    repository: /media/copy/caracal
    deployment: prod
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: ~/high-water-mark.json

- name: The same where the repository itself is at hand, and enter it into the journal
  caracal_ops.backup.escrow_verify:
    identity_files:
      - /media/safe/break-glass.identity
    repository: /srv/backup/caracal
    deployment: prod
    signing_key: ~/operator_signing_key
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: ~/high-water-mark.json
"""

RETURN = r"""
set_id:
  description: Id of the set.
  returned: always
  type: str
  sample: 20261125T020000Z-k3f9
verdict:
  description: V(pass), V(fail) or V(unproven).
  returned: always
  type: str
  sample: pass
checks:
  description: For each class of assets (databases, secrets, replay, redis), whether the identities open all objects.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: Stable name of the check.
      type: str
      sample: escrow.databases
    verdict:
      description: V(pass), V(fail), V(warn), V(unproven) or V(not_applicable).
      type: str
      sample: pass
    message:
      description: What was found.
      type: str
      sample: the identities open all 14 objects
    required:
      description: Whether the verdict depends on it.
      type: bool
      sample: true
    details:
      description: Empty.
      type: dict
      sample: {}
proved:
  description: Fingerprints of the recipients whose identity opens all that is sealed to it.
  returned: always
  type: list
  elements: str
  sample: ["SHA256:CtGOLdZFOImGzm1x0bVvCwVJ0kE8Cw2m4SVtAGOT0Uc"]
objects:
  description: Number of sealed artifacts and objects of the set.
  returned: always
  type: int
  sample: 19
journal_head:
  description: Number and first 16 hex digits of the newest journal entry.
  returned: always
  type: str
  sample: 42-9f86d081884c7d65
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._sets.escrow_verify import Options
from ..module_utils._sets.escrow_verify import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
