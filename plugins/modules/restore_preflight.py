#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: restore_preflight
short_description: Verify a backup set and check all prerequisites of its restore
version_added: 0.1.0
description:
  - Verifies the journal, the signature and every stored byte of a set. A set that does not match its signature is refused.
  - Then checks identities, target databases, secrets, Redis and replay directories, as the restore modules do in check mode. The module
    changes nothing.
  - If there are several problems, the error message reports each of them.
  - The role C(caracal_restore) begins with this module. In check mode, the role runs only this module.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._stored_set
  - caracal_ops.backup._repository
  - caracal_ops.backup._signing
  - caracal_ops.backup._identities
  - caracal_ops.backup._postgres
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
  release:
    description:
      - Release of Caracal that will run on the restored databases, as in O(caracal_ops.backup.pg_encrypted_restore#module:release).
    type: str
  confirm:
    description:
      - Targets that the restore may write to. The error message of a run without confirmation prints them. See
        O(caracal_ops.backup.pg_encrypted_restore#module:confirm) and O(caracal_ops.backup.redis_stream_restore#module:confirm).
    type: list
    elements: str
    default: []
  jobs:
    description:
      - Number of parallel streams of the restore, as in O(caracal_ops.backup.pg_encrypted_restore#module:jobs).
    type: int
    default: 2
  accept_vulnerable_clients:
    description:
      - CVE IDs of known vulnerabilities of C(pg_restore) that you accept, as in
        O(caracal_ops.backup.pg_encrypted_restore#module:accept_vulnerable_clients).
    type: list
    elements: str
    default: []
  secrets:
    description:
      - Options of M(caracal_ops.backup.secrets_restore) that apply to the secrets only. Add C(identity_files) if the secrets need other
        identities than the databases. Without this option, secrets are not checked.
    type: dict
  replay:
    description:
      - Options of M(caracal_ops.backup.replay_volume_restore) that apply to the directories only. Without this option, no directory is
        checked.
    type: dict
  redis:
    description:
      - Options of M(caracal_ops.backup.redis_stream_restore) that apply to Redis only. Without this option, Redis is not checked.
    type: dict
  earlier:
    description:
      - Results of earlier modules, as in O(caracal_ops.backup.backup_preflight#module:earlier).
    type: dict
    default: {}
  running:
    description:
      - Services that run at the target of the restore, as in RV(caracal_ops.backup.deployment_info#module:deployment.running). If one of
        them is a service of Caracal, the run is refused. That service would continue to use keys, sessions and revocations that the restore
        replaces.
    type: list
    elements: str
    default: []
  stopped:
    description:
      - Services that the restore itself will start, as in RV(caracal_ops.backup.deployment_info#module:deployment.stopped).
        Databases, Redis and replay directories cannot be checked before these services run. The set, identities, secrets and programs
        are checked.
    type: list
    elements: str
    choices: [postgres, redis, replayVolumeInit]
    default: []
notes:
  - A set is not refused if its freshness is unproven, because a better set may not exist. RV(checks) then reports this.
requirements:
  - psycopg2 >= 2.9
  - pyrage >= 1.3
  - zstandard >= 0.22
  - C(pg_restore) of at least the major version that created the set, without known vulnerabilities
seealso:
  - module: caracal_ops.backup.backup_set_verify
  - module: caracal_ops.backup.pg_encrypted_restore
  - module: caracal_ops.backup.restore_verify
"""

EXAMPLES = r"""
---
- name: Check all prerequisites of a restore
  caracal_ops.backup.restore_preflight:
    repository: /mnt/copy/caracal
    deployment: prod
    signing_key: /srv/restore/operator_signing_key
    allowed_signers: /srv/restore/allowed_signers
    high_water_mark: /srv/restore/high-water-mark.json
    identity_files:
      - /srv/restore/database.identity
    login_unix_socket: /var/run/postgresql
    secrets:
      directory: /opt/caracal/secrets
      identity_files:
        - /srv/restore/secrets.identity
    replay:
      volumes:
        - service: sts
          path: /var/lib/caracal/sts-replay
    redis:
      redis_host: 127.0.0.1
"""

RETURN = r"""
set_id:
  description: ID of the set that a restore would use.
  returned: success
  type: str
  sample: 20261125T020000Z-k3f9
set_facts:
  description: Facts of the set, as M(caracal_ops.backup.backup_set_verify) returns them.
  returned: success
  type: dict
  sample: {"release": "v1.0.0", "snapshot_time": "2026-11-25T02:00:00Z"}
journal_head:
  description: Number and first 16 hex digits of the newest journal entry.
  returned: success
  type: str
  sample: 42-9f86d081884c7d65
checks:
  description:
    - Checks of M(caracal_ops.backup.backup_set_verify), and checks of M(caracal_ops.backup.pg_encrypted_restore) in check mode.
  returned: success, and if the set does not match its signature
  type: list
  elements: dict
  sample: [{"id": "set.signature", "verdict": "pass", "message": "manifest and RECOVERY.md match entry 41 of the journal",
    "required": true, "details": {}}]
databases:
  description: Databases as M(caracal_ops.backup.pg_encrypted_restore) returns them in check mode.
  returned: success
  type: list
  elements: dict
  sample: [{"database": "caracal"}]
replaced:
  description: Databases that would be kept under another name.
  returned: success
  type: list
  elements: dict
  sample: [{"database": "caracal", "kept_as": "caracal_replaced_20261125031500"}]
secrets:
  description: Public IDs of the keys among the secrets, by name. These IDs do not reveal a secret value.
  returned: success
  type: dict
  sample: {"kek": "1a2b3c4d5e6f7081", "audit_hmac_key": "90a1b2c3d4e5f607"}
safety_copy:
  description: Directory in which secrets that would be replaced are kept. Null if none would be replaced.
  returned: success
  type: str
  sample: /opt/caracal/secrets.replaced-20261125T031500Z
not_restored:
  description: Files among the secrets of the set for which no option gives a target. A warning names the option.
  returned: success
  type: list
  elements: str
  sample: ["extra/ca.pem"]
replay:
  description: Replay directories, as in RV(caracal_ops.backup.replay_volume_restore#module:volumes).
  returned: success
  type: list
  elements: dict
  sample: [{"service": "sts", "replica": "1", "files": 2}]
waiting:
  description: Assets that were not checked because their server does not run yet.
  returned: success
  type: list
  elements: str
  sample: [databases, redis]
redis:
  description: Redis streams, as in RV(caracal_ops.backup.redis_stream_restore#module:streams).
  returned: success
  type: list
  elements: dict
  sample: [{"name": "caracal.audit.events", "entries": 12, "groups": 1, "pending": 0}]
problems:
  description: List of the problems, if there is more than one.
  returned: failure
  type: list
  elements: dict
  contains:
    asset:
      description: V(databases), V(secrets), V(replay) or V(redis).
      type: str
      sample: redis
    error:
      description: Class of the error.
      type: str
      sample: TargetRefused
    msg:
      description: Problem and recommended action.
      type: str
      sample: "database caracal at db.internal:5432 is not empty (61 objects, first: table zones); to replace it, set confirm to
        caracal@7576543210987654321"
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._restore.restore_preflight import Options
from ..module_utils._restore.restore_preflight import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
