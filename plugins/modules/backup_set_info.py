#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_set_info
short_description: List the sets of a repository, or choose one to drill
version_added: 0.1.0
description:
  - Lists the sets that the repository's verified journal names, with what their manifests say and what the last drill of each found.
  - With O(select) it chooses one of them. The journal is the memory of what was tested, so that in time every set has its turn.
  - Needs no identity. That a set's stored bytes are whole is for M(caracal_ops.backup.backup_set_verify) to say.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._attributes.read_only
  - caracal_ops.backup._repository
options:
  select:
    description:
      - V(latest), V(oldest), V(random), or the ID of a set.
      - V(random) takes one that no drill has tested yet, and when all were tested the one whose last test is oldest. A drill whose verdict
        was V(unproven) tested nothing.
      - Sets are ordered as in the journal, never by the times that they claim.
    type: str
  within:
    description:
      - Only sets that were committed within so many hours are chosen from. It is an error when there are none.
    type: float
notes:
  - The module writes nothing but O(high_water_mark), which it advances to the journal's head.
seealso:
  - module: caracal_ops.backup.backup_set_verify
  - module: caracal_ops.backup.restore_drill
"""

EXAMPLES = r"""
---
- name: Choose a set of the last 30 days that was not drilled yet
  caracal_ops.backup.backup_set_info:
    select: random
    within: 720
    repository: /srv/backup/caracal
    deployment: prod
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json
  register: found

- name: Which sets were never drilled?
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
      description: Id of the set.
      type: str
      sample: 20261125T020000Z-k3f9
    sequence:
      description: Number of its journal entry.
      type: int
      sample: 41
    committed:
      description: When that entry was made.
      type: str
      sample: "2026-11-25T02:00:31.120044Z"
    snapshot_time:
      description: Time of the oldest snapshot in it. This and what follows is null when the manifest cannot be believed.
      type: str
      sample: "2026-11-25T02:00:01.000000Z"
    release:
      description: Release of Caracal, null where unknown.
      type: str
      sample: v1.0.0
    family:
      description: Family of releases.
      type: str
      sample: secret_store
    bytes:
      description: Sealed size, shared objects included.
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
      description: What is in it, some of V(databases), V(secrets), V(replay), V(redis) and V(images).
      type: list
      elements: str
      sample: [databases, redis, replay, secrets]
    images:
      description: The images that it keeps, C(image_id) and C(bytes) of each, which several may have in common.
      type: list
      elements: dict
      sample: [{"image_id": "sha256:3a1f...", "bytes": 51234567}]
    left_out:
      description: What is not in it, each with the reason.
      type: dict
      sample: {}
    last_drill:
      description: C(drill_id), C(verdict), C(sequence) and C(time) of its newest drill, null when there was none.
      type: dict
      sample: {"drill_id": "20261125T023000Z-ab12", "verdict": "pass", "sequence": 42, "time": "2026-11-25T02:31:03.000000Z"}
    holds:
      description: The holds that stand on it, which M(caracal_ops.backup.backup_hold) enters.
      type: list
      elements: dict
      contains:
        hold:
          description: Name of the hold.
          type: str
          sample: case-2026-17
        reason:
          description: Why.
          type: str
          sample: Evidence in the matter of the leaked grant
    problem:
      description: Why the manifest cannot be believed or read, or null.
      type: str
      sample: null
    locked_until:
      description:
        - Until when the store itself refuses to delete its manifest, null where it would not refuse. Nobody is asked with O(select).
      type: str
      sample: "2026-12-25T02:00:31.000000Z"
lines:
  description: The same as a table for people, newest first and 40 sets at most; null with O(select).
  returned: always
  type: list
  elements: str
  sample: ["1 set of deployment prod, journal head 42-9f86d081884c7d65 (fresh)"]
selected:
  description: Id of the chosen set, null without O(select).
  returned: always
  type: str
  sample: 20261125T020000Z-k3f9
reason:
  description: Why that one.
  returned: always
  type: str
  sample: at random, one of 12 that were never tested
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
from ..module_utils._sets.backup_set_info import Options
from ..module_utils._sets.backup_set_info import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
