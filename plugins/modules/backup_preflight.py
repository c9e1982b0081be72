#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_preflight
short_description: Check all prerequisites of a backup and report every problem at once
version_added: 0.1.0
description:
  - Checks the repository, keys, clocks, free space, databases, secrets, replay directories and Redis. Nothing is written, and no set is
    opened.
  - Runs the same checks as the modules of a backup run in check mode, for example M(caracal_ops.backup.pg_encrypted_dump).
  - If there are several problems, the error message lists all of them.
  - The role C(caracal_backup) runs this module before it opens a set. In check mode, the role only checks and does not open a set.
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
      - Whether to check that M(caracal_ops.backup.backup_set) could create the repository, if O(repository) does not contain one yet.
    type: bool
    default: false
  earlier:
    description:
      - Results of earlier checks, so that the module can report all problems at once.
      - V(deployment) and V(programs) are the results of M(caracal_ops.backup.deployment_info) and M(caracal_ops.backup.postgres_programs),
        including failed results.
      - V(settings) is a list of problems with the settings of a role.
    type: dict
    default: {}
  metrics_file:
    description:
      - Path of a metrics file. The module checks that the file can be written (see O(caracal_ops.backup.backup_set#module:metrics_file)).
    type: path
  secrets:
    description:
      - Options of M(caracal_ops.backup.secrets_bundle) that concern only the secrets, including C(recipients) and C(recipients_files). For
        all other options, the values of this module apply.
      - Without this option, secrets are not checked.
    type: dict
  replay:
    description:
      - Options of M(caracal_ops.backup.replay_volume_archive) that concern only the directories. Without this option, no directory is
        checked.
      - To check a directory on another host, run M(caracal_ops.backup.replay_volume_archive) in check mode on that host.
    type: dict
  redis:
    description:
      - Options of M(caracal_ops.backup.redis_stream_snapshot) that concern only Redis. Without this option, Redis is not checked.
    type: dict
  images:
    description:
      - Options of M(caracal_ops.backup.image_archive) that concern only images. Without this option, images are not checked.
    type: dict
requirements:
  - psycopg2 >= 2.9
  - pyrage >= 1.3
  - zstandard >= 0.22
  - C(pg_dump), C(pg_restore) and C(psql) of the server's major version or later. For PostgreSQL 17, use 17.6 or later.
seealso:
  - module: caracal_ops.backup.backup_set
  - module: caracal_ops.backup.pg_encrypted_dump
"""

EXAMPLES = r"""
---
- name: Check the prerequisites of tonight's backup
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
  description: ID that a set would have if it were opened now.
  returned: success
  type: str
  sample: 20261125T020000Z-k3f9
journal_head:
  description: Number and first 16 hex digits of the digest of the newest journal entry. Empty if the repository does not exist yet.
  returned: success
  type: str
  sample: 42-9f86d081884c7d65
databases:
  description: Same as RV(caracal_ops.backup.pg_encrypted_dump#module:databases) in check mode.
  returned: success
  type: list
  elements: dict
  sample: [{"database": "caracal", "release": "v1.0.0", "sight": "superuser"}]
left_out:
  description: Tables and other relations with rows that a backup intentionally leaves out, each with the reason.
  returned: success
  type: dict
  sample: {}
checks:
  description: Same as RV(caracal_ops.backup.pg_encrypted_dump#module:checks) in check mode.
  returned: success
  type: list
  elements: dict
  sample: [{"id": "source.complete", "verdict": "pass", "message": "61 relations: each in one artifact", "required": true, "details": {}}]
secrets:
  description: IDs of the keys among the secrets, by name. Values of secrets are not returned.
  returned: success
  type: dict
  sample: {"kek": "1a2b3c4d5e6f7081", "audit_hmac_key": "90a1b2c3d4e5f607"}
pairing:
  description:
    - With O(secrets), whether the secrets decrypt the database in its current state, in the format of M(caracal_ops.backup.secrets_bundle).
      Null without O(secrets).
    - If the secrets do not decrypt the database, the module fails.
  returned: success
  type: dict
  sample: {"verdict": "pass", "message": "every envelope of secret_store.envelope names KEK 1a2b3c4d5e6f7081"}
replay:
  description: Same as RV(caracal_ops.backup.replay_volume_archive#module:volumes).
  returned: success
  type: list
  elements: dict
  sample: [{"service": "sts", "replica": "1", "state": "archived", "files": 2}]
redis:
  description: Same as RV(caracal_ops.backup.redis_stream_snapshot#module:streams).
  returned: success
  type: list
  elements: dict
  sample: [{"name": "caracal.audit.events", "entries": 12, "groups": 1, "pending": 0}]
images:
  description: Same as RV(caracal_ops.backup.image_archive#module:images) in check mode.
  returned: success
  type: list
  elements: dict
  sample: [{"image_id": "sha256:3a1f...", "services": ["gateway", "sts"], "shared": true}]
problems:
  description: All problems, if there is more than one.
  returned: failure
  type: list
  elements: dict
  contains:
    asset:
      description: Asset with the problem, such as V(settings), V(deployment), V(keys), V(repository), V(databases), V(secrets), V(replay),
        V(redis) or V(images).
      type: str
      sample: redis
    error:
      description: Class of the error.
      type: str
      sample: Unreachable
    msg:
      description: Description of the problem, and how to fix it.
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
