#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_preflight
short_description: Look at all that a backup will need, and say at once all that is wrong
version_added: 0.1.0
description:
  - Looks at repository, keys, clocks, room, databases, secrets, replay directories and Redis, as the modules do in check mode that make
    the set. Nothing is written, and no set is opened.
  - Where several things are wrong, the failure names each of them.
  - The role C(caracal_backup) begins with it, and in check mode does nothing else.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._repository
  - caracal_ops.backup._signing
  - caracal_ops.backup._recipients
  - caracal_ops.backup._postgres
  - caracal_ops.backup._dump
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  signing_key:
    required: true
  create_repository:
    description:
      - Where O(repository) holds no repository yet, look at whether M(caracal_ops.backup.backup_set) could make it there.
    type: bool
    default: false
  earlier:
    description:
      - What was looked at before, so that all that is wrong is said at once. V(deployment) and V(programs) are what the modules
        M(caracal_ops.backup.deployment_info) and M(caracal_ops.backup.postgres_programs) returned, with a failure too. V(settings) is a
        list of what is wrong with the settings of a role.
    type: dict
    default: {}
  metrics_file:
    description:
      - Look at whether O(caracal_ops.backup.backup_set#module:metrics_file) could be written.
    type: path
  secrets:
    description:
      - Options of M(caracal_ops.backup.secrets_bundle) that are about the secrets alone, with C(recipients) and C(recipients_files)
        of their own. All others are those of this module. Without this option, secrets are not looked at.
    type: dict
  replay:
    description:
      - Options of M(caracal_ops.backup.replay_volume_archive) that are about the directories alone. Without this option, none is looked
        at. Directories of other hosts are looked at there, with C(replay_volume_archive) in check mode.
    type: dict
  redis:
    description:
      - Options of M(caracal_ops.backup.redis_stream_snapshot) that are about Redis alone. Without this option, it is not looked at.
    type: dict
  images:
    description:
      - Options of M(caracal_ops.backup.image_archive) that are about images alone. Without this option, no image is looked for.
    type: dict
requirements:
  - psycopg2 >= 2.9
  - pyrage >= 1.3
  - zstandard >= 0.22
  - C(pg_dump), C(pg_restore) and C(psql) of at least the server's major version, 17.6 or later
seealso:
  - module: caracal_ops.backup.backup_set
  - module: caracal_ops.backup.pg_encrypted_dump
"""

EXAMPLES = r"""
---
- name: Look at all that tonight's backup will need
  caracal_ops.backup.backup_preflight:
    repository: /srv/backup/caracal
    deployment: prod
    signing_key: /etc/caracal-ops/backup_signing_key
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json
    recipients_files:
      - /etc/caracal-ops/database.recipients
    login_host: db.internal
    login_user: backup
    login_password_file: /etc/caracal-ops/db_password
    secrets:
      directory: /srv/caracal/secrets
      recipients_files:
        - /etc/caracal-ops/secrets.recipients
    replay:
      volumes:
        - service: sts
          path: /var/lib/caracal/sts-replay
    redis:
      redis_host: redis.internal
"""

RETURN = r"""
set_id:
  description: Id that a set could have that is opened now.
  returned: success
  type: str
  sample: 20261125T020000Z-k3f9
journal_head:
  description: Head of the journal; empty where the repository is still to be made.
  returned: success
  type: str
  sample: 42-9f86d081884c7d65
databases:
  description: As M(caracal_ops.backup.pg_encrypted_dump) returns them in check mode.
  returned: success
  type: list
  elements: dict
  sample: [{"database": "caracal", "release": "v1.0.0", "sight": "superuser"}]
left_out:
  description: Relations whose rows would rightly not be in the set, each with the reason.
  returned: success
  type: dict
  sample: {}
checks:
  description: As M(caracal_ops.backup.pg_encrypted_dump) returns them in check mode.
  returned: success
  type: list
  elements: dict
  sample: [{"id": "source.complete", "verdict": "pass", "message": "61 relations: each in one artifact", "required": true, "details": {}}]
secrets:
  description: Ids of the keys among the secrets, by name. None of their values.
  returned: success
  type: dict
  sample: {"kek": "1a2b3c4d5e6f7081", "audit_hmac_key": "90a1b2c3d4e5f607"}
pairing:
  description:
    - With O(secrets), whether they open the database as it is now, in the words of M(caracal_ops.backup.secrets_bundle); null without.
      Secrets that do not open it are a failure.
  returned: success
  type: dict
  sample: {"verdict": "pass", "message": "every envelope of secret_store.envelope names KEK 1a2b3c4d5e6f7081"}
replay:
  description: As RV(caracal_ops.backup.replay_volume_archive#module:volumes).
  returned: success
  type: list
  elements: dict
  sample: [{"service": "sts", "replica": "1", "state": "archived", "files": 2}]
redis:
  description: As RV(caracal_ops.backup.redis_stream_snapshot#module:streams).
  returned: success
  type: list
  elements: dict
  sample: [{"name": "caracal.audit.events", "entries": 12, "groups": 1, "pending": 0}]
images:
  description: As RV(caracal_ops.backup.image_archive#module:images), in check mode.
  returned: success
  type: list
  elements: dict
  sample: [{"image_id": "sha256:3a1f...", "services": ["gateway", "sts"], "shared": true}]
problems:
  description: Where more than one thing is wrong, each of them.
  returned: failure
  type: list
  elements: dict
  contains:
    asset:
      description: Such as V(settings), V(deployment), V(keys), V(repository), V(databases), V(secrets), V(replay), V(redis) or V(images).
      type: str
      sample: redis
    error:
      description: Class of the error.
      type: str
      sample: Unreachable
    msg:
      description: What is wrong and what to do about it.
      type: str
      sample: redis.internal:6379 does not answer; check the address
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._sets.backup_preflight import Options
from ..module_utils._sets.backup_preflight import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
