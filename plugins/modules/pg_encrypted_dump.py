#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_encrypted_dump
short_description: Dump the PostgreSQL databases of Caracal into an open backup set, encrypted and with an inventory
version_added: 0.1.0
description:
  - Each database is read under one exported snapshot. The dump, the inventory and the audit blocks all come from that snapshot.
  - The output of C(pg_dump), and one COPY stream for each audit partition, are compressed with zstd, encrypted with age and written to the
    repository. No data is written unencrypted, and this host has no key that decrypts the result.
  - The inventory contains the row count and digest of every table, sequences, roles, grants, owners, functions, extensions and the schema.
    With the inventory, you can compare a restored copy exactly with its source.
  - If an audit partition has the same rows as in an earlier set, it is not stored again. If a census or WAL summaries prove this, the
    module does not even read the rows. A census is a scan that hashes the positions and transaction IDs of rows.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._attributes.progress
  - caracal_ops.backup._open_set
  - caracal_ops.backup._repository
  - caracal_ops.backup._signing
  - caracal_ops.backup._recipients
  - caracal_ops.backup._postgres
  - caracal_ops.backup._dump
options:
  reread_days:
    description:
      - Number of days within which the rows of each audit partition are read at least once.
      - In between, it does not read a partition if a census or WAL summaries prove that the newest set has the same rows. RV(partitions)
        contains the proof for each partition.
      - With V(0), each set reads every partition.
    type: int
    default: 30
attributes:
  check_mode:
    support: full
    details:
      - Connects, checks rights, versions, keys, clocks, lock and free space, and reads nothing else.
      - Fails if M(caracal_ops.backup.backup_set) would refuse to commit the set because a relation would be missing.
  diff_mode:
    support: full
    details:
      - Shows the databases and the artifacts that are or would be created.
  idempotent:
    support: partial
    details:
      - A set that already contains the dump is not changed. A new set gets a new dump.
notes:
  - The module checks that O(signing_key) is not a recipient, and signs its part of the open set. M(caracal_ops.backup.backup_set) signs the
    whole set at the commit.
requirements:
  - psycopg2 >= 2.9
  - pyrage >= 1.3
  - zstandard >= 0.22
  - C(pg_dump), C(pg_restore) and C(psql) 17.6 or later, of at least the server's major version
seealso:
  - module: caracal_ops.backup.pg_encrypted_restore
  - module: caracal_ops.backup.state_verify
"""

EXAMPLES = r"""
---
- name: Dump both databases into the open set
  caracal_ops.backup.pg_encrypted_dump:
    set_id: "{{ opened.set_id }}"
    repository: /srv/backup/caracal
    deployment: prod
    signing_key: /etc/caracal-ops/backup_signing_key
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json
    recipients_files:
      - /etc/caracal-ops/database.recipients
    login_host: db.internal
    login_user: backup
    login_password_file: /etc/caracal-ops/db_password
    ssl_mode: verify-full
    ca_cert: /etc/caracal-ops/db_ca.pem
"""

RETURN = r"""
set_id:
  description: ID of the set.
  returned: always
  type: str
  sample: 20261125T020000Z-k3f9
databases:
  description: For each database, properties and duration of its snapshot.
  returned: always
  type: list
  elements: dict
  contains:
    database:
      description: Name of the database.
      type: str
      sample: caracal
    release:
      description: Release of Caracal. Null if the release is unknown or the database is not Caracal's own.
      type: str
      sample: v1.0.0
    sight:
      description: Reason why the login sees every row.
      type: str
      sample: superuser
    clock_offset:
      description: Seconds by which the clock of the database is ahead of the clock of this host.
      type: float
      sample: 0.002
    standby:
      description: V(true) if the server is a hot standby.
      type: bool
      sample: false
    replay_lag:
      description: >-
        Seconds by which the standby was behind at the snapshot. This lag is already subtracted from RV(databases[].snapshot_time).
      type: float
      sample: 0.0
    snapshot_time:
      description: Time of the data in the snapshot, according to the clock of the database.
      type: str
      sample: "2026-11-25T02:00:01.000000Z"
    seconds:
      description: Duration of the dump in seconds. Zero in check mode.
      type: float
      sample: 12.4
    longest_wait:
      description: Longest observed time in seconds that another session waited for a lock of this dump.
      type: float
      sample: 0.0
artifacts:
  description: Name, path, size in bytes and SHA-256 of each encrypted artifact, and whether an object of an earlier set is reused.
  returned: always
  type: list
  elements: dict
  sample: [{"path": "sets/20261125T020000Z-k3f9/postgres/caracal.dump.zst.age", "size": 123456, "sha256": "9f86d08...", "shared": false}]
partitions:
  description: Each audit partition of the set, with the proof that the set contains its current rows. Empty in check mode.
  returned: always
  type: list
  elements: dict
  contains:
    database:
      description: Name of the database.
      type: str
      sample: caracal
    partition:
      description: Schema and name of the partition.
      type: str
      sample: public.audit_events_y2026m10
    proof:
      description:
        - V(read) if this dump read the rows.
        - V(census) if a census proves that the rows are the same as in the newest set.
        - V(wal) if WAL summaries of the server prove that the rows are the same as in the newest set.
      type: str
      sample: census
    read_because:
      description: Reason why the rows were read. Empty unless RV(partitions[].proof) is V(read).
      type: str
      sample: rows were inserted, changed or deleted
    scanned_because:
      description: Reason why the server had to scan the partition for a census. Empty unless RV(partitions[].proof) is V(census).
      type: str
      sample: summarize_wal is off
    last_read:
      description: Time of the snapshot in which the rows were last read.
      type: str
      sample: "2026-11-25T02:00:01.000000Z"
checks:
  description:
    - Results of the checks during the dump, in the form that M(caracal_ops.backup.backup_set_verify) returns.
    - C(source.complete) reports whether each relation of the databases is in exactly one artifact or in RV(left_out). Unless this check is
      V(pass), M(caracal_ops.backup.backup_set) does not commit the set. In check mode, the check is a prediction.
    - C(source.foreign_keys), C(source.unique_indexes), C(source.collation) and C(source.state) report whether the source satisfies its own
      constraints and the rules of a healthy Caracal. The manifest records failures. In tables of your own, a failure is only a warning.
    - C(blocks.journal) compares the audit blocks with the journal. C(leaves.dropped) names audit partitions that were dropped while the
      dump ran, so that the set does not contain their rows.
  returned: always
  type: list
  elements: dict
  sample:
    - {"id": "source.complete", "verdict": "pass", "message": "61 relations: each in one artifact", "required": true, "details": {}}
    - {"id": "blocks.journal", "verdict": "pass", "message": "31 audit blocks match the blocks recorded in set 20261124T020000Z-a1b2",
      "required": true, "details": {}}
left_out:
  description: Relations whose rows are intentionally not in the set, each with the reason. The manifest records them.
  returned: always
  type: dict
  sample: {"foreign table public.rates of database caracal": "its rows are on another server, which needs a backup of its own"}
bytes:
  description: Number of encrypted bytes that were written.
  returned: always
  type: int
  sample: 412345678
seconds:
  description: Duration in seconds.
  returned: always
  type: float
  sample: 14.2
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._assets.databases.pg_encrypted_dump import Options
from ..module_utils._assets.databases.pg_encrypted_dump import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
