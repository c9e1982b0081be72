#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_set
short_description: Open, extend, commit or abort a backup set
version_added: 0.1.0
description:
  - A backup set contains everything that was backed up at one point in time. Open a set, run the modules that add artifacts, then commit
    the set.
  - A set exists only when a journal entry of the repository names its manifest. A killed run leaves only encrypted objects under its own
    set ID, which do not affect other sets.
  - The commit writes C(RECOVERY.md), the signature of the manifest, the manifest, the signature of the journal entry, and the journal
    entry, in this order.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._repository
  - caracal_ops.backup._services
  - caracal_ops.backup._signing
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows the set and its artifacts.
  idempotent:
    support: partial
    details:
      - O(state=open) creates a new set each time, unless O(set_id) names an open set.
      - O(state=extended), O(state=committed) and O(state=aborted) change nothing when they are repeated.
options:
  state:
    description:
      - V(open) creates the ID of a new set. It does not store anything for the set yet.
      - V(extended) verifies the contents of O(staged), which another host has staged, and adds them to the set.
      - V(committed) signs the manifest with the added artifacts, and records the set in the journal.
      - V(committed) is refused if the set has no artifact, or if a dump may lack parts of its databases (check C(source.complete) of
        M(caracal_ops.backup.pg_encrypted_dump)).
      - V(aborted) deletes all objects of a set that was not committed. A committed set is never changed.
    type: str
    choices: [open, extended, committed, aborted]
    required: true
  set_id:
    description:
      - ID of the set. Required for V(extended), V(committed) and V(aborted).
      - With V(open), you can set an ID that an earlier V(open) returned, or predicted in check mode.
    type: str
  staged:
    description:
      - With V(extended), directory on this host. It contains the files that were fetched from
        O(caracal_ops.backup.replay_volume_archive#module:stage) on the other host.
      - It may contain only encrypted replay archives of this set. Archives that the set already contains are not changed. The directory is
        not removed.
    type: path
  create_repository:
    description:
      - Whether to create the repository with V(open), if O(repository) does not contain one. The new repository is signed with
        O(signing_key).
      - If O(repository) is a directory, missing parent directories are created too. Only the user who runs the module can access them (mode
        0700).
      - Without this option, nothing is written if the parent directory is missing, because its disk may not be mounted.
      - The module refuses this if O(high_water_mark) already records a repository of O(deployment), because that repository has then
        disappeared.
    type: bool
    default: false
  exclusive:
    description:
      - With V(true), V(open) creates a lock file next to O(high_water_mark). The lock file records that a backup of O(deployment) is
        running on this host.
      - While this backup runs, V(open) of another set is refused, also in check mode. The message contains the ID and the start time of the
        running set.
      - The modules that work on the set renew the lock file. V(committed) and V(aborted) remove it.
      - The lock file of a killed run expires as soon as the module has ended. If the controller runs on this host, the controller must have
        ended too.
      - If the controller ran on another host or in another container, the lock file expires ten minutes after the last module of the set.
        The same applies if this host was restarted.
      - The module does not detect backups of the same deployment by other hosts.
    type: bool
    default: false
  left_out:
    description:
      - With V(committed), assets that are not in the set, each with the reason. They are recorded in the manifest.
    type: dict
    default: {}
  services:
    description:
      - With V(committed), the running services with the digests of their images, in the format of
        RV(caracal_ops.backup.deployment_info#module:deployment.services).
      - They are recorded in the manifest, so that a drill can start the same services.
  metrics_file:
    description:
      - Path of a file for the textfile collector of node_exporter, such as C(/var/lib/node_exporter/caracal_backup.prom). Its directory
        must exist.
      - With V(committed), the module writes the times, size, number of artifacts and longest lock wait of the newest set.
      - The file also contains the newest journal entry, the numbers of sets and audit findings, and the free space of a repository
        directory. For each recipient, it contains the time at which M(caracal_ops.backup.escrow_verify) last proved the identity.
      - The module writes the file atomically, with mode 0644. If that fails, the set stays committed and the module warns.
      - With V(open), the path is only checked. An invalid path is refused before the backup begins.
    type: path
notes:
  - The signing key must belong to C(backup@<deployment>) in O(allowed_signers).
seealso:
  - module: caracal_ops.backup.pg_encrypted_dump
  - module: caracal_ops.backup.replay_volume_archive
  - module: caracal_ops.backup.backup_set_verify
"""

EXAMPLES = r"""
---
- name: Open a backup set
  caracal_ops.backup.backup_set:
    state: open
    repository: /srv/backup/caracal
    deployment: prod
    signing_key: /etc/caracal-ops/backup_signing_key
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json
  register: opened

- name: Add the artifacts that the Gateway host has staged
  caracal_ops.backup.backup_set:
    state: extended
    set_id: "{{ opened.set_id }}"
    staged: /var/lib/caracal-ops/fetched/gateway-host
    repository: /srv/backup/caracal
    deployment: prod
    signing_key: /etc/caracal-ops/backup_signing_key
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json

- name: Commit the backup set
  caracal_ops.backup.backup_set:
    state: committed
    set_id: "{{ opened.set_id }}"
    repository: /srv/backup/caracal
    deployment: prod
    signing_key: /etc/caracal-ops/backup_signing_key
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json
    left_out:
      redis: not configured
"""

RETURN = r"""
set_id:
  description: ID of the set.
  returned: always
  type: str
  sample: 20261125T020000Z-k3f9
journal_head:
  description: >-
    Number and first 16 hex digits of the digest of the newest journal entry. Store this value outside the repository, so that you can
    detect a rollback of the repository.
  returned: always, except in check mode on a repository that does not exist
  type: str
  sample: 42-9f86d081884c7d65
artifacts:
  description: Number of artifacts and objects in the set. With O(state=extended), number of artifacts in O(staged).
  returned: O(state=committed) and O(state=extended)
  type: int
  sample: 21
bytes:
  description: Encrypted size of these artifacts and objects in bytes.
  returned: O(state=committed) and O(state=extended)
  type: int
  sample: 412345678
verdict:
  description:
    - V(fail) if audit rows differ from the rows that an earlier set or checkpoint recorded.
    - V(fail) while an earlier finding about audit rows is not acknowledged (see M(caracal_ops.backup.journal_correct)).
    - V(fail) if the source violates its own constraints or rules.
    - Otherwise V(pass). The set is committed with either verdict.
  returned: O(state=committed)
  type: str
  sample: pass
checks:
  description: The check C(blocks.history), and each check C(source.*) of M(caracal_ops.backup.pg_encrypted_dump) that has findings in the
    manifest. The format is the same as in M(caracal_ops.backup.backup_set_verify).
  returned: O(state=committed)
  type: list
  elements: dict
  sample:
    - {"id": "blocks.history", "verdict": "pass", "message": "no earlier set or checkpoint found changed audit rows", "required": true,
       "details": {"open": [], "acknowledged": []}}
msg:
  description: With the verdict V(fail), the affected rows and the remedy.
  returned: O(state=committed) with the verdict V(fail)
  type: str
  sample: >-
    set 20261125T020000Z-k3f9 is committed with findings: audit rows were changed before 20261125T020000Z-k3f9 (entry 41 recorded it)
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._sets.backup_set import Options
from ..module_utils._sets.backup_set import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
