#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: replay_volume_archive
short_description: Archive the replay directories of STS and Gateway into an open backup set, while the services run
version_added: 0.1.0
description:
  - The replay directory of a service holds audit events that it could not send, and that are in no database yet.
  - Each file goes byte for byte through tar, zstd and age, with its time, mode and owner, up to its last whole line. Nothing in the
    directory is touched, and no service has to stop. Zero files are the normal state of a healthy service.
  - There are two readings, one before the database is dumped and one after it. Reading 2 takes what is new or longer, so that an event
    is in a file of one of them, or in the database. Extracted one over the other, no event is there twice and none is torn.
  - What is no replay file is named in a warning, never followed, and never stops the run.
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
      - Reads everything and stores nothing. Where reading 1 was only predicted too, reading 2 counts every file as new.
  diff_mode:
    support: full
    details:
      - Shows the artifacts that were made.
  idempotent:
    support: partial
    details:
      - A reading that the set has already is left as it is; a new set gets new readings.
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
      - The replay directories on this host, one for each replica, those of replicas that were scaled away too.
      - Where several are one directory, it is read once.
    type: list
    elements: dict
    default: []
    suboptions:
      service:
        description:
          - Whose directory it is.
        type: str
        choices: [sts, gateway]
        required: true
      replica:
        description:
          - Which of its replicas, as a name of letters, digits, C(_) and C(-).
        type: str
        default: "1"
      path:
        description:
          - The directory that holds the files, or the volume in which C(audit-replay) is that directory.
        type: path
        required: true
  compose_project:
    description:
      - A Compose project on this host, whose replay directories are found by what its containers mount, and by the labels of its volumes
        C(stsReplay) and C(gatewayReplay), which outlive their containers. Replicas that share a volume have one directory.
      - The container engine is asked for them, and never told to do anything.
      - A service without one is V(not_durable), with a warning, unless O(volumes) or O(not_durable) names the service.
    type: str
  not_durable:
    description:
      - Services whose replay directory dies with its container, as an C(emptyDir) does. They cannot be protected, and the manifest says so.
    type: list
    elements: dict
    default: []
    suboptions:
      service:
        description:
          - Which service.
        type: str
        choices: [sts, gateway]
        required: true
      reason:
        description:
          - Why, in words for the manifest.
        type: str
        required: true
  stage:
    description:
      - Absolute path of a local directory that takes the sealed artifacts instead of O(repository), on a host that cannot reach it.
      - M(caracal_ops.backup.backup_set) with O(caracal_ops.backup.backup_set#module:state=extended) takes them into the set.
        Keep the directory until the second reading is taken in.
      - It is made if missing; its parent must exist.
    type: path
notes:
  - O(signing_key) is only compared with the recipients here, and required with O(repository). With O(stage), whoever takes it in compares.
  - Run it as the owner of the files (uid 65532) or as root; Docker's volumes as root.
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
- name: Read the replay directories before the dump
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

- name: The same on a host that does not reach the repository
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
  description: Id of the set.
  returned: always
  type: str
  sample: 20261125T020000Z-k3f9
volumes:
  description: For each volume, what this reading found.
  returned: always
  type: list
  elements: dict
  contains:
    service:
      description: Whose it is.
      type: str
      sample: sts
    replica:
      description: Which replica; null for V(not_durable).
      type: str
      sample: "1"
    state:
      description:
        - V(archived), also with zero files. V(same_as) another volume, which RV(volumes[].same_as) names. V(not_durable), so not protected.
      type: str
      sample: archived
    same_as: {description: "With V(same_as), the volume that is the same directory.", type: str, sample: sts-1}
    reason: {description: "With V(not_durable), why.", type: str, sample: Cloud Run has no durable volume}
    files:
      description: Files in the archive.
      returned: when RV(volumes[].state) is V(archived), as all that follow
      type: int
      sample: 3
    bytes: {description: "Their size.", type: int, sample: 81234}
    lines: {description: "Their whole lines.", type: int, sample: 190}
    unchanged: {description: "Files that reading 2 found as reading 1 had left them.", type: int, sample: 0}
    drained: {description: "Files that went away, since a restarted service has sent their events.", type: int, sample: 0}
    incomplete: {description: "Files whose last line nobody finishes. It is archived apart, by reading 2.", type: int, sample: 0}
    unparsable: {description: "Files with lines that are no audit event.", type: int, sample: 0}
    oversized: {description: "Files with a line of 1 MiB or more.", type: int, sample: 0}
    other: {description: "Files that have other content than reading 1 found under their name. Both are kept.", type: int, sample: 0}
    unknown: {description: "Names in the directory that are no replay file's.", type: int, sample: 0}
artifacts:
  description: Path, size in bytes and SHA-256 of each sealed artifact. None in check mode.
  returned: always
  type: list
  elements: dict
  sample: [{"path": "sets/20261125T020000Z-k3f9/replay/sts-1.1.tar.zst.age", "size": 12345, "sha256": "9f86d08..."}]
staged:
  description: With O(stage), the files in it that belong to this reading, by their paths below it. None in check mode.
  returned: always
  type: list
  elements: str
  sample: ["sets/20261125T020000Z-k3f9/replay/sts-1.1.tar.zst.age", "sets/20261125T020000Z-k3f9/parts/replay.sts-1.1.json"]
bytes:
  description: Sealed bytes.
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
