#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: audit_export_archive
short_description: Archive Caracal's hourly audit exports, and lock them in a bucket
version_added: 0.1.0
description:
  - Copies the hourly Parquet files of Caracal's audit service (C(audit/YYYY/MM/DD/YYYY-MM-DDTHH.parquet)) byte for byte into the archive,
    below C(archive/). The source is a bucket or a directory.
  - In a bucket with Object Lock, the module locks the copies. It reads the lock of each copy back and records it in the journal.
  - For each completed day, the module adds a signed journal entry with the SHA-256 of every export of the day. An export that is replaced
    later is therefore detected, even in a copy of the archive. For an export that arrives late, the module adds another entry.
  - If the archive already contains an export with the same bytes and a sufficient lock, the module does not change it. If the lock is too
    short, the module extends it.
  - If an archived export differs from its source, or has another version or a delete marker, the module still archives all other exports.
    Then it fails.
  - A lock is sufficient if it lasts for the O(lock_days) of class C(archive), counted from the hour of the export. A new or extended lock
    is counted from the time of the run.
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
      - The module compares the exports, and reports the copies, lock extensions and journal entries that it would make.
  diff_mode:
    support: full
    details:
      - Shows each export that is copied or gets a longer lock, with its lock before and after.
  idempotent:
    support: full
    details:
      - Without new exports, nothing is written.
options:
  signing_key:
    required: true
  compare_days:
    description:
      - Number of days, counted back from the newest export. The module compares the exports of these days byte for byte with the archive,
        and reads their locks.
      - For older exports that are in the journal, the module compares only the size and trusts the digest in the journal.
        M(caracal_ops.backup.audit_export_verify) reads all exports.
    type: int
    default: 2
  metrics_file:
    description:
      - Path of a file for the textfile collector of node_exporter, such as C(/var/lib/node_exporter/caracal_archive.prom). Its directory
        must exist.
      - The file contains the end of the newest archived hour, and the time and duration of the run. It also contains the numbers of
        archived exports, copied exports and faults.
      - The module writes the file atomically, with mode 0644. If that fails, the module only warns.
    type: path
notes:
  - O(signing_key) must belong to C(backup@<deployment>).
  - The repository must exist. M(caracal_ops.backup.backup_set) creates it.
  - A day is complete at 02:00 UTC on the next day. Until then, its exports are archived and locked, but not yet recorded in the journal.
requirements:
  - cryptography >= 42
  - boto3 >= 1.36 for buckets
seealso:
  - module: caracal_ops.backup.audit_export_verify
  - module: caracal_ops.backup.audit_chain_verify
"""

EXAMPLES = r"""
---
- name: Archive and lock the new exports in a bucket
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

- name: Archive the exports of a directory in the repository
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
  description: Hours for which the lock was or would be extended.
  returned: always
  type: list
  elements: str
  sample: []
unchanged:
  description: Number of hours that are archived with a sufficient lock.
  returned: always
  type: int
  sample: 8742
days:
  description: Days for which a journal entry was or would be added.
  returned: always
  type: list
  elements: str
  sample: ["2026-06-16"]
faults:
  description: Exports with a problem, each with a description of the problem. At most 20 are listed.
  returned: always
  type: list
  elements: str
  sample: >-
    ["archive/audit/2026/06/17/2026-06-17T11.parquet is inconsistent: its source has other content than the archive; find out which of the
    two was changed"]
strange:
  description: Objects at the source that are not exports, up to 20. They were not copied.
  returned: always
  type: list
  elements: str
  sample: []
first_hour:
  description: Oldest hour for which the source has an export.
  returned: always
  type: str
  sample: 2026-06-01T00
last_hour:
  description: Newest hour for which the source has an export.
  returned: always
  type: str
  sample: 2026-06-17T11
journal_head:
  description: Number and first 16 hex digits of the digest of the newest journal entry.
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
