#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_prune
short_description: Delete the backup sets that no rule keeps, and what killed runs have left
version_added: 0.1.0
description:
  - Keeps what the O(keep_last) and other C(keep_) options say, and always the newest good set, the newest that passed a drill, every set
    under a hold, and what a running backup may refer to. Objects that several sets share go with the last of them.
  - Verifies the journal and every manifest first. One that cannot be read, believed or understood stops all deletion.
  - Deletes nothing while newer sets look poisoned, and fails with the reason. Looked at are the sets that are newer than the newest one
    that passed a drill.
  - What the store locks or keeps under a legal hold is V(retained) and no error.
  - Renews the lock of secrets that a set which stays needs, when less than half of their C(lock_days) is left of it. It does so also when
    nothing may be deleted.
  - The journal's entry says which sets end and why, and is written before anything is deleted. A run that was killed is finished by
    the next one.
  - The manifest, its signatures, C(RECOVERY.md) and the audit blocks of a pruned set stay, since the audit evidence rests on them.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._repository
  - caracal_ops.backup._signing
attributes:
  check_mode:
    support: full
    details:
      - The plan is made by the code that acts.
  diff_mode:
    support: full
    details:
      - Shows the sets that end with the reason, what killed runs have left, and the locks that are renewed.
  idempotent:
    support: full
options:
  keep_last:
    description:
      - Keep so many of the newest good sets. At least one of the C(keep_) options must be above zero.
      - A set is good when all its objects are there in their size, its own secrets open it, no verification of the repository found a
        fault in it, and its last drill did not fail.
    type: int
    default: 0
  keep_hourly:
    description:
      - Keep the last good set of each of so many hours that have one, by the journal's time in UTC.
    type: int
    default: 0
  keep_daily:
    description:
      - The same with days.
    type: int
    default: 0
  keep_weekly:
    description:
      - The same with weeks that begin on Monday.
    type: int
    default: 0
  keep_monthly:
    description:
      - The same with months. Of each such month, the last set that passed a drill is kept too.
    type: int
    default: 0
  keep_yearly:
    description:
      - The same with years.
    type: int
    default: 0
  keep_within:
    description:
      - Keep all good sets that are younger than so many hours.
    type: float
    default: 0.0
  minimum:
    description:
      - So many good sets stay whatever the rules say, the newest of those that no rule keeps.
    type: int
    default: 3
  grace:
    description:
      - Hours that a backup never takes. What an open set has made is not touched before, and the sets that were the newest one within this
        time stay, since a running backup may share their objects.
    type: float
    default: 48.0
  max_sets_per_day:
    description:
      - More sets than this within 24 hours look poisoned.
    type: int
    default: 25
  max_shrinkage:
    description:
      - A set that is smaller by more than this share of the sets before it looks poisoned. So does one without a database or asset that
        the set before it has, one that is not whole, and one whose drill failed.
    type: float
    default: 0.5
  accepted_sets:
    description:
      - Ids of sets that look poisoned, and that somebody has looked at and found right.
    type: list
    elements: str
    default: []
  signing_key:
    required: true
  metrics_file:
    description:
      - File for the textfile collector of node_exporter, such as C(/var/lib/node_exporter/caracal_prune.prom). Its folder must exist.
      - The time, the numbers of sets that ended and that stay, bytes freed, and whether the prune stopped are written there
        in one step, with mode 0644. When that fails, there is a warning and nothing else.
    type: path
notes:
  - The signing key must belong to C(prune@<deployment>) in O(allowed_signers). It belongs on a host of its own, with a login to the store
    that may delete; never on the host that makes backups.
  - A host without O(high_water_mark) deletes nothing in its first run, since it could not see that a journal was rolled back.
seealso:
  - module: caracal_ops.backup.backup_hold
  - module: caracal_ops.backup.backup_set_info
"""

EXAMPLES = r"""
---
- name: Show what would be deleted, and why
  caracal_ops.backup.backup_prune:
    keep_daily: 14
    keep_weekly: 8
    keep_monthly: 12
    repository: /srv/backup/caracal
    deployment: prod
    signing_key: /etc/caracal-ops/prune_signing_key
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json
  check_mode: true
  diff: true

- name: Go on after a set was smaller for a good reason
  caracal_ops.backup.backup_prune:
    keep_daily: 14
    keep_weekly: 8
    keep_monthly: 12
    accepted_sets:
      - 20261125T020000Z-k3f9
    repository: /srv/backup/caracal
    deployment: prod
    signing_key: /etc/caracal-ops/prune_signing_key
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json
"""

RETURN = r"""
sets:
  description: Every set that was not pruned before, oldest first, with what becomes of it.
  returned: always
  type: list
  elements: dict
  contains:
    set_id:
      description: Id of the set.
      type: str
      sample: 20261125T020000Z-k3f9
    decision:
      description: V(kept), V(pruned), or V(retained) when no rule keeps it and the store does.
      type: str
      sample: kept
    reasons:
      description: Why.
      type: list
      elements: str
      sample: [the newest good set, the last of its day]
pruned:
  description: The sets that end.
  returned: always
  type: list
  elements: str
  sample: [20261001T020000Z-a7c2]
objects:
  description: Number of objects that are deleted with them or after an earlier prune that was killed.
  returned: always
  type: int
  sample: 9
garbage:
  description: What killed runs have left and is deleted.
  returned: always
  type: list
  elements: str
  sample: []
partials:
  description: Number of unfinished files of killed runs that are deleted.
  returned: always
  type: int
  sample: 0
bytes:
  description: Size of all objects that are deleted.
  returned: always
  type: int
  sample: 412345678
renewed:
  description: Secrets that a set which stays needs, and that are locked anew.
  returned: always
  type: list
  elements: str
  sample: [objects/secrets/5f0c2a9d1b7e4c38.20261101T020000Z-a7c2.tar.zst.age]
retained:
  description: Objects that would be deleted and that the store keeps.
  returned: always
  type: list
  elements: dict
  contains:
    key:
      description: Path in the repository.
      type: str
      sample: sets/20261001T020000Z-a7c2/inventory.json.zst.age
    until:
      description: When their lock ends; null under a legal hold, which has no end.
      type: str
      sample: "2026-12-25T02:00:00.000000Z"
    reason:
      description: Why the store keeps it.
      type: str
      sample: locked until 2026-12-25T02:00:00Z
stopped:
  description: Why nothing is deleted at all; the module fails then.
  returned: always
  type: list
  elements: str
  sample: []
recipients:
  description: Who can open the sets that stay. The identity of a recipient is needed until RV(recipients[].newest_set) is pruned.
  returned: always
  type: list
  elements: dict
  contains:
    recipient:
      description: Fingerprint of the public key.
      type: str
      sample: SHA256:CtGOLdZFOImGzm1x0bVvCwVJ0kE8Cw2m4SVtAGOT0Uc
    sets:
      description: Number of sets that stay and are sealed to it.
      type: int
      sample: 14
    newest_set:
      description: The newest of them.
      type: str
      sample: 20261125T020000Z-k3f9
    committed:
      description: When that set was committed.
      type: str
      sample: "2026-11-25T02:03:17.000000Z"
    current:
      description: Whether that is the newest set of all, so that backups are still sealed to it.
      type: bool
      sample: true
journal_head:
  description: Number and first 16 hex digits of the newest journal entry.
  returned: always
  type: str
  sample: 42-9f86d081884c7d65
freshness:
  description: V(fresh), or V(unproven) when this host had no high-water mark.
  returned: always
  type: str
  sample: fresh
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._sets.backup_prune import Options
from ..module_utils._sets.backup_prune import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
