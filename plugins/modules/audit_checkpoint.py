#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: audit_checkpoint
short_description: Record digests of new audit rows in the journal with a signed checkpoint
version_added: 0.1.0
description:
  - Compares Caracal's audit chains with the journal, then adds a signed checkpoint with digests of all new rows. Run the module hourly. A
    run takes seconds and does not dump any data.
  - After a checkpoint, later verifications detect changes of the recorded rows and a truncated chain, even if an attacker has Caracal's own
    chain key.
  - Reads the new rows and the open block of each zone through the index of the chain. An open block contains at most 65,536 known rows.
  - The module does not read closed blocks again. If a row in a closed block was edited, the next backup detects the edit, because a backup
    reads closed blocks too.
  - If known rows are missing or edited, or rows were added among them, the module records a finding in the journal and fails. It records no
    blocks in this case.
  - The module also fails while an earlier finding is not acknowledged (see M(caracal_ops.backup.journal_correct)), or if it cannot read the
    newest set or checkpoint.
  - The first checkpoint of a repository without sets reads every row. The first checkpoint after a Caracal upgrade that rebuilds the chain
    reads every row too.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._repository
  - caracal_ops.backup._signing
  - caracal_ops.backup._postgres
attributes:
  check_mode:
    support: full
    details:
      - The module reads and compares the rows, and reports the checkpoint that it would record.
  diff_mode:
    support: full
    details:
      - Shows the highest sequence number of each zone in the journal, before and after.
  idempotent:
    support: full
    details:
      - Without new rows, nothing is recorded.
options:
  signing_key:
    required: true
  database:
    description:
      - Name of Caracal's main database.
    type: str
    default: caracal
  jobs:
    description:
      - Number of audit partitions that are read in parallel.
    type: int
    default: 2
  metrics_file:
    description:
      - Path of a file for the textfile collector of node_exporter, such as C(/var/lib/node_exporter/caracal_checkpoint.prom). Its directory
        must exist.
      - The file contains the time, verdict and duration of the checkpoint, and the number of new rows.
      - The module writes the file atomically, with mode 0644. If that fails, the module only warns.
    type: path
notes:
  - O(signing_key) must belong to C(backup@<deployment>).
  - The repository must exist. M(caracal_ops.backup.backup_set) creates it.
requirements:
  - psycopg2 >= 2.9
  - zstandard >= 0.22
  - cryptography >= 42
seealso:
  - module: caracal_ops.backup.pg_encrypted_dump
"""

EXAMPLES = r"""
---
- name: Record the audit rows of the last hour in the journal
  caracal_ops.backup.audit_checkpoint:
    repository: /srv/backup/caracal
    deployment: prod
    signing_key: /etc/caracal-ops/backup_signing_key
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json
    login_host: db.internal
    login_user: backup
    login_password_file: /etc/caracal-ops/db_password
"""

RETURN = r"""
checkpoint:
  description: ID of the checkpoint that was or would be recorded. Null if there is none.
  returned: always
  type: str
  sample: 20261125T030000Z-k3f9
base:
  description: >-
    Number of the journal entry with the audit blocks that this checkpoint extends. 0 if the checkpoint itself contains the blocks of all
    rows.
  returned: always
  type: int
  sample: 42
since:
  description: The set or checkpoint with which the rows were compared. Empty if the journal has no audit blocks yet.
  returned: always
  type: str
  sample: set 20261125T020000Z-k3f9
release:
  description: Release of Caracal. Null if unknown.
  returned: always
  type: str
  sample: v1.0.0
snapshot_time:
  description: Time of the database snapshot, by the database's clock.
  returned: always
  type: str
  sample: "2026-11-25T03:00:01.000000Z"
standby:
  description: V(true) if the server is a hot standby.
  returned: always
  type: bool
  sample: false
verdict:
  description:
    - V(pass) if all rows that were read are unchanged.
    - V(warn) if a Caracal upgrade has rebuilt the chain columns and the content is unchanged, or if a difference is acknowledged.
    - V(unproven) if there is no earlier set or checkpoint to compare with, or if the newest one cannot be read.
    - V(fail) if rows are missing, edited or added, or an earlier finding is open.
  returned: always
  type: str
  sample: pass
checks:
  description:
    - The checks, in the format of M(caracal_ops.backup.backup_set_verify).
    - C(blocks.journal) compares the rows with the newest set or checkpoint. C(blocks.history) has the findings that the journal records.
  returned: always
  type: list
  elements: dict
  sample:
    - {"id": "blocks.journal", "verdict": "pass", "message": "31 audit blocks match the blocks recorded in set 20261125T020000Z-k3f9, 12 of
      them without reading their rows again",
       "required": true, "details": {}}
zones:
  description: Number of chains that have rows, including the admin chains.
  returned: always
  type: int
  sample: 4
rows:
  description: Number of rows that were not in the journal before.
  returned: always
  type: int
  sample: 1840
blocks:
  description: Number of audit blocks that are new or contain new rows.
  returned: always
  type: int
  sample: 4
blocks_not_read:
  description: Number of closed blocks that were copied from the journal without reading their rows.
  returned: always
  type: int
  sample: 12
journal_head:
  description: Number and first 16 hex digits of the digest of the newest journal entry.
  returned: always
  type: str
  sample: 43-2c26b46b68ffc68f
seconds:
  description: Duration in seconds.
  returned: always
  type: float
  sample: 0.8
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._audit.chains.audit_checkpoint import Options
from ..module_utils._audit.chains.audit_checkpoint import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
