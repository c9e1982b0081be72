#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: replay_volume_archive
short_description: Archive the replay directories of STS and Gateway into an open backup set while the services run
version_added: 0.1.0
description:
  - The replay directory of a service contains audit events that the service could not send yet. These events are not in the database yet.
  - The module archives each file byte for byte with tar, zstd and age, up to its last complete line, with its time, mode and owner. It
    changes nothing in the directory, and you do not have to stop a service. A healthy service usually has no replay files.
  - There are two passes, one before the database dump and one after it. Pass 2 archives only files that are new, have grown or have other
    content than in pass 1. Each event is therefore in a file of one of the passes, or in the database. If you extract pass 2 over pass 1,
    no event is duplicated or truncated.
  - The module skips files that are not replay files, and prints a warning with their names. It never follows symbolic links, and such files
    never stop the run.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._attributes.progress
  - caracal_ops.backup._engine
  - caracal_ops.backup._open_set
  - caracal_ops.backup._reading
  - caracal_ops.backup._repository
  - caracal_ops.backup._signing
  - caracal_ops.backup._recipients
attributes:
  check_mode:
    support: full
    details:
      - Reads everything and stores nothing. If pass 1 also ran in check mode, pass 2 counts every file as new.
  diff_mode:
    support: full
    details:
      - Shows the artifacts that were created.
  idempotent:
    support: partial
    details:
      - A pass that the set has already is not changed. A new set gets new passes.
options:
  repository:
    required: false
  deployment:
    required: false
  allowed_signers:
    required: false
  high_water_mark:
    required: false
  volumes:
    description:
      - List of the replay directories on this host, one for each replica. Include the directories of replicas that you have scaled down.
      - If several entries name the same directory, the module reads it once.
    type: list
    elements: dict
    default: []
    suboptions:
      service:
        description:
          - Name of the service that owns the directory.
        type: str
        choices: [sts, gateway]
        required: true
      replica:
        description:
          - Name of the replica, in letters, digits, C(_) and C(-).
        type: str
        default: "1"
      path:
        description:
          - Replay directory, or a volume that contains it as C(audit-replay).
        type: path
        required: true
  compose_project:
    description:
      - Name of a Compose project on this host. The module finds the replay directories through the mounts of the project's containers, and
        through the labels of the volumes C(stsReplay) and C(gatewayReplay). These volumes remain if the containers are removed. Replicas
        that share a volume have one directory.
      - The module only queries the container engine. It changes nothing there.
      - A service without a replay directory is V(not_durable), with a warning, unless O(volumes) or O(not_durable) names the service.
    type: str
  not_durable:
    description:
      - List of services whose replay directory is lost with the container, for example because it is an C(emptyDir). Such a directory
        cannot be backed up, and the manifest records this.
    type: list
    elements: dict
    default: []
    suboptions:
      service:
        description:
          - Name of the service.
        type: str
        choices: [sts, gateway]
        required: true
      reason:
        description:
          - Reason, as text for the manifest.
        type: str
        required: true
  stage:
    description:
      - Absolute path of a local directory to which the module writes the encrypted artifacts instead of O(repository). Use this option on a
        host that cannot reach the repository.
      - M(caracal_ops.backup.backup_set) with O(caracal_ops.backup.backup_set#module:state=extended) adds them to the set.
        Keep the directory until the second pass has been added.
      - The module creates the stage if it is missing. Its parent directory must exist.
    type: path
notes:
  - O(signing_key) is required with O(repository). The module checks that this key is not a recipient, and signs its part of the open set.
    With O(stage), the host that adds the artifacts to the set does both.
  - Run the module as the owner of the files (uid 65532) or as root. For Docker volumes, run it as root.
requirements:
  - pyrage >= 1.3
  - zstandard >= 0.22
  - docker >= 7.0, for O(compose_project)
seealso:
  - module: caracal_ops.backup.replay_volume_restore
  - module: caracal_ops.backup.backup_set
"""

EXAMPLES = r"""
---
- name: Archive the replay directories before the dump
  caracal_ops.backup.replay_volume_archive:
    set_id: "{{ opened.set_id }}"
    reading: 1
    compose_project: caracal
    repository: /srv/backup/caracal
    deployment: prod
    signing_key: /etc/caracal-ops/backup_signing_key
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json
    recipients_files:
      - /etc/caracal-ops/database.recipients
  become: true

- name: Archive replay directories on a host that cannot reach the repository
  caracal_ops.backup.replay_volume_archive:
    set_id: "{{ opened.set_id }}"
    reading: 2
    volumes:
      - service: sts
        replica: "0"
        path: /mnt/replay-caracal-sts-0
    not_durable:
      - service: gateway
        reason: replayPersistence is off, so its pods have an emptyDir
    stage: /var/lib/caracal-ops/stage
    recipients:
      - age1qlfm0gexgqp5f5fh0gp4ru6jp0hx9r5ew7dk95rqcqdqyesnqpxq2m7rlh
"""

RETURN = r"""
set_id:
  description: ID of the set.
  returned: always
  type: str
  sample: 20261125T020000Z-k3f9
volumes:
  description: For each volume, the results of this pass.
  returned: always
  type: list
  elements: dict
  contains:
    service:
      description: Name of the service that owns the volume.
      type: str
      sample: sts
    replica:
      description: Name of the replica. Null for V(not_durable).
      type: str
      sample: "1"
    state:
      description:
        - V(archived), also if there are no files. V(same_as) if another volume, named in RV(volumes[].same_as), is the same directory.
          V(not_durable) if the volume is not protected.
      type: str
      sample: archived
    same_as: {description: "With V(same_as), the volume that is the same directory.", type: str, sample: sts-1}
    reason: {description: "With V(not_durable), the reason.", type: str, sample: Cloud Run has no durable volume}
    files:
      description: Number of files in the archive.
      returned: when RV(volumes[].state) is V(archived), like all following values
      type: int
      sample: 3
    bytes: {description: "Size of the files in bytes.", type: int, sample: 81234}
    lines: {description: "Number of complete lines in the files.", type: int, sample: 190}
    unchanged: {description: "Number of files that did not change between pass 1 and pass 2.", type: int, sample: 0}
    drained: {description: "Number of files that disappeared because a restarted service sent their events.", type: int, sample: 0}
    incomplete:
      description: Number of files with an incomplete last line that this pass archived separately. Always 0 in pass 1.
      type: int
      sample: 0
    unparsable: {description: "Number of files with lines that are not audit events.", type: int, sample: 0}
    oversized: {description: "Number of files with a line of 1 MiB or more.", type: int, sample: 0}
    other:
      description: Number of files whose content differs from the file of the same name in pass 1. Both versions are archived.
      type: int
      sample: 0
    unknown: {description: "Number of files in the directory that are not replay files.", type: int, sample: 0}
artifacts:
  description: Path, size in bytes and SHA-256 of each encrypted artifact. Empty in check mode.
  returned: always
  type: list
  elements: dict
  sample: [{"path": "sets/20261125T020000Z-k3f9/replay/sts-1.1.tar.zst.age", "size": 12345, "sha256": "9f86d08..."}]
staged:
  description: With O(stage), the files in the stage that belong to this pass, by their relative paths. Empty in check mode.
  returned: always
  type: list
  elements: str
  sample: ["sets/20261125T020000Z-k3f9/replay/sts-1.1.tar.zst.age", "sets/20261125T020000Z-k3f9/parts/replay.sts-1.1.json"]
bytes:
  description: Number of encrypted bytes.
  returned: always
  type: int
  sample: 12678
seconds:
  description: Duration in seconds.
  returned: always
  type: float
  sample: 0.2
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._assets.replay.replay_volume_archive import Options
from ..module_utils._assets.replay.replay_volume_archive import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
