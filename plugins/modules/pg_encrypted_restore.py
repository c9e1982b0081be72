#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_encrypted_restore
short_description: Restore the PostgreSQL databases of a backup set
version_added: 0.1.0
description:
  - Verifies the journal, the signature and the SHA-256 of every artifact before the first change.
  - The restore refuses a cluster that the journal records as a source of backups, and a database that is not empty. To use such a target
    anyway, name exactly this target in O(confirm).
  - Creates missing roles that the set records, without passwords. It never changes an existing role.
  - A restored database has a temporary name until it is complete. If another database already has this name and was not created by a
    restore, the run is refused.
  - The module treats the archive as untrusted input. In a drill, C(pg_restore) runs inside the sandbox and cannot access the host.
  - The restore keeps a replaced database under another name, which RV(replaced) reports. It ends the sessions of the replaced database, but
    does not change its data. The server therefore needs disk space for both databases. If the replaced database is empty, the restore drops
    it.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._attributes.progress
  - caracal_ops.backup._stored_set
  - caracal_ops.backup._repository
  - caracal_ops.backup._signing
  - caracal_ops.backup._identities
  - caracal_ops.backup._postgres
  - caracal_ops.backup._sandbox
attributes:
  check_mode:
    support: full
    details:
      - Verifies everything, examines the target, and returns the databases that would be created.
  diff_mode:
    support: full
    details:
      - Shows the databases of the target before and after.
  idempotent:
    support: none
    details:
      - A second run is refused, because the target is not empty any more.
options:
  databases:
    description:
      - Names of the databases of the set to restore. If empty, all of them are restored.
    type: list
    elements: str
    default: []
  sandbox:
    description:
      - Directory of a sandbox created by M(caracal_ops.backup.restore_drill). A drill restores into that sandbox only.
  release:
    description:
      - The release of Caracal that will run on the restored databases, if it is not the release that the set records.
      - The restore is refused if this release is older than the release of the set, or belongs to another release family. It is also
        refused if the migrations of this release do not continue the migrations in the set.
      - The check C(restore.release) reports what the first start of that release will do.
    type: str
  confirm:
    description:
      - Targets that the restore may write to and, if they contain data, replace, each as C(<database>@<system_identifier>). The error
        message of a run without confirmation prints these values.
      - With C(functions@<system_identifier>), the restore may also run functions that the owners of the databases defined, with the rights
        of the login. PostgreSQL calls such functions while it loads rows, for check constraints, generated columns, domains and partition
        keys. Caracal itself has no such functions.
    type: list
    elements: str
    default: []
  jobs:
    description:
      - Number of partitions to load, or indexes to build, in parallel.
    type: int
    default: 2
  accept_vulnerable_clients:
    description:
      - CVE IDs of known vulnerabilities of C(pg_restore) that you accept. The error message of a run without this option prints them. A
        malicious archive could use these vulnerabilities to take over the account that runs the restore.
      - In a sandbox with isolation, C(pg_restore) cannot leave the sandbox. The restore then continues, and the check C(restore.clients) is
        V(warn).
    type: list
    elements: str
    default: []
  accept_missing_constraints:
    description:
      - Whether to restore the database without the constraints and indexes that rows of the set violate because the source was broken
        already. Without this option, the restore stops at the first violated constraint or index.
      - RV(verdict) is then V(fail), and the check C(restore.<database>.constraints) names each missing constraint or index, with the first
        line of the server's error. Triggers and policies are never omitted.
      - With this option, indexes are built one after the other.
    type: bool
    default: false
notes:
  - Without O(sandbox) the restore is entered into the journal, so O(signing_key) is required and must belong to C(operator@<deployment>).
requirements:
  - psycopg2 >= 2.9
  - pyrage >= 1.3
  - zstandard >= 0.22
  - C(pg_restore) of at least the major version that created the set, without known vulnerabilities
seealso:
  - module: caracal_ops.backup.pg_encrypted_dump
  - module: caracal_ops.backup.restore_drill
  - module: caracal_ops.backup.state_verify
"""

EXAMPLES = r"""
---
- name: Restore the newest set into a sandbox
  caracal_ops.backup.pg_encrypted_restore:
    sandbox: /var/tmp/drill
    repository: /srv/backup/caracal
    deployment: prod
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json
    identity_files:
      - /etc/caracal-ops/identities/drill.identity

- name: Restore into an empty production cluster after a loss
  caracal_ops.backup.pg_encrypted_restore:
    set_id: 20261125T020000Z-k3f9
    login_host: db-new.internal
    repository: /srv/backup/caracal
    deployment: prod
    signing_key: /srv/restore/operator_signing_key
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json
    identity_files:
      - /srv/restore/break-glass.identity
"""

RETURN = r"""
set_id:
  description: ID of the set.
  returned: always
  type: str
  sample: 20261125T020000Z-k3f9
databases:
  description: The databases that were or would be restored, with the duration in seconds and the size of the artifacts in bytes.
  returned: always
  type: list
  elements: dict
  sample: [{"database": "caracal", "seconds": 21.3, "bytes": 412345678, "leaves": 17}]
replaced:
  description:
    - Replaced databases, and the name under which the server keeps each of them. In check mode, the name that each database would get.
    - Drop a kept database with C(DROP DATABASE) when you do not need its rows any more.
  returned: always
  type: list
  elements: dict
  sample: [{"database": "caracal", "kept_as": "caracal_replaced_20261125031500"}]
checks:
  description: Results of the checks during the restore, in the form that M(caracal_ops.backup.backup_set_verify) returns.
  returned: always
  type: list
  elements: dict
  sample:
    - {"id": "restore.roles", "verdict": "pass", "message": "7 role(s) and 0 membership(s) match the set", "required": true, "details":
      {}}
verdict:
  description: V(fail) if a required check of RV(checks) failed, for example because the copy lacks constraints. Otherwise V(pass).
  returned: always
  type: str
  sample: pass
target:
  description: System identifier of the target cluster.
  returned: always
  type: str
  sample: "7576543210987654321"
journal_head:
  description: Number and first 16 hex digits of the newest journal entry.
  returned: always
  type: str
  sample: 43-2c26b46b68ffc68f
seconds:
  description: Duration in seconds, including the verification.
  returned: always
  type: float
  sample: 34.5
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._assets.databases.pg_encrypted_restore import Options
from ..module_utils._assets.databases.pg_encrypted_restore import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
