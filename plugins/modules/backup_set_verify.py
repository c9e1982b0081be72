#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_set_verify
short_description: Verify the journal, and the signature and every stored byte of a backup set
version_added: 0.1.0
description:
  - Verifies the whole journal of the repository, the signature of the set's manifest, C(RECOVERY.md), and the SHA-256 of each artifact.
  - Does not require an identity, so it can run on the backup host. To prove that the set can be decrypted and restored, run a drill.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._attributes.read_only
  - caracal_ops.backup._attributes.progress
  - caracal_ops.backup._stored_set
  - caracal_ops.backup._repository
options:
  require_valid:
    description:
      - Whether to fail unless the verdict is V(pass).
    type: bool
    default: true
notes:
  - The module writes only to the file O(high_water_mark). It advances the high-water mark to the newest journal entry.
seealso:
  - module: caracal_ops.backup.backup_set
"""

EXAMPLES = r"""
---
- name: Verify the stored set
  caracal_ops.backup.backup_set_verify:
    set_id: "{{ opened.set_id }}"
    repository: /srv/backup/caracal
    deployment: prod
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json
"""

RETURN = r"""
set_id:
  description: ID of the set that was verified.
  returned: always
  type: str
  sample: 20261125T020000Z-k3f9
verdict:
  description: V(pass), V(fail) or V(unproven).
  returned: always
  type: str
  sample: pass
checks:
  description: Each check with its verdict.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: Stable ID of the check.
      type: str
      sample: set.objects
    verdict:
      description: V(pass), V(fail), V(warn), V(unproven) or V(not_applicable).
      type: str
      sample: pass
    message:
      description: Result of the check.
      type: str
      sample: 21 objects, 412345678 bytes, every SHA-256 matches the signed manifest
    required:
      description: V(true) if the verdict of the module depends on this check.
      type: bool
      sample: true
    details:
      description: Further details, if there are any.
      type: dict
      sample: {}
journal_head:
  description: Number and first 16 hex digits of the digest of the newest journal entry.
  returned: always
  type: str
  sample: 42-9f86d081884c7d65
set_facts:
  description:
    - Facts about the set from the manifest. C(assets) lists the assets other than databases. Its field C(replay) lists the replay volumes
      as C(<service>-<replica>).
    - C(data_bytes) is the size of the set without C(images). C(images) lists each image with its C(image_id) and the C(bytes) of its
      objects.
  returned: always
  type: dict
  sample:
    release: v1.0.0
    snapshot_time: "2026-11-25T02:00:01.000000Z"
    bytes: 412345678
    data_bytes: 361111111
    images: [{image_id: "sha256:3a1f...", bytes: 51234567}]
    assets: {secrets: true, redis: true, replay: [gateway-1, sts-1]}
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._sets.backup_set_verify import Options
from ..module_utils._sets.backup_set_verify import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
