#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: audit_partition_ensure
short_description: Make the audit partitions of the months to come
version_added: 0.1.0
description:
  - Caracal keeps a partition of C(audit_events) for each month, and its audit service makes those of the next three. In a database that
    was restored from an older set this month's is missing. The first new event then falls into the default partition, and from then on
    the month's own cannot be made any more.
  - Makes the missing ones, all or none, of this month by the database's clock and of those after it.
  - Run it on the restored database after M(caracal_ops.backup.state_verify), since it changes the schema that is compared there, and
    before the services start.
  - Refuses a cluster that the journal knows as a source, unless O(confirm) names that very target.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._repository
  - caracal_ops.backup._postgres
  - caracal_ops.backup._sandbox
attributes:
  check_mode:
    support: full
    details:
      - Looks at the partitions and at the events in the default one, and says what would be made.
  diff_mode:
    support: full
    details:
      - Shows the name of each partition that is made, and from when to when it reaches.
  idempotent:
    support: full
    details:
      - A partition that is there is left alone.
options:
  database:
    description:
      - Caracal's own database.
    type: str
    default: caracal
  confirm:
    description:
      - Targets that may be changed although they are backed up, each as C(<database>@<system_identifier>), as the refusal prints it.
    type: list
    elements: str
    default: []
notes:
  - O(login_user) must be the owner of C(audit_events), or a superuser.
  - Fails and changes nothing if events of such a month lie in the default partition already. The message has the statements that move them.
requirements:
  - psycopg2 >= 2.9
  - PostgreSQL 17 or newer
seealso:
  - module: caracal_ops.backup.pg_encrypted_restore
  - module: caracal_ops.backup.state_verify
  - module: caracal_ops.backup.outbox_reopen
"""

EXAMPLES = r"""
---
- name: Make the audit partitions before the services start
  caracal_ops.backup.audit_partition_ensure:
    login_host: db-new.internal
    login_password_file: /srv/restore/db_password
    repository: /mnt/copy/caracal
    deployment: prod
    allowed_signers: /srv/restore/allowed_signers
    high_water_mark: /srv/restore/high-water-mark.json

- name: The same on the cluster that is backed up
  caracal_ops.backup.audit_partition_ensure:
    confirm:
      - caracal@7576543210987654321
    login_host: db.internal
    login_password_file: /srv/restore/db_password
    repository: /mnt/copy/caracal
    deployment: prod
    allowed_signers: /srv/restore/allowed_signers
    high_water_mark: /srv/restore/high-water-mark.json
"""

RETURN = r"""
target:
  description: System identifier of the cluster.
  returned: always
  type: str
  sample: "7576543210987654321"
made:
  description: Names of the partitions that were or would be made.
  returned: always
  type: list
  elements: str
  sample: [audit_events_y2027m01, audit_events_y2027m02]
present:
  description: Names of the wanted partitions that were there before.
  returned: always
  type: list
  elements: str
  sample: [audit_events_y2026m11, audit_events_y2026m12]
default_rows:
  description: Each month whose events lie in the default partition, how many, and the statements that move them.
  returned: when there are any, with the failure
  type: list
  elements: dict
  sample:
    - month: 2026-11
      default: audit_events_default
      count: 2
      move: BEGIN; LOCK TABLE public.audit_events; …
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._restore.audit_partition_ensure import Options
from ..module_utils._restore.audit_partition_ensure import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
