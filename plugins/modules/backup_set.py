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
  - A backup set is everything of one point in time. It is opened, the modules that make artifacts add theirs, and it is committed.
  - A set exists when an entry of the repository's journal names its manifest, and not before. A killed run leaves only sealed objects
    under its own set id, in nobody's way.
  - The commit writes C(RECOVERY.md), the signature, the manifest, the signature of the journal entry, and the entry, in this order.
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
      - O(state=open) makes a new set each time unless O(set_id) names one that is open.
      - O(state=extended), O(state=committed) and O(state=aborted) change nothing the second time.
options:
  state:
    description:
      - V(open) makes a new set id and a place for its artifacts.
      - V(extended) takes in what another host has staged in O(staged), after verifying it.
      - V(committed) signs what has been added and enters it into the journal. Without any artifact this is refused, and so is a set whose
        dump could lack something of its databases (check C(source.complete) of M(caracal_ops.backup.pg_encrypted_dump)).
      - V(aborted) removes the parts of a set that was not committed. A committed set is never touched.
    type: str
    choices: [open, extended, committed, aborted]
    required: true
  set_id:
    description:
      - The set. Required for V(extended), V(committed) and V(aborted).
      - With V(open), an id that an earlier V(open) returned or predicted.
    type: str
  staged:
    description:
      - With V(extended), what was O(caracal_ops.backup.replay_volume_archive#module:stage) on the other host, fetched to this one.
      - It may name sealed replay archives of this set and nothing else. What the set has already is left as it is.
        The directory is not removed.
    type: path
  create_repository:
    description:
      - With V(open), make the repository when O(repository) holds none. Signed with O(signing_key).
      - Of a directory, all missing directories above it are made too, for this user alone (mode 0700). Without this option nothing is
        written where the directory above it is missing, since its disk may not be mounted.
      - Refused when O(high_water_mark) remembers a repository for O(deployment), since then the old one has vanished.
    type: bool
    default: false
  exclusive:
    description:
      - With V(open), note beside O(high_water_mark) that a backup of O(deployment) runs on this host. While it does, V(open) of another set
        is refused with the ID of the running set and when it began, in check mode too.
      - The modules of the set renew the note. V(committed) and V(aborted) remove it.
      - What a killed run left is over as soon as the module and, if it ran on this host, the controller are gone. With a controller
        on another host it is over ten minutes after the last module of the set.
      - Backups that other hosts make of the same deployment are not seen.
    type: bool
    default: false
  left_out:
    description:
      - With V(committed), assets that are not in the set, each with the reason; recorded in the manifest.
    type: dict
    default: {}
  services:
    description:
      - With V(committed), what runs as services, by the digests of their images, as
        RV(caracal_ops.backup.deployment_info#module:deployment.services) has it.
      - It is recorded in the manifest, so that a drill can start the same.
  metrics_file:
    description:
      - File for the textfile collector of node_exporter, such as C(/var/lib/node_exporter/caracal_backup.prom). Its folder must exist.
      - With V(committed), times, size, artifacts and longest lock wait of the newest set, the number of sets, the room in a directory,
        when each recipient's identity was proved, and the head of the journal are written there in one step, with mode 0644. When that
        fails, the set stands and there is a warning.
      - With V(open), the place is only looked at, and a wrong one is refused before the work begins.
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
- name: Open a set
  caracal_ops.backup.backup_set:
    state: open
    repository: /srv/backup/caracal
    deployment: prod
    signing_key: /etc/caracal-ops/backup_signing_key
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json
  register: opened

- name: Take in what the host of the gateway has staged
  caracal_ops.backup.backup_set:
    state: extended
    set_id: "{{ opened.set_id }}"
    staged: /var/lib/caracal-ops/fetched/gateway-host
    repository: /srv/backup/caracal
    deployment: prod
    signing_key: /etc/caracal-ops/backup_signing_key
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json

- name: Commit it
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
  description: Id of the set.
  returned: always
  type: str
  sample: 20261125T020000Z-k3f9
journal_head:
  description: Number and first 16 hex digits of the newest journal entry. Keep it elsewhere; it makes a rollback visible.
  returned: always, except in check mode on a repository that does not exist
  type: str
  sample: 42-9f86d081884c7d65
artifacts:
  description: Number of artifacts and objects in the set, or with V(extended) in the stage.
  returned: O(state=committed) and O(state=extended)
  type: int
  sample: 21
bytes:
  description: Their sealed size in bytes.
  returned: O(state=committed) and O(state=extended)
  type: int
  sample: 412345678
verdict:
  description:
    - V(fail) if audit rows differ from those that an earlier set or checkpoint commits to, or while an earlier finding of that kind is not
      acknowledged, see M(caracal_ops.backup.journal_correct). Also V(fail) if the source breaks its own constraints or rules. Otherwise
      V(pass). The set is created in any case.
  returned: O(state=committed)
  type: str
  sample: pass
checks:
  description: The check C(blocks.history), and the checks C(source.*) of M(caracal_ops.backup.pg_encrypted_dump) of which the manifest has
    findings, in the form that M(caracal_ops.backup.backup_set_verify) returns.
  returned: O(state=committed)
  type: list
  elements: dict
  sample:
    - {"id": "blocks.history", "verdict": "pass", "message": "no earlier set or checkpoint has found audit rows changed", "required": true,
       "details": {"open": [], "acknowledged": []}}
msg:
  description: With the verdict V(fail), which rows, and what to do.
  returned: O(state=committed) with the verdict V(fail)
  type: str
  sample: >-
    findings for set 20261125T020000Z-k3f9 (a set with findings is kept): audit_events_2026_03, block 4, content differs
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._sets.backup_set import Options
from ..module_utils._sets.backup_set import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
