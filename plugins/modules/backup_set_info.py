#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_set_info
short_description: List the backup sets of a repository, or select a set for a drill
version_added: 0.1.0
description:
  - Lists the sets in the repository's verified journal, with the contents of their manifests and the result of the last drill of each set.
  - With O(select), selects one set. V(random) prefers sets that were not drilled yet, so over time every set is drilled.
  - Does not require an identity. To verify the stored bytes of a set, use M(caracal_ops.backup.backup_set_verify).
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._attributes.read_only
  - caracal_ops.backup._repository
options:
  select:
    description:
      - "Set to select: V(latest), V(oldest), V(random), or the ID of a set."
      - V(random) selects a random set that no drill has tested yet. If all sets were tested, it selects the set that was tested longest
        ago. A drill with the verdict V(unproven) does not count as a test.
      - Sets are ordered as in the journal, not by the times in their manifests.
    type: str
  within:
    description:
      - Maximum age of the selected set in hours, since it was committed. If there is no such set, the module fails. Allowed only if
        O(select) is V(latest), V(oldest) or V(random).
    type: float
notes:
  - The module writes only to the file O(high_water_mark). It advances the high-water mark to the newest journal entry.
seealso:
  - module: caracal_ops.backup.backup_set_verify
  - module: caracal_ops.backup.restore_drill
"""

EXAMPLES = r"""
---
- name: Select a set of the last 30 days that was not drilled yet
  caracal_ops.backup.backup_set_info:
    select: random
    within: 720
    repository: /srv/backup/caracal
    deployment: prod
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json
  register: found

- name: List the sets that were never drilled
  ansible.builtin.debug:
    msg: "{{ found.sets | selectattr('last_drill', 'none') | map(attribute='set_id') }}"
"""

RETURN = r"""
sets:
  description: The committed sets in the order of the journal, oldest first.
  returned: always
  type: list
  elements: dict
  contains:
    set_id:
      description: ID of the set.
      type: str
      sample: 20261125T020000Z-k3f9
    sequence:
      description: Number of the journal entry that committed the set.
      type: int
      sample: 41
    committed:
      description: Time of the journal entry that committed the set.
      type: str
      sample: "2026-11-25T02:00:31.120044Z"
    snapshot_time:
      description: >-
        Time of the oldest snapshot in the set. This field and the fields from C(release) to C(left_out) are null if the manifest cannot be
        trusted.
      type: str
      sample: "2026-11-25T02:00:01.000000Z"
    release:
      description: Release of Caracal. Null if unknown.
      type: str
      sample: v1.0.0
    family:
      description: Release family, V(zone_kek) or V(secret_store).
      type: str
      sample: secret_store
    bytes:
      description: Encrypted size in bytes, including shared objects.
      type: int
      sample: 412345678
    artifacts:
      description: Number of artifacts and objects.
      type: int
      sample: 21
    databases:
      description: Names of the databases.
      type: list
      elements: str
      sample: [caracal, caracal_auth]
    assets:
      description: Assets in the set. Possible values are V(databases), V(secrets), V(replay), V(redis) and V(images).
      type: list
      elements: str
      sample: [databases, redis, replay, secrets]
    images:
      description: Images in the set, each with C(image_id) and C(bytes). Several images may share objects.
      type: list
      elements: dict
      sample: [{"image_id": "sha256:3a1f...", "bytes": 51234567}]
    left_out:
      description: Assets that are not in the set, each with the reason.
      type: dict
      sample: {}
    last_drill:
      description: C(drill_id), C(verdict), C(sequence) and C(time) of the newest drill of the set. Null if there was none.
      type: dict
      sample: {"drill_id": "20261125T023000Z-ab12", "verdict": "pass", "sequence": 42, "time": "2026-11-25T02:31:03.000000Z"}
    holds:
      description: Current holds on the set. M(caracal_ops.backup.backup_hold) manages them.
      type: list
      elements: dict
      contains:
        hold:
          description: Name of the hold.
          type: str
          sample: case-2026-17
        reason:
          description: Reason for the hold.
          type: str
          sample: Evidence in the matter of the leaked grant
    problem:
      description: Reason why the manifest cannot be trusted or read, or null.
      type: str
      sample: null
    locked_until:
      description:
        - Time until which the store itself refuses to delete the manifest. Null if the manifest is not locked, or with O(select).
      type: str
      sample: "2026-12-25T02:00:31.000000Z"
lines:
  description: RV(sets) as the lines of a human-readable table, newest first, with at most 40 sets. Null with O(select).
  returned: always
  type: list
  elements: str
  sample: ["1 set of deployment prod, journal head 42-9f86d081884c7d65 (fresh)"]
selected:
  description: ID of the selected set. Null without O(select).
  returned: always
  type: str
  sample: 20261125T020000Z-k3f9
reason:
  description: Reason for the selection. Null without O(select).
  returned: always
  type: str
  sample: at random, one of 12 never tested sets
journal_head:
  description: Number and first 16 hex digits of the digest of the newest journal entry.
  returned: always
  type: str
  sample: 42-9f86d081884c7d65
freshness:
  description: V(fresh), or V(unproven) if this host had no high-water mark.
  returned: always
  type: str
  sample: fresh
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._sets.backup_set_info import Options
from ..module_utils._sets.backup_set_info import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
