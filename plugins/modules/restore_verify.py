#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: restore_verify
short_description: Prove that what was restored is what the set holds, before a service starts on it
version_added: 0.1.0
description:
  - Makes all comparisons of a restored deployment that need no service, in one call. The schema is compared with what the release leaves,
    as M(caracal_ops.backup.migration_verify) does; the databases with the signed inventory, as M(caracal_ops.backup.state_verify) does;
    the audit chains with the set's audit blocks, as M(caracal_ops.backup.audit_chain_verify) does. With O(secrets_directory) each sealed
    value is opened, as M(caracal_ops.backup.envelope_verify) does.
  - A check that fails, fails the module, and no service may be started. What cannot be verified is V(unproven), in RV(checks).
  - Run it right after the restore. Services change a restored database within seconds, and then the comparison never holds again.
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
      - Directory of the restored runtime secrets. Its KEK, and while a rotation is under way the one before it, must open the sealed
        values.
      - Without it no sealed value is opened.
    type: path
  restored_secrets:
    description:
      - Names of the secrets in O(secrets_directory) and O(retired_directory) that are the set's, which are the values
        RV(caracal_ops.backup.secrets_restore#module:written), C(replaced), C(adjusted) and C(unchanged). A previous KEK that is not among
        them is not used, for it would hide that the set lacks one.
      - Without it, a previous KEK that lies in O(secrets_directory) counts.
    type: list
    elements: str
  retired_directory:
    description:
      - Directory of former audit keys. Those that O(restored_secrets) names are used too.
    type: path
  audit_hmac_key_files:
    description:
      - Files with C(AUDIT_HMAC_KEY), the current one first, then those of before. Without any, the one in O(secrets_directory),
        and those in O(retired_directory).
    type: list
    elements: path
    default: []
  audit_retention_days:
    description:
      - As O(caracal_ops.backup.audit_chain_verify#module:audit_retention_days).
    type: int
  audit_clock_skew_seconds:
    description:
      - As O(caracal_ops.backup.audit_chain_verify#module:audit_clock_skew_seconds).
    type: int
    default: 300
  schema_additions:
    description:
      - As O(caracal_ops.backup.migration_verify#module:schema_additions).
    type: list
    elements: str
    default: []
  jobs:
    description:
      - How many worker processes read and hash side by side.
    type: int
    default: 2
  require_valid:
    description:
      - Fail for a verdict of V(unproven) too, as before services are started. V(fail) always does.
    type: bool
    default: false
notes:
  - The module writes nothing but O(high_water_mark), which it advances to the journal's head.
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
- name: May Caracal's services be started on what was restored?
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
    - All checks, in the form that M(caracal_ops.backup.backup_set_verify) returns. When one failed, only those that are neither V(pass) nor
      V(not_applicable).
  returned: success, and when a check failed
  type: list
  elements: dict
  sample: [{"id": "envelopes.kek", "verdict": "pass", "message": "right KEK 4870629f7486c86f: it opens 41 sealed values", "required": true,
    "details": {}}]
set_id:
  description: The set that was compared with.
  returned: success, and when a check failed
  type: str
  sample: 20261125T020000Z-k3f9
signing_keys:
  description:
    - The zones' signing keys that open with the restored KEK, as M(caracal_ops.backup.envelope_verify) returns them and
      M(caracal_ops.backup.canary_exchange) takes them. Empty without O(secrets_directory).
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
