#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: restore_verify
short_description: Verify a restored deployment against its backup set before services start
version_added: 0.1.0
description:
  - Runs all comparisons of a restored deployment that need no running service. It compares the schema with the release, like
    M(caracal_ops.backup.migration_verify). It compares the databases with the signed inventory, like M(caracal_ops.backup.state_verify). It
    compares the audit chains with the audit blocks of the set, like M(caracal_ops.backup.audit_chain_verify).
  - With O(secrets_directory), it also decrypts each encrypted value in the database, like M(caracal_ops.backup.envelope_verify).
  - If a check fails, the module fails. Do not start any service then. Anything that cannot be verified is V(unproven) in RV(checks).
  - Run it right after the restore. Services change a restored database within seconds, and the comparison cannot pass after that.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._attributes.read_only
  - caracal_ops.backup._stored_set
  - caracal_ops.backup._repository
  - caracal_ops.backup._identities
  - caracal_ops.backup._postgres
options:
  secrets_directory:
    description:
      - Directory of the restored runtime secrets. The KEK in this directory must decrypt the encrypted values in the database. During a
        rotation of the KEK, the module also uses the previous KEK.
      - Without this option, no encrypted value is decrypted.
    type: path
  restored_secrets:
    description:
      - Names of the secrets in O(secrets_directory) and O(retired_directory) that come from the set. Combine the lists
        RV(caracal_ops.backup.secrets_restore#module:written), C(replaced), C(adjusted) and C(unchanged). A previous KEK that is not in this
        list is not used, because it would hide that the set does not contain this KEK.
      - Without this option, a previous KEK in O(secrets_directory) is used.
    type: list
    elements: str
  retired_directory:
    description:
      - Directory of former audit keys. The module also uses the keys in this directory that O(restored_secrets) names.
    type: path
  audit_hmac_key_files:
    description:
      - Files with C(AUDIT_HMAC_KEY), the current key first, then former keys. The default is the key in O(secrets_directory) and the keys
        in O(retired_directory).
    type: list
    elements: path
    default: []
  audit_retention_days:
    description:
      - Value of C(AUDIT_RETENTION_DAYS) of the deployment, as in
        O(caracal_ops.backup.audit_chain_verify#module:audit_retention_days).
    type: int
  audit_clock_skew_seconds:
    description:
      - Tolerated clock skew in seconds, as in O(caracal_ops.backup.audit_chain_verify#module:audit_clock_skew_seconds).
    type: int
    default: 300
  schema_additions:
    description:
      - Names of your own objects in the databases, as in O(caracal_ops.backup.migration_verify#module:schema_additions).
    type: list
    elements: str
    default: []
  jobs:
    description:
      - Number of worker processes that read and hash in parallel.
    type: int
    default: 2
  require_valid:
    description:
      - Whether to fail for the verdict V(unproven) too, for example before services are started. The module always fails for V(fail).
    type: bool
    default: false
notes:
  - The module writes only O(high_water_mark), which it advances to the head of the journal.
requirements:
  - psycopg2 >= 2.9
  - pyrage >= 1.3
  - zstandard >= 0.22
  - cryptography
  - C(pg_dump) and C(psql) of at least the server's major version
seealso:
  - module: caracal_ops.backup.restore_preflight
  - module: caracal_ops.backup.restore_drill
"""

EXAMPLES = r"""
---
- name: Verify the restored deployment before Caracal's services start
  caracal_ops.backup.restore_verify:
    repository: /mnt/copy/caracal
    deployment: prod
    allowed_signers: /srv/restore/allowed_signers
    high_water_mark: /srv/restore/high-water-mark.json
    identity_files:
      - /srv/restore/database.identity
    login_unix_socket: /var/run/postgresql
    secrets_directory: /opt/caracal/secrets
"""

RETURN = r"""
verdict:
  description: V(pass), V(fail) or V(unproven).
  returned: success, and when a check failed
  type: str
  sample: pass
checks:
  description:
    - All checks, in the form that M(caracal_ops.backup.backup_set_verify) returns. If the module fails, the list contains only the checks
      that are neither V(pass) nor V(not_applicable).
  returned: success, and when a check failed
  type: list
  elements: dict
  sample: >-
    [{"id": "envelopes.kek", "verdict": "pass", "message": "correct KEK: 4870629f7486c86f decrypts 41 sealed values", "required": true,
    "details": {}}]
set_id:
  description: ID of the set that the deployment was compared with.
  returned: success, and when a check failed
  type: str
  sample: 20261125T020000Z-k3f9
signing_keys:
  description:
    - Signing keys of the zones that the restored KEK decrypts, as M(caracal_ops.backup.envelope_verify) returns them and
      M(caracal_ops.backup.canary_exchange) uses them. Empty without O(secrets_directory).
  returned: success, and when a check failed
  type: list
  elements: dict
  sample: []
seconds:
  description: Duration in seconds.
  returned: success, and when a check failed
  type: float
  sample: 2.1
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._restore.restore_verify import Options
from ..module_utils._restore.restore_verify import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
