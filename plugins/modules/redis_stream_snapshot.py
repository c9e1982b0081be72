#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_stream_snapshot
short_description: Read Caracal's Redis streams into an open backup set, sealed
version_added: 0.1.0
description:
  - Streams are read in pages and stored as the commands that rebuild them, so that memory does not grow with their length,
    every Redis from 7.0 on can be read and restored into, a managed one too, and C(redis-cli --pipe) restores by hand.
  - The first reading, before the databases are dumped, holds every entry. The second one, after them, holds the entries that came since,
    and all consumer groups, consumers and pending entries with their age and delivery counts. A set needs both.
  - Dead letters are streams like others.
  - What was trimmed or deleted before it could be read is reported, never passed over.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._open_set
  - caracal_ops.backup._reading
  - caracal_ops.backup._repository
  - caracal_ops.backup._signing
  - caracal_ops.backup._recipients
  - caracal_ops.backup._redis
attributes:
  check_mode:
    support: full
    details:
      - Connects, checks version, rights and keys, and says which streams there are.
  diff_mode:
    support: full
    details:
      - Shows the streams that are or would be read.
  idempotent:
    support: partial
    details:
      - A set that has this reading already is left as it is; a new set gets a new one.
options:
  pattern:
    description:
      - Names of the streams, as Redis's C(SCAN) matches them.
    type: str
    default: caracal.*
  dump_keys:
    description:
      - Names of keys that are no streams and should be kept too, at most 1 MiB each. They are kept as C(DUMP) gives them, with what they
        had left to live, and can only be restored into a Redis that is not older. Only the first reading keeps them.
    type: list
    elements: str
    default: []
notes:
  - O(signing_key) is only compared with the recipients here; the commit signs.
  - An ACL user needs C(+info +dbsize +scan +exists +xinfo +xrange +xpending +time), for O(dump_keys) also
    C(+dump +pttl +memory|usage), and C(%R~caracal.*).
requirements:
  - redis >= 5.0 (the Python library)
  - pyrage >= 1.3
  - zstandard >= 0.22
  - Redis 7.0 or newer, without cluster mode
seealso:
  - module: caracal_ops.backup.redis_stream_restore
  - module: caracal_ops.backup.backup_set
"""

EXAMPLES = r"""
---
- name: Read all streams before the databases are dumped
  caracal_ops.backup.redis_stream_snapshot:
    set_id: "{{ opened.set_id }}"
    reading: 1
    repository: /srv/backup/caracal
    deployment: prod
    signing_key: /etc/caracal-ops/backup_signing_key
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json
    recipients_files:
      - /etc/caracal-ops/database.recipients
    redis_host: redis.internal
    redis_tls: true
    redis_ca_cert: /etc/caracal-ops/redis_ca.pem
    redis_password_file: /etc/caracal-ops/redis_password

- name: Read what came since, and the groups, after the databases are dumped
  caracal_ops.backup.redis_stream_snapshot:
    set_id: "{{ opened.set_id }}"
    reading: 2
    repository: /srv/backup/caracal
    deployment: prod
    signing_key: /etc/caracal-ops/backup_signing_key
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json
    recipients_files:
      - /etc/caracal-ops/database.recipients
    redis_unix_socket: /run/redis/redis.sock
"""

RETURN = r"""
set_id:
  description: Id of the set.
  returned: always
  type: str
  sample: 20261125T020000Z-k3f9
reading:
  description: Which reading this is. With V(1) alone the set has no groups, and a restore refuses it.
  returned: always
  type: int
  sample: 1
streams:
  description: For each stream, how many entries this reading has or would have, their bytes, its groups and pending entries as numbers.
  returned: always
  type: list
  elements: dict
  sample: [{"name": "caracal.audit.events", "entries": 41230, "bytes": 30182930, "groups": 2, "pending": 3}]
artifacts:
  description: Path, size in bytes and SHA-256 of each sealed artifact. Empty in check mode.
  returned: always
  type: list
  elements: dict
  sample: [{"path": "sets/20261125T020000Z-k3f9/redis/streams.1.resp.zst.age", "size": 123456, "sha256": "9f86d08..."}]
checks:
  description: What was seen on the way, in the form that M(caracal_ops.backup.backup_set_verify) returns. Empty in check mode.
  returned: always
  type: list
  elements: dict
  sample:
    - id: redis.read
      verdict: pass
      message: 8 streams, 41230 entries read, 12 not delivered yet
      required: false
      details: {}
server_version:
  description: Version of the Redis server.
  returned: always
  type: str
  sample: 8.2.3
seconds:
  description: Duration in seconds.
  returned: always
  type: float
  sample: 3.2
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._assets.streams.redis_stream_snapshot import Options
from ..module_utils._assets.streams.redis_stream_snapshot import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
