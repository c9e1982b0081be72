#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: outbox_reopen
short_description: Let Caracal send events again that were lost with Redis
version_added: 0.1.0
description:
  - Caracal's API sends audit events of its own, such as decisions on approvals, through the table C(event_outbox) and Redis to the audit
    service. One that was sent and not yet written when the backup was taken is in neither after a restore without Redis.
  - Marks such rows of the outbox as not sent, so that the API sends them when it starts. Their signatures and ids stay, and an event that
    arrives twice is written once.
  - Run it on the restored database after M(caracal_ops.backup.state_verify), since it changes a table that is compared there, and before
    the services start. The check C(outbox.audit_frames_landed) of
    M(caracal_ops.backup.state_verify) says whether there is anything to do.
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
      - Finds the rows and says which would be sent again.
  diff_mode:
    support: full
    details:
      - Shows the id of each row, its stream, and whether it counts as sent before and after.
  idempotent:
    support: full
    details:
      - What waits to be sent is left alone. Once the services have sent the rows of O(since) again, another run would reopen them again.
options:
  database:
    description:
      - Caracal's own database.
    type: str
    default: caracal
  streams:
    description:
      - Which streams are sent again.
      - Of V(caracal.audit.events) only events that have no row in C(audit_events), and whose partition retention has not dropped.
      - Of V(caracal.sessions.revoke) everything sent since O(since), by the API and by the coordinator. Only protected resources that keep
        revocations in a Redis of their own need it, and only when Redis was lost for less than the longest life of a token.
    type: list
    elements: str
    choices: [caracal.audit.events, caracal.sessions.revoke]
    default: [caracal.audit.events]
  since:
    description:
      - Time from which on revocations are sent again, ISO 8601 with a zone. Required for V(caracal.sessions.revoke).
    type: str
  confirm:
    description:
      - Targets that may be changed although they are backed up, each as C(<database>@<system_identifier>), as the refusal prints it.
    type: list
    elements: str
    default: []
notes:
  - O(login_user) must be the owner of the tables, or a superuser.
  - Stop the services first. What they send meanwhile may still be on its way, and would be sent twice.
requirements:
  - psycopg2 >= 2.9
  - PostgreSQL 17 or newer
seealso:
  - module: caracal_ops.backup.pg_encrypted_restore
  - module: caracal_ops.backup.state_verify
  - module: caracal_ops.backup.rollback_info
"""

EXAMPLES = r"""
---
- name: Send the audit events again that were in nothing but Redis
  caracal_ops.backup.outbox_reopen:
    login_host: db-new.internal
    login_password_file: /srv/restore/db_password
    repository: /mnt/copy/caracal
    deployment: prod
    allowed_signers: /srv/restore/allowed_signers
    high_water_mark: /srv/restore/high-water-mark.json

- name: After the loss of Redis, send the revocations of the last hour too
  caracal_ops.backup.outbox_reopen:
    streams: [caracal.audit.events, caracal.sessions.revoke]
    since: "2026-11-25T01:00:00Z"
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
reopened:
  description: For each stream and outbox, how many rows are or would be sent again, and the first 50 of their ids.
  returned: always
  type: list
  elements: dict
  sample:
    - stream: caracal.audit.events
      table: event_outbox
      count: 1
      ids: [019c6a2e-7c1b-7d0a-9f3e-5b1f0c2d3e4f]
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._restore.outbox_reopen import Options
from ..module_utils._restore.outbox_reopen import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
