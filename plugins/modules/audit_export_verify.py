#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: audit_export_verify
short_description: Verify the archive of Caracal's hourly audit exports
version_added: 0.1.0
description:
  - Reads every archived export, and compares its bytes with the SHA-256 in the signed journal. Finds exports that are missing, changed,
    swapped, overwritten, hidden by a delete marker, or locked for a shorter time than before.
  - Reads every event in the exports, and verifies sequence numbers and chain HMACs within and across files.
  - With O(database), also compares the exports with the database. Each hour with ingested events, up to the export watermark in the
    database, must have a file that contains all of these events. Each exported event must be the same in the database. An hour without
    events has no file, which is not a failure.
  - A check that cannot be completed has the verdict V(unproven), never V(pass). Possible reasons are an empty archive, a missing key and a
    missing O(database).
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._attributes.read_only
  - caracal_ops.backup._attributes.progress
  - caracal_ops.backup._repository
  - caracal_ops.backup._archive
  - caracal_ops.backup._postgres
  - caracal_ops.backup._sandbox
  - caracal_ops.backup._audit_chains
options:
  database:
    description:
      - Name of Caracal's main database, with which the exports are compared. Without this option, the module does not connect to a database
        server.
    type: str
  lag:
    description:
      - Number of hours that an export may take to reach the archive. Within this time, a missing export is not a failure, even if its hour
        is below the export watermark of the database.
    type: int
    default: 3
  require_valid:
    description:
      - Whether to fail unless the verdict is V(pass).
    type: bool
    default: true
notes:
  - The module writes only to the file O(high_water_mark). It advances the high-water mark to the newest journal entry.
  - With O(lock_mode), an export must be locked for the O(lock_days) of class C(archive), counted from its hour.
  - Each object is read twice, once for its bytes and once for its rows. Memory use does not grow with the size of the object.
requirements:
  - pyarrow >= 15.0
  - cryptography >= 42
  - boto3 >= 1.36 for buckets
  - psycopg2 >= 2.9 with O(database)
seealso:
  - module: caracal_ops.backup.audit_export_archive
  - module: caracal_ops.backup.audit_chain_verify
"""

EXAMPLES = r"""
---
- name: Verify the archive and compare it with the database
  caracal_ops.backup.audit_export_verify:
    archive: s3://caracal-audit-archive/prod
    s3_region: eu-central-1
    s3_profile: caracal-archive-reader
    repository: s3://caracal-backup/prod
    deployment: prod
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json
    audit_hmac_key_files:
      - /run/caracal/secrets/auditHmacKey
    database: caracal
    login_host: db.example.com
    login_user: backup
    login_password_file: /etc/caracal-ops/db_password
"""

RETURN = r"""
verdict:
  description: V(pass), V(fail) or V(unproven).
  returned: always
  type: str
  sample: pass
checks:
  description:
    - Each check with its verdict. The checks C(archive.*) verify the stored objects. The checks C(exports.*) verify the contents of the
      files.
    - C(details.positions) lists up to 50 findings.
  returned: always
  type: list
  elements: dict
  sample:
    - id: archive.journal
      verdict: fail
      message: "archive/audit/2026/06/17/2026-06-17T11.parquet does not match journal entry 42; it was changed or replaced"
      required: true
      details: {"findings": 1, "entered": 120, "not_yet": 3}
coverage:
  description:
    - Number of files, first and last hour, and number of hours between them without a file. C(entered) is the number of exports in the
      journal. C(keys) has the IDs of the keys, and C(not_verified) lists the unverified parts.
  returned: always
  type: dict
  sample: {"files": 120, "first_hour": "2026-06-12T00", "last_hour": "2026-06-17T11", "hours_without_file": 12, "entered": 117,
    "keys": ["5f2b1c9d"], "not_verified": []}
journal_head:
  description: Number and first 16 hex digits of the digest of the newest journal entry.
  returned: always
  type: str
  sample: 43-2c26b46b68ffc68f
seconds:
  description: Duration in seconds.
  returned: always
  type: float
  sample: 12.4
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._audit.exports.audit_export_verify import Options
from ..module_utils._audit.exports.audit_export_verify import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
