#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_prune
short_description: Delete expired backup sets and leftovers of killed runs
version_added: 0.1.0
description:
  - Keeps the sets that O(keep_last) and the other C(keep_) options select.
  - Always keeps the newest good set, the newest set that passed a drill, every held set, and all objects that a running backup may use.
  - An object that several sets share is deleted with the last of these sets.
  - Verifies the journal and every manifest first. If one of them cannot be read, verified or parsed, nothing is deleted.
  - Deletes nothing and fails with the reason if newer sets look poisoned (see O(max_sets_per_day) and O(max_shrinkage)). An attacker could
    create bad sets so that good sets are pruned. The module checks the sets that are newer than the newest set that passed a drill.
  - The module does not delete objects that have a lock or a legal hold in the store. RV(retained) lists them, and the module does not fail.
  - If a kept set needs a secrets object and less than half of the object's lock period is left, the module renews the lock. It renews the
    lock even if nothing may be deleted.
  - Before the module deletes anything, it adds a journal entry with the pruned sets and the reasons. If a run is killed, the next run
    completes it.
  - The manifest, its signatures, C(RECOVERY.md) and the audit blocks of a pruned set are kept, because the audit evidence depends on them.
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
      - Check mode computes the plan with the same code as a real run.
  diff_mode:
    support: full
    details:
      - Shows the sets that are pruned with the reasons, the leftovers of killed runs, and the locks that are renewed.
  idempotent:
    support: full
options:
  keep_last:
    description:
      - Number of the newest good sets to keep. At least one of the C(keep_) options must be above zero.
      - A set is good if all its objects exist with the right size and its own secrets decrypt its database. In addition, no repository
        verification found a fault in the set, and its last drill did not fail.
    type: int
    default: 0
  keep_hourly:
    description:
      - Number of hours for which to keep the last good set of the hour. Hours without a good set do not count. The time in the journal
        determines the hour of a set, in UTC.
    type: int
    default: 0
  keep_daily:
    description:
      - Number of days for which to keep the last good set of the day, counted as in O(keep_hourly).
    type: int
    default: 0
  keep_weekly:
    description:
      - Number of weeks for which to keep the last good set of the week, counted as in O(keep_hourly). Weeks begin on Monday.
    type: int
    default: 0
  keep_monthly:
    description:
      - Number of months for which to keep the last good set of the month, counted as in O(keep_hourly). In each of these months, the last
        set that passed a drill is kept too.
    type: int
    default: 0
  keep_yearly:
    description:
      - Number of years for which to keep the last good set of the year, counted as in O(keep_hourly).
    type: int
    default: 0
  keep_within:
    description:
      - Age in hours. The module keeps all good sets that are younger.
    type: float
    default: 0.0
  minimum:
    description:
      - Minimum number of good sets to keep, regardless of the other options. If the other options keep fewer, the newest of the remaining
        good sets are kept too.
    type: int
    default: 3
  grace:
    description:
      - Upper limit in hours for the duration of a backup. The module does not delete objects of an open set until this time has passed
        since the set was opened.
      - A set that was the newest set at any time within these hours is kept too, because a running backup may share its objects.
    type: float
    default: 48.0
  max_sets_per_day:
    description:
      - Maximum number of sets within 24 hours. If there are more sets, they look poisoned.
    type: int
    default: 25
  max_shrinkage:
    description:
      - Largest accepted decrease in the size of a set, as a fraction of the median size of up to ten sets before it. A set with a larger
        decrease looks poisoned.
      - A set also looks poisoned if it is incomplete, or if it lacks a database or asset of the set before it. The same applies if its last
        drill or a verification of the repository failed.
    type: float
    default: 0.5
  accepted_sets:
    description:
      - IDs of sets that look poisoned, but that the operator has checked and accepted.
    type: list
    elements: str
    default: []
  signing_key:
    required: true
  metrics_file:
    description:
      - Path of a file for the textfile collector of node_exporter, such as C(/var/lib/node_exporter/caracal_prune.prom). Its directory must
        exist.
      - The file contains the time, the numbers of pruned sets, kept sets and locked objects, the bytes freed, and whether the prune
        stopped.
      - The module writes the file atomically, with mode 0644. If that fails, the module only warns.
    type: path
notes:
  - The signing key must belong to C(prune@<deployment>) in O(allowed_signers).
  - Keep the key on a separate host that has permission to delete objects in the store. Never keep the key on the backup host.
  - On a host without O(high_water_mark), the first run deletes nothing, because it could not detect that the journal was rolled back.
seealso:
  - module: caracal_ops.backup.backup_hold
  - module: caracal_ops.backup.backup_set_info
"""

EXAMPLES = r"""
---
- name: Show the sets that would be deleted, with reasons
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

- name: Prune after accepting a set that is smaller for a known reason
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
  description: Every set that was not pruned before, oldest first, with the decision about it.
  returned: always
  type: list
  elements: dict
  contains:
    set_id:
      description: ID of the set.
      type: str
      sample: 20261125T020000Z-k3f9
    decision:
      description: V(kept), V(pruned), or V(retained) if the set is expired but the store does not allow its deletion.
      type: str
      sample: kept
    reasons:
      description: Reasons for the decision.
      type: list
      elements: str
      sample: [the newest good set, the last of its day]
pruned:
  description: IDs of the sets that are pruned.
  returned: always
  type: list
  elements: str
  sample: [20261001T020000Z-a7c2]
objects:
  description: Number of deleted objects of these sets, and of sets from an earlier prune that was killed.
  returned: always
  type: int
  sample: 9
garbage:
  description: Paths of the leftovers of killed runs that the module deletes.
  returned: always
  type: list
  elements: str
  sample: []
partials:
  description: Number of unfinished files of killed runs that the module deletes.
  returned: always
  type: int
  sample: 0
bytes:
  description: Total size in bytes of all objects that are deleted.
  returned: always
  type: int
  sample: 412345678
renewed:
  description: Secrets objects that a kept set needs and for which the lock was renewed.
  returned: always
  type: list
  elements: str
  sample: [objects/secrets/5f0c2a9d1b7e4c38.20261101T020000Z-a7c2.tar.zst.age]
retained:
  description: Objects of expired sets that the store does not allow to be deleted.
  returned: always
  type: list
  elements: dict
  contains:
    key:
      description: Path in the repository.
      type: str
      sample: sets/20261001T020000Z-a7c2/inventory.json.zst.age
    until:
      description: End of the object's lock. Null under a legal hold, which has no end.
      type: str
      sample: "2026-12-25T02:00:00.000000Z"
    reason:
      description: Reason why the store keeps the object.
      type: str
      sample: locked until 2026-12-25T02:00:00Z
stopped:
  description: Reasons why the module deletes nothing. If there are any, the module fails.
  returned: always
  type: list
  elements: str
  sample: []
recipients:
  description: Recipients that can decrypt the kept sets. Keep the identity of a recipient until RV(recipients[].newest_set) is pruned.
  returned: always
  type: list
  elements: dict
  contains:
    recipient:
      description: Fingerprint of the public key.
      type: str
      sample: SHA256:CtGOLdZFOImGzm1x0bVvCwVJ0kE8Cw2m4SVtAGOT0Uc
    sets:
      description: Number of kept sets that are encrypted for the recipient.
      type: int
      sample: 14
    newest_set:
      description: ID of the newest of these sets.
      type: str
      sample: 20261125T020000Z-k3f9
    committed:
      description: Time at which that set was committed.
      type: str
      sample: "2026-11-25T02:03:17.000000Z"
    current:
      description: V(true) if this set is the newest kept set, so backups are still encrypted for the recipient.
      type: bool
      sample: true
journal_head:
  description: Number and first 16 hex digits of the digest of the newest journal entry.
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
