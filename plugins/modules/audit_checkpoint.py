#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: audit_checkpoint
short_description: Enter the audit rows that came since the last set or checkpoint into the journal
version_added: 0.1.0
description:
  - Compares Caracal's audit chains with what the journal knows, then appends a signed entry that commits to every new row. Run it hourly;
    it takes seconds and dumps nothing.
  - From then on, an edit of those rows and a cut of the chain's end are found, even if they are made with the product's own key.
  - Read are the new rows and the open block of each zone, at most 65,536 rows that were known before, through the index of the chain.
    Closed blocks are not read again. A row edited there is found by the next backup, which reads every row.
  - If known rows are missing, edited or added, the module enters a finding into the journal and fails, and enters no blocks. It also fails
    while an earlier finding is open, see M(caracal_ops.backup.journal_correct), and if the newest set or checkpoint cannot be read.
  - The first checkpoint of a repository without sets, and the first after an upgrade that makes the chain anew, read every row.
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
      - Reads and compares, and says what would be entered.
  diff_mode:
    support: full
    details:
      - Shows the highest sequence number of each zone, as the journal knows it before and after.
  idempotent:
    support: full
    details:
      - Without new rows nothing is entered.
options:
  signing_key:
    required: true
  database:
    description:
      - Caracal's own database.
    type: str
    default: caracal
  jobs:
    description:
      - How many audit partitions are read side by side.
    type: int
    default: 2
  metrics_file:
    description:
      - File for the textfile collector of node_exporter, such as C(/var/lib/node_exporter/caracal_checkpoint.prom). Its folder must exist.
      - Time and verdict of the look, its duration and the number of new rows are written there
        in one step, with mode 0644. When that fails, there is a warning and nothing else.
    type: path
notes:
  - O(signing_key) must belong to C(backup@<deployment>).
  - The repository must exist; M(caracal_ops.backup.backup_set) makes it.
requirements:
  - psycopg2 >= 2.9
  - zstandard >= 0.22
  - cryptography >= 42
seealso:
  - module: caracal_ops.backup.pg_encrypted_dump
"""

EXAMPLES = r"""
---
- name: Commit to the audit rows of the last hour
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
  description: Id of the checkpoint that was or would be entered, null when nothing is.
  returned: always
  type: str
  sample: 20261125T030000Z-k3f9
base:
  description: Number of the journal entry whose blocks it extends, 0 when it has the blocks of all rows itself.
  returned: always
  type: int
  sample: 42
since:
  description: What the rows were compared with; empty when the journal has no audit blocks yet.
  returned: always
  type: str
  sample: set 20261125T020000Z-k3f9
release:
  description: Release of Caracal, or null when unknown.
  returned: always
  type: str
  sample: v1.0.0
snapshot_time:
  description: What time the reading shows, by the database's clock.
  returned: always
  type: str
  sample: "2026-11-25T03:00:01.000000Z"
standby:
  description: Whether the server is a hot standby.
  returned: always
  type: bool
  sample: false
verdict:
  description:
    - V(pass) when all that was read is as it was; V(warn) when another release has made the chain columns anew and all content is the same.
    - V(unproven) when there is nothing to compare with; V(fail) when rows are missing, edited or added, or an earlier finding is open.
  returned: always
  type: str
  sample: pass
checks:
  description:
    - In the form that M(caracal_ops.backup.backup_set_verify) returns. C(blocks.journal) compares with the newest set or checkpoint.
      C(blocks.history) has the findings that the journal records.
  returned: always
  type: list
  elements: dict
  sample:
    - {"id": "blocks.journal", "verdict": "pass", "message": "31 audit blocks as in set 20261125T020000Z-k3f9, 12 of them not read again",
       "required": true, "details": {}}
zones:
  description: How many chains have rows, the admin chains included.
  returned: always
  type: int
  sample: 4
rows:
  description: How many rows there are more than the journal knew.
  returned: always
  type: int
  sample: 1840
blocks:
  description: How many blocks are new or longer.
  returned: always
  type: int
  sample: 4
blocks_not_read:
  description: How many closed blocks were taken over from the journal without reading their rows.
  returned: always
  type: int
  sample: 12
journal_head:
  description: Number and first 16 hex digits of the newest journal entry.
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
