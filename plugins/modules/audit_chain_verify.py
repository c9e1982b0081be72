#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: audit_chain_verify
short_description: Verify Caracal's audit chains, and compare them with the journal and the hourly exports
version_added: 0.1.0
description:
  - Reads every row of C(audit_events) and C(admin_audit_events) once, in a live or restored database. It verifies the content hashes, chain
    HMACs, links and sequence numbers of each zone, and the monthly partitions.
  - Compares the rows with the audit blocks that backup sets and checkpoints have recorded in the journal.
  - Caracal's chain binds each row only to the row before it. An attacker with the chain key can therefore edit one row in the middle and
    leave the chain valid. The comparison with the audit blocks detects such an edit.
  - A check that cannot be completed has the verdict V(unproven), never V(pass). Possible reasons are a database without audit rows, a
    missing key and a missing repository.
  - On a live database, the module does not hold a lock for long. If its session blocks a partition change, the module ends the session and
    reads that partition again.
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
      - Directory with a copy of the hourly Parquet exports, which are stored in C(audit/) in the bucket of Caracal's audit service. The
        module verifies the exports and compares them with the database.
      - Requires C(pyarrow).
    type: path
  set_id:
    description:
      - ID of a backup set, or V(latest). The rows must match the audit blocks of this set exactly. Use this option for a restored copy.
      - Without this option, the rows must continue from the newest audit blocks in the journal.
    type: str
  since:
    description:
      - ID of a backup set or checkpoint, or number of a journal entry. The module verifies only rows that are newer than this set,
        checkpoint or entry, and that they continue from the recorded audit rows.
      - The module does not verify earlier rows again. RV(coverage) reports this. Mutually exclusive with O(set_id) and O(exports).
    type: str
  audit_retention_days:
    description:
      - Value of C(AUDIT_RETENTION_DAYS) in the deployment. Caracal's default is 365. A shorter retention period in the table
        C(audit_retention) takes precedence.
      - If a partition was dropped although its month is still within the retention period, the verification fails.
    type: int
  audit_clock_skew_seconds:
    description:
      - Tolerance in seconds for contradictory times within one audit row or in two consecutive rows. The minimum is 60.
      - Increase the value if a host of the deployment had a wrong clock and the rows from that time are still in the audit log.
    type: int
    default: 300
  jobs:
    description:
      - Number of worker processes that read and hash in parallel.
    type: int
    default: 2
  require_valid:
    description:
      - Whether to fail unless the verdict is V(pass).
    type: bool
    default: true
notes:
  - O(repository), O(deployment), O(allowed_signers) and O(high_water_mark) must be set together. Without them, the verdict is at best
    V(unproven).
  - The module writes only to the file O(high_water_mark). It advances the high-water mark to the newest journal entry.
seealso:
  - module: caracal_ops.backup.audit_checkpoint
  - module: caracal_ops.backup.state_verify
"""

EXAMPLES = r"""
---
- name: Verify the audit chains of the live database
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

- name: Verify the audit chains of a restored copy against the newest set
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
    - Each check with its verdict. C(details.positions) lists up to 50 findings with zone, sequence numbers and partition.
    - C(details.rotations) of C(audit.hmac_key) lists the positions at which one key replaces another.
  returned: always
  type: list
  elements: dict
  sample:
    - id: audit.links
      verdict: fail
      message: "audit chain of zone 019a326a, sequence 4711: the previous hash is not the content hash of the previous row; one of the two
        rows was changed, or rows were reordered"
      required: true
      details: {"findings": 1, "positions": [{"kind": "broken_link", "chain": "audit", "zone": "019a326a", "low": 4711, "high": 4711}]}
coverage:
  description: >-
    The requested scope, the data that was found, and the parts that were not verified. The data are the release, the rows of each
    partition, the rows, zones and heads of each chain, and the IDs of the keys.
  returned: always
  type: dict
  sample: {"asked": "every row", "chains": {"audit": {"rows": 2000000, "zones": 3}}, "not_verified": []}
journal_head:
  description: Number and first 16 hex digits of the digest of the newest journal entry.
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
