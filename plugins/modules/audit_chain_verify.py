#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: audit_chain_verify
short_description: Verify Caracal's audit chains against themselves, keys, journal and exports
version_added: 0.1.0
description:
  - Reads every row of C(audit_events) and C(admin_audit_events) once, of a live or of a restored database, and verifies content hashes,
    chain HMACs, links, sequence numbers and partitions, by zone.
  - Compares the rows with the audit blocks that backup sets and checkpoints have entered into the journal. The product's chain binds each
    row to the one before only, so whoever holds its key can edit one row in the middle and leave the chain right; the blocks find it.
  - What could not be verified is V(unproven), never a pass. Zero rows, no key or no repository are such cases.
  - On a live database it holds no lock for long. A session that keeps a partition change waiting is ended and its leaf is read again.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._attributes.read_only
  - caracal_ops.backup._attributes.progress
  - caracal_ops.backup._repository
  - caracal_ops.backup._postgres
  - caracal_ops.backup._sandbox
  - caracal_ops.backup._audit_chains
options:
  repository:
    required: false
  deployment:
    required: false
  allowed_signers:
    required: false
  high_water_mark:
    required: false
  database:
    description:
      - Name of the database.
    type: str
    default: caracal
  exports:
    description:
      - Folder with the hourly Parquet exports, a copy of the bucket's C(audit/), to verify and to compare with the database.
      - Needs C(pyarrow).
    type: path
  set_id:
    description:
      - Compare the rows exactly with the audit blocks of this set, or of V(latest). For a restored copy.
      - Without it the rows must continue what the journal knows last.
    type: str
  since:
    description:
      - Verify only rows after this backup set or checkpoint (its id), or journal entry (its number), and prove that it still holds.
      - Rows before it are not verified again, and the result says so.
    type: str
  audit_retention_days:
    description:
      - C(AUDIT_RETENTION_DAYS) of the deployment; the product's default is 365. A shorter C(audit_retention) in the database counts.
      - A leaf that was dropped although retention keeps its month is a failure.
    type: int
  audit_clock_skew_seconds:
    description:
      - By how many seconds the times of one audit row, or of a row and the row before it, may contradict each other, at least 60.
      - Raise it if a host of the deployment ran with a wrong clock and its rows are still in the log.
    type: int
    default: 300
  jobs:
    description:
      - How many worker processes read and hash side by side.
    type: int
    default: 2
  require_valid:
    description:
      - Fail unless the verdict is V(pass).
    type: bool
    default: true
notes:
  - O(repository), O(deployment), O(allowed_signers) and O(high_water_mark) go together. Without them the verdict is at best V(unproven).
  - The module writes nothing but O(high_water_mark), which it advances to the journal's head.
seealso:
  - module: caracal_ops.backup.audit_checkpoint
  - module: caracal_ops.backup.state_verify
"""

EXAMPLES = r"""
---
- name: Is the evidence of the live database what it was?
  caracal_ops.backup.audit_chain_verify:
    login_host: db.example.com
    login_user: backup
    login_password_file: /etc/caracal-ops/db_password
    audit_hmac_key_files:
      - /run/caracal/secrets/auditHmacKey
    repository: /srv/backup/caracal
    deployment: prod
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json

- name: The same of a restored copy, against the very set
  caracal_ops.backup.audit_chain_verify:
    sandbox: /var/tmp/drill
    set_id: latest
    audit_hmac_key_files:
      - /etc/caracal-ops/audit_hmac_key
    repository: /srv/backup/caracal
    deployment: prod
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
  description:
    - Each check with its verdict. Findings with zone, sequence numbers and leaf are in C(details.positions), 50 at most.
    - Where a key takes over from another is in C(details.rotations) of C(audit.hmac_key).
  returned: always
  type: list
  elements: dict
  sample:
    - id: audit.links
      verdict: fail
      message: "audit chain of zone 019a326a, sequence 4711: the previous hash is not the content hash of the row before"
      required: true
      details: {"findings": 1, "positions": [{"kind": "broken_link", "chain": "audit", "zone": "019a326a", "low": 4711, "high": 4711}]}
coverage:
  description: What was asked for, what was found (release, leaves with their rows, zones and heads by chain, keys), what was not verified.
  returned: always
  type: dict
  sample: {"asked": "every row", "chains": {"audit": {"rows": 2000000, "zones": 3}}, "not_verified": []}
journal_head:
  description: Number and first 16 hex digits of the newest journal entry.
  returned: with O(repository)
  type: str
  sample: 42-9f86d081884c7d65
seconds:
  description: Duration in seconds.
  returned: always
  type: float
  sample: 12.4
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._audit.chains.audit_chain_verify import Options
from ..module_utils._audit.chains.audit_chain_verify import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
