#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: repository_verify
short_description: Verify a whole repository, in one run or in parts over several runs
version_added: 0.1.0
description:
  - Verifies the journal, every manifest with its signature, the size of every object, and the bytes of the objects in the current part.
    Also verifies the remaining files of pruned sets, and the files of checkpoints and drills. Reports objects that neither a journal entry
    nor a manifest names.
  - In a bucket with Object Lock, the check C(repository.holds) fails if an object of a held set has no legal hold. The check
    C(repository.locks) fails if an object of a set, the journal or a drill is locked less strictly or for less time than required.
    O(lock_mode), O(lock_days) and the object's age determine the required lock.
  - With O(timestamp_roots), every timestamp that M(caracal_ops.backup.journal_timestamp) has stored next to the journal is verified too.
    The time in a journal entry must not be later than the time in its timestamp.
  - With O(identity_files), the module also proves that these identities can decrypt every encrypted object. For this proof, it reads only
    the headers of the objects.
  - With O(signing_key), the result is entered into the journal. The next run then reads the next part.
    M(caracal_ops.backup.backup_prune) deletes nothing if a set has failed that is newer than the newest set with a passed drill.
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
      - Everything is verified, and nothing is entered into the journal.
  diff_mode:
    support: full
    details:
      - Shows the entry for the journal.
  idempotent:
    support: N/A
    details:
      - With O(signing_key), each run adds its own entry. Without it, nothing is changed.
options:
  parts:
    description:
      - Number of parts into which the objects are divided. Each run reads one part. An object is always in the same part, so this number of
        runs reads every object that is not deleted in the meantime.
    type: int
    default: 1
  part:
    description:
      - Number of the part to read, from 1 up to O(parts). The default is the part after the last part that the journal records for the same
        value of O(parts).
    type: int
  identity_files:
    description:
      - Files with age identities, or unencrypted SSH private keys, mode 0600. Each encrypted object must be decryptable with at least one
        of them.
      - Store these files only on a host that runs drills or restores, never on the backup host.
    type: list
    elements: path
    default: []
  timestamp_roots:
    description:
      - PEM file with the root certificates of the trusted timestamp authorities and, if needed, their intermediate certificates.
      - Without it, or if there is no timestamp, the check C(journal.timestamps) is V(not_applicable).
    type: path
  require_valid:
    description:
      - Whether to fail unless the verdict is V(pass).
    type: bool
    default: true
  metrics_file:
    description:
      - File for the textfile collector of node_exporter, such as C(/var/lib/node_exporter/caracal_verify.prom). Its directory must exist.
      - The module writes the time, the verdict, the number of checks by verdict, the bytes read and the number of failed sets atomically,
        with mode 0644. If that fails, the module only prints a warning.
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
- name: Verify everything in one run
  caracal_ops.backup.repository_verify:
    repository: /srv/backup/caracal
    deployment: prod
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json

- name: Verify one of seven parts of the repository and record the result in the journal
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
      description: Stable ID of the check.
      type: str
      sample: repository.manifests
    verdict:
      description: V(pass), V(fail), V(warn), V(unproven) or V(not_applicable).
      type: str
      sample: pass
    message:
      description: Result of the check.
      type: str
      sample: "14 sets: every manifest and every RECOVERY.md was verified"
    required:
      description: V(true) if the verdict of the run depends on this check.
      type: bool
      sample: true
    details:
      description: Further details, if there are any.
      type: dict
      sample: {}
sets:
  description: Number of sets that were not pruned and that have a trusted manifest.
  returned: always
  type: int
  sample: 14
failed_sets:
  description: IDs of sets with errors.
  returned: always
  type: list
  elements: str
  sample: []
part:
  description: Number of the part whose bytes were read.
  returned: always
  type: int
  sample: 3
parts:
  description: Total number of parts.
  returned: always
  type: int
  sample: 7
objects:
  description: Number of objects that were read.
  returned: always
  type: int
  sample: 61
bytes:
  description: Size of these objects in bytes.
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
