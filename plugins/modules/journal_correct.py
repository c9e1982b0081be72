#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: journal_correct
short_description: Correct or revoke journal entries, or acknowledge findings
version_added: 0.1.0
description:
  - The journal is never rewritten. The operator uses this module to add an entry of kind C(correction), signed by C(operator@<deployment>).
    The correction names earlier entries by number and digest.
  - A correction replaces the time of these entries, revokes the entries, or acknowledges the findings that they record.
  - A finding is a difference in audit rows that a set, a checkpoint or a verification has detected. The journal records it, and every later
    backup, checkpoint, drill and verification fails until you acknowledge it. An acknowledgement covers only the difference with the given
    digest, and it expires.
  - An entry can be dated more than ten minutes in the future, because of a wrong clock or a stolen key. Such an entry stops every reader of
    the repository until its time is reached or you correct the entry.
  - An attacker with a stolen key can also store a signed object under the next journal number that does not continue the journal. Such an
    object stops every reader, too. In a bucket, the object may be locked, so add a correction that names the object. The correction
    replaces the object under this number. In a directory, move the file out of the journal.
  - Releases of the collection without support for corrections refuse a journal that contains one. Upgrade all hosts first.
  - Releases before 1.0.0 refuse a journal with findings or acknowledgements, and report that 1.0.0 is required.
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
      - Shows the numbers of the entries with the part that is not trusted any more, or the acknowledged findings.
  idempotent:
    support: full
    details:
      - An entry that is already corrected is not changed.
options:
  entries:
    description:
      - Journal entries to correct, each as its number and at least the first 16 hex digits of its SHA-256, such as V(5-55d48375753aa8f2).
      - The error message of a module that cannot read the journal contains these values. If several entries are wrong, specify all of them.
    type: list
    elements: str
  what:
    description:
      - Part of the entries to revoke.
      - With V(time), the content of each entry remains valid, and its time is replaced by the time of the previous entry.
      - With V(everything), the entries are revoked. If you revoke a C(set) entry, its set does not count as a backup set any more.
      - If you revoke a C(prune) entry, the sets that it pruned count as backup sets again, with the objects that still exist. A revoked
        C(hold) or C(drill) entry has no effect.
      - The first entry and corrections cannot be corrected.
    type: str
    choices: [time, everything]
    default: time
  findings:
    description:
      - Findings to acknowledge, each as at least the first 16 hex digits of its digest. Mutually exclusive with O(entries), and requires
        O(expires).
      - The messages of the checks C(blocks.history) and C(inventory.since_previous) contain the digests.
    type: list
    elements: str
  expires:
    description:
      - Last day of the acknowledgement in UTC, such as V(2027-01-31). At most 400 days ahead.
      - After this day, the findings are failures again.
    type: str
  reason:
    description:
      - Reason for the correction. It is stored in the journal, and every reader of the repository can read it.
    type: str
    required: true
  signing_key:
    required: true
notes:
  - Before you correct entries that were signed with a stolen key, set the end of the key's validity in O(allowed_signers) with
    C(valid-before).
  - Entries that were signed with the stolen key before this end are trusted until you correct them too.
seealso:
  - module: caracal_ops.backup.backup_hold
  - module: caracal_ops.backup.backup_prune
  - module: caracal_ops.backup.repository_verify
"""

EXAMPLES = r"""
---
- name: Correct the time of an entry from a host with a wrong clock
  caracal_ops.backup.journal_correct:
    entries: [5-55d48375753aa8f2]
    reason: The clock of backup-host was wrong from 1 to 3 May
    repository: /srv/backup/caracal
    deployment: prod
    signing_key: ~/operator_signing_key.pub
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: ~/high-water-mark.json

- name: Revoke a prune entry that was signed with a stolen key
  caracal_ops.backup.journal_correct:
    entries: [42-9f86d081884c7d65]
    what: everything
    reason: Signed with the stolen key of the prune host
    repository: /srv/backup/caracal
    deployment: prod
    signing_key: ~/operator_signing_key.pub
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: ~/high-water-mark.json

- name: Acknowledge an investigated change of audit rows
  caracal_ops.backup.journal_correct:
    findings: [9c56cc51b374c3ba]
    expires: "2027-01-31"
    reason: INC-4711, a support engineer deleted test events by hand
    repository: /srv/backup/caracal
    deployment: prod
    signing_key: ~/operator_signing_key.pub
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: ~/high-water-mark.json
"""

RETURN = r"""
entries:
  description: Entries that are corrected, or that record the acknowledged findings.
  returned: always
  type: list
  elements: str
  sample: [5-55d48375753aa8f2]
findings:
  description: Findings that are acknowledged.
  returned: with O(findings)
  type: list
  elements: dict
  sample:
    - digest: 9c56cc51b374c3ba189210d5b6d4bf57790d351c96c47c02190ecf1e430635ab
      message: "audit chain of zone a, sequence 4: content was changed"
journal_head:
  description: Number and first 16 hex digits of the digest of the newest journal entry.
  returned: always
  type: str
  sample: 43-2c26b46b68ffc68f
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._sets.journal_correct import Options
from ..module_utils._sets.journal_correct import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
