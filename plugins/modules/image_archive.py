#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: image_archive
short_description: Add the container images of services to an open backup set
version_added: 0.1.0
description:
  - Stores the images of services in the backup set. A restore or a drill years later then requires neither the registry of the images nor
    the engine that ran them.
  - The module reads each image from the container engine of this host. It never pulls or runs an image.
  - It compares the configuration and layers of an image with the image ID before storing anything, and again during encryption. It does not
    store unencrypted image data on this host.
  - Each configuration and layer is stored only once. If the newest set already contains it, encrypted for all of O(recipients) and
    O(recipients_files), the new set refers to it. If the newest set contains a whole image, the module does not read that image.
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
      - Reports the images that would be stored, and checks that the engine has the images that would be read. RV(bytes) does not include
        the images that would be read.
  diff_mode:
    support: full
    details:
      - Shows the IDs of the images, and the services that run from them.
  idempotent:
    support: partial
    details:
      - A set that already contains its images is not changed. A new set contains the images again, mostly as references to objects of the
        newest set.
notes:
  - Releases of the collection without support for images cannot read a set with images.
  - The contents of an image are encrypted like a database. The manifest is not encrypted and contains the digests and sizes of the layers.
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
- name: Discover the running services
  caracal_ops.backup.deployment_info:
    compose_project: caracal
  become: true
  register: found

- name: Store the images of all running services in the set
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
  description: ID of the set.
  returned: always
  type: str
  sample: 20261125T020000Z-k3f9
images:
  description: Images in the set.
  returned: always
  type: list
  elements: dict
  contains:
    image_id:
      description: ID of the image.
      type: str
      sample: "sha256:3a1f..."
    services:
      description: Services that run from the image.
      type: list
      elements: str
      sample: [gateway, sts]
    shared:
      description: V(true) if the newest set already contains the whole image, so the module did not read it.
      type: bool
      sample: false
bytes:
  description: Total size of the images in bytes, compressed and encrypted.
  returned: always
  type: int
  sample: 151234567
bytes_written:
  description: Number of these bytes that the module added to the repository.
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
