#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_stream_snapshot
short_description: Back up Caracal's Redis streams into an open backup set, encrypted
version_added: 0.1.0
description:
  - Reads streams in pages, and stores the Redis commands that create the streams again. Memory use does not grow with the length of the
    streams. You can back up and restore every Redis 7.0 or newer without cluster mode, including managed servers. You can also restore
    manually with C(redis-cli --pipe).
  - The first pass, before the database dump, stores every entry. The second pass, after the dump, stores the entries added since then. It
    also stores all consumer groups, consumers and pending entries with their age and delivery counts. A set needs both passes.
  - Streams with dead letters are backed up like all other streams.
  - Entries that were trimmed or deleted before they could be read are always reported.
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
      - Connects, checks version, rights and keys, and returns the streams that exist.
  diff_mode:
    support: full
    details:
      - Shows the streams that are or would be read.
  idempotent:
    support: partial
    details:
      - A set that has this pass already is not changed. A new set gets a new pass.
options:
  pattern:
    description:
      - Pattern of the stream names, in the syntax of Redis's C(SCAN).
    type: str
    default: caracal.*
  dump_keys:
    description:
      - Names of keys that are not streams and that the backup should include, at most 1 MiB each. The values are stored in the format of
        C(DUMP), with their remaining time to live. You can restore them only into the same or a newer version of Redis. Only the first pass
        stores them.
    type: list
    elements: str
    default: []
notes:
  - The module checks that O(signing_key) is not a recipient, and signs its part of the open set. M(caracal_ops.backup.backup_set) signs the
    whole set at the commit.
  - An ACL user needs C(+info +dbsize +scan +exists +xinfo +xrange +xpending +time) and C(%R~caracal.*). For O(dump_keys), the user also
    needs C(+dump +pttl +memory|usage).
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
- name: Back up all streams before the database dump
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

- name: Back up new entries and the groups after the database dump
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
  description: ID of the set.
  returned: always
  type: str
  sample: 20261125T020000Z-k3f9
reading:
  description: Number of this pass. A set with pass V(1) only has no groups, and a restore refuses this set.
  returned: always
  type: int
  sample: 1
streams:
  description: For each stream, the number of entries that this pass has or would have, their bytes, and the numbers of groups and pending
    entries.
  returned: always
  type: list
  elements: dict
  sample: [{"name": "caracal.audit.events", "entries": 41230, "bytes": 30182930, "groups": 2, "pending": 3}]
artifacts:
  description: Path, size in bytes and SHA-256 of each encrypted artifact. Empty in check mode.
  returned: always
  type: list
  elements: dict
  sample: [{"path": "sets/20261125T020000Z-k3f9/redis/streams.1.resp.zst.age", "size": 123456, "sha256": "9f86d08..."}]
checks:
  description: Results of the checks of this pass, in the form that M(caracal_ops.backup.backup_set_verify) returns. Empty in check mode.
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
