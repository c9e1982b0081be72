#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: replay_volume_restore
short_description: Put the replay files of a backup set back into the directories of stopped services
version_added: 0.1.0
description:
  - Adds the files of both readings of a set to a replay directory, byte for byte and with their times. The service sends their events at
    its next start; events that the database has already do no harm.
  - Nothing that lies there is overwritten, removed or followed. A file that is there already is skipped, also when the service has added
    to it since. One with other content gets company under another name that the service replays as well.
  - A file appears when it is whole, and none appears before every byte of all volumes was verified against the signed set.
  - A last line that nobody finished goes into O(volumes[].quarantine), since the service would drop it without a word.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._stored_set
  - caracal_ops.backup._repository
  - caracal_ops.backup._identities
  - caracal_ops.backup._recorded
attributes:
  check_mode:
    support: full
    details:
      - Opens and verifies everything, and says what would be written.
  diff_mode:
    support: full
    details:
      - Shows the files that are or would be added.
  idempotent:
    support: full
options:
  volumes:
    description:
      - The replay directories on this host.
    type: list
    elements: dict
    required: true
    suboptions:
      service:
        description:
          - Whose directory it is.
        type: str
        choices: [sts, gateway]
        required: true
      replica:
        description:
          - Which of its replicas, as it was named when it was archived.
        type: str
        default: "1"
      path:
        description:
          - The directory C(audit-replay), or the volume that holds it. It must exist.
        type: path
        required: true
      from:
        description:
          - The archived volume as C(<service>-<replica>), when its files are to come to another replica.
        type: str
      quarantine:
        description:
          - Directory for last lines that nobody finished. It is made, with mode 0700, when there are any; its parent must exist.
          - Without this option it is O(volumes[].path) with C(.quarantine) at its end.
        type: path
  owner:
    description:
      - Numeric owner of the files. Caracal's services run as 65532.
    type: int
    default: 65532
  group:
    description:
      - Their numeric group.
    type: int
    default: 65532
notes:
  - Stop the service before. It reads and removes files when it starts, and this module cannot see whether it is about to.
  - Run it as root, or as O(owner).
requirements:
  - pyrage >= 1.3
  - zstandard >= 0.22
seealso:
  - module: caracal_ops.backup.replay_volume_archive
"""

EXAMPLES = r"""
---
- name: Put the replay files back before the services start
  caracal_ops.backup.replay_volume_restore:
    volumes:
      - service: sts
        path: /var/lib/docker/volumes/caracal_stsReplay/_data
      - service: gateway
        path: /var/lib/docker/volumes/caracal_gatewayReplay/_data
        quarantine: /srv/restore/quarantine
    repository: /srv/backup/caracal
    deployment: prod
    signing_key: /srv/restore/operator_signing_key
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json
    identity_files:
      - /srv/restore/break-glass.identity
"""

RETURN = r"""
set_id:
  description: Id of the set.
  returned: always
  type: str
  sample: 20261125T020000Z-k3f9
volumes:
  description: For each volume, what was or would be added.
  returned: always
  type: list
  elements: dict
  contains:
    service:
      description: Whose it is.
      type: str
      sample: sts
    replica:
      description: Which replica.
      type: str
      sample: "1"
    path:
      description: The directory of the files.
      type: str
      sample: /var/lib/docker/volumes/caracal_stsReplay/_data/audit-replay
    files:
      description: Files that the set has of it, last lines that nobody finished counted too.
      type: int
      sample: 3
    restored:
      description: Files added to the directory.
      type: int
      sample: 3
    skipped:
      description: Files that were there already.
      type: int
      sample: 0
    renamed:
      description: Added files that got another name, since theirs was taken.
      type: int
      sample: 0
    quarantined:
      description: Last lines that nobody finished, added to the quarantine.
      type: int
      sample: 0
    bytes:
      description: Bytes added.
      type: int
      sample: 81234
journal_head:
  description: Number and first 16 hex digits of the newest journal entry.
  returned: always
  type: str
  sample: 42-9f86d081884c7d65
seconds:
  description: Duration in seconds.
  returned: always
  type: float
  sample: 0.3
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._assets.replay.replay_volume_restore import Options
from ..module_utils._assets.replay.replay_volume_restore import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
