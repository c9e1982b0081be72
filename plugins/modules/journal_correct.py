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
  - The journal is never rewritten. With this module the operator adds an entry of kind C(correction), signed by C(operator@<deployment>),
    that names earlier entries by number and digest. It says that their time or all they say is not trusted, or that findings which they
    record are acknowledged.
  - A finding is a difference of audit rows that a set, a checkpoint or a verification has found. The journal records it, and every later
    backup, checkpoint, drill and verification fails until you acknowledge it. An acknowledgement covers exactly the difference whose digest
    it names, and it expires.
  - An entry that is dated more than ten minutes after the present, by a wrong clock or a stolen key, stops every reader of the repository
    until its time has come or it was corrected.
  - So does what a stolen key signed at the journal's next number and what fits nowhere. In a bucket, where it may be locked, the correction
    that names it takes its place; in a directory, move it away.
  - Releases of the collection that do not know the kind refuse a journal with a correction. Bring all hosts up to date first.
  - Releases before 1.0.0 refuse a journal with findings or acknowledgements, and say that they need 1.0.0.
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
      - Shows the numbers of the entries and what of them is not trusted, or the findings that are acknowledged.
  idempotent:
    support: full
    details:
      - What was corrected already is left as it is.
options:
  entries:
    description:
      - The entries, each as its number and the first 16 hex digits or more of its SHA-256, such as V(5-55d48375753aa8f2).
      - The message of whoever could not read the journal names them. When several entries are wrong, name all.
    type: list
    elements: str
  what:
    description:
      - With V(time), what the entries say stands, and their time counts as that of the entry before.
      - With V(everything), they say nothing any more. What a taken-back C(set) entry committed is no set, what a taken-back C(prune) entry
        ended is a set again as far as its objects are there, and a taken-back C(hold) or C(drill) entry counts for nothing.
      - The first entry and corrections cannot be corrected.
    type: str
    choices: [time, everything]
    default: time
  findings:
    description:
      - The findings to acknowledge, each as the first 16 hex digits or more of its digest.
      - The messages of the checks C(blocks.history) and C(inventory.since_previous) have them.
    type: list
    elements: str
  expires:
    description:
      - The last day of the acknowledgement in UTC, such as V(2027-01-31), at most 400 days ahead.
      - After that day the findings are failures again.
    type: str
  reason:
    description:
      - Why. It goes into the journal, which everybody who reads the repository can read.
    type: str
    required: true
  signing_key:
    required: true
notes:
  - What was signed with a stolen key in the meantime is believed until it is corrected, too. First end the key in O(allowed_signers) with
    C(valid-before).
seealso:
  - module: caracal_ops.backup.backup_hold
  - module: caracal_ops.backup.backup_prune
  - module: caracal_ops.backup.repository_verify
"""

EXAMPLES = r"""
---
- name: The backup host had a wrong clock
  caracal_ops.backup.journal_correct:
    entries: [5-55d48375753aa8f2]
    reason: The clock of backup-host was wrong from 1 to 3 May
    repository: /srv/backup/caracal
    deployment: prod
    signing_key: ~/operator_signing_key.pub
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: ~/high-water-mark.json

- name: Somebody had stolen the prune key, and ended sets whose objects are locked
  caracal_ops.backup.journal_correct:
    entries: [42-9f86d081884c7d65]
    what: everything
    reason: Signed with the stolen key of the prune host
    repository: /srv/backup/caracal
    deployment: prod
    signing_key: ~/operator_signing_key.pub
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: ~/high-water-mark.json

- name: A change of audit rows was investigated
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
  description: The entries that are corrected, or that record the acknowledged findings.
  returned: always
  type: list
  elements: str
  sample: [5-55d48375753aa8f2]
findings:
  description: The findings that are acknowledged.
  returned: with O(findings)
  type: list
  elements: dict
  sample:
    - digest: 9c56cc51b374c3ba189210d5b6d4bf57790d351c96c47c02190ecf1e430635ab
      message: "audit chain of zone a, sequence 4: content was changed"
journal_head:
  description: Number and first 16 hex digits of the newest journal entry.
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
