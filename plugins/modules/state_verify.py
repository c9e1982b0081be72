#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: state_verify
short_description: Check that restored databases match the signed inventory of a backup set and are internally consistent
version_added: 0.1.0
description:
  - Reads the copy in the same way as the backup reads the source. Compares row counts and digests of every table, audit blocks, schema,
    grants, owners, functions, roles, sequences, extensions and settings exactly with the signed inventory.
  - Checks the rules of a healthy Caracal (checks C(state.*)). If the source was already broken, the copy matches the source exactly but
    does not work. See R(the guide on state checks,ansible_collections.caracal_ops.backup.docsite.guide_state_checks) for each of these
    checks.
  - Compares the set with the newest earlier set of the same databases (C(inventory.since_previous)). Lists tables that shrank and
    settings, rights, functions, roles and other definitions that changed. These changes are only information, except for the changes that
    O(shrink_budget) names.
  - Reports audit events that were in transit through Redis when the backup was taken. See M(caracal_ops.backup.outbox_reopen).
  - Run it before any service starts on the copy, because services change a restored database within seconds.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._attributes.read_only
  - caracal_ops.backup._stored_set
  - caracal_ops.backup._repository
  - caracal_ops.backup._identities
  - caracal_ops.backup._postgres
  - caracal_ops.backup._sandbox
options:
  audit_rows:
    description:
      - Whether to also read the rows of C(audit_events), and compare partitions and audit blocks. A drill leaves this to
        M(caracal_ops.backup.audit_chain_verify), which reads each row once for all checks. The checks C(state.*) run in any case. They
        read one audit row of each zone.
    type: bool
    default: true
  shrink_budget:
    description:
      - Percentage of rows that a table with long-lived state, such as C(resources), may lose between two sets. If a table loses more,
        C(inventory.since_previous) fails. The check also fails if revocations were undone, or if rows changed that Caracal never changes.
        With V(100), it never fails. See R(the guide on restore drills,ansible_collections.caracal_ops.backup.docsite.guide_restore_drill)
        for the tables.
    type: int
    default: 50
  jobs:
    description:
      - Number of tables that are read in parallel.
    type: int
    default: 2
  require_valid:
    description:
      - Whether to fail unless the verdict is V(pass).
    type: bool
    default: true
notes:
  - The module writes only O(high_water_mark), which it advances to the head of the journal.
seealso:
  - module: caracal_ops.backup.pg_encrypted_restore
  - module: caracal_ops.backup.audit_chain_verify
  - module: caracal_ops.backup.envelope_verify
"""

EXAMPLES = r"""
---
- name: Compare a restored copy with its source at the time of the snapshot
  caracal_ops.backup.state_verify:
    sandbox: /var/tmp/drill
    repository: /srv/backup/caracal
    deployment: prod
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json
    identity_files:
      - /etc/caracal-ops/identities/drill.identity
"""

RETURN = r"""
set_id:
  description: ID of the set.
  returned: always
  type: str
  sample: 20261125T020000Z-k3f9
verdict:
  description: V(pass), V(fail) or V(unproven).
  returned: always
  type: str
  sample: pass
checks:
  description: Each check with its verdict, in the form that M(caracal_ops.backup.backup_set_verify) returns.
  returned: always
  type: list
  elements: dict
  sample: [{"id": "inventory.caracal.tables", "verdict": "pass", "message": "38 table(s) are equal", "required": true, "details": {}}]
seconds:
  description: Duration in seconds.
  returned: always
  type: float
  sample: 8.1
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._checks.state_verify import Options
from ..module_utils._checks.state_verify import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
