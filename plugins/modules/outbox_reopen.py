#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: outbox_reopen
short_description: Mark events of Caracal's outbox for resending after a loss of Redis data
version_added: 0.1.0
description:
  - Caracal's API sends its own audit events, such as decisions on approvals, to the audit service through the table C(event_outbox) and
    Redis. If such an event was sent but not yet written when the backup was taken, a restore without Redis loses it.
  - The module marks the rows of such events in the outbox as not sent, so that the API sends them when it starts. Their signatures and
    IDs do not change. An event that arrives twice is written once.
  - Run it on the restored database after M(caracal_ops.backup.state_verify) and before the services start. It changes a table that
    M(caracal_ops.backup.state_verify) compares. The check C(outbox.audit_frames_landed) of that module reports whether there are events
    to resend.
  - A cluster that the journal records as a source is refused, unless O(confirm) names that exact target.
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
      - Finds the rows and returns those that would be sent again.
  diff_mode:
    support: full
    details:
      - Shows the ID of each row, its stream, and whether it counts as sent before and after.
  idempotent:
    support: full
    details:
      - Rows that are still to be sent are not changed. After the services have resent the rows of O(since), another run reopens them again.
options:
  database:
    description:
      - Name of Caracal's own database.
    type: str
    default: caracal
  streams:
    description:
      - Streams whose events are sent again.
      - For V(caracal.audit.events), only events that have no row in C(audit_events) are sent, and only if retention has not dropped their
        partition.
      - For V(caracal.sessions.revoke), everything that the API and the coordinator have sent since O(since) is sent again. This
        is useful only for protected resources that keep revocations in their own Redis. It is needed only if Redis was lost for less than
        the longest lifetime of a token.
    type: list
    elements: str
    choices: [caracal.audit.events, caracal.sessions.revoke]
    default: [caracal.audit.events]
  since:
    description:
      - Time from which revocations are sent again, in ISO 8601 with a time zone. Required for V(caracal.sessions.revoke).
    type: str
  confirm:
    description:
      - Targets that may be changed although they are a source of backups, each as C(<database>@<system_identifier>), as the refusal prints
        it.
    type: list
    elements: str
    default: []
notes:
  - O(login_user) must be the owner of the tables, or a superuser.
  - Stop the services first. Otherwise events that they send in the meantime may still be in transit, and would be sent twice.
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
- name: Resend audit events that were only in Redis
  caracal_ops.backup.outbox_reopen:
    login_host: db-new.internal
    login_password_file: /srv/restore/db_password
    repository: /mnt/copy/caracal
    deployment: prod
    allowed_signers: /srv/restore/allowed_signers
    high_water_mark: /srv/restore/high-water-mark.json

- name: Resend the revocations of the last hour too after Redis was lost
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
  description: For each stream and outbox, the number of rows that were or would be reopened, and the first 50 of their IDs.
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
