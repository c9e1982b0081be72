#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_stream_restore
short_description: Restore Caracal's Redis streams from a backup set, or create its consumer groups
version_added: 0.1.0
description:
  - Verifies the journal, the signature and the SHA-256 of the Redis artifacts before the first change.
  - Restores only into a Redis that O(confirm) names, that is not a replica, and that has no keys. Caracal's own streams do not count if
    they were never used.
  - Sends only the commands that a snapshot may contain, even if the artifact contains others, and verifies every reply. Then it compares
    every stream, group and pending entry with the snapshot. If an error occurs, the module empties the target again.
  - If a restore loses its connection, the key C(caracal_ops:restoring) remains in Redis. The next restore of the same set into this Redis
    starts from the beginning.
  - With O(groups_only), the module creates only the missing consumer groups of Caracal's services, each at position 0. Do this before
    services start on an empty Redis. Otherwise STS and Gateway send their replay files into streams whose groups begin after those events,
    and the events are never delivered.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._stored_set
  - caracal_ops.backup._repository
  - caracal_ops.backup._identities
  - caracal_ops.backup._recorded
  - caracal_ops.backup._redis
attributes:
  check_mode:
    support: full
    details:
      - Verifies everything, examines the target, and returns what would be restored.
  diff_mode:
    support: full
    details:
      - Shows the streams, or the groups, before and after.
  idempotent:
    support: partial
    details:
      - With O(groups_only), existing groups are not changed. A second restore is refused, because the target is not empty any more.
options:
  repository:
    required: false
  deployment:
    required: false
  allowed_signers:
    required: false
  high_water_mark:
    required: false
  identity_files:
    required: false
  confirm:
    description:
      - Targets that the restore may write to, each as C(<host>:<port>/<db>@<run_id>). The error message of a run without confirmation
        prints this value. Without the run ID, C(<host>:<port>/<db>) matches any Redis at this address, also after a restart.
    type: list
    elements: str
    default: []
  groups_only:
    description:
      - Whether to create only the groups. This needs no set, no O(confirm) and no O(signing_key). Existing data is not changed.
    type: bool
    default: false
requirements:
  - redis >= 5.0 (the Python library)
  - pyrage >= 1.3
  - zstandard >= 0.22
  - Redis 7.0 or newer, without cluster mode
seealso:
  - module: caracal_ops.backup.redis_stream_snapshot
"""

EXAMPLES = r"""
---
- name: Restore the streams of the newest set
  caracal_ops.backup.redis_stream_restore:
    repository: /srv/backup/caracal
    deployment: prod
    signing_key: /srv/restore/operator_signing_key
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json
    identity_files:
      - /srv/restore/break-glass.identity
    redis_host: redis-new.internal
    redis_password_file: /srv/restore/redis_password
    confirm:
      - redis-new.internal:6379/0@5a1bd6e0a1c5e5b0a2f3c7d8e9f0a1b2c3d4e5f6

- name: Create the groups in an empty Redis before services start
  caracal_ops.backup.redis_stream_restore:
    groups_only: true
    redis_host: redis-new.internal
    redis_password_file: /srv/restore/redis_password
"""

RETURN = r"""
set_id:
  description: ID of the set.
  returned: unless O(groups_only)
  type: str
  sample: 20261125T020000Z-k3f9
target:
  description: The Redis server in the format of O(confirm).
  returned: always
  type: str
  sample: redis-new.internal:6379/0@5a1bd6e0a1c5e5b0a2f3c7d8e9f0a1b2c3d4e5f6
streams:
  description: The streams that were or would be restored, with entries, last ID and groups.
  returned: unless O(groups_only)
  type: list
  elements: dict
  sample:
    - name: caracal.audit.events
      entries: 41230
      last: 1795564545748-0
      groups: [{"name": "audit-ingestor", "last_delivered": "1795564545748-0", "lag": 0, "pending": 3, "lost": 0}]
groups:
  description: The groups that were or would be created.
  returned: with O(groups_only)
  type: list
  elements: dict
  sample: [{"stream": "caracal.audit.events", "group": "audit-ingestor"}]
without_redis:
  description: Consequences of starting with an empty Redis. An empty list if the Redis contains keys.
  returned: with O(groups_only)
  type: list
  elements: str
  sample: ["Unread audit events and dead letters are lost."]
checks:
  description: Results of the comparisons, in the form that M(caracal_ops.backup.backup_set_verify) returns. Empty in check mode.
  returned: always
  type: list
  elements: dict
  sample:
    - id: redis.caracal.audit.events
      verdict: pass
      message: "stream caracal.audit.events: 41230 entries, 2 groups, 3 pending, as in the snapshot"
      required: true
      details: {}
journal_head:
  description: Number and first 16 hex digits of the newest journal entry.
  returned: unless O(groups_only)
  type: str
  sample: 43-2c26b46b68ffc68f
seconds:
  description: Duration in seconds.
  returned: always
  type: float
  sample: 4.1
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._assets.streams.redis_stream_restore import Options
from ..module_utils._assets.streams.redis_stream_restore import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
