#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: audit_partition_ensure
short_description: Create missing audit partitions for this month and the following months
version_added: 0.1.0
description:
  - Caracal has one partition of C(audit_events) for each month. Its audit service creates the partitions of the next three months.
  - A database that was restored from an old set can lack the partition of the current month. The first new event then goes into the default
    partition. After that, PostgreSQL refuses to create the partition of this month.
  - Creates the missing partitions of the current month (UTC, by the database's clock) and of the three months after it. The module creates
    all of them or none.
  - Run the module on the restored database, after M(caracal_ops.backup.state_verify) and before the services start. It changes the schema
    that M(caracal_ops.backup.state_verify) compares.
  - Refuses a cluster that the journal records as a source of backups, unless O(confirm) names this target.
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
      - Checks the partitions and the events in the default partition, and reports which partitions would be created.
  diff_mode:
    support: full
    details:
      - Shows the name and the range of each partition that is created.
  idempotent:
    support: full
    details:
      - An existing partition is not changed.
options:
  database:
    description:
      - Name of Caracal's main database.
    type: str
    default: caracal
  confirm:
    description:
      - Targets that may be changed although they are backed up, each as C(<database>@<system_identifier>). The message of the refusal
        contains this value.
    type: list
    elements: str
    default: []
notes:
  - O(login_user) must be the owner of C(audit_events), or a superuser.
  - If the default partition already contains events of a month that lacks its partition, the module fails and changes nothing. The message
    contains the statements that move these events.
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
- name: Create the audit partitions before the services start
  caracal_ops.backup.audit_partition_ensure:
    login_host: db-new.internal
    login_password_file: /srv/restore/db_password
    repository: /mnt/copy/caracal
    deployment: prod
    allowed_signers: /srv/restore/allowed_signers
    high_water_mark: /srv/restore/high-water-mark.json

- name: Create the audit partitions on the cluster that is backed up
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
  description: Names of the partitions that were or would be created.
  returned: always
  type: list
  elements: str
  sample: [audit_events_y2027m01, audit_events_y2027m02]
present:
  description: Names of the required partitions that existed before.
  returned: always
  type: list
  elements: str
  sample: [audit_events_y2026m11, audit_events_y2026m12]
default_rows:
  description: >-
    For each month that lacks its partition, the number of its events in the default partition, and the SQL statements that move them.
  returned: on failure, if the default partition contains such events
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
