#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: repository_verify
short_description: Verify a whole repository, at once or in parts over several runs
version_added: 0.1.0
description:
  - Verifies the journal, every manifest with its signature, the size of every object, the bytes of those whose turn it is, and what
    pruned sets, checkpoints and drills have left. Tells what nothing names.
  - In a bucket with Object Lock, it fails with C(repository.holds) when an object of a held set has no legal hold, and with
    C(repository.locks) when an object of a set, the journal or a drill is locked less strictly or shorter than O(lock_mode),
    O(lock_days) and its age ask for.
  - With O(timestamp_roots) every timestamp that M(caracal_ops.backup.journal_timestamp) has put beside the journal is verified too, and
    no entry may say that it was made later than an authority had seen it.
  - With O(identity_files) it also proves that they open every sealed object, from the headers alone.
  - With O(signing_key) the result is entered into the journal. The next run reads the next part, and M(caracal_ops.backup.backup_prune)
    deletes nothing while a newer set has failed.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._attributes.progress
  - caracal_ops.backup._repository
  - caracal_ops.backup._signing
attributes:
  check_mode:
    support: full
    details:
      - Everything is verified, and nothing is entered.
  diff_mode:
    support: full
    details:
      - Shows what is entered.
  idempotent:
    support: N/A
    details:
      - With O(signing_key) each run is an entry of its own. Without it nothing is changed.
options:
  parts:
    description:
      - In how many runs all bytes are read. An object is always in the same part, so as many runs read everything that stays.
    type: int
    default: 1
  part:
    description:
      - Which part to read, from 1 up to O(parts). Without it, the one after the last that the journal knows of.
    type: int
  identity_files:
    description:
      - Files with age identities, or unencrypted SSH private keys, mode 0600. Every sealed object must be opened by one of them.
      - They belong on the host that drills or restores, never on the host that makes backups.
    type: list
    elements: path
    default: []
  timestamp_roots:
    description:
      - File with the certificates of the timestamp authorities that are believed, in PEM, their roots and where needed intermediates.
      - Without it, or when there is no timestamp, the check C(journal.timestamps) is V(not_applicable).
    type: path
  require_valid:
    description:
      - Fail unless the verdict is V(pass).
    type: bool
    default: true
  metrics_file:
    description:
      - File for the textfile collector of node_exporter, such as C(/var/lib/node_exporter/caracal_verify.prom). Its folder must exist.
      - Time and verdict, checks by verdict, bytes read and sets at fault are written there
        in one step, with mode 0644. When that fails, there is a warning and nothing else.
    type: path
notes:
  - The signing key must belong to C(drill@<deployment>) in O(allowed_signers).
seealso:
  - module: caracal_ops.backup.backup_set_verify
  - module: caracal_ops.backup.journal_timestamp
  - module: caracal_ops.backup.repository_copy
"""

EXAMPLES = r"""
---
- name: Read everything
  caracal_ops.backup.repository_verify:
    repository: /srv/backup/caracal
    deployment: prod
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json

- name: Read a seventh every night, and remember it
  caracal_ops.backup.repository_verify:
    parts: 7
    repository: /srv/backup/caracal
    deployment: prod
    signing_key: /etc/caracal-ops/drill_signing_key
    identity_files:
      - /etc/caracal-ops/identities/drill.identity
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json
"""

RETURN = r"""
verdict:
  description: V(pass), V(fail) or V(unproven).
  returned: always
  type: str
  sample: pass
checks:
  description: Each check with its verdict.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: Stable name of the check.
      type: str
      sample: repository.manifests
    verdict:
      description: V(pass), V(fail), V(warn), V(unproven) or V(not_applicable).
      type: str
      sample: pass
    message:
      description: What was found.
      type: str
      sample: 14 sets, manifest and RECOVERY.md as signed
    required:
      description: Whether the verdict depends on it.
      type: bool
      sample: true
    details:
      description: More, where there is more.
      type: dict
      sample: {}
sets:
  description: Number of sets that were not pruned and whose manifest can be believed.
  returned: always
  type: int
  sample: 14
failed_sets:
  description: Sets in which something is wrong.
  returned: always
  type: list
  elements: str
  sample: []
part:
  description: The part whose bytes were read.
  returned: always
  type: int
  sample: 3
parts:
  description: Of how many.
  returned: always
  type: int
  sample: 7
objects:
  description: Number of objects that were read.
  returned: always
  type: int
  sample: 61
bytes:
  description: Their size.
  returned: always
  type: int
  sample: 812345678
journal_head:
  description: Number and first 16 hex digits of the newest journal entry.
  returned: always
  type: str
  sample: 42-9f86d081884c7d65
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._sets.repository_verify import Options
from ..module_utils._sets.repository_verify import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
