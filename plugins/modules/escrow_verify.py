#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: escrow_verify
short_description: Verify that age identities can decrypt every object of a backup set
version_added: 0.1.0
description:
  - Tests age identities, such as the break-glass identity, on the header of every encrypted artifact and object of a set. It reads only the
    headers and does not decrypt the contents.
  - At least one of the identities must decrypt each object. Each identity must decrypt all objects that are encrypted for it.
  - You can run the module on an offline machine with a copy of the repository.
  - With O(signing_key), the module records in the journal which identities decrypt all objects that are encrypted for them. Use this option
    only with the repository itself, not with a copy.
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
      - All identities are tested, and nothing is recorded.
  diff_mode:
    support: full
    details:
      - Shows the journal entry.
  idempotent:
    support: N/A
    details:
      - Each proof with O(signing_key) adds a journal entry, because the entry records when the identity was tested.
options:
  identity_files:
    description:
      - Files with age identities, or unencrypted SSH private keys, with mode 0600. If secrets and databases are encrypted for different
        recipients, specify an identity for each of them.
  require_valid:
    description:
      - Whether to fail unless the identities decrypt everything.
    type: bool
    default: true
notes:
  - This module does not verify the contents behind the headers. M(caracal_ops.backup.backup_set_verify) verifies the stored bytes, and a
    drill proves that they can be restored.
  - The signing key must belong to C(operator@<deployment>) in O(allowed_signers).
seealso:
  - module: caracal_ops.backup.backup_set_verify
"""

EXAMPLES = r"""
---
- name: Verify the break-glass identity offline, with a copy of the repository
  caracal_ops.backup.escrow_verify:
    identity_files:
      - /media/safe/break-glass.identity
    repository: /media/copy/caracal
    deployment: prod
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: ~/high-water-mark.json

- name: Verify the break-glass identity and record the proof in the journal
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
  description: ID of the set.
  returned: always
  type: str
  sample: 20261125T020000Z-k3f9
verdict:
  description: V(pass), V(fail) or V(unproven).
  returned: always
  type: str
  sample: pass
checks:
  description: >-
    For each class of assets (databases, secrets, replay, redis, images), one check that the identities decrypt all objects. The check
    C(escrow.identities) verifies that each identity belongs to a recipient. The check C(journal.freshness) detects a rollback of the
    journal.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: Stable ID of the check.
      type: str
      sample: escrow.databases
    verdict:
      description: V(pass), V(fail), V(warn), V(unproven) or V(not_applicable).
      type: str
      sample: pass
    message:
      description: Result of the check.
      type: str
      sample: the identities decrypt all 14 objects
    required:
      description: V(true) if the verdict of the module depends on this check.
      type: bool
      sample: true
    details:
      description: Always empty.
      type: dict
      sample: {}
proved:
  description: Fingerprints of the recipients with an identity that decrypts all objects encrypted for them.
  returned: always
  type: list
  elements: str
  sample: ["SHA256:CtGOLdZFOImGzm1x0bVvCwVJ0kE8Cw2m4SVtAGOT0Uc"]
objects:
  description: Number of encrypted artifacts and objects of the set.
  returned: always
  type: int
  sample: 19
journal_head:
  description: Number and first 16 hex digits of the digest of the newest journal entry.
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
