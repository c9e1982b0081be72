#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: image_archive
short_description: Seal the images that run as services into an open backup set
version_added: 0.1.0
description:
  - Keeps the images of services in the backup set, so that a restore or a drill years later needs neither their registry nor the engine
    that ran them.
  - An image comes from the container engine of this host, which is only asked, never told to pull or to run one. Its configuration and
    its layers are compared with its id before anything is stored, and once more while they are sealed. Nothing of it lies here in clear.
  - Configurations and layers are stored once each. What the newest set holds, sealed to everybody in O(recipients) and
    O(recipients_files), is named again. Of an image that this set holds as a whole, nothing is read.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._engine
  - caracal_ops.backup._open_set
  - caracal_ops.backup._repository
  - caracal_ops.backup._services
  - caracal_ops.backup._signing
  - caracal_ops.backup._recipients
attributes:
  check_mode:
    support: full
    details:
      - Tells which images would be kept, and asks the engine whether it has those that would be read. RV(bytes) is then without these.
  diff_mode:
    support: full
    details:
      - Shows the ids of the images, and the services that run from them.
  idempotent:
    support: partial
    details:
      - A set that has its images already is left as it is; a new set gets them anew, mostly by name.
notes:
  - A set that keeps images cannot be read by releases of the collection that know nothing of them.
  - What an image holds is sealed like a database. The manifest, which is not, says the digests and sizes of its layers.
requirements:
  - docker >= 7.0
  - pyrage >= 1.3
  - zstandard >= 0.22
seealso:
  - module: caracal_ops.backup.backup_set
  - module: caracal_ops.backup.deployment_info
  - module: caracal_ops.backup.restore_drill
"""

EXAMPLES = r"""
---
- name: Find what runs
  caracal_ops.backup.deployment_info:
    compose_project: caracal
  become: true
  register: found

- name: Keep the images of all that runs
  caracal_ops.backup.image_archive:
    set_id: "{{ opened.set_id }}"
    services: "{{ found.deployment.services }}"
    repository: /srv/backup/caracal
    deployment: prod
    signing_key: /etc/caracal-ops/backup_signing_key
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json
    recipients_files:
      - /etc/caracal-ops/database.recipients
  become: true
"""

RETURN = r"""
set_id:
  description: Id of the set.
  returned: always
  type: str
  sample: 20261125T020000Z-k3f9
images:
  description: The images that the set keeps.
  returned: always
  type: list
  elements: dict
  contains:
    image_id:
      description: Its id.
      type: str
      sample: "sha256:3a1f..."
    services:
      description: Which services run from it.
      type: list
      elements: str
      sample: [gateway, sts]
    shared:
      description: Whether the newest set has all of it, so that nothing was read.
      type: bool
      sample: false
bytes:
  description: Size of all that the images consist of, compressed and sealed.
  returned: always
  type: int
  sample: 151234567
bytes_written:
  description: How much of it is new.
  returned: always
  type: int
  sample: 51234567
seconds:
  description: Duration in seconds.
  returned: always
  type: float
  sample: 4.2
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._assets.images.image_archive import Options
from ..module_utils._assets.images.image_archive import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
