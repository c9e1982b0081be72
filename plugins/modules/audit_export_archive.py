#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: audit_export_archive
short_description: Copy Caracal's hourly audit exports into an immutable archive
version_added: 0.1.0
description:
  - Copies the Parquet files that Caracal's audit service writes each hour (C(audit/YYYY/MM/DD/YYYY-MM-DDTHH.parquet)) from their bucket or
    directory into the archive, byte for byte, below C(archive/). In a bucket with Object Lock they are locked, and the lock is read back.
  - For each day that is over, an entry of the journal names the day's objects with their SHA-256. It is signed, so that nobody can exchange
    an export unseen, wherever it is copied later. An hour that comes late gets a further entry.
  - Same bytes at the key, locked long enough, are left as they are. A shorter lock is extended. Other bytes, another version or a delete
    marker over what was archived are a failure; all other hours are archived all the same.
  - An export is locked until O(lock_days) of class C(archive) after the hour of which it is, not after each run.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._attributes.progress
  - caracal_ops.backup._repository
  - caracal_ops.backup._signing
  - caracal_ops.backup._archive
  - caracal_ops.backup._export_source
attributes:
  check_mode:
    support: full
    details:
      - Compares as usual, and says what would be copied, extended and entered.
  diff_mode:
    support: full
    details:
      - Shows the hours that are copied or extended, with their locks before and after.
  idempotent:
    support: full
    details:
      - Without new exports nothing is written.
options:
  signing_key:
    required: true
  compare_days:
    description:
      - Exports of so many days, back from the newest, are compared byte for byte with what is archived, and their locks are asked for.
      - Older ones that the journal names are compared by size, and believed as the journal has them.
        M(caracal_ops.backup.audit_export_verify) reads all.
    type: int
    default: 2
  metrics_file:
    description:
      - File for the textfile collector of node_exporter, such as C(/var/lib/node_exporter/caracal_archive.prom). Its folder must exist.
      - The end of the newest archived hour, time and duration of the run, and the numbers of hours and faults are written there
        in one step, with mode 0644. When that fails, there is a warning and nothing else.
    type: path
notes:
  - O(signing_key) must belong to C(backup@<deployment>).
  - The repository must exist; M(caracal_ops.backup.backup_set) makes it.
  - A day is over two hours after midnight (UTC). Until then its exports are archived and locked, and not entered yet.
requirements:
  - cryptography >= 42
  - boto3 >= 1.36 for buckets
seealso:
  - module: caracal_ops.backup.audit_export_verify
  - module: caracal_ops.backup.audit_chain_verify
"""

EXAMPLES = r"""
---
- name: Archive the exports of the last hours under lock
  caracal_ops.backup.audit_export_archive:
    source: s3://caracal-audit-exports
    source_s3_region: eu-central-1
    source_s3_profile: caracal-exports-reader
    archive: s3://caracal-audit-archive/prod
    s3_region: eu-central-1
    s3_profile: caracal-backup
    lock_mode: COMPLIANCE
    lock_days:
      archive: 400
    repository: s3://caracal-backup/prod
    deployment: prod
    signing_key: /etc/caracal-ops/backup_signing_key
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json

- name: Archive them from a directory into the repository
  caracal_ops.backup.audit_export_archive:
    source: /srv/caracal/exports
    repository: /srv/backup/caracal
    deployment: prod
    signing_key: /etc/caracal-ops/backup_signing_key
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json
"""

RETURN = r"""
archived:
  description: Hours that were or would be copied.
  returned: always
  type: list
  elements: str
  sample: ["2026-06-17T11"]
extended:
  description: Hours whose lock was or would be made longer.
  returned: always
  type: list
  elements: str
  sample: []
unchanged:
  description: How many hours are archived and locked long enough.
  returned: always
  type: int
  sample: 8742
days:
  description: Days of which an entry was or would be made.
  returned: always
  type: list
  elements: str
  sample: ["2026-06-16"]
faults:
  description: What is wrong with objects, the first 20.
  returned: always
  type: list
  elements: str
  sample: ["archive/audit/2026/06/17/2026-06-17T11.parquet is shadowed: its source has other bytes than the archive"]
strange:
  description: What lies between the exports at the source and is none, the first 20. It was not copied.
  returned: always
  type: list
  elements: str
  sample: []
first_hour:
  description: First hour that the source has.
  returned: always
  type: str
  sample: 2026-06-01T00
last_hour:
  description: Last hour that the source has.
  returned: always
  type: str
  sample: 2026-06-17T11
journal_head:
  description: Number and first 16 hex digits of the newest journal entry.
  returned: always
  type: str
  sample: 43-2c26b46b68ffc68f
seconds:
  description: Duration in seconds.
  returned: always
  type: float
  sample: 3.1
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._audit.exports.audit_export_archive import Options
from ..module_utils._audit.exports.audit_export_archive import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
