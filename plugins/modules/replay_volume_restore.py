#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: replay_volume_restore
short_description: Restore the replay files of a backup set into the directories of stopped services
version_added: 0.1.0
description:
  - Adds the files of both passes of a set to a replay directory, byte for byte and with their times. The service sends their events at
    its next start. Events that the database already has do no harm.
  - The module never overwrites or removes an existing file, and never follows a symbolic link. It skips a file that exists already, even if
    the service has added lines to the file since the backup. If a file with other content has the same name, the restored file gets another
    name, under which the service replays it too.
  - A file gets its final name only when it is complete, and only after every byte of all volumes was verified against the signed set.
  - The module writes an incomplete last line to O(volumes[].quarantine), because the service would silently drop this line.
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
      - Decrypts and verifies everything, and returns what would be written.
  diff_mode:
    support: full
    details:
      - Shows the files that are or would be added.
  idempotent:
    support: full
options:
  volumes:
    description:
      - List of the replay directories on this host.
    type: list
    elements: dict
    required: true
    suboptions:
      service:
        description:
          - Name of the service that owns the directory.
        type: str
        choices: [sts, gateway]
        required: true
      replica:
        description:
          - Name of the replica under which the directory was archived.
        type: str
        default: "1"
      path:
        description:
          - Directory C(audit-replay), or the volume that contains this directory. The directory must exist.
        type: path
        required: true
      from:
        description:
          - Name of the archived volume as C(<service>-<replica>), if you restore its files to another replica.
        type: str
      quarantine:
        description:
          - Directory for incomplete last lines. The module creates it with mode 0700 if it is needed. Its parent directory must exist.
          - The default is O(volumes[].path) with C(.quarantine) appended.
        type: path
  owner:
    description:
      - Numeric user ID of the owner of the files. Caracal's services run as 65532.
    type: int
    default: 65532
  group:
    description:
      - Numeric group ID of the files.
    type: int
    default: 65532
notes:
  - Stop the service first. The service reads and removes replay files when it starts, and this module cannot detect that the service is
    about to start.
  - Run the module as root, or as O(owner).
requirements:
  - pyrage >= 1.3
  - zstandard >= 0.22
seealso:
  - module: caracal_ops.backup.replay_volume_archive
"""

EXAMPLES = r"""
---
- name: Restore the replay files before the services start
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
  description: ID of the set.
  returned: always
  type: str
  sample: 20261125T020000Z-k3f9
volumes:
  description: For each volume, the files that were or would be added.
  returned: always
  type: list
  elements: dict
  contains:
    service:
      description: Name of the service that owns the volume.
      type: str
      sample: sts
    replica:
      description: Name of the replica.
      type: str
      sample: "1"
    path:
      description: Directory of the files.
      type: str
      sample: /var/lib/docker/volumes/caracal_stsReplay/_data/audit-replay
    files:
      description: Number of files that the set contains for this volume, including incomplete last lines.
      type: int
      sample: 3
    restored:
      description: Number of files added to the directory.
      type: int
      sample: 3
    skipped:
      description: Number of files that existed already.
      type: int
      sample: 0
    renamed:
      description: Number of added files that got another name, because a file with other content had their name.
      type: int
      sample: 0
    quarantined:
      description: Number of incomplete last lines added to the quarantine.
      type: int
      sample: 0
    bytes:
      description: Number of bytes added.
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
