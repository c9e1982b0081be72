#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: secrets_restore
short_description: Put the runtime secrets of a backup set back into files
version_added: 0.1.0
description:
  - Run it before the first start of anything. The product silently makes a new secret for each file that is missing or empty, a new KEK
    among them, and then nothing that was sealed opens any more.
  - The signature of the set, the digest of the object and the fingerprint of each file are verified before the first byte is written.
  - Each file is written under another name and renamed, so that it is the old or the new one, whole, whatever happens.
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
      - Verifies and opens the secrets, and says what would be written.
  diff_mode:
    support: full
    details:
      - Shows the names of the files only.
  idempotent:
    support: full
options:
  key_set:
    description:
      - Which state of the secrets, if the set holds two because they changed while the backup ran. Without it, the last one.
    type: str
  directory:
    description:
      - The directory of the secrets. It is made if it is missing; the directory above it must exist.
      - Files in it that are not in the set stay as they are.
    type: path
    required: true
  environment_file:
    description:
      - Where C(caracal.env) goes, with mode C(0600). Without it, that file is not restored.
    type: path
  extra_directory:
    description:
      - Where other files of the installation go, with the modes that they had. Without it, they are not restored.
    type: path
  extra_directories:
    description:
      - Where single ones of these files go, by their name, as
        RV(caracal_ops.backup.deployment_info#module:deployment.extra_directories) has them.
    type: dict
    default: {}
  retired_directory:
    description:
      - Where former audit keys go, which only who verifies the audit chain needs. Without it, they are not restored.
    type: path
  owner:
    description:
      - User of what is written, as a name or number.
    type: str
  group:
    description:
      - Group of what is written, as a name or number.
    type: str
  replace:
    description:
      - Replace files that hold something else. Without it that is refused.
      - Before the first is replaced, all of them are copied to C(<directory>.replaced-<time>).
    type: bool
    default: false
requirements:
  - pyrage >= 1.3
  - zstandard >= 0.22
seealso:
  - module: caracal_ops.backup.secrets_bundle
  - module: caracal_ops.backup.envelope_verify
"""

EXAMPLES = r"""
---
- name: Put the secrets of the newest set back
  caracal_ops.backup.secrets_restore:
    directory: /opt/caracal/secrets
    environment_file: /opt/caracal/caracal.env
    repository: /srv/backup/caracal
    deployment: prod
    signing_key: /srv/restore/operator_signing_key
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json
    identity_files:
      - /srv/restore/secrets.identity
"""

RETURN = r"""
set_id:
  description: Id of the set.
  returned: always
  type: str
  sample: 20261125T020000Z-k3f9
key_set:
  description: Public id of the state of the secrets that was restored.
  returned: always
  type: str
  sample: 5d41402abc4b2a76
family:
  description: V(secret_store) or V(zone_kek).
  returned: always
  type: str
  sample: secret_store
key_ids:
  description: Public ids of the keys by name. They are those that the signed manifest names, or the module fails.
  returned: always
  type: dict
  sample: {"kek": "1a2b3c4d5e6f7081", "audit_hmac_key": "90a1b2c3d4e5f607"}
written:
  description: Files of the bundle that were not there. Names in C(folders/) are directories that held no file.
  returned: always
  type: list
  elements: str
  sample: ["secrets/secretStoreKek"]
replaced:
  description: Files that held something else.
  returned: always
  type: list
  elements: str
  sample: []
adjusted:
  description: Files whose mode or owner was wrong.
  returned: always
  type: list
  elements: str
  sample: []
unchanged:
  description: Files that were there already.
  returned: always
  type: list
  elements: str
  sample: []
not_restored:
  description: Files of the bundle for which no target was named.
  returned: always
  type: list
  elements: str
  sample: ["extra/ca.pem"]
foreign:
  description: Files in O(directory) that the set does not hold; they stay.
  returned: always
  type: list
  elements: str
  sample: []
safety_copy:
  description: Directory with copies of what was replaced, or null.
  returned: always
  type: str
  sample: /opt/caracal/secrets.replaced-20261125T030000Z
journal_head:
  description: Number and first 16 hex digits of the newest journal entry.
  returned: always
  type: str
  sample: 43-2c26b46b68ffc68f
seconds:
  description: Duration in seconds.
  returned: always
  type: float
  sample: 0.3
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._assets.secrets.secrets_restore import Options
from ..module_utils._assets.secrets.secrets_restore import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
