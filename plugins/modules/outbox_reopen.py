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
    Redis. When the backup reads the database, such an event can already be in Redis, but not yet in the audit log. A restore without Redis
    loses this event.
  - The module marks the rows of such events in the outbox as not sent, so that the API sends the events again when it starts. Their
    signatures and IDs do not change. If an event arrives twice, the audit service writes it only once.
  - Run the module on the restored database, after M(caracal_ops.backup.state_verify) and before the services start. The module changes a
    table that M(caracal_ops.backup.state_verify) compares with the set. The check C(outbox.audit_frames_landed) of that module reports
    whether there are events to resend.
  - If the journal records the cluster as a source of backups, the module refuses to change it, unless O(confirm) names exactly this target.
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
      - Finds the rows, and returns the rows whose events would be sent again.
  diff_mode:
    support: full
    details:
      - Shows the ID and the stream of each row, and its status before and after (sent, or to be sent).
  idempotent:
    support: full
    details:
      - Rows that the services have not sent yet are not changed. If the services have already sent the revocations since O(since) again,
        another run marks the same rows again.
options:
  database:
    description:
      - Name of Caracal's own database.
    type: str
    default: caracal
  streams:
    description:
      - Streams whose events are sent again.
      - For V(caracal.audit.events), an event is sent again only if it has no row in C(audit_events) and retention has not dropped its
        partition.
      - For V(caracal.sessions.revoke), all sent events of the API and the Coordinator that were created since O(since) are sent again. This
        is useful only for protected resources that store revocations in their own Redis. If Caracal's Redis was unavailable for longer than
        the longest token lifetime, it is not necessary, because all tokens have then expired.
    type: list
    elements: str
    choices: [caracal.audit.events, caracal.sessions.revoke]
    default: [caracal.audit.events]
  since:
    description:
      - Creation time of the oldest revocation to send again, in ISO 8601 with a time zone. Required for V(caracal.sessions.revoke).
    type: str
  confirm:
    description:
      - Targets that the module may change although they are a source of backups, each as C(<database>@<system_identifier>). The error
        message of a run without confirmation prints this value.
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

- name: Resend audit events and recent revocations after Redis was lost
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
  description: For each stream and outbox, the number of rows that were or would be marked as not sent, and the first 50 of their IDs.
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
